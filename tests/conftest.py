"""What the tests share: the repository, the set-up's modules and the project's kernel."""

import os
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "setup"), str(REPOSITORY / "setup/bin")]

import setup  # noqa: E402

# `make test` shuts the caller's settings for Python out of pytest by options; the processes that pytest starts to run files side by
# side have this environment, and no options.
setup.shut_out_python()
os.environ["PYTHONUTF8"] = "1"

KERNELS = setup.CACHE / "kernels"
SECONDS = 600  # for one cell here; generous, since CI machines are slow and shared
CELL_0 = ':dep ntgram-core = { path = "../ntgram-core" }\nuse ntgram_core::prelude::*;'


class Kernel:
    """A running kernel of the project and its client."""

    def __init__(self, folder=REPOSITORY / "notebooks", **variables):
        self.manager = KernelManager(kernel_name="ntgram")
        self.manager.start_kernel(cwd=str(folder), env=os.environ | variables)
        self.pid = self.manager.provisioner.pid
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=SECONDS)
        self.folder = folder_of(self.pid)
        self.complaints = ""  # what the last cell wrote to stderr

    def send(self, code):
        """Starts a cell and returns the id of its request."""
        return self.client.execute(code)

    def outputs(self, request, until=None):
        """Waits for that cell's end, or until its text contains `until`: its stdout and text results, and the messages
        of its errors."""
        text, errors, self.complaints = "", [], ""
        end = time.monotonic() + SECONDS
        while until is None or until not in text:
            message = self.client.get_iopub_msg(timeout=max(0, end - time.monotonic()))
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                text += content["text"]
            elif kind == "stream":
                self.complaints += content["text"]
            elif kind == "execute_result":
                text += content["data"].get("text/plain", "")
            elif kind == "error":
                errors.append(content["evalue"])
            elif kind == "status" and content["execution_state"] == "idle":
                break
        return text, errors

    def run(self, code):
        """Runs a cell that must succeed; returns its text."""
        text, errors = self.outputs(self.send(code))
        assert not errors, (errors, self.complaints)
        return text

    def reply(self, request):
        """The status of that cell's reply: ok, error or aborted."""
        while (reply := self.client.get_shell_msg(timeout=SECONDS))["parent_header"].get("msg_id") != request:
            pass
        return reply["content"]["status"]

    def stop(self, code, after):
        """Starts a cell and presses the stop button once the cell has printed `after`; returns the text from there on, and
        how many seconds passed from the button to the cell's end."""
        request = self.send(code)
        self.outputs(request, until=after)
        begun = time.monotonic()
        self.manager.interrupt_kernel()
        text, errors = self.outputs(request)
        assert not errors, (errors, self.complaints)
        return text, time.monotonic() - begun

    def close(self):
        if self.client:
            self.client.stop_channels()
            self.manager.shutdown_kernel()
            self.client = None


def write_notebook(path, *codes):
    """Writes a notebook of one heading and these cells."""
    cells = [nbformat.v4.new_markdown_cell("# First"), *map(nbformat.v4.new_code_cell, codes)]
    about = {"kernelspec": {"name": "ntgram", "display_name": "Rust", "language": "rust"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), path)
    return path


def folder_of(pid):
    """The private build folder of the kernel with that process id."""
    (folder,) = (lock.parent for lock in KERNELS.glob("kernel-*/in-use") if owner(lock) == str(pid))
    return folder


def owner(lock):
    """The process id of the kernel that has this lock file; empty if that kernel has just ended, maybe one of other tests."""
    try:
        return lock.read_text().strip()
    except FileNotFoundError:
        return ""


def wait_until(condition, seconds=30):
    """Whether `condition()` became true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return condition()


@pytest.fixture
def start():
    """Starts kernels that end with the test: `kernel = start()`."""
    kernels = []

    def begin(*arguments, **variables):
        kernels.append(Kernel(*arguments, **variables))
        return kernels[-1]

    yield begin
    for kernel in kernels:
        kernel.close()
