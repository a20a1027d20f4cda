"""The notebook, executed in the project's own kernel: no errors, whole pictures, every cell on its own after cell 0.

`make test` executes the notebook first and names the copy in NTGRAM_EXECUTED; without it these tests do so themselves.
"""

import base64
import os
import struct
from pathlib import Path

import nbformat
import notebook as runner
import pytest
from conftest import REPOSITORY

NOTEBOOK = REPOSITORY / "notebooks/experiments.ipynb"
CELLS = range(10)
WITH_FIGURE = [1, 5, 6, 7, 8]


@pytest.fixture(scope="session")
def executed():
    """The code cells of the executed notebook."""
    copy = os.environ.get("NTGRAM_EXECUTED")
    notebook = nbformat.read(copy or NOTEBOOK, as_version=4)
    if not copy:
        assert runner.execute(notebook, NOTEBOOK.parent) is None
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell):
    """What a cell wrote to stdout."""
    return "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")


def pictures(cell):
    """The PNG pictures of a cell, decoded from base64."""
    return [base64.b64decode(out.data["image/png"]) for out in cell.outputs if "image/png" in out.get("data", {})]


def test_the_notebook_names_no_machine_and_uses_the_projects_kernel():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert notebook.metadata.kernelspec.name == runner.KERNEL
    source = "\n".join(cell.source for cell in notebook.cells)
    assert str(Path.home()) not in source and str(REPOSITORY) not in source


def test_every_cell_ran_without_an_error(executed):
    assert len(executed) == len(CELLS)
    for number, cell in enumerate(executed):
        assert cell.execution_count, f"cell {number} did not run"
        assert not [out for out in cell.outputs if out.output_type == "error"], f"cell {number}"


@pytest.mark.parametrize("number", WITH_FIGURE)
def test_the_picture_is_whole(executed, number):
    (png,) = pictures(executed[number])
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    assert 300 <= width <= 4000 and 200 <= height <= 4000
    assert len(png) > 2000, "a picture of one colour only?"


@pytest.mark.parametrize("number", [n for n in CELLS if n not in WITH_FIGURE])
def test_no_picture_where_none_is_meant(executed, number):
    assert pictures(executed[number]) == []


# ---- printed numbers against PyTorch's (ntgram-core/tests/reference): one test a cell, here


@pytest.mark.parametrize("number", CELLS[1:])
def test_a_cell_runs_alone_after_cell_0(start, number):
    """What the original could not: its cells used variables of cells before them."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    kernel = start()
    kernel.run(cells[0])
    kernel.run(cells[number])
