"""The notebooks in JupyterLab, run by its menu: every figure there, no error, sliders that move, text that reads."""

import base64

import nbformat
import pytest
from conftest import REPOSITORY
from lab import errors
from looks import OVERFLOWS, check_text, move_slider, outputs_with_pictures


@pytest.fixture(scope="session")
def cells(lab, name):
    """Each code cell's number, its place on the page, and how many pictures are committed for it."""
    notebook = nbformat.read(REPOSITORY / f"notebooks/{name}.ipynb", as_version=4)
    folded = [cell for cell in notebook.cells if cell.metadata.get("jupyter", {}).get("outputs_hidden")]  # not on the page
    committed = [[] if cell in folded else cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    pictures = [sum("image/png" in out.get("data", {}) for out in outputs) for outputs in committed]
    assert sum(pictures), "a notebook without pictures?"
    return [(number, cell["index"], count) for number, (cell, count) in enumerate(zip(lab.cells(), pictures, strict=True))]


def test_every_cell_ran_without_an_error(lab):
    assert lab.kernel_name() == "Rust (ntgram)"
    assert errors(lab.cells()) == []
    assert [cell["source"] for cell in lab.cells() if cell["source"].strip() and not cell["count"]] == []


def test_every_figure_is_there_in_its_real_size(lab, cells, name, screenshots):
    for number, index, pictures in cells:
        outputs = lab.outputs(index)
        assert outputs_with_pictures(outputs) == pictures, f"cell {number}"
        for k, picture in enumerate(outputs.locator("img:visible").all()):
            _, file = picture.get_attribute("src").split("base64,")
            (screenshots / f"{name}-cell{number:02}-{k}.png").write_bytes(base64.b64decode(file))


def test_sliders_change_the_picture(lab, cells, name, screenshots):
    for number, index, _ in cells:
        for k, slider in enumerate(lab.outputs(index).locator("input[type=range]").all()):
            move_slider(slider, screenshots / f"{name}-cell{number:02}-slider{k}.png")


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_text_reads(lab, cells, name, screenshots, theme):
    lab.menu("Settings", "Theme", f"JupyterLab {theme}")
    lab.page.wait_for_selector(f'body[data-jp-theme-name="JupyterLab {theme}"]', state="attached")
    lab.screenshots(screenshots, f"{name}-{theme.lower()}")
    for number, index, _ in cells:
        check_text(lab.outputs(index))
        assert lab.cell(index).locator(".cm-scroller").evaluate_all(OVERFLOWS) == [], f"the code of cell {number}"


def test_the_page_has_no_script_errors(lab):
    assert lab.complaints == []
