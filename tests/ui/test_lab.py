"""The notebooks in JupyterLab, run by its menu: every figure there, no error, sliders that move, text that reads."""

import base64

import pytest
from lab import errors
from looks import OVERFLOWS, check_text, figures, move_slider


@pytest.fixture(scope="session")
def cells(lab):
    """Each code cell's number and its place on the page."""
    return [(number, cell["index"]) for number, cell in enumerate(lab.cells())]


def test_hints_and_solutions_unfold(lab, committed):
    """And are folded at first."""
    places = [k for k, cell in enumerate(committed.cells) if "<details>" in cell.source and cell.cell_type == "markdown"]
    for index in places:
        details = lab.cell(index).locator("details:has(> summary)")
        assert details.count() == 1, f"cell {index}"
        inside = details.locator("> :not(summary)").first
        assert not inside.is_visible()
        details.locator("> summary").click()
        assert inside.is_visible()


def test_every_cell_ran_without_an_error(lab):
    assert lab.kernel_name() == "Rust (ntgram)"
    assert errors(lab.cells()) == []
    assert [cell["source"] for cell in lab.cells() if cell["source"].strip() and not cell["count"]] == []


def test_every_figure_is_there_in_its_real_size(lab, cells, pictures, name, screenshots):
    for (number, index), expected in zip(cells, pictures, strict=True):
        outputs = lab.outputs(index)
        assert figures(outputs) == expected, f"cell {number}"
        for k, picture in enumerate(outputs.locator("img:visible").all()):
            _, file = picture.get_attribute("src").split("base64,")
            (screenshots / f"{name}-cell{number:02}-{k}.png").write_bytes(base64.b64decode(file))


def test_sliders_change_the_picture(lab, cells, name, screenshots):
    for number, index in cells:
        for k, slider in enumerate(lab.outputs(index).locator("input[type=range]").all()):
            move_slider(slider, screenshots / f"{name}-cell{number:02}-slider{k}.png")


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_text_reads(lab, cells, name, screenshots, theme):
    lab.menu("Settings", "Theme", f"JupyterLab {theme}")
    lab.page.wait_for_selector(f'body[data-jp-theme-name="JupyterLab {theme}"]', state="attached")
    lab.screenshots(screenshots, f"{name}-{theme.lower()}")
    for number, index in cells:
        check_text(lab.outputs(index))
        assert lab.cell(index).locator(".cm-scroller").evaluate_all(OVERFLOWS) == [], f"the code of cell {number}"


def test_the_page_has_no_script_errors(lab):
    assert lab.complaints == []
