"""Launcher of the notebook kernel: gives evcxr a private copy of the warm build folder, then becomes evcxr.

The set-up copies this file, builds.py and its settings.json beside the kernel spec. Python's standard library only.

What a kernel gets:
- `LIBTORCH` and the library path of the installed libtorch; nothing of the caller's Rust, libtorch or evcxr settings,
  since each of them would have cargo build all dependencies anew;
- a folder of its own to build cells in, which shares no file that anything writes to in place: hard links to libraries,
  which compilers replace, and copies of all other files, which cargo, build scripts and evcxr rewrite;
- a watcher that ends what is left of the kernel and removes that folder when the kernel or its Jupyter server ends;
- the stop button: SIGINT, which Jupyter sends to the kernel's process group, is ignored by all but the code of a running
  cell that listens to it (ntgram-core/src/interrupt.rs) and a process that ends the cell at the second one.

The process id that Jupyter knows is evcxr's: this program replaces itself by it.
"""

import fcntl
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from builds import (  # noqa: E402
    LIBRARY_PATH,
    MACOS,
    RUSTFLAGS,
    Locked,
    clone_above,
    copy_build,
    environment,
    host,
    page_file,
    relatives,
    rustc_says,
    warm_folder,
    write_workspace,
)

DOUBLE_INTERRUPT = 2.0  # seconds between two interrupts that end a cell and its variables


def in_use(folder):
    """Whether a process of the kernel that owns this private folder still lives."""
    try:
        with open(folder / "in-use") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def private_folder(kernels):
    """Makes a folder for this kernel and removes those that dead kernels left.

    Returns the folder and its open lock file: the lock lives as long as any process that inherits the file.
    """
    with Locked(kernels / ".lock"):
        for folder in kernels.iterdir():
            if folder.is_dir() and not in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=kernels, prefix="kernel-"))
        lock = open(folder / "in-use", "w")  # noqa: SIM115
        fcntl.flock(lock, fcntl.LOCK_EX)
        print(os.getpid(), file=lock, flush=True)
        os.set_inheritable(lock.fileno(), True)
    return folder, lock


def alive(pid):
    """Whether process `pid` runs (a dead one that nobody has waited for does not)."""
    try:
        os.kill(pid, 0)
        return not Path("/proc", str(pid)).exists() or _state(pid) != "Z"
    except ProcessLookupError:
        return False
    except PermissionError:
        return True


def _state(pid):
    try:
        return Path("/proc", str(pid), "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except OSError:  # it ended in between
        return "Z"


def leave_behind(task, lock, in_group):
    """Leaves a process behind that does `task`, in the kernel's process group or outside of it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if not in_group:
            os.setsid()
        if os.fork():
            os._exit(0)
        lock.close()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        os.chdir("/")
        task()
    finally:
        os._exit(0)


def clean_up_after(kernel, server, folder):
    """Waits for the kernel, or the Jupyter server that started it, to end; then ends what is left of the kernel's
    process group and removes its folder."""
    while alive(kernel) and (not server or alive(server)):
        time.sleep(0.5)
    try:
        os.killpg(kernel, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    for _ in range(100):  # a killed process may take a moment to let go of its files
        if not in_use(folder):
            break
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def kill_cell_at_second_interrupt(kernel, folder):
    """Ends what runs the kernel's cells when two interrupts within `DOUBLE_INTERRUPT` seconds find the same cell running.
    evcxr then says so on the page and starts another process for cells: all variables are lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # one that is ignored cannot be waited for
    last, before = -math.inf, None
    while True:
        signal.sigwait({signal.SIGINT})
        now, cell = time.monotonic(), running_cell(folder)
        if cell and cell == before and now - last < DOUBLE_INTERRUPT:
            kill_cell(cell[0], kernel)
        last, before = now, cell


def running_cell(folder):
    """Process and beginning of the cell that the kernel runs now. None between cells and while one is compiled: variables
    would be lost for nothing. (setup/evcxr.patch has evcxr keep this file.)"""
    running = folder / "cell/running"
    try:
        return int(running.read_text("utf-8")), running.stat().st_mtime_ns
    except (OSError, ValueError):
        return None


def kill_cell(cell, kernel):
    """Kills the process that runs cells, and what cells have started: evcxr waits for all that have its output open."""
    parents = {pid: parent for pid, parent, _ in processes()}

    def descends(pid, ancestor):
        while pid not in (0, 1, None, ancestor):
            pid = parents.get(pid)
        return pid == ancestor

    for pid, _, group in processes():
        stray = group == kernel and pid != os.getpid() and not descends(pid, kernel)  # its parent is gone
        if stray or descends(pid, cell):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def processes():
    """Of each process its id, its parent's and its group's."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, text=True).stdout
        return [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            rest = (process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            found.append((int(process.name), int(rest[1]), int(rest[2])))
        except OSError:  # it ended in between
            continue
    return found


def stand_in_for_cargo(env, settings, folder):
    """Has evcxr call the programs in `bin`, which see to it that a cell is compiled against a core that is built already."""
    found = rustc_says(env, "--print", "sysroot", "--print", "target-libdir").splitlines()
    if len(found) != 2:
        sys.exit("ntgram: no Rust compiler is found (rustc in PATH); see environment.md in the repository")
    sysroot, standard_library = found
    for name in ("cargo", "rustc"):  # the toolchain's own: rustup's would look it up at each call
        own = Path(sysroot, "bin", name)
        env[f"NTGRAM_{name.upper()}"] = str(own) if own.exists() else shutil.which(name, path=env["PATH"])
    env["NTGRAM_PYTHON"] = sys.executable
    env["NTGRAM_RUSTUP"] = shutil.which("rustup", path=env["PATH"]) or "false"
    env["NTGRAM_RUSTFLAGS"] = RUSTFLAGS
    env["NTGRAM_FOLDER"], env["NTGRAM_TCH"], env["NTGRAM_HOST"] = str(folder), settings["tch"], host(env)
    env["NTGRAM_KERNEL"] = str(os.getpid())
    core = folder / "cell/target" / env["NTGRAM_HOST"] / "debug"
    core.mkdir(parents=True, exist_ok=True)  # a folder that is not there when a process first looks for it is never looked into again
    env["NTGRAM_CORE"] = str(core / ("libntgram_core." + ("rlib" if MACOS else "so")))
    # Where a cell's library finds the core, tch's C++ code and Rust's standard library: evcxr moves it out of the folder
    # that the paths in it count from.
    env[LIBRARY_PATH] += "".join(os.pathsep + str(path) for path in (core, settings["tch"], standard_library))
    own = Path(__file__).with_name("bin")
    env["PATH"] = os.pathsep.join([str(own), env["PATH"]])
    # The analysis takes the cargo in this folder's `bin` for rustup's; `bin/cargo` puts the true one back.
    env["NTGRAM_CARGO_HOME"] = env.get("CARGO_HOME") or str(Path.home() / ".cargo")
    env["CARGO_HOME"] = str(own.parent)


def take_dependencies(warm, folder):
    """Copies the warm folder, or another that is made alike. Returns the one to wait for if a set-up builds it just now, or
    an empty text; the first cell that needs it waits then (bin/core.py), since only a cell can say so on the page."""
    for source in [warm, *relatives(warm)]:
        if not (source / "Cargo.lock").exists() and not source.with_suffix(".lock").exists():
            continue
        try:
            with Locked(source.with_suffix(".lock"), shared=True, limit=0):
                if (source / "Cargo.lock").exists():
                    copy_build(source, folder)
                    return ""
        except TimeoutError:
            return str(source)
    return ""


def main(connection_file):
    settings = json.loads(Path(__file__).with_name("settings.json").read_text("utf-8"))
    if not all(Path(settings[part]).exists() for part in ("evcxr", "libtorch", "tch")):
        sys.exit(f"ntgram: the cache folder {settings['cache']} is gone; `make run` in the repository fills it again")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for evcxr, its compilers and its cells too: they inherit it
    env = environment(settings, os.environ)
    folder, lock = private_folder(Path(settings["cache"], "kernels"))
    kernel, server = os.getpid(), int(os.environ.get("JPY_PARENT_PID", "0"))
    if os.getpgrp() != kernel:
        os.setpgrp()
    leave_behind(lambda: clean_up_after(kernel, server, folder), lock, in_group=False)
    leave_behind(lambda: kill_cell_at_second_interrupt(kernel, folder), lock, in_group=True)

    clone = clone_above(Path.cwd().resolve())
    if clone and (clone / "setup/kernel.toml").exists():
        settings["workspace"] = (clone / "setup/kernel.toml").read_text("utf-8")
    env["NTGRAM_WARM"] = take_dependencies(warm_folder(settings, env, clone), folder)
    env["EVCXR_TMPDIR"] = str(folder / "cell")
    env["NTGRAM_PAGE"] = str(page_file(settings, clone))
    stand_in_for_cargo(env, settings, folder)
    write_workspace(folder, settings, env["NTGRAM_HOST"], clone)
    # No start-up files of the user's evcxr, and no update of the user's own Rust kernel by ours.
    env["EVCXR_CONFIG_DIR"] = env["JUPYTER_PATH"] = str(folder)
    os.execve(settings["evcxr"], [settings["evcxr"], "--control_file", connection_file], env)


if __name__ == "__main__":
    main(sys.argv[1])
