"""Side by side in one run: this crate's two engines, PyTorch eager and JAX. `make bench` calls it.

    bench.py [--quick]      with a Python that has torch, jax and optax, CARGO_TARGET_DIR holding the built examples

Contenders take turns, several rounds, medians count. Prints the tables and writes them to bench/RESULTS.md, and ends with what is short
of the ratios asked for. `configurations` has what is measured, `limits` what could be reached.
"""

import datetime
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from configurations import FAMILY, GROWTH, NOTEBOOK, SHORT
from limits import core, operations
from results import PATH, machine, record_top, times

HERE = Path(__file__).resolve().parent
# A training may take as much memory whatever the sizes: `SMALL_MEMORY` in engine/division.rs.
SMALL_MEMORY = 16 << 20
# How contenders are called in tables; floors are ratios to one of the last three.
NAMES = {"autograd": "autograd", "eager": "eager", "jax": "JAX"}


class Bench:
    def __init__(self, examples, peers, quick):
        self.examples, self.peers, self.quick = examples, peers, quick
        self.lines = []
        # What is asked for and not met, each a line.
        self.short = []
        # Microseconds of a step of ours, by configuration.
        self.microseconds = {}

    def say(self, *lines):
        self.lines += lines
        print(*lines, sep="\n", flush=True)

    def row(self, *cells):
        self.say(f"| {' | '.join(cells)} |")

    def table(self, title, text, head, worded=(0,)):
        """A section's title and words, and its table's head: columns are numbers but those `worded`."""
        self.say("", f"## {title}", "", text, "")
        self.row(*head)
        self.say("|" + "".join("---|" if k in worded else "--:|" for k in range(len(head))))

    def ours(self, sizes, steps, engine="circuit"):
        """The most memory taken, bytes of parameters and moments, bytes of data, steps per second."""
        return map(float, output([self.examples / "steps", engine, *sizes.words(steps)]).split())

    def speed(self, contender, sizes, steps, jax):
        if contender in ("ours", "autograd"):
            return [*self.ours(sizes, steps, "circuit" if contender == "ours" else "autograd")][-1]
        script = "eager.py" if contender == "eager" else jax
        return float(output([self.peers, HERE / "peers" / script, *sizes.words(steps)]).split()[-1])

    def race(self, title, text, rows, jax):
        """All contenders by turns. The engine's run takes a second or less: several, so that one moment does not decide."""
        self.table(title, text, ["configuration", "circuit engine", "our autograd", "PyTorch eager", "JAX, warm", "vs autograd",
                                 "vs eager", "vs JAX"])  # fmt: skip
        for name, row in rows.items():
            found = {contender: [] for contender in row.steps}
            for _ in range(1 if self.quick else 3):
                for contender, steps in row.steps.items():
                    if self.quick and contender == "autograd":
                        steps = -(-steps // 4)
                    found[contender] += [self.speed(contender, row.sizes, steps, jax) for _ in range(3 if contender == "ours" else 1)]
            rates = {contender: statistics.median(speeds) for contender, speeds in found.items()}
            self.microseconds[name] = 1e6 / rates["ours"]
            ratios = {contender: rates["ours"] / rates[contender] for contender in NAMES if contender in rates}
            for contender, least in row.asked.items():
                if ratios[contender] < least:
                    self.short.append(f"{name}: {times(ratios[contender])} {NAMES[contender]}, asked ≥ {least}×")
            speeds = [f"{rates[c]:,.0f}" if c in rates else "" for c in ("ours", *NAMES)]
            self.row(name, *speeds, *(versus(ratios.get(c), row.asked.get(c)) for c in NAMES))

    def limits(self):
        flops, bandwidth, visit = core()
        self.table("How far from the limit", f"One core here: {flops / 1e9:.0f} GFLOP/s in a 768×768 matrix product, "
                   f"{bandwidth / 1e9:.0f} GB/s in a copy within its cache, {1e9 * visit:.1f} ns to read a sample at a random place. Least "
                   "operations and bytes of a step as counted in `operations` of limits.py, and a read of each sample of the batch; the "
                   "limit is one core doing nothing else, at those speeds. (The engine has two: more than 100% is possible.)",
                   ["configuration", "MFLOP", "kB", "samples", "limit, µs", "measured, µs", "of the limit"])  # fmt: skip
        for name, row in (NOTEBOOK | FAMILY).items():
            needed, size = operations(row.sizes)
            limit = 1e6 * (needed / flops + size / bandwidth + row.sizes.batch_size * visit)
            measured = self.microseconds[name]
            self.row(name, f"{needed / 1e6:.2f}", f"{size / 1e3:,.0f}", str(row.sizes.batch_size), f"{limit:.1f}", f"{measured:.1f}",
                     f"{limit / measured:.0%}")  # fmt: skip

    def memory(self):
        long = 1000 if self.quick else 5000
        self.table("Memory", "The most that a training takes beside model and data, and all together against parameters, Adam's two "
                   f"moments and the sampled data (asked: at most twice). Trainings of {long} steps (the notebook's have 5000; the last three "
                   "rows: 300); of the process, the threads' stacks and what the allocator keeps included. It may be more than twice where "
                   "all of it is little: up to 16 MB (`SMALL_MEMORY` in engine/division.rs) are taken whatever the sizes, for the sake of "
                   "speed.",
                   ["configuration", "parameters and moments, MB", "data, MB", "taken beside, MB", "together, times"])  # fmt: skip
        trainings = {name: (row.sizes, long) for name, row in (NOTEBOOK | FAMILY).items()}
        for name, (sizes, steps) in (trainings | {name: (sizes, 300) for name, sizes in SHORT.items()}).items():
            grown, state, data, _ = self.ours(sizes, steps)
            together = (data + state / 3 + grown) / (data + state)
            self.row(name, f"{state / 1e6:.2f}", f"{data / 1e6:.1f}", f"{grown / 1e6:.1f}", f"{together:.2f}")
            if together > 2 and grown > SMALL_MEMORY:
                self.short.append(f"{name}: memory {together:.2f} times, asked ≤ 2")

    def sampling(self):
        self.table("Sampling", "Cell 1's data, N = 100, 5.12 M sequences. Memory is the whole process's peak; libtorch or PyTorch alone "
                   "takes some hundred MB of it.", ["sampler", "seconds", "peak MB", "times as fast", "the same sequences"], worded=(0, 4))  # fmt: skip
        sample = self.examples / "sample"
        found = [output([self.peers, HERE / "peers/sample.py"]), output([sample, "stream"]), output([sample, "alias"])]
        parsed = [(text.rpartition("]")[0], *map(float, text.rpartition("]")[2].split())) for text in found]
        for name, (sums, seconds, peak) in zip(("PyTorch, as the original", "`generate_data`", "`sample_data`"), parsed):
            same = "yes" if sums == parsed[0][0] else "of the same law"
            self.row(name, f"{seconds:.2f}", f"{peak:,.0f}", f"{parsed[0][1] / seconds:.0f}×", same)

    def growth(self):
        self.table("Growth", "Microseconds a step of the circuit engine (in brackets: of our autograd), and the exponent fitted to the "
                   "engine's times.", ["grows", "sizes: time", "exponent"], worded=(0, 1))  # fmt: skip
        for name, (sizes, varied, values) in GROWTH.items():
            found = []
            for value in values[:-1:2] if self.quick else values:
                filled = sizes.varied(varied, value)
                found.append((value, *(1e6 / self.speed(c, filled, steps, None) for c, steps in (("ours", 300), ("autograd", 12)))))
            slope = fit([math.log(v) for v, *_ in found], [math.log(t) for _, t, _ in found])
            self.row(name, ", ".join(f"{v}: {t:,.0f} ({a:,.0f})" for v, t, a in found), f"{slope:.2f}")
            self.short += [f"{name}: slower than autograd at {v}" for v, t, a in found if t > a]

    def run(self):
        start = time.perf_counter()
        quick = ", quick (one round, shorter trainings)" if self.quick else ""
        self.say(f"# Measured by `make bench`{quick}, {datetime.date.today()}", "", machine(), "",
                 f"Steps per second, preparation of the batches included; medians of {'one round' if self.quick else '3 rounds'} in which "
                 "the contenders took turns. PyTorch eager and JAX on uniform random tokens, as ours. In brackets: the least ratio "
                 "asked for; what is short of it is listed at the end.")  # fmt: skip
        self.race("The notebook's models", "Trigrams in windows of three tokens. JAX computes what the scored position needs.", NOTEBOOK,
                  "jax_scan.py")  # fmt: skip
        self.race("Other windows, orders and layers; the paper's models", "n 3 and T 3 unless said. The paper's models have no layer norm and "
                  "learn a law of entropy 0, all others uniform tokens. PyTorch eager where the authors' loop has the model.", FAMILY,
                  "family.py")  # fmt: skip
        self.limits()
        self.memory()
        self.sampling()
        self.growth()
        self.say("", "## Short of what is asked", "", *([f"- {line}" for line in self.short] or ["Nothing."]))
        print(f"bench: {(time.perf_counter() - start) / 60:.1f} minutes", flush=True)
        return "\n".join(self.lines)


def versus(ratio, least):
    if ratio is None:
        return ""
    return times(ratio) if least is None else f"{times(ratio)} (≥ {least}×)"


def output(command):
    """What a contender prints. Libtorch gets one thread: more cost time at these sizes."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"bench: this failed: {' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def fit(x, y):
    mx, my = statistics.fmean(x), statistics.fmean(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)


if __name__ == "__main__":
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"), os.environ.get("CARGO_BUILD_TARGET", ""))
    record_top(Bench(target / "debug/examples", sys.executable, "--quick" in sys.argv).run())
    print(f"bench: written to {PATH}")
