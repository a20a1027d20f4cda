"""What the tests of notebooks share: an executed copy, what its cells printed and drew, and what holds for every notebook."""

import base64
import copy
import os
import re
import struct
from pathlib import Path

import nbformat
import notebook as runner
from conftest import REPOSITORY


def executed_copy(notebook, variable):
    """The executed copy that an environment variable names; without one the notebook is executed now."""
    copy = os.environ.get(variable)
    executed = nbformat.read(copy or notebook, as_version=4)
    if not copy:
        assert runner.execute(executed, notebook.parent) is None
    return executed


def code(notebook):
    """The code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell, stream="stdout"):
    """What a cell wrote to stdout."""
    return "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == stream)


def pictures(cell):
    """The PNG pictures of a cell, decoded from base64."""
    return [base64.b64decode(out.data["image/png"]) for out in cell.outputs if "image/png" in out.get("data", {})]


def size(png):
    """Width and height of a PNG file, which must be whole."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", png[16:24])


def assert_whole(png):
    """The file of a picture, of a figure's size, with something on it."""
    width, height = size(png)
    assert 300 <= width <= 4000 and 200 <= height <= 4000
    assert len(png) > 2000, "a picture of one colour only?"


def assert_ran(cell):
    assert cell.execution_count, f"did not run: {cell.source[:80]}"
    assert not [out for out in cell.outputs if out.output_type == "error"], cell.source[:80]
    assert not printed(cell, "stderr"), printed(cell, "stderr")


def assert_names_no_machine(notebook):
    """And uses the project's kernel."""
    assert notebook.metadata.kernelspec.name == runner.KERNEL
    source = "\n".join(cell.source for cell in notebook.cells)
    assert str(Path.home()) not in source and str(REPOSITORY) not in source


def assert_shows_what_it_computes(committed, executed):
    """Its outputs are those of its code: the same lines, but for speeds and the last digits, and as many pictures."""
    executed = copy.deepcopy(executed)
    runner.keep_what_every_reader_shows(executed)  # as the committed one
    for then, now in zip(code(committed), code(executed), strict=True):
        words = [re.sub(r"[-\d.e]+", "#", printed(cell)) for cell in (then, now)]
        kept = [[line for line in text.splitlines() if "it/s" not in line and " trainings" not in line] for text in words]
        assert kept[0] == kept[1]
        assert len(pictures(then)) == len(pictures(now))
