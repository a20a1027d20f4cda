"""The lesson, executed in the project's own kernel: every section is whole, its cells print every number in its text, its exercises fail
their checks as long as they are open, and the folded solutions pass them.

`make test` executes the notebook first and names the copy in NTGRAM_EXECUTED_LESSON; without it these tests do so.
"""

import html
import re

import nbformat
import pytest
from conftest import REPOSITORY, Kernel
from nbconvert import HTMLExporter
from outputs import (assert_names_no_machine, assert_ran, assert_shows_what_it_computes, assert_whole, code,
                     executed_copy, pictures, printed)  # fmt: skip

NOTEBOOK = REPOSITORY / "notebooks/superposition.ipynb"
SET_UP = 2  # code cells that all others may use: the imports, and the lesson's own functions
NUMBER = r"(?<![\w.])[-−]?\d+\.\d+(?![\w.]*\d)"
CHECK = "// ---- the check ----\n"  # between what the reader fills in and what tells whether it is right
OPEN, RIGHT = "✗ Not done yet", "✓ Right."


class Section:
    """A heading `## k · Title` with the cells below it, up to the next heading."""

    def __init__(self, heading):
        self.title = heading.source.splitlines()[0].lstrip("# ")
        self.cells = [heading]

    def text(self):
        return "\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")

    def code(self):
        return [cell for cell in self.cells if cell.cell_type == "code"]

    def solved(self):
        """The exercise's cell with the solution in the place of the stub."""
        (solution,) = re.findall(r"```rust\n(.*?)\n```", self.cells[5].source, re.DOTALL)
        return f"{solution}\n\n{CHECK}{self.cells[4].source.split(CHECK)[1]}"


def sections_of(notebook):
    """The numbered sections; set-up, headings of parts and end are none."""
    sections, current = [], None
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.match("##? ", cell.source):
            current = Section(cell) if re.match(r"## \d+ · ", cell.source) else None
            if current:
                sections.append(current)
        elif current:
            current.cells.append(cell)
    return sections


COMMITTED = nbformat.read(NOTEBOOK, as_version=4)
CODE = [cell.source for cell in code(COMMITTED)]
TITLES = [section.title for section in sections_of(COMMITTED)]


@pytest.fixture(scope="session")
def executed():
    """The executed notebook."""
    return executed_copy(NOTEBOOK, "NTGRAM_EXECUTED_LESSON")


@pytest.fixture(scope="session")
def solved():
    """What each section's exercise prints with its solution, by the section's title."""
    kernel = Kernel()
    try:
        for set_up in CODE[:SET_UP]:
            kernel.run(set_up)
        return {section.title: kernel.run(section.solved()) for section in sections_of(COMMITTED)}
    finally:
        kernel.close()


@pytest.fixture(params=TITLES)
def section(executed, request):
    (found,) = [section for section in sections_of(executed) if section.title == request.param]
    return found


def numbers(text):
    """The numbers of a text that have a decimal point, each with the digits after it; addresses are none."""
    text = re.sub(r"\]\([^)]*\)|arXiv:\S+", "", text)
    found = [number.replace("−", "-") for number in re.findall(NUMBER, text)]
    return [(float(number), len(number.split(".")[1])) for number in found]


def test_the_notebook_names_no_machine_and_uses_the_projects_kernel():
    assert_names_no_machine(COMMITTED)


def test_every_cell_ran_without_an_error(executed):
    for cell in code(executed):
        assert_ran(cell)


def test_the_sections_are_numbered_in_order():
    assert [int(title.split(" ")[0]) for title in TITLES] == list(range(1, len(TITLES) + 1))
    assert len(TITLES) >= 15


def test_a_section_has_a_question_a_checked_cell_a_picture_what_to_notice_and_an_exercise(section):
    question, cell, notice, exercise, stub, solution = section.cells
    assert [c.cell_type for c in section.cells] == ["markdown", "code", "markdown", "markdown", "code", "markdown"]
    assert "**Question.** " in question.source
    assert notice.source.startswith("**Notice.** ")
    assert "assert!(" in cell.source, "claims without a check"
    assert pictures(cell)
    assert re.match(r"### Exercise · ★{1,3} · \d+ minutes\n", exercise.source)
    assert "<details><summary>Hint</summary>\n\n" in exercise.source and exercise.source.endswith("\n\n</details>")
    assert stub.metadata.tags == ["exercise"] and "todo!()" in stub.source.split(CHECK)[0]
    assert re.match(r"<details><summary>Solution</summary>\n\n```rust\n", solution.source)
    assert solution.source.endswith("\n\n</details>") and "todo!" not in solution.source


def test_an_open_exercise_fails_its_check(section):
    assert printed(section.cells[4]).splitlines()[-1].startswith(OPEN)


@pytest.mark.parametrize("title", TITLES)
def test_the_solution_passes_the_check(solved, title):
    assert solved[title].splitlines()[-1] == RIGHT


def test_pictures_are_whole(section):
    for png in (png for cell in section.code() for png in pictures(cell)):
        assert_whole(png)


def test_every_number_in_the_text_is_printed_by_the_cells_or_stands_in_them(section, solved):
    """To the digits given, give or take one in the last: other processors sum in another order."""
    sources = [cell.source for cell in section.code()] + [section.solved()]
    constants = {value for source in sources for value, _ in numbers(source)}
    outputs = [printed(cell) for cell in section.code()] + [solved[section.title]]
    results = [value for output in outputs for value, _ in numbers(output)]
    for value, digits in numbers(section.text()):
        near = [result for result in results if abs(result - value) <= 1.001 * 10**-digits]
        assert near or value in constants, f"{value} is in the text of {section.title!r}, but nothing prints it"


def test_whole_numbers_in_bold_are_printed(section):
    """So the text marks whole numbers that are results."""
    output = printed(section.cells[1])
    for claim in re.findall(r"\*\*(\d+)\*\*", section.text()):
        assert re.search(rf"(?<![\d.]){claim}(?![\d.]*\d)", output), f"{claim} is claimed in {section.title!r}, but not printed"


SLIDERS = {4: 20, 9: 36}  # frames at least, by section


@pytest.mark.parametrize("number", SLIDERS)
def test_a_slider_needs_nothing_but_the_page(executed, number):
    (section,) = [section for section in sections_of(executed) if section.title.startswith(f"{number} · ")]
    shown = "".join(out.data.get("text/html", "") for out in section.cells[1].outputs if "data" in out)
    assert shown.count("data:image/png;base64,") >= SLIDERS[number], "frames"
    assert "<script" in shown and "input" in shown
    assert all(link.startswith("data:") for link in re.findall(r"\b(?:src|href)=[\"']([^\"']*)", shown))
    assert "http" not in re.sub(r"base64,[\w+/=]*", "", shown)


def test_the_committed_notebook_shows_what_it_computes(executed):
    assert [cell.source for cell in COMMITTED.cells] == [cell.source for cell in executed.cells]
    assert_shows_what_it_computes(COMMITTED, executed)


def test_the_page_has_hints_and_solutions_folded(executed):
    """In JupyterLab, on GitHub and in an exported page alike."""

    def words(text):
        return re.sub(r"\W", "", html.unescape(text))

    page = HTMLExporter().from_notebook_node(executed)[0]
    folded = re.findall("<details>(.*?)</details>", page, re.DOTALL)
    assert len(folded) == 2 * len(TITLES)
    shown = words(re.sub(r"<[^>]*>", "", "".join(folded)))
    for section in sections_of(executed):
        assert words(section.solved().split(CHECK)[0]) in shown


def test_every_cell_runs_alone_after_the_set_up(start):
    """In one kernel, whose variables `:clear` forgets."""
    kernel = start()
    for number, source in enumerate(CODE[SET_UP:]):
        kernel.run(":clear")
        kernel.run("\n".join(CODE[:SET_UP]))
        text, errors = kernel.outputs(kernel.send(source))
        assert not errors, f"cell {number + SET_UP}: {errors}"
