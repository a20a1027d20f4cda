"""Executes notebooks in the project's kernel, without a browser: `notebook.py NOTEBOOK... (--to FOLDER | --in-place)`.

Writes the executed copy and an HTML page of it, and prints their paths last. A cell that fails is named with its error,
and the exit status is 1. Several notebooks are executed side by side, as many as there are processors. Runs in the virtual
environment that the set-up makes.
"""

import argparse
import atexit
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from jinja2 import DictLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from steps import usable_processors

KERNEL = "ntgram"
START_SECONDS = 900  # without a warm build folder the kernel starts all the same; its first cell then takes minutes
CELL_SECONDS = 1800
# nbconvert shows what JupyterLab folds.
PAGE = """{% extends "lab/index.html.j2" %}
{% block codecell %}
{%- if cell.metadata.get("jupyter", {}).get("source_hidden") -%}
<details><summary style="margin: 0 0 8px 88px; cursor: pointer">Solution</summary>{{ super() }}</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{% endblock codecell %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block body_header %}{{ super() }}{{ resources.navigation }}{% endblock %}
"""


class Renderer(IPythonRenderer):
    """Markdown with its formulas as MathML, which browsers draw themselves: MathJax would be fetched."""

    def inline_math(self, body):
        return formula(body, "inline")

    def block_math(self, body):
        return formula(body, "block")


def formula(latex, display):
    """MathML of a formula. Bars around a letter are as high as it is: without a font made for formulas browsers stretch them out of place."""
    return re.sub(r"<mo[^>]*>(&#x0*2(?:225|016);|[‖∥])</mo>", "<mo stretchy=\"false\">‖</mo>", convert(latex, display=display))


class Exporter(HTMLExporter):
    """Pages that fetch nothing."""

    @pass_context
    def markdown2html(self, context, source):
        options = {"anchor_link_text": self.anchor_link_text, "exclude_anchor_links": self.exclude_anchor_links}
        attachments = context.get("cell", {}).get("attachments", {})
        return MarkdownWithMath(renderer=Renderer(escape=False, attachments=attachments, **options)).render(source)

    def default_filters(self):
        yield from super().default_filters()
        yield ("markdown2html", self.markdown2html)


class Progress(NotebookClient):
    """Prints a line for each code cell: its number, what it is about, and how long it took."""

    def announce(self):
        self.total = sum(cell.cell_type == "code" for cell in self.nb.cells)
        self.number, self.heading = -1, ""
        self.on_cell_start, self.on_cell_executed = self.begin, self.end
        return self

    def begin(self, cell, cell_index):
        if cell.cell_type != "code":
            return
        self.number += 1
        above = self.nb.cells[cell_index - 1] if cell_index else None
        title = above.source.splitlines()[0].lstrip("# ") if above and above.cell_type == "markdown" else ""
        print(f"  cell {self.number} of {self.total - 1}: {title or cell.source.splitlines()[0]} … ", end="", flush=True)
        self.begun = time.monotonic()

    def end(self, cell, cell_index, execute_reply):
        failed = "" if execute_reply["content"]["status"] == "ok" else ", failed"
        print(f"{time.monotonic() - self.begun:.1f} s{failed}", flush=True)


def execute(notebook, folder):
    """Executes `notebook` in place of its old outputs, with `folder` as the working folder. None, or the error."""
    client = Progress(
        notebook,
        kernel_name=KERNEL,
        timeout=CELL_SECONDS,
        startup_timeout=START_SECONDS,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).announce()
    try:
        client.execute()
    except CellExecutionError as error:
        # evcxr sends the reason to the page, not in its reply: it is among the cell's outputs.
        outputs = [out for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "error"]
        text = "\n".join("\n".join(out.traceback) or out.evalue for out in outputs) or str(error)
        return f"cell {client.number} failed:\n" + re.sub(r"\x1b\[[\d;]*m", "", text)
    except (CellTimeoutError, DeadKernelError) as error:
        return str(error)
    except RuntimeError as error:  # nbclient's for a kernel that ended, or said nothing, before the first cell
        atexit.unregister(client._cleanup_kernel)  # it is cleaned up, and a second time is an error
        return f"the kernel did not start: {error}"
    return None


# A picture that the kernel shows: its size on the page, its PNG file in base 64 (`Figure::to_html`).
PICTURE = re.compile(r'<img width="(\d+)" height="(\d+)" style="[^"]*" src="data:image/png;base64,([^"]+)">')
# Between two things of one output (`Shown::html`).
NEXT = "\n<!-- ntgram: next -->\n"


def keep_one_picture(notebook):
    """A figure comes as a PNG file and as an HTML element that holds the same file and says how large it is on the page. Keeps the
    file, which every reader of notebooks shows, with the size as its metadata."""
    for output in results(notebook):
        picture = PICTURE.fullmatch(output.data.get("text/html", ""))
        if picture and "image/png" in output.data:
            del output.data["text/html"]
            output.metadata["image/png"] = {"width": int(picture[1]), "height": int(picture[2])}


def keep_what_every_reader_shows(notebook):
    """For a notebook that is committed. A cell that shows several things sends them as one HTML output, with one PNG file of all
    figures: these become outputs of their own, in order, each figure as a PNG file. A slider, which needs its script and all frames,
    becomes the PNG file of a few: running the cell brings it back."""
    for cell in notebook.cells:
        outputs = []
        for output in cell.get("outputs", []):
            outputs += parted(output) if PICTURE.search(output.get("data", {}).get("text/html", "")) else [output]
        if outputs:
            cell.outputs = outputs


def parted(output):
    """The things of an output with pictures, as one output each. The last keeps its type, `execute_result` (there is one at most)."""
    parts = output.data["text/html"].split(NEXT)
    outputs = []
    for part in parts:
        picture = PICTURE.search(part)
        if picture:
            size = {"width": int(picture[1]), "height": int(picture[2])}
            one = nbformat.v4.new_output("display_data", {"image/png": picture[3]}, metadata={"image/png": size})
        else:
            one = nbformat.v4.new_output("display_data", {"text/html": part})
        outputs.append(one)
    if output.output_type == "execute_result":
        outputs[-1].output_type, outputs[-1].execution_count = "execute_result", output.execution_count
    return outputs


def results(notebook):
    """The outputs of all cells that hold data."""
    return [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]


def write_page(notebook, path, navigation=""):
    """Writes a notebook with its outputs as an HTML page that asks for nothing else, where folded cells unfold too. `navigation`: HTML
    for its top."""
    exporter = Exporter(extra_loaders=[DictLoader({"page.html.j2": PAGE})], template_file="page.html.j2")
    resources = {"navigation": navigation, "metadata": {"name": path.stem}}
    path.write_text(exporter.from_notebook_node(notebook, resources)[0], encoding="utf-8")


def side_by_side(paths, target):
    """Executes several notebooks, each by a program of its own whose lines begin with the notebook's name; the statuses."""

    def one(path):
        command = [sys.executable, "-Es", "-X", "utf8", __file__, path, *target]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") as program:
            for line in program.stdout:
                print(f"{path.stem}: {line}", end="", flush=True)
        return program.returncode

    with ThreadPoolExecutor(usable_processors()) as pool:
        return list(pool.map(one, paths))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("notebooks", type=Path, nargs="+", metavar="notebook")
    target = options.add_mutually_exclusive_group(required=True)
    target.add_argument("--to", type=Path, help="folder for the executed copy and its HTML page")
    target.add_argument("--in-place", action="store_true", help="rewrite the notebook itself")
    options = options.parse_args()
    if len(options.notebooks) > 1:
        sys.exit(any(side_by_side(options.notebooks, ["--in-place"] if options.in_place else ["--to", options.to])))

    path = options.notebooks[0].resolve()
    notebook = nbformat.read(path, as_version=4)
    print(f"ntgram: executing {path}", flush=True)
    error = execute(notebook, path.parent)
    keep_one_picture(notebook)
    if options.in_place:
        keep_what_every_reader_shows(notebook)

    executed = path if options.in_place else options.to.resolve() / path.name
    if error is None or not options.in_place:
        executed.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, executed)
    if error is not None:
        if not options.in_place:
            os.utime(executed, (0, 0))  # for make: older than all that it is made from
        where = "" if options.in_place else f"\nntgram: outputs up to there are in {executed}"
        sys.exit(f"{error}{where}")
    print(f"ntgram: executed notebook: {executed}")
    if not options.in_place:
        page = executed.with_suffix(".html")
        write_page(notebook, page)
        print(f"ntgram: as a page:         {page}")


if __name__ == "__main__":
    main()
