"""Compiles the core for the cells of one kernel. `bin/cargo` calls it for the first cell that asks for the core, and from the
cell it says on the page what takes time: there is nothing to do after `make`, minutes of work otherwise. `core.py LINE`: that cell's
dependency on the core."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import builds  # noqa: E402
from kernel import processes  # noqa: E402

EVERY = 10.0  # seconds between two lines of progress
LONG = 2.0  # seconds of waiting for another cargo that are worth telling


class Page:
    """The cell's output on the page: what goes to the error stream of the process that runs cells. (Linux only.)"""

    def __init__(self, kernel_process):
        self.stream, self.last = None, 0.0
        if Path("/proc/self/stat").exists():
            for pid, parent, _ in processes():
                if parent == kernel_process and Path(f"/proc/{pid}/comm").read_text("utf-8").startswith("evcxr"):
                    self.stream = open(f"/proc/{pid}/fd/2", "w", encoding="utf-8")  # noqa: SIM115

    def say(self, text):
        self.last = time.monotonic()
        if self.stream:
            print(f"ntgram: {text}", file=self.stream, flush=True)

    def say_at_times(self, text):
        """Says it if nothing was said for a while."""
        if time.monotonic() - self.last >= EVERY:
            self.say(text)


def wait_for(warm, folder, page):
    """Waits for the set-up that builds the warm folder, then copies what it has built."""
    page.say("a set-up builds the crates behind ntgram-core just now; this cell waits for it, half an hour at most")

    def told(seconds):
        page.say_at_times(f"waiting, {seconds:.0f} s")

    try:
        with builds.Locked(warm.with_suffix(".lock"), shared=True, limit=builds.BUILD_WAIT, told=told):
            if (warm / "cell/target").exists():  # else that set-up has failed
                builds.copy_build(warm / "cell/target", folder / "cell/target")
    except TimeoutError:
        page.say("the set-up has not finished; this kernel builds for itself")


def need(line, folder):
    """Has the anchor need the core as this line of a manifest says. A kernel outside of the repository, which has copied no build
    folder, learns only here which repository it is for."""
    path = re.search(r'path = ("(?:[^"\\]|\\.)*")', line)
    clone = builds.clone_above(Path(json.loads(path[1]))) if path else None
    if clone and (clone / "Cargo.lock").exists() and not (folder / "locked").exists():
        builds.write_anchor(folder, clone)
    anchor = folder / "anchor/Cargo.toml"
    lines = anchor.read_text("utf-8").splitlines()
    if line not in lines:
        others = [other for other in lines if not other.startswith(("ntgram-core = ", "ntgram-web = "))]
        builds.write(anchor, "\n".join([*others, line, ""]))


def build(command, env, page):
    """Runs cargo, whose messages for evcxr go to stdout; its status."""
    cargo = subprocess.Popen(command, env=env | builds.SHOW_PROGRESS, stderr=subprocess.PIPE)
    compiled, waits = 0, None
    for line in builds.pieces(cargo.stderr):
        if waits:
            waits.cancel()
        progress = builds.PROGRESS.search(line)
        if progress and compiled:
            page.say_at_times(f"compiling, {progress[1]}/{progress[2]} crates are done")
        elif not progress:
            print(line, file=sys.stderr)
        if line.lstrip().startswith("Blocking"):
            waits = threading.Timer(LONG, page.say, [f"cargo: {line.strip()}"])
            waits.start()
        crate = re.match(r"\s*Compiling (\S+)", line)
        if crate:
            compiled += 1
            if compiled == 1:
                own = crate[1].startswith("ntgram-")
                page.say("compiling this repository's crates, whose sources have changed" if own else
                         "compiling the crates behind ntgram-core for this kernel alone, which takes minutes; "
                         "`make run` in the repository does it once for all kernels")  # fmt: skip
    if waits:
        waits.cancel()
    return cargo.wait()


def main():
    page, folder = Page(int(os.environ["NTGRAM_KERNEL"])), Path(os.environ["NTGRAM_FOLDER"])
    need(sys.argv[1], folder)
    if warm := os.environ["NTGRAM_WARM"]:
        wait_for(Path(warm), folder, page)
    command = builds.build_core(os.environ["NTGRAM_CARGO"], os.environ["NTGRAM_HOST"])
    env = os.environ | {"RUSTFLAGS": os.environ["NTGRAM_RUSTFLAGS"], "RUSTC_WRAPPER": str(Path(__file__).with_name("wrapper"))}
    sys.exit(build([*command, "--message-format=json"], env, page))


if __name__ == "__main__":
    main()
