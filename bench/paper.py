"""How long the paper's 34 tables take: ours as measured by `make paper`, PyTorch and JAX extrapolated. `make bench-paper` calls it.

    paper.py [--quick] [--dry] [--ours CSV] [--wall MINUTES]      with a Python that has torch, jax and optax

A few steps of every second row are timed, on all cores as in a sweep, and counted as often as the tables need them; rows between lie on
straight lines. With --quick the first and the last row of each table alone. The CSV has a line for each of our trainings with its
`table`, `steps` and `seconds` (`ntgram-sweep gather --tasks CSV --timings`). Prints the table and writes it to bench/RESULTS.md.
"""

import argparse
import bisect
import csv
import dataclasses
import datetime
import importlib
import itertools
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from results import machine, record, times
from tables import EPOCHS, EXPERIMENTS, TABLES

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

# A function of one of the peers' modules each. JAX's `vmap` is not always the faster way.
CONTENDERS = {"PyTorch": ("eager", "one_by_one"), "JAX vmap": ("family", "side_by_side"), "JAX one by one": ("family", "one_by_one")}
# By it is decided how a contender uses the cores: a row of the middle of the experiment with the most steps.
PILOT = ("exp_5_10_att", 16)
HEAD = ["experiments", "trainings", "steps", "ours, core minutes", "ours, wall minutes", "PyTorch, hours", "JAX vmap, hours (compiling)",
        "JAX one by one, hours (compiling)", "PyTorch / ours", "the faster JAX / ours"]  # fmt: skip


class Contender:
    """Processes that run its trainings: one with all cores, or one on each, whichever gets more of the pilot row done."""

    def __init__(self, module, function, cores, least):
        self.function, self.least = (module, function), least
        rates, found = {}, {}
        for name, where in {"one process with all cores": [None], "one process on each core": cores}.items():
            self.processes = found[name] = [start(module, core) for core in where]
            rates[name] = sum(1 / epoch for _, epoch in self.measured([pilot()] * len(where)))
        self.way = max(rates, key=rates.get)
        self.gain = max(rates.values()) / min(rates.values())
        self.processes = found.pop(self.way)
        for process in itertools.chain(*found.values()):
            process.shutdown()

    def measured(self, rows):
        """For each (table, value): seconds once, and seconds of an epoch of all its repetitions. Rows are dealt out to the processes."""
        asked = [
            process.submit(run, *self.function, dataclasses.asdict(table.row(value)), table.batches, table.repetitions, self.least)
            for process, (table, value) in zip(itertools.cycle(self.processes), rows)
        ]
        return [future.result() for future in asked]

    def table_seconds(self, measured):
        """Seconds that tables take from their measured rows, and how many of them before the first epoch; {table: {value: …}}."""
        whole = once = 0.0
        for table, rows in measured.items():
            for value in table.values:
                before = between(value, {known: start for known, (start, _) in rows.items()})
                epoch = between(value, {known: epoch for known, (_, epoch) in rows.items()})
                once, whole = once + before, whole + before + EPOCHS * epoch
        return whole / len(self.processes), once / len(self.processes)


def pilot():
    name, value = PILOT
    return next(table for table in TABLES if table.name == name), value


def start(module, core):
    """A process that is ready: on one core alone if one is named, the contender's library loaded."""
    process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), settle, (module, core))
    process.submit(os.getpid).result()
    return process


def settle(module, core):
    if core is not None:
        os.environ["OMP_NUM_THREADS"] = "1"
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})
    importlib.import_module(module)


def run(module, function, *arguments):
    return getattr(sys.modules[module], function)(*arguments)


def between(value, known):
    """What is known at `value`, or on the straight line through its two neighbours in {value: number}."""
    if value in known:
        return known[value]
    values = sorted(known)
    k = min(max(bisect.bisect(values, value), 1), len(values) - 1)
    low, high = values[k - 1], values[k]
    return known[low] + (known[high] - known[low]) * (value - low) / (high - low)


def our_seconds(path):
    """Seconds of our trainings, added up by experiment. All of them must be there."""
    found = {table.name: [] for table in TABLES}
    with path.open(newline="") as file:
        lines = csv.DictReader(file)
        if missing := {"table", "steps", "seconds"} - set(lines.fieldnames or ()):
            sys.exit(f"paper: {path} has no column {', '.join(sorted(missing))}: it is what `ntgram-sweep gather --tasks --timings` writes")
        for line in lines:
            if line["table"] not in found:
                sys.exit(f"paper: {path} has a table {line['table']!r}, the paper has none of that name")
            found[line["table"]].append((float(line["seconds"]), int(line["steps"])))
    seconds = dict.fromkeys(EXPERIMENTS, 0.0)
    for table in TABLES:
        trainings, steps = len(found[table.name]), sum(steps for _, steps in found[table.name])
        if (trainings, steps) != (table.trainings, table.steps):
            sys.exit(f"paper: {path} has {trainings} trainings of {table.name} with {steps} steps, the paper has {table.trainings} "
                     f"with {table.steps}")  # fmt: skip
        seconds[table.experiment] += sum(seconds for seconds, _ in found[table.name])
    return seconds


def sampled(values, quick):
    """Which rows of a table are timed: every second, the first and the last."""
    return values[:: len(values) - 1] if quick else sorted({*values[::2], values[-1]})


def measure(contenders, quick):
    """For each experiment and contender, the seconds of all its trainings and those before the first epoch. Contenders take turns."""
    seconds = {}
    for experiment in EXPERIMENTS:
        tables = [table for table in TABLES if table.experiment == experiment]
        rows = [(table, value) for table in tables for value in sampled(table.values, quick)]
        for name, contender in contenders.items():
            measured = {table: {} for table in tables}
            for (table, value), found in zip(rows, contender.measured(rows)):
                measured[table][value] = found
            seconds[experiment, name] = whole, _ = contender.table_seconds(measured)
            print(f"{experiment}: {name} {whole / 3600:.2f} hours", flush=True)
    return seconds


def lines(seconds, ours, wall, cores):
    """The table's lines: an experiment each, and all together. Ours may be missing."""
    share = wall / sum(ours.values()) if ours and wall else 1 / 60 / cores  # minutes of wall time for each second of a training
    yield row(*HEAD)
    yield "|---|" + "--:|" * (len(HEAD) - 1)
    for title, experiments in [*((f"`{name}`", [name]) for name in EXPERIMENTS), ("**all**", EXPERIMENTS)]:
        tables = [table for table in TABLES if table.experiment in experiments]
        whole, once = {}, {}
        for name in CONTENDERS:
            whole[name], once[name] = (sum(part) / 3600 for part in zip(*(seconds[experiment, name] for experiment in experiments)))
        spent = sum(ours[experiment] for experiment in experiments) if ours else None
        jax = [name for name in CONTENDERS if name != "PyTorch"]
        ratios = [times(hours * 60 / (spent * share)) if ours else "" for hours in (whole["PyTorch"], min(whole[name] for name in jax))]
        yield row(title, f"{sum(table.trainings for table in tables):,}", f"{sum(table.steps for table in tables):,}",
                  *((f"{spent / 60:.1f}", f"{spent * share:.1f}") if ours else ("", "")),
                  f"{whole['PyTorch']:.2f}", *(f"{whole[name]:.2f} ({once[name]:.2f})" for name in jax), *ratios)  # fmt: skip


def row(*cells):
    return f"| {' | '.join(cells)} |"


def section(contenders, table, options):
    rows = "the first and the last row of each table" if options.quick else "every second row of each table"
    if not options.ours:
        ours = "not given to this run"
    elif options.wall:
        ours = f"the seconds that each training took, added up, and the run's {options.wall:g} minutes, shared out by them"
    else:
        ours = "the seconds that each training took, added up, and the minutes if all cores were busy to the end"
    ways = ", ".join(f"{name}: {c.way} {c.gain:.1f} times as fast" for name, c in contenders.items())
    return "\n".join([
        "## The paper's tables",
        "",
        f"`make bench-paper`{', quick' if options.quick else ''}, {datetime.date.today()}; load {options.load:.1f} when it began. "
        f"{machine()}",
        "",
        f"All trainings of the paper's 34 tables. Ours, `make paper`: {ours}. **PyTorch and JAX are extrapolated** from {options.least:g} "
        f"seconds of steps of {rows}, all cores busy; rows between lie on straight lines. PyTorch is the authors' loop written plainly: "
        "their modules one after the other, a `DataLoader` that shuffles. JAX is compiled with the loop over an epoch's batches, once for "
        "each row, for all repetitions side by side (`vmap`) or one by one; its shuffling is not counted. Both learn uniform random "
        "tokens, and have the accuracy of each step. One process with all cores or one on each core, whichever was faster at "
        f"H = {PILOT[1]} of {PILOT[0]} ({ways}).",
        "",
        *table,
    ])  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rows of each table, shorter")
    parser.add_argument("--dry", action="store_true", help="print the section only")
    parser.add_argument("--ours", type=Path, metavar="CSV", help="our trainings: `ntgram-sweep gather --tasks CSV --timings`")
    parser.add_argument("--wall", type=float, metavar="MINUTES", help="the wall time of all of them together")
    options = parser.parse_args()
    if options.wall and not options.ours:
        parser.error("--wall is the time of the trainings that --ours names")
    options.least = 0.2 if options.quick else 0.5
    options.load, _, _ = os.getloadavg()
    begun = time.perf_counter()
    ours = our_seconds(options.ours) if options.ours else None  # first of all: what is wrong with it shows at once
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count()))
    contenders = {name: Contender(*function, cores, options.least) for name, function in CONTENDERS.items()}
    seconds = measure(contenders, options.quick)
    text = section(contenders, lines(seconds, ours, options.wall, len(cores)), options)
    print(text)
    if not options.dry:
        record("paper.py", text)
    print(f"paper: {(time.perf_counter() - begun) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
