"""JupyterLab as a person has it: a server of the test's own, and one of its pages in a browser, used by mouse and keyboard.

What a page does not show (which cells wait, what kind of output there is) is read from JupyterLab's own objects.
"""

import json
import os
import secrets
import subprocess
import time
from pathlib import Path

from looks import OUTPUT
from setup import PYTHON

SECONDS = 1500  # for all cells of a notebook, and for a kernel's start: CI machines are slow and shared
# A new notebook's first cell.
CELL_0 = ':dep ntgram-core = { path = "../ntgram-core" }\nuse ntgram_core::prelude::*;'
# It asks nothing, looks nothing up and saves only when told to.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}
# The page's code cells: what has run, and what came out. A cell that waits or runs shows `[*]`.
CELLS = """() => {
  const panel = jupyterapp.shell.currentWidget;
  return panel.content.widgets.filter(cell => cell.model.type === 'code').map(cell => ({
    index: panel.content.widgets.indexOf(cell),
    source: cell.model.sharedModel.source,
    count: cell.model.executionCount,
    waits: cell.model.executionState !== 'idle' || cell.prompt === '*',
    outputs: cell.model.outputs.toJSON().map(output => ({
      kind: output.output_type,
      text: output.text || (output.traceback || []).join('\\n') || '',
    })),
  }));
}"""
READY = """() => {
  const kernel = jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel && kernel.connectionStatus === 'connected' && kernel.status === 'idle';
}"""


class Server:
    """JupyterLab on a free port with a token, on the notebooks of `folder`; its settings and log lie in `private`."""

    def __init__(self, folder, private):
        env = os.environ | {
            "JUPYTER_CONFIG_DIR": str(private / "config"),
            "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(private / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        }
        for name, values in SETTINGS.items():
            path = private / f"settings/@jupyterlab/{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        self.token = secrets.token_hex(16)
        self.log = private / "jupyterlab.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [PYTHON, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0",
                 f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={self.token}",
                 "--LabApp.expose_app_in_browser=True"],
                cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        info = private / f"runtime/jpserver-{self.process.pid}.json"
        end = time.monotonic() + 120
        while not info.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise AssertionError(f"JupyterLab does not start:\n{self.log.read_text()}")
            time.sleep(0.2)
        self.url = json.loads(info.read_text())["url"]

    def close(self):
        """Ends the server as Ctrl-C does, and its kernels with it."""
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Lab:
    """One page of JupyterLab with at most one notebook."""

    def __init__(self, server, browser):
        self.server = server
        # Two pixels for each of the page's, as the figures have them.
        self.page = browser.new_page(viewport={"width": 1440, "height": 900}, device_scale_factor=2)
        self.page.set_default_timeout(60_000)
        self.complaints = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path):
        """Opens a notebook, which starts the kernel that it names."""
        self.go(f"lab/tree/{path}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.wait_for_kernel()

    def new_notebook(self, kernel):
        """Makes a notebook by a click on the launcher's card of that kernel."""
        self.go("lab")
        self.page.click(f'.jp-LauncherCard[data-category="Notebook"][title="{kernel}"]')
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        self.wait_for_kernel()

    def go(self, path):
        self.page.goto(f"{self.server.url}{path}?token={self.server.token}&reset")

    def kernel_name(self):
        return self.page.inner_text(".jp-KernelName").strip()

    def wait_for_kernel(self):
        self.page.wait_for_function(READY, timeout=1000 * SECONDS)

    def menu(self, *labels):
        """Chooses from the menu bar: `menu("Run", "Run All Cells")`."""
        first, *rest = labels
        self.page.click(f'.lm-MenuBar-item:has(:text-is("{first}"))')
        for label in rest:
            self.page.click(f'.lm-Menu-item:has(.lm-Menu-itemLabel:text-is("{label}"))')

    def press_button(self, name):
        """Presses a button of the notebook's toolbar: "save", "run", "interrupt" (■)."""
        self.page.click(f'.jp-NotebookPanel-toolbar [data-jp-item-name="{name}"] button, '
                        f'.jp-NotebookPanel-toolbar [data-jp-item-name="{name}"] jp-button')  # fmt: skip

    def cells(self):
        return self.page.evaluate(CELLS)

    def run_all(self):
        """Runs all cells, from no outputs (which unfolds them, too) to the last cell's end."""
        self.menu("Edit", "Clear Outputs of All Cells")
        assert not any(cell["outputs"] for cell in self.cells())
        self.menu("Run", "Run All Cells")
        self.wait_until_done()

    def type_cell(self, code):
        """Types a cell at the notebook's end and runs it; returns its number among the code cells."""
        number = len(self.cells()) - 1
        self.page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
        self.page.keyboard.insert_text(code.strip())
        self.page.keyboard.press("Shift+Enter")
        return number

    def run_cell(self, code):
        """Types and runs a cell; returns its outputs' text at its end."""
        number = self.type_cell(code)
        self.wait_until_done()
        return self.text(number)

    def text(self, number):
        return "".join(output["text"] for output in self.cells()[number]["outputs"])

    def wait_until_done(self):
        """Waits until no cell waits or runs any more: each has run, or one has failed."""
        self.wait_for(lambda cells: not any(cell["waits"] for cell in cells)
                      and (all(cell["count"] for cell in cells if cell["source"].strip()) or errors(cells)))  # fmt: skip
        self.wait_for_kernel()

    def wait_for(self, condition, seconds=SECONDS):
        """Waits until `condition(cells)`; a dialog (a kernel that died, say) ends the wait with its text."""
        end = time.monotonic() + seconds
        while not condition(self.cells()):
            dialog = self.page.query_selector(".jp-Dialog")
            assert not dialog, dialog.inner_text()
            assert time.monotonic() < end, f"after {seconds} s: {self.cells()}"
            self.page.wait_for_timeout(250)

    def cell(self, index):
        """The cell's element, scrolled to."""
        element = self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{index}"]')
        self.page.evaluate("index => jupyterapp.shell.currentWidget.content.scrollToItem(index, 'start')", index)
        element.scroll_into_view_if_needed()
        return element

    def outputs(self, index):
        """The outputs of a cell, scrolled to."""
        return self.cell(index).locator(OUTPUT)

    def shows(self, index):
        """Whether a cell shows code or output."""
        return self.cell(index).locator(f".cm-content, {OUTPUT}").filter(visible=True).count() > 0

    def save(self):
        """Saves the notebook by its button and waits until it is written."""
        self.press_button("save")
        self.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")

    def screenshots(self, folder, name):
        """The whole notebook, a window's height at a time."""
        scroller = self.page.locator(".jp-WindowedPanel-outer")
        scroller.evaluate("panel => { panel.scrollTop = 0 }")
        for number in range(1, 200):
            self.page.wait_for_timeout(400)  # cells that come into view are drawn
            self.page.screenshot(path=folder / f"{name}-{number:02}.png")
            if scroller.evaluate(
                """panel => {
                  const before = panel.scrollTop;
                  panel.scrollTop += 0.9 * panel.clientHeight;
                  return panel.scrollTop - before < 2;
                }"""
            ):
                return

    def close(self):
        """Ends the page and its kernel."""
        self.page.evaluate("() => window.jupyterapp?.serviceManager.sessions.shutdownAll()")
        self.page.close()


def errors(cells):
    """The error outputs of these cells."""
    return [output["text"] for cell in cells for output in cell["outputs"] if output["kind"] == "error"]


def notebooks(repository):
    return sorted(path.stem for path in Path(repository, "notebooks").glob("*.ipynb"))
