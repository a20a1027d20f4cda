"""What the browser's tests share: a browser, JupyterLab on a copy of the notebooks, and each notebook run once."""

import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import sync_playwright

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "setup"))

import setup  # noqa: E402
from lab import Lab, Server, notebooks  # noqa: E402

SCREENSHOTS = REPOSITORY / "results/ui"
# The browser looks nothing up by itself. (Playwright adds --no-sandbox, without which Chromium refuses to run as root.)
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    executable = setup.find_browser()
    assert executable, "no Chromium here: `make test-ui` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots():
    """The folder of the pictures that this run takes, empty at first."""
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    return SCREENSHOTS


@pytest.fixture(scope="session")
def copies():
    """Copies of the notebooks and their data, in a folder beside `ntgram-core` as theirs is: nothing in the repository changes."""
    with tempfile.TemporaryDirectory(dir=REPOSITORY, prefix="ui-notebooks-") as folder:
        for name in notebooks(REPOSITORY):
            shutil.copy(REPOSITORY / f"notebooks/{name}.ipynb", folder)
        shutil.copytree(REPOSITORY / "notebooks/data", Path(folder, "data"))
        yield Path(folder)


@pytest.fixture(scope="session")
def server(copies, screenshots, tmp_path_factory):
    private = tmp_path_factory.mktemp("jupyter")
    server = Server(copies, private)
    yield server
    server.close()
    shutil.copy(server.log, screenshots)


@pytest.fixture(scope="session", params=notebooks(REPOSITORY))
def name(request):
    """Each notebook's name."""
    return request.param


@pytest.fixture(scope="session")
def committed(name):
    """That notebook as it is committed."""
    return nbformat.read(REPOSITORY / f"notebooks/{name}.ipynb", as_version=4)


@pytest.fixture(scope="session")
def folded(committed):
    """How many hints and solutions are folded in its text."""
    return sum(cell.source.count("<details>") for cell in committed.cells if cell.cell_type == "markdown")


@pytest.fixture(scope="session")
def pictures(committed):
    """How many pictures each of its code cells has."""
    cells = [cell.outputs for cell in committed.cells if cell.cell_type == "code"]
    counts = [sum("image/png" in output.get("data", {}) for output in outputs) for outputs in cells]
    assert sum(counts), "a notebook without pictures"
    return counts


@pytest.fixture(scope="session")
def lab(server, browser, name):
    """That notebook in JupyterLab, run by the menu and saved."""
    lab = Lab(server, browser)
    lab.open(f"{name}.ipynb")
    lab.run_all()
    lab.save()
    yield lab
    lab.close()


@pytest.fixture
def new_notebook(server, browser):
    """An empty notebook with the project's kernel."""
    lab = Lab(server, browser)
    lab.new_notebook("Rust (ntgram)")
    yield lab
    lab.close()
