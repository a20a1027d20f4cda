"""The launcher: private build folders, several kernels at once, what is left when a kernel ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import kernel
from conftest import KERNELS, REPOSITORY, wait_until

CELL_0 = ':dep ntgram-core = { path = "../ntgram-core" }\nuse ntgram_core::prelude::*;'


def test_a_copy_shares_only_what_no_kernel_rewrites(tmp_path):
    files = ["deps/liba.rlib", ".fingerprint/a-1/lib-a", "build/a-1/out/a.o", "incremental/ntgram_core-1/s-1/a.o",
             "deps/libntgram_core-1.rlib", ".fingerprint/ntgram-core-1/lib-ntgram_core", "deps/libctx.so",
             "incremental/ntgram_core-1/s-1.lock", "Cargo.toml", "cell/src/lib.rs"]  # fmt: skip
    for name in [*files, "incremental/ctx-1/old"]:
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text(name)
        os.utime(tmp_path / "from" / name, (1, 1))
    kernel.copy_build(tmp_path / "from", tmp_path / "to")
    copies = {str(path.relative_to(tmp_path / "to")): path.stat() for path in (tmp_path / "to").rglob("*") if path.is_file()}
    assert set(copies) == set(files)
    assert {name for name, about in copies.items() if about.st_nlink > 1} == set(files[:4])
    assert {about.st_mtime for about in copies.values()} == {1}, "cargo compares times"


def test_settings_that_would_rebuild_everything_are_kept_out():
    settings = {"libtorch": "/t", "tools": {"CC": "gcc", "CARGO_HOME": "/home"}, "cargo_bin": "/c", "cache": ""}
    caller = {"PATH": "/nowhere", "RUSTFLAGS": "-g", "LIBTORCH_LIB": "/x", "CARGO_PROFILE_DEV_OPT_LEVEL": "0",
              "CARGO_HOME": "/other", "CFLAGS": "-O0", kernel.LIBRARY_PATH: "/mine"}  # fmt: skip
    env = kernel.environment(settings, caller)
    assert env["LIBTORCH"] == "/t" and env["CC"] == "gcc" and env["CARGO_HOME"] == "/home"
    assert env[kernel.LIBRARY_PATH].split(os.pathsep) == ["/t/lib", "/mine"]
    assert env["PATH"].startswith("/c") and env["OMP_NUM_THREADS"] == "1"
    assert not {"RUSTFLAGS", "LIBTORCH_LIB", "CARGO_PROFILE_DEV_OPT_LEVEL", "CFLAGS"} & env.keys()
    assert kernel.environment(settings, {"OMP_NUM_THREADS": "4"})["OMP_NUM_THREADS"] == "4"


def test_two_kernels_at_once_have_a_folder_each_and_leave_none(start):
    first, second = start(), start()
    assert first.folder != second.folder
    requests = [first.send(f"{CELL_0}\nlet a = 1;"), second.send(f"{CELL_0}\nlet a = 2;")]
    for running, request in zip([first, second], requests, strict=True):
        assert running.outputs(request)[1] == []
    assert [first.run("a"), second.run("a")] == ["1", "2"]
    first.close()
    second.close()
    assert wait_until(lambda: not first.folder.exists() and not second.folder.exists())


def test_dependencies_are_not_compiled_again_at_the_first_cell(start):
    running = start()
    running.run(CELL_0)
    started = (running.folder / "in-use").stat().st_mtime
    compiled = [path.name for path in running.folder.rglob("deps/*.rlib") if path.stat().st_mtime > started]
    assert [name for name in compiled if "ntgram_core" not in name] == []


def test_a_killed_kernel_leaves_neither_folder_nor_process(start):
    running = start()
    running.send("loop { std::hint::spin_loop() }")
    time.sleep(3)  # the cell is compiled and spins in evcxr's child process
    os.kill(running.pid, signal.SIGKILL)
    assert wait_until(lambda: not running.folder.exists())
    assert not group_members(running.pid)


def test_a_kernel_ends_with_its_server():
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from conftest import Kernel; kernel = Kernel();"
        "print(kernel.pid, kernel.folder, flush=True); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, REPOSITORY / "tests"], stdout=subprocess.PIPE, text=True)
    lines = iter(server.stdout.readline, "")
    pid, folder = next(line for line in lines if str(KERNELS) in line).split()
    assert group_members(int(pid)) and Path(folder).exists()
    server.kill()
    server.wait()
    assert wait_until(lambda: not group_members(int(pid)) and not Path(folder).exists())


def test_folders_of_dead_kernels_are_removed_at_the_next_start(start):
    stale = KERNELS / "kernel-stale"
    stale.mkdir(parents=True)
    (stale / "in-use").touch()
    start()
    assert not stale.exists()


def group_members(group):
    """The processes of a group that still run."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [row for row in rows if row[0] == str(group) and not row[1].startswith("Z")]
