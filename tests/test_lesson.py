"""The lesson, executed in the project's own kernel: every section is whole, and its cells print every number in its text.

`make test` executes the notebook first and names the copy in NTGRAM_EXECUTED_LESSON; without it these tests do so.
"""

import html
import re

import nbformat
import pytest
from conftest import REPOSITORY
from nbconvert import HTMLExporter
from outputs import (assert_names_no_machine, assert_ran, assert_shows_what_it_computes, assert_whole, code,
                     executed_copy, pictures, printed)  # fmt: skip

NOTEBOOK = REPOSITORY / "notebooks/superposition.ipynb"
SET_UP = 2  # code cells that all others may use: the imports, and the lesson's own functions
NUMBER = r"(?<![\w.])[-−]?\d+\.\d+(?![\w.]*\d)"


class Section:
    """A heading `## k · Title` with the cells below it, up to the next one."""

    def __init__(self, heading):
        self.title = heading.source.splitlines()[0].lstrip("# ")
        self.cells = [heading]

    def text(self):
        return "\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")

    def code(self):
        return [cell for cell in self.cells if cell.cell_type == "code"]

    def solutions(self):
        return [cell for cell in self.cells if "solution" in cell.metadata.get("tags", [])]


def sections_of(notebook):
    """The numbered sections; set-up and end are none."""
    sections = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            sections.append(Section(cell))
        elif sections:
            sections[-1].cells.append(cell)
    return [section for section in sections if re.match(r"\d+ · ", section.title)]


COMMITTED = nbformat.read(NOTEBOOK, as_version=4)
CODE = [cell.source for cell in code(COMMITTED)]
TITLES = [section.title for section in sections_of(COMMITTED)]


@pytest.fixture(scope="session")
def executed():
    """The executed notebook."""
    return executed_copy(NOTEBOOK, "NTGRAM_EXECUTED_LESSON")


@pytest.fixture(params=TITLES)
def section(executed, request):
    (found,) = [section for section in sections_of(executed) if section.title == request.param]
    return found


def numbers(text):
    """The numbers of a text that have a decimal point, each with the digits after it."""
    found = [number.replace("−", "-") for number in re.findall(NUMBER, text)]
    return [(float(number), len(number.split(".")[1])) for number in found]


def test_the_notebook_names_no_machine_and_uses_the_projects_kernel():
    assert_names_no_machine(COMMITTED)


def test_every_cell_ran_without_an_error(executed):
    for cell in code(executed):
        assert_ran(cell)


def test_the_sections_are_numbered_in_order():
    assert [int(title.split(" ")[0]) for title in TITLES] == list(range(1, len(TITLES) + 1))
    assert len(TITLES) >= 11


def test_a_section_has_a_question_a_checked_cell_a_picture_what_to_notice_and_an_exercise(section):
    question, cell, notice, exercise, solution = section.cells
    assert [c.cell_type for c in section.cells] == ["markdown", "code", "markdown", "markdown", "code"]
    assert "**Question.** " in question.source
    assert notice.source.startswith("**Notice.** ")
    assert exercise.source.startswith("### Exercise\n")
    assert "assert!(" in cell.source, "claims without a check"
    assert pictures(cell)
    assert section.solutions() == [solution] and printed(solution) and "assert!(" in solution.source
    assert solution.metadata.jupyter.source_hidden and solution.metadata.jupyter.outputs_hidden


def test_pictures_are_whole(section):
    for png in (png for cell in section.code() for png in pictures(cell)):
        assert_whole(png)


def test_every_number_in_the_text_is_printed_by_the_cells_or_stands_in_them(section):
    """To the digits given, give or take one in the last: other processors sum in another order."""
    constants = {value for cell in section.code() for value, _ in numbers(cell.source)}
    results = [value for cell in section.code() for value, _ in numbers(printed(cell))]
    for value, digits in numbers(section.text()):
        near = [result for result in results if abs(result - value) <= 1.001 * 10**-digits]
        assert near or value in constants, f"{value} is in the text of {section.title!r}, but nothing prints it"


def test_whole_numbers_in_bold_are_printed(section):
    """So the text marks whole numbers that are results."""
    output = printed(section.cells[1])
    for claim in re.findall(r"\*\*(\d+)\*\*", section.text()):
        assert re.search(rf"(?<![\d.]){claim}(?![\d.]*\d)", output), f"{claim} is claimed in {section.title!r}, but not printed"


def test_the_slider_needs_nothing_but_the_page(executed):
    (section,) = [section for section in sections_of(executed) if "display_heatmaps" in section.cells[1].source]
    shown = "".join(out.data.get("text/html", "") for out in section.cells[1].outputs if "data" in out)
    assert shown.count("data:image/png;base64,") >= 20, "frames"
    assert "<script" in shown and "input" in shown
    assert all(link.startswith("data:") for link in re.findall(r"\b(?:src|href)=[\"']([^\"']*)", shown))
    assert "http" not in re.sub(r"base64,[\w+/=]*", "", shown)


def test_the_committed_notebook_shows_what_it_computes(executed):
    assert [cell.source for cell in COMMITTED.cells] == [cell.source for cell in executed.cells]
    assert_shows_what_it_computes(COMMITTED, executed)


def test_the_page_shows_the_solutions(executed):
    """JupyterLab folds them; an exported page, which cannot unfold anything, shows them."""

    def words(text):
        return re.sub(r"\W", "", html.unescape(text))

    page = words(re.sub(r"<[^>]*>", "", HTMLExporter().from_notebook_node(executed)[0]))
    for solution in (solution for section in sections_of(executed) for solution in section.solutions()):
        assert words(solution.source) in page


def test_every_cell_runs_alone_after_the_set_up(start):
    """In one kernel, whose variables `:clear` forgets."""
    kernel = start()
    for number, source in enumerate(CODE[SET_UP:]):
        kernel.run(":clear")
        for set_up in CODE[:SET_UP]:
            kernel.run(set_up)
        text, errors = kernel.outputs(kernel.send(source))
        assert not errors, f"cell {number + SET_UP}: {errors}"
