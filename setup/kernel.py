"""Launcher of the notebook kernel: gives evcxr a private copy of the warm build folder, then becomes evcxr.

The set-up copies this file and its settings.json beside the kernel spec; `setup.py` imports it for what both must do
alike. Python's standard library only.

What a kernel gets:
- `LIBTORCH` and the library path of the installed libtorch; nothing of the caller's Rust, libtorch or evcxr settings,
  since each of them would have cargo build all dependencies anew;
- a folder of its own to build cells in: hard links to what is compiled from the registry, copies of all other files
  (cargo and evcxr rewrite those in place, which would show in every other copy);
- a watcher that ends what is left of the kernel and removes that folder when the kernel or its Jupyter server ends;
- the stop button: SIGINT, which Jupyter sends to the kernel's process group, is ignored by all but the code of a running
  cell that listens to it (ntgram-core/src/interrupt.rs) and a process that ends the cell at the second one.

The process id that Jupyter knows is evcxr's: this program replaces itself by it.
"""

import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MACOS = sys.platform == "darwin"
LIBRARY_PATH = "DYLD_LIBRARY_PATH" if MACOS else "LD_LIBRARY_PATH"
# Settings of the compilers: cargo builds anew when one changes, so a kernel gets those that the set-up had.
TOOLS = ("CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "AR",
         "MACOSX_DEPLOYMENT_TARGET")  # fmt: skip
# The caller's settings that would change the build; matched as prefixes.
DROPPED = ("LIBTORCH", "TORCH_CUDA_VERSION", "RUSTFLAGS", "RUSTC", "EVCXR_", "CARGO_ENCODED_RUSTFLAGS",
           "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUST", "CARGO_BUILD_BUILD_DIR", "CARGO_INCREMENTAL",
           "CARGO_PROFILE_")  # fmt: skip
# Crates that kernels compile for themselves: their files are never shared between build folders.
OWN = ("ntgram_core", "ntgram-core", "ctx", "anchor")

DOUBLE_INTERRUPT = 2.0  # seconds between two interrupts that end a cell and its variables


def environment(settings, caller):
    """The variables that cargo and the kernel run with, made from the caller's."""
    env = {k: v for k, v in caller.items() if not k.startswith(DROPPED) and k not in TOOLS}
    env.update(settings["tools"])
    env["LIBTORCH"] = settings["libtorch"]
    env[LIBRARY_PATH] = os.pathsep.join(filter(None, [f"{settings['libtorch']}/lib", caller.get(LIBRARY_PATH)]))
    # The models are tiny: libtorch's threads cost more than they give. A caller who sets the number keeps it.
    env.setdefault("OMP_NUM_THREADS", "1")
    if not shutil.which("cargo", path=env.get("PATH", "")):
        env["PATH"] = os.pathsep.join([settings["cargo_bin"], env.get("PATH", "")])
    return env


def links_with_lld(env):
    """Whether evcxr will add lld to the compiler's flags: it prefers mold, whose use changes no flag, then lld."""
    path = env.get("PATH", "")
    return not MACOS and not shutil.which("mold", path=path) and bool(shutil.which("lld", path=path))


def rustc_says(env, *question):
    """What rustc answers to `-vV` and the like; empty without a compiler."""
    rustc = shutil.which("rustc", path=env.get("PATH", ""))
    return subprocess.run([rustc, *question], env=env, capture_output=True, text=True).stdout.strip() if rustc else ""


def digest(*parts):
    """A short name for these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def warm_folder(settings, env, clone):
    """Where dependencies are built for this clone of the repository, compiler and libtorch."""
    tools = digest(rustc_says(env, "-vV"), settings["libtorch"], str(links_with_lld(env)))
    return Path(settings["cache"], "warm", f"{tools}-{digest(str(clone))}")


def relatives(warm):
    """Other warm folders with the same compiler and libtorch, newest first: they differ in the core crate only."""
    tools = warm.name.split("-")[0]
    found = [folder for folder in warm.parent.glob(f"{tools}-*") if folder != warm and (folder / "Cargo.lock").exists()]
    return sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)


def clone_above(folder):
    """The repository that `folder` lies in, or None."""
    return next((up for up in [folder, *folder.parents] if (up / "ntgram-core/Cargo.toml").exists()), None)


def copy_build(source, target):
    """Copies a build folder: what is compiled from the registry as hard links, the rest in full.

    cargo writes files in place, but only those of a crate that it compiles anew: the core crate and the cells. All
    files in full would take a second, since there are thousands.
    """
    os.makedirs(target, exist_ok=True)
    for entry in os.scandir(source):
        copy = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("ctx-"):  # what cells left behind
                copy_build(entry.path, copy)
        elif not (shared(entry.path) and linked(entry.path, copy)):
            shutil.copy2(entry.path, copy)


def shared(path):
    """Whether this file of a build folder may be the same in all of its copies."""
    parts = Path(path).parts
    if "incremental" in parts:  # rustc never changes these, it links and replaces them itself
        return not path.endswith(".lock")
    compiled = not {"deps", "build", ".fingerprint"}.isdisjoint(parts)
    return compiled and not any(name in part for part in parts[-4:] for name in OWN)


def linked(path, copy):
    """Makes `copy` a hard link to `path`; False on a file system that cannot."""
    try:
        os.link(path, copy)
    except OSError:
        return False
    return True


class Locked:
    """Holds a lock file: `with Locked(path):` waits for it, exclusively unless `shared`."""

    def __init__(self, path, shared=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a")  # noqa: SIM115
        self.kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX

    def __enter__(self):
        fcntl.flock(self.file, self.kind)
        return self.file

    def __exit__(self, *_):
        self.file.close()


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
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
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


def kill_cell_at_second_interrupt(kernel):
    """Ends the process that runs the kernel's cells when two interrupts within `DOUBLE_INTERRUPT` seconds find the same
    cell running. evcxr then says so on the page and starts another such process: all variables are lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # one that is ignored cannot be waited for
    last, before = -math.inf, None
    while True:
        signal.sigwait({signal.SIGINT})
        now, cell = time.monotonic(), running_cell(kernel)
        if cell and cell == before and now - last < DOUBLE_INTERRUPT:
            try:
                os.kill(cell[0], signal.SIGKILL)
            except ProcessLookupError:
                pass
        last, before = now, cell


def running_cell(kernel):
    """Process and library of the cell that the kernel runs now. None between cells and while one is compiled: the
    process then waits at the pipe that evcxr writes its next orders to, and would lose all variables for nothing."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-A", "-o", "ppid=,pid=,stat=,comm="], capture_output=True, text=True).stdout
        rows = [line.split(maxsplit=3) for line in listed.splitlines()]
        found = [(int(pid), None) for parent, pid, state, name in rows
                 if parent == str(kernel) and state.startswith("R") and name.endswith("evcxr_jupyter")]  # fmt: skip
        return found[0] if found else None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (process / "stat").read_text().rpartition(")")
            state, parent = rest.split()[:2]
            if parent == str(kernel) and name.endswith("(evcxr_jupyter"):
                waits = (process / "wchan").read_text()  # "0": for nothing, or the system does not tell
                runs = state == "R" if waits in ("", "0") else "pipe_read" not in waits
                libraries = re.findall(r"/libcode_(\d+)\.", (process / "maps").read_text())
                return (int(process.name), max(map(int, libraries), default=0)) if runs else None
        except OSError:  # it ended in between
            continue
    return None


def main(connection_file):
    settings = json.loads(Path(__file__).with_name("settings.json").read_text())
    if not Path(settings["evcxr"]).exists() or not Path(settings["libtorch"]).exists():
        sys.exit(f"ntgram: the cache folder {settings['cache']} is gone; `make run` in the repository fills it again")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for evcxr, its compilers and its cells too: they inherit it
    env = environment(settings, os.environ)
    folder, lock = private_folder(Path(settings["cache"], "kernels"))
    kernel, server = os.getpid(), int(os.environ.get("JPY_PARENT_PID", "0"))
    if os.getpgrp() != kernel:
        os.setpgrp()
    leave_behind(lambda: clean_up_after(kernel, server, folder), lock, in_group=False)
    leave_behind(lambda: kill_cell_at_second_interrupt(kernel), lock, in_group=True)

    warm = warm_folder(settings, env, clone_above(Path.cwd().resolve()))
    source = next((path for path in [warm, *relatives(warm)] if (path / "Cargo.lock").exists()), None)
    if source is None:
        print("ntgram: no dependencies are built for this Rust compiler: the first cell will build them (minutes). "
              "`make run` in the repository does it once for all kernels.", file=sys.stderr)  # fmt: skip
    else:
        with Locked(source.with_suffix(".lock"), shared=True):
            copy_build(source, folder)

    env["EVCXR_TMPDIR"] = str(folder / "cell")
    # evcxr moves a cell's library out of the folder that its relative path to Rust's standard library counts from.
    env[LIBRARY_PATH] += os.pathsep + rustc_says(env, "--print", "target-libdir")
    # No start-up files of the user's evcxr, and no update of the user's own Rust kernel by ours.
    env["EVCXR_CONFIG_DIR"] = env["JUPYTER_PATH"] = str(folder)
    # evcxr replaces these flags when it compiles; only its code analysis sees them, and then leaves out dependencies
    # that ntgram-core's Cargo.toml hides from it: half the time and memory of a kernel's start.
    env["RUSTFLAGS"] = "--cfg ntgram_outline"
    os.execve(settings["evcxr"], [settings["evcxr"], "--control_file", connection_file], env)


if __name__ == "__main__":
    main(sys.argv[1])
