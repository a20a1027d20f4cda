"""`ntgram-sweep` on a cluster: HyperQueue's server with two workers, some of which is killed on the way; the table is the one that one machine makes."""

import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PLAN = REPOSITORY / "plans/paper.toml"
HQ = [sys.executable, "-Es", str(REPOSITORY / "tests/hq.py")]


@pytest.fixture(scope="session")
def program():
    """The program as `make test` has built it already: with the features that the crates' tests need."""
    setup = [sys.executable, "-Es", str(REPOSITORY / "setup/setup.py"), "in"]
    build = ["cargo", "test", "--quiet", "--locked", "--workspace", "--no-run", "--test", "program"]
    subprocess.run([*setup, *build], check=True, cwd=REPOSITORY)
    target = subprocess.run([*setup, "printenv", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"], check=True, capture_output=True, text=True,
                            cwd=REPOSITORY)  # fmt: skip
    return Path(*target.stdout.splitlines(), "debug/ntgram-sweep")


def run(program, *words, env=None, codes=(0,)):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, env=env)
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


class Cluster:
    """A server with two workers, in a process of its own."""

    def __init__(self, folder):
        self.process = subprocess.Popen([*HQ, "serve", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("ready "):
                self.folder = line.split()[1]
                return
        raise RuntimeError("the server did not start")

    def tasks(self):
        """The processes of running tasks, by the worker that started them."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = dict(entry.split("=", 1) for entry in (process / "environ").read_text().split("\0") if "=" in entry)
                if int((process / "stat").read_text().rsplit(")")[-1].split()[1]) != self.process.pid:
                    continue
            except (OSError, ValueError):
                continue
            worker = environment.get("HQ_ACCESS_KEY", "").split(":")[0]
            if worker:
                found.setdefault(worker, []).append(int(process.name))
        return found

    def kill(self):
        """At once, with its workers and what they run: a node that loses its power."""
        running = [pid for pids in self.tasks().values() for pid in pids]
        self.process.kill()
        for pid in running:
            kill(pid)
        self.process.wait()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


@pytest.mark.skipif(platform.system() != "Linux" or platform.machine() != "x86_64", reason="the package is for Linux on x86-64")
def test_a_cluster_makes_the_table_that_one_machine_makes(program, tmp_path):
    local, shared = tmp_path / "local", tmp_path / "shared"
    select = [PLAN, "--only", "exp_6"]
    run(program, "run", *select, "--to", local)
    expected = run(program, "gather", *select, "--to", local)
    assert len(expected.splitlines()) == 7

    shim = tmp_path / "bin/hq"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.join(HQ)} "$@"\n')
    shim.chmod(0o755)
    environment = os.environ | {"PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}"}
    submit = ["submit", *select, "--on", "hq", "--to", shared, "--seconds", "1"]
    printed = run(program, *submit)
    assert printed.startswith("hq submit ") and f" task {PLAN} " in printed

    def results():
        return {path: path.read_bytes() for path in shared.glob("*/*.json")}

    # a first cluster: one worker's tasks are killed, later all of it
    cluster = Cluster(tmp_path / "first")
    try:
        run(program, *submit, "--run", env=environment | {"HQ_SERVER_DIR": cluster.folder})
        wait_for(lambda: len(results()) > 5, 60, "no results come")
        worker, pids = wait_for(lambda: next(iter(cluster.tasks().items()), None), 60, "nothing runs")
        for pid in pids:
            kill(pid)
        before = len(results())
        wait_for(lambda: len(results()) > before + 5, 60, f"nothing goes on after the tasks of {worker} were killed")
    finally:
        cluster.kill()
    there = results()
    assert len(there) < 120, "the cluster was to be killed on the way"
    run(program, "gather", *select, "--to", shared, codes=(3,))

    # a second one goes on
    cluster = Cluster(tmp_path / "second")
    try:
        run(program, *submit, "--run", env=environment | {"HQ_SERVER_DIR": cluster.folder})
        wait_for(lambda: len(results()) == 120, 120, "it does not come to its end")
    finally:
        cluster.stop()
    assert run(program, "gather", *select, "--to", shared) == expected
    after = results()
    assert all(after[path] == content for path, content in there.items()), "what was finished is kept as it was"
