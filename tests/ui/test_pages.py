"""The notebooks as HTML pages, from a file, without a kernel and without a network."""

import nbformat
import notebook as runner
import pytest
from looks import OUTPUT, check_text, figures, move_slider


@pytest.fixture(scope="session", params=["executed", "committed"])
def notebook(request, name, committed, copies):
    """The notebook that the browser has run and saved, and the committed one."""
    if request.param == "committed":
        return request.param, committed
    request.getfixturevalue("lab")
    notebook = nbformat.read(copies / f"{name}.ipynb", as_version=4)
    runner.keep_one_picture(notebook)
    return request.param, notebook


@pytest.fixture(scope="session")
def page(notebook, name, browser, screenshots):
    """Its page."""
    which, notebook = notebook
    file = screenshots / f"{name}-{which}.html"
    runner.write_page(notebook, file)
    with browser.new_context(viewport={"width": 1280, "height": 900}, device_scale_factor=2, offline=True) as context:
        page = context.new_page()
        page.goto(file.as_uri())
        page.screenshot(path=file.with_suffix(".png"), full_page=True, scale="css")
        yield page


def test_hints_and_solutions_unfold(page, folded):
    """The tests below look at all of it."""
    details = page.locator("details:has(> summary)").all()
    assert len(details) == folded
    for one in details:
        inside = one.locator("> :not(summary)").first
        assert not inside.is_visible()
        one.locator("> summary").click()
        assert inside.is_visible()


def test_every_figure_is_on_the_page(page, pictures):
    assert figures(page.locator(OUTPUT)) == sum(pictures)


def test_sliders_work_without_a_kernel(page, notebook, name, screenshots):
    which, notebook = notebook
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    sliders = page.locator("input[type=range]").all()
    assert len(sliders) == sum(data.get("text/html", "").count('class="ntgram-slider"') for data in outputs)
    for k, slider in enumerate(sliders):
        move_slider(slider, screenshots / f"{name}-{which}-slider{k}.png")


def test_text_reads(page):
    check_text(page.locator(OUTPUT))
