"""The notebooks as HTML pages, from a file, without a kernel and without a network."""

import nbformat
import notebook as runner
import pytest
from conftest import REPOSITORY
from looks import OUTPUT, check_text, move_slider, outputs_with_pictures


@pytest.fixture(scope="session", params=["executed", "committed"])
def exported(request, name, browser, copies, screenshots):
    """A page and the notebook it was made of: the one that the browser has run and saved, and the committed one."""
    folder = REPOSITORY / "notebooks"
    if request.param == "executed":
        request.getfixturevalue("lab").save()
        folder = copies
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    runner.keep_one_picture(notebook)
    file = screenshots / f"{name}-{request.param}.html"
    runner.write_page(notebook, file)
    with browser.new_context(viewport={"width": 1280, "height": 900}, device_scale_factor=2, offline=True) as context:
        page = context.new_page()
        page.goto(file.as_uri())
        page.screenshot(path=file.with_suffix(".png"), full_page=True, scale="css")
        yield page, notebook


def test_every_figure_is_on_the_page(exported):
    page, notebook = exported
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert outputs_with_pictures(page.locator(OUTPUT)) == pictures > 0


def test_sliders_work_without_a_kernel(exported, name, screenshots):
    page, notebook = exported
    sliders = page.locator("input[type=range]").all()

    for k, slider in enumerate(sliders):
        move_slider(slider, screenshots / f"{name}-page-slider{k}.png")


def test_text_reads(exported):
    page, _ = exported
    check_text(page.locator(OUTPUT))
