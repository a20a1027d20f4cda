"""Steps of a set-up that work side by side: their order, their ends, what they say, and how they share the processors."""

import io
import os
import re
import signal
import subprocess
import sys
import threading

import kernel
import pytest
import steps
from conftest import REPOSITORY, wait_until


def all_steps(*made, processors=2, terminal=False):
    """Steps whose lines go to a text: both."""
    screen = io.StringIO()
    screen.isatty = lambda: terminal
    return steps.Steps(list(made), screen, processors), screen


def test_a_step_begins_when_what_it_needs_is_done_and_those_without_needs_at_once():
    together, done = threading.Barrier(2, timeout=30), []

    def meets(name):
        return lambda: (together.wait(), done.append(name))

    all_steps(steps.Step("a", meets("a")), steps.Step("b", meets("b")), steps.Step("c", lambda: done.append("c"), ["a", "b"]),
              steps.Step("d", lambda: done.append("d"), ["c"]))[0].run()  # fmt: skip
    assert sorted(done[:2]) == ["a", "b"] and done[2:] == ["c", "d"]


def test_a_need_must_be_a_step_before():
    for needs in (["a"], ["c"], ["nothing"]):
        with pytest.raises(ValueError, match=needs[0]):
            all_steps(steps.Step("a", print, needs), steps.Step("c", print))


# Steps of which one, at the sign of a file, fails; another has started programs that would run on, one of them in the background;
# and one waits for both.
FAILING = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[1])
from setup import Step, Steps, run, say
folder = pathlib.Path(sys.argv[2])

def long():
    say("the long one", "begins")
    run("sh", "-c", f"sleep 617 & echo $! $$ >{folder}/pids.part; mv {folder}/pids.part {folder}/pids; sleep 617; wait")

def fails():
    while not (folder / "fail").exists():
        time.sleep(0.05)
    run("sh", "-c", "echo the compiler says no; exit 3")

try:
    Steps([Step("long", long), Step("bad", fails), Step("last", (folder / "last").mkdir, ["long", "bad"])]).run()
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


@pytest.fixture
def failing(tmp_path):
    """`FAILING` at work, and the ids of the programs that it has started."""
    # A shell's background jobs ignore the one, programs that nohup starts the other.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); signal.signal(signal.SIGHUP, signal.SIG_DFL)\n" + FAILING
    with subprocess.Popen([sys.executable, "-c", code, REPOSITORY / "setup", tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, start_new_session=True) as script:  # fmt: skip
        assert wait_until((tmp_path / "pids").exists), script.communicate()
        yield script, [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        script.kill()


def test_a_step_that_fails_is_named_and_ends_the_others(failing, tmp_path):
    script, pids = failing
    assert all(map(kernel.alive, pids))
    (tmp_path / "fail").touch()
    out, err = script.communicate(timeout=30)
    assert script.returncode == 1
    assert "step 1 of 3, the long one: begins" in out and "    the compiler says no" in out
    assert "step 2 of 3, bad" in err and "exit 3" in err and "goes on from here" in err and "stopped meanwhile: long" in err
    assert not any(map(kernel.alive, pids)), "what other steps have started is ended"
    assert not (tmp_path / "last").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_all_steps(failing, tmp_path, number):
    script, pids = failing
    script.send_signal(number)
    assert script.communicate(timeout=30)[1] == "interrupted\n"
    assert script.returncode == 1 and not any(map(kernel.alive, pids)) and not (tmp_path / "last").exists()


def test_an_error_of_ours_in_a_step_ends_the_set_up_too():
    with pytest.raises(SystemExit, match=r"(?s)step 1 of 1, a: it failed.*ZeroDivisionError"):
        all_steps(steps.Step("a", lambda: 1 / 0))[0].run()


def test_what_a_step_prints_is_not_shown_unless_it_fails():
    made, screen = all_steps(steps.Step("a", lambda: steps.run("echo", "noise")))
    made.run()
    assert "noise" not in screen.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_the_line_of_progress_says_what_is_done_at_work_and_left(tmp_path, monkeypatch, terminal):
    monkeypatch.setattr(steps, "EVERY", 0.9)
    monkeypatch.setenv("COLUMNS", "200")
    cargo = tmp_path / "cargo"
    cargo.write_text("#!/bin/sh\nprintf '   Compiling x v1.0\\n    Building [==>  ] 12/48: y, z\\r' >&2; sleep 2.5\n")
    cargo.chmod(0o755)
    made, screen = all_steps(steps.Step("first", lambda: None), steps.Step("big", lambda: steps.run(cargo), ["first"]),
                             steps.Step("end", lambda: None, ["big"]), steps.Step("spec", lambda: None, ["end"]), terminal=terminal)  # fmt: skip
    made.run()
    line = r"ntgram: 1 of 4 steps are done, \d s(, about 1 min left)?; at work: big \(12/48 crates\); then: end, spec"
    assert re.search(line, screen.getvalue()), screen.getvalue()
    assert "step 2 of 4, big: done in" in screen.getvalue() and "all 4 steps are done, in" in screen.getvalue()
    assert screen.getvalue().count("\r\x1b[K") == (screen.getvalue().count(" of 4 steps are done,") if terminal else 0)


def test_the_time_left_counts_what_is_done_on_this_machine():
    made, _ = all_steps(*(steps.Step(name, print, share=share) for name, share in [("a", 100), ("b", 300), ("c", 200)]))
    there, b, c = made.steps
    there.begun, there.seconds = 0.0, 0.1  # was there already
    assert "left" not in made.progress(300.0)
    b.begun = 0.0
    b.progress(0, 100)
    b.progress(50, 100)
    assert "about 12 min left" in made.progress(300.0)  # 150 of 500 in five minutes
    b.crates = None
    b.progress(40, 100)  # an interrupted build goes on
    b.progress(60, 100)
    assert "about 27 min left" in made.progress(300.0)  # 60 in five minutes, and 120 and 200 are left
    b.seconds, b.found = 600.0, 0.0
    assert "about 7 min left" in made.progress(600.0)  # 300 of 500 in ten


# Reads what tokens are there.
TAKE = """
import os, re
read = int(re.search(r"--jobserver-auth=(\\d+),", os.environ["CARGO_MAKEFLAGS"])[1])
os.set_blocking(read, False)
print("tokens:", len(os.read(read, 100)))
os.set_blocking(read, True)
"""


def test_a_program_that_compiles_shares_the_processors():
    wait = threading.Event()

    def take():
        steps.run(sys.executable, "-c", TAKE)
        wait.set()

    taker = steps.Step("taker", take, compiles=True)
    all_steps(steps.Step("other", lambda: wait.wait(30), compiles=True), taker, processors=5)[0].run()
    assert list(taker.output) == ["tokens: 3"], "each step has one without asking"


def test_tokens_that_are_owed_are_kept():
    with steps.Tokens(1) as tokens:
        tokens.take()
        tokens.take()
        assert tokens.owed == 1
        tokens.give_back()
        assert tokens.owed == 0
        with pytest.raises(BlockingIOError):
            os.read(tokens.own, 1)
        tokens.give_back()
        assert os.read(tokens.own, 100) == b"+"


def test_cargos_number_of_jobs_counts(monkeypatch):
    monkeypatch.setenv("CARGO_BUILD_JOBS", "7")
    assert steps.usable_processors() == 7
    monkeypatch.setenv("CARGO_BUILD_JOBS", "0")
    assert 1 <= steps.usable_processors() <= os.cpu_count()
