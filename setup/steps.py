"""Runs the steps of a set-up side by side, each as soon as those that it needs are done.

What a step's programs print is kept, and shown if the step fails; meanwhile a line tells how many steps are done, what is at work
and what is left. When a step fails or the user interrupts, all programs are ended; the next run goes on from there.

The programs of all steps share the processor: they take tokens from one pipe, as those of one `make -j` do (a "jobserver", which
cargo and rustc know).

Outside of a step, `run` and `say` do the same without all that. Python's standard library only.
"""

import collections
import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from builds import PROGRESS, SHOW_PROGRESS, pieces

KEPT_LINES = 100  # of what a step's programs print: what is shown if it fails
EVERY = 20.0  # seconds between two lines of progress; in a terminal one line is written anew each second
GRACE = 5.0  # seconds that ended programs and steps get to end
WORTH_TELLING = 2.0  # seconds: of a step that took less, no end is told


class Stopped(BaseException):
    """Another step has failed, or the user has interrupted: this step is to end."""


class Step:
    """One step: `work()` does it, after the steps with the names `needs`. `share`: about how many seconds of processor it takes
    when nothing is there, for the estimate of what is left. `compiles`: it keeps a processor busy all the time."""

    def __init__(self, name, work, needs=(), share=1.0, compiles=False):
        self.name, self.work, self.needs, self.share, self.compiles = name, work, tuple(needs), share, compiles
        self.output = collections.deque(maxlen=KEPT_LINES)
        self.begun = self.seconds = None  # when it began, how long it took
        self.crates = None  # done, and of how many
        self.found = 0.0  # the part that was done before it began
        self.number, self.all = 0, None

    def show_output(self):
        """Shows the last of what its programs have printed."""
        for line in self.output:
            self.all.screen.say(f"    {line}")

    def line(self, text):
        """A line of this step, which names it."""
        return f"step {self.number} of {len(self.all.steps)}, {text}"

    def part_done(self):
        """Which part of it is done, from 0 to 1."""
        if self.seconds is not None or self.begun is None:
            return float(self.seconds is not None)  # of one that has not begun nobody knows yet what is there
        if self.crates:
            return self.crates[0] / self.crates[1]
        return 0.9 * min(1.0, (time.monotonic() - self.begun) / self.share)

    def progress(self, crates, of):
        """A program of its says how far it is."""
        if self.crates is None:
            self.found = crates / of
        self.crates = crates, of

    def about(self):
        """Its name and how far it is."""
        return self.name + (f" ({self.crates[0]}/{self.crates[1]} crates)" if self.crates else "")


_of_thread = threading.local()


def current():
    """The step that this thread does, or None."""
    return getattr(_of_thread, "step", None)


class Steps:
    """Steps that belong together. `run()` returns when all are done; it ends the program if one fails. `screen`: where lines go."""

    def __init__(self, steps, screen=None, processors=None):
        self.steps = steps
        for number, step in enumerate(steps, 1):
            step.number, step.all = number, self
        names = [step.name for step in steps]
        for place, step in enumerate(steps):
            unknown = set(step.needs) - set(names[:place])
            if unknown:
                raise ValueError(f"{step.name} needs {unknown}, which no step before it does")
        self.screen = Screen(screen or sys.stdout)
        self.tokens = Tokens(processors or usable_processors())
        self.ended = queue.Queue()
        self.programs, self.stopped, self.lock = set(), False, threading.Lock()

    def run(self):
        with interrupted_by(signal.SIGTERM, signal.SIGHUP), self.tokens:
            begun = time.monotonic()
            try:
                left = list(self.steps)
                while left or any(step.seconds is None for step in self.steps):
                    done = {step.name for step in self.steps if step.seconds is not None}
                    for step in [step for step in left if done.issuperset(step.needs)]:
                        left.remove(step)
                        self.begin(step)
                    with contextlib.suppress(queue.Empty):
                        self.end(*self.ended.get(timeout=1.0))
                    self.tokens.settle()
                    self.screen.progress(lambda: self.progress(time.monotonic() - begun))
                if time.monotonic() - begun >= WORTH_TELLING:
                    self.screen.say(f"ntgram: all {len(self.steps)} steps are done, in {in_words(time.monotonic() - begun)}")
            finally:
                self.stop()
                self.screen.clear()

    def begin(self, step):
        step.begun = time.monotonic()
        if step.compiles:
            self.tokens.take()
        threading.Thread(target=self.do, args=[step], daemon=True).start()

    def do(self, step):
        """In a thread of its own."""
        _of_thread.step, reason = step, None
        try:
            step.work()
        except Stopped:
            return
        except SystemExit as exit:
            reason = str(exit.code)
        except BaseException:
            reason = traceback.format_exc()
        self.ended.put((step, reason))

    def end(self, step, reason):
        """A step has ended, well if there is no `reason`."""
        if reason is not None:
            others = [other.name for other in self.steps if other.begun and other.seconds is None and other is not step]
            self.stop()
            step.show_output()
            stopped = f"\nntgram: stopped meanwhile: {', '.join(others)}" if others else ""
            self.screen.clear()
            sys.exit(f"ntgram: {step.line(step.name)}: it failed.\n{reason}{stopped}")
        step.seconds = time.monotonic() - step.begun
        if step.compiles:
            self.tokens.give_back()
        if step.seconds >= WORTH_TELLING:
            self.screen.say(f"ntgram: {step.line(step.name)}: done in {in_words(step.seconds)}")

    def progress(self, seconds):
        """The line that says how far all is."""
        done = [step for step in self.steps if step.seconds is not None]
        at_work = [step for step in self.steps if step.seconds is None and step.begun is not None]
        then = [step.name for step in self.steps if step.begun is None]
        # What was there already says nothing about this machine.
        counted = [step for step in self.steps if step.seconds is None or step.seconds >= WORTH_TELLING]
        shares_done = sum(step.share * max(0.0, step.part_done() - step.found) for step in counted)
        shares_left = sum(step.share * (1.0 - step.part_done()) for step in counted)
        text = f"ntgram: {len(done)} of {len(self.steps)} steps are done, {in_words(seconds)}"
        if shares_done > 0.1 * (shares_done + shares_left):
            text += f", about {in_words(seconds * shares_left / shares_done, rough=True)} left"
        text += f"; at work: {', '.join(step.about() for step in at_work)}" if at_work else ""
        return text + (f"; then: {', '.join(then)}" if then else "")

    def start(self, command, env, cwd, compiles, answer):
        """Starts a program for a step, in a session of its own: it ends with all that it has started."""
        if compiles:
            env = env | self.tokens.shared()
        pipes = {"stdout": answer, "stderr": subprocess.PIPE} if answer else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with self.lock:
            if self.stopped:
                raise Stopped
            program = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, start_new_session=True,
                                       pass_fds=self.tokens.ends if compiles else (), **pipes)  # fmt: skip
            self.programs.add(program)
        return program

    def stop(self):
        """Ends all programs, and no step starts another."""
        with self.lock:
            self.stopped = True
        end = time.monotonic() + GRACE
        try:
            self.signal(signal.SIGTERM)
            while self.programs and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            self.signal(signal.SIGKILL)

    def signal(self, number):
        for program in list(self.programs):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(program.pid, number)


class Tokens:
    """The pipe of tokens, one for each processor. A program that compiles may run one process without a token, and takes one from
    the pipe for each more; so a step takes one for it. Where none is there the step begins all the same, and one that comes
    back later is kept in its place."""

    def __init__(self, number):
        self.owed = 0
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tokens")
            os.mkfifo(path)
            self.own = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            write = os.open(path, os.O_WRONLY)  # an end for reading that waits can only be opened when there is one for writing
            self.ends = os.open(path, os.O_RDONLY), write
        os.write(self.ends[1], b"+" * number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in (self.own, *self.ends):
            os.close(end)

    def shared(self):
        """The variable that tells a program about the pipe."""
        ends = ",".join(map(str, self.ends))
        return {"CARGO_MAKEFLAGS": f"-j --jobserver-fds={ends} --jobserver-auth={ends}"}

    def take(self):
        self.owed += 1
        self.settle()

    def give_back(self):
        if self.owed:
            self.owed -= 1
        else:
            os.write(self.ends[1], b"+")

    def settle(self):
        """Takes what is owed, as far as it is there."""
        with contextlib.suppress(BlockingIOError):
            while self.owed and os.read(self.own, 1):
                self.owed -= 1


class Screen:
    """Where lines go: in a terminal below them the line of progress, written anew each second; elsewhere one at times."""

    def __init__(self, stream):
        self.stream, self.terminal = stream, stream.isatty()
        self.lock, self.shown, self.last = threading.Lock(), False, time.monotonic()

    def say(self, line):
        with self.lock:
            self._clear()
            print(line, file=self.stream, flush=True)

    def progress(self, text):
        """Shows the line of progress, which `text()` gives, if it is time for it."""
        if time.monotonic() - self.last < (0.9 if self.terminal else EVERY):
            return
        self.last = time.monotonic()
        if not self.terminal:
            return self.say(text())
        line = text()[: shutil.get_terminal_size().columns - 1]
        with self.lock:
            self._clear()
            print(line, end="", file=self.stream, flush=True)
            self.shown = True

    def clear(self):
        with self.lock:
            self._clear()

    def _clear(self):
        if self.shown:
            print("\r\x1b[K", end="", file=self.stream, flush=True)
            self.shown = False


# ---- what steps call

def say(title, what):
    step = current()
    if step:
        step.all.screen.say(f"ntgram: {step.line(title)}: {what}")
    else:
        print(f"ntgram: {title}: {what}", flush=True)


def show_output():
    """Shows what this step's programs have printed, for a failure that does not end the step. (Outside of a step it was shown.)"""
    if current():
        current().show_output()


def run(*command, env=None, cwd=None, answer=None):
    """Runs a command; ends with a plain message if it fails. Its output is shown then, or at once outside of a step."""
    if run_to_end(command, env, cwd, answer):
        sys.exit(f"ntgram: this failed: {' '.join(map(str, command))}\n"
                 "        The reason stands above. Once it is mended, the same `make` goes on from here "
                 "(environment.md, \"When something fails\").")  # fmt: skip


def run_to_end(command, env=None, cwd=None, answer=None):
    """Runs a command; its status. `answer`: a file for its standard output, where that is no message."""
    step, command = current(), [str(part) for part in command]
    env = dict(os.environ if env is None else env)
    if not step:
        return subprocess.run(command, env=env, cwd=cwd, stdout=answer).returncode
    if Path(command[0]).name == "cargo":
        env |= SHOW_PROGRESS
    program = step.all.start(command, env, cwd, step.compiles, answer)
    try:
        with program:
            for line in pieces(program.stderr if answer else program.stdout):
                progress = PROGRESS.search(line)
                if progress:
                    step.progress(int(progress[1]), int(progress[2]))
                else:
                    step.output.append(line)
    finally:
        step.crates = None
        step.all.programs.discard(program)
    if step.all.stopped:
        raise Stopped
    return program.returncode


def output_of(*command, env=None):
    """What a command prints; empty if it cannot be run or fails."""
    try:
        done = subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def say_that_it_waits(seconds):
    if seconds < 0.5 or seconds % 60 < 0.5:
        say("another set-up or build is running", f"waiting for its end, {seconds:.0f} s")


@contextlib.contextmanager
def interrupted_by(*signals):
    """These signals interrupt as Ctrl-C does, unless they are ignored."""

    def interrupt(*_):
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in signals}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def usable_processors():
    """How many processors may be used here; cargo's own setting for that counts."""
    wanted = os.environ.get("CARGO_BUILD_JOBS", "")
    if wanted.isdigit() and int(wanted):
        return int(wanted)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # what a container may use
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("utf-8").split()
        usable = min(usable, max(1, round(int(quota) / int(period))))
    return usable


def in_words(seconds, rough=False):
    """A time, such as `45 s` or `3 min 5 s`; `rough`: `3 min`."""
    if rough:
        return f"{max(1, round(seconds / 60))} min"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
