"""Side by side in one run: this crate's two engines, PyTorch eager and JAX, on the notebook's configurations. `make bench` calls it.

    bench.py [--quick]      with a Python that has torch, jax and optax, CARGO_TARGET_DIR holding the built example `steps`

Contenders take turns, several rounds, medians count. Prints the tables and writes them to bench/RESULTS.md.
"""

import datetime
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import timeit
from pathlib import Path

HERE = Path(__file__).resolve().parent
# name: kind, N, d, H, B, steps of each contender (circuit: as many as in the notebook; autograd, eager, jax), least ratios asked for (eager, jax)
CONFIGURATIONS = {
    "low rank, N 10, d 5, B 512": ("low", 10, 5, 0, 512, (5000, 1500, 300, 5000), (300, 5)),
    "low rank, N 10, d 5, B 1024": ("low", 10, 5, 0, 1024, (5000, 1500, 300, 5000), (300, 5)),
    "low rank, N 100, d 10, B 1024": ("low", 100, 10, 0, 1024, (5000, 500, 200, 4000), (50, 2.5)),
    "Transformer, N 10, d 5, H 5, B 512": ("tr", 10, 5, 5, 512, (5000, 400, 150, 4000), (200, 15)),
    "Transformer, N 10, d 5, H 20, B 1024": ("tr", 10, 5, 20, 1024, (5000, 150, 60, 800), (200, 15)),
    "Transformer, N 100, d 10, H 5, B 1024": ("tr", 100, 10, 5, 1024, (5000, 200, 80, 1000), (80, 6)),
    "Transformer, N 100, d 10, H 10, B 1024": ("tr", 100, 10, 10, 1024, (5000, 150, 60, 800), (80, 6)),
}
# Where parameters, not data, take the memory, and where neither is much: 300 steps each.
SHORT = {
    "low rank, N 300, d 64, B 128": ("low", 300, 64, 0, 128),
    "Transformer, N 300, d 64, H 64, B 128": ("tr", 300, 64, 64, 128),
    "Transformer, N 300, d 64, H 5, B 256": ("tr", 300, 64, 5, 256),
}
# what grows: kind, N, d, H, B with `None` in the place of the size that is varied
GROWTH = {
    "N (low rank, d 10, B 1024)": (("low", None, 10, 0, 1024), [10, 30, 100, 300, 1000]),
    "N (Transformer, d 10, H 5, B 1024)": (("tr", None, 10, 5, 1024), [10, 30, 100, 300, 1000]),
    "d (low rank, N 100, B 1024)": (("low", 100, None, 0, 1024), [5, 10, 20, 40, 64]),
    "d (Transformer, N 100, H 5, B 1024)": (("tr", 100, None, 5, 1024), [5, 10, 20, 40, 64]),
    "H (Transformer, N 100, d 10, B 1024)": (("tr", 100, 10, None, 1024), [1, 4, 16, 64]),
    "B (low rank, N 100, d 10)": (("low", 100, 10, 0, None), [128, 512, 2048, 8192]),
    "B (Transformer, N 100, d 10, H 5)": (("tr", 100, 10, 5, None), [128, 512, 2048, 8192]),
}


def parameters(kind, n, d, h):
    return n * d + (n * n * d if kind == "low" else n * d + 3 * d + 4 * h * d * d)


def operations(kind, n, d, h, b):
    """Floating-point operations that one step needs at least, and the bytes of parameters and optimiser state it must pass over.

    Uniform tokens give N²(1 - (1 - 1/N²)^B) distinct pairs. Each needs three products with W_U (logits, two gradients), 6 N d, and
    about 30 operations a logit for exponential, sums and gradient; a module 18 d a pair (score, mix, and their gradients) and 24 d²
    a token and position for its tables. Adam takes about 15 a parameter, and reads and writes parameter and two moments; of a low-rank
    model's rows only those that the batch has need be touched, with about 15 more to make up for the steps in which they rested.
    """
    pairs = n * n * (1 - (1 - 1 / n**2) ** b)
    rows = pairs * d if kind == "low" else 0
    moved = rows + n * d if kind == "low" else parameters(kind, n, d, h)
    flops = pairs * n * (6 * d + 30) + pairs * h * 18 * d + 2 * n * h * 24 * d * d + 15 * (rows + moved)
    return flops, 24 * moved


def core():
    """What one core does, measured: operations a second in a matrix product, bytes a second in a copy inside its cache, and seconds to
    read one of five million samples of two bytes at a random place, as any shuffled visit must."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import numpy as np

    a, b = np.ones((768, 768), np.float32), np.ones((768, 768), np.float32)
    x, y = np.ones(100_000, np.float32), np.ones(100_000, np.float32)
    samples = np.zeros(5_000_000, np.uint16)
    order, found = np.random.default_rng(0).permutation(len(samples)), samples.copy()
    best = lambda f, n: min(timeit.repeat(f, number=n, repeat=7)) / n
    return (2 * 768**3 / best(lambda: a @ b, 5), 8 * len(x) / best(lambda: np.copyto(y, x), 500),
            best(lambda: np.take(samples, order, out=found, mode="clip"), 1) / len(samples))  # fmt: skip


def main(steps, peers, quick):
    rounds = 1 if quick else 3
    lines = [f"# Measured by `make bench`, {datetime.date.today()}", "", machine(), ""]
    lines += ["Steps per second, preparation of the batches included; each the median of "
              f"{rounds} rounds in which the contenders took turns. PyTorch eager and JAX on uniform random tokens, as ours.", "",
              "| configuration | circuit engine | our autograd | PyTorch eager | JAX, warm | vs eager | asked | vs JAX | asked |",
              "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    limits = []
    for name, (kind, n, d, h, b, counts, asked) in CONFIGURATIONS.items():
        size = [kind, n, d, h, b]
        contenders = [
            [steps, *size, counts[0], "circuit"],
            [steps, *size, counts[1] // (4 if quick else 1), "autograd"],
            [peers, HERE / "peers/eager.py", *size, counts[2]],
            [peers, HERE / "peers/jax_scan.py", *size, counts[3]],
        ]
        speeds = [[] for _ in contenders]
        for _ in range(rounds):
            for k, (command, found) in enumerate(zip(contenders, speeds)):
                # The engine's run takes a fraction of a second: several, so that one moment does not decide.
                found.extend(speed(command) for _ in range(5 if k == 0 else 1))
        ours, autograd, eager, jax = map(statistics.median, speeds)
        row = [name, *(f"{x:,.0f}" for x in (ours, autograd, eager, jax)), f"{ours / eager:.0f}×", f"≥ {asked[0]}×",
               f"{ours / jax:.1f}×", f"≥ {asked[1]}×"]  # fmt: skip
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
        limits.append((name, operations(kind, n, d, h, b), b, 1e6 / ours))
    flops, bandwidth, visit = core()
    lines += ["", "## How far from the limit", "", f"One core here: {flops / 1e9:.0f} GFLOP/s in a 768×768 matrix product, "
              f"{bandwidth / 1e9:.0f} GB/s in a copy within its cache, {1e9 * visit:.1f} ns to read a sample at a random place. Least "
              "operations and bytes of a step as counted in `operations` of bench.py, and a read of each sample of the batch; the limit "
              "is one core doing nothing else, at those speeds. (The engine has two: more than 100% is possible.)", "",
              "| configuration | MFLOP | kB | samples | limit, µs | measured, µs | of the limit |", "|---|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    for name, (needed, size), b, microseconds in limits:
        limit = 1e6 * (needed / flops + size / bandwidth + b * visit)
        row = [name, f"{needed / 1e6:.2f}", f"{size / 1e3:,.0f}", str(b), f"{limit:.1f}", f"{microseconds:.1f}", f"{limit / microseconds:.0%}"]
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    lines += ["", "## Memory", "", "The most that a training takes beside model and data, and all together against parameters, Adam's two "
              "moments and the sampled data (asked: at most twice). Trainings as long as the notebook's, 5000 steps (the last three: 300); of the "
              "process, the threads' stacks and what the allocator keeps included. More than twice only where all of it is little, as in the last "
              "row: up to about 16 MB (`SMALL_MEMORY` in engine/trainer.rs) are taken whatever the sizes, for the sake of speed.", "",
              "| configuration | parameters and moments, MB | data, MB | taken beside, MB | together, times |", "|---|--:|--:|--:|--:|"]  # fmt: skip
    for name, (kind, n, d, h, b, *_) in (CONFIGURATIONS | SHORT).items():
        grown, state, data, _ = map(float, output([steps, kind, n, d, h, b, 300 if name in SHORT else 5000, "circuit"]).split())
        together = (data + state / 3 + grown) / (data + state)
        lines.append(f"| {name} | {state / 1e6:.2f} | {data / 1e6:.1f} | {grown / 1e6:.1f} | {together:.2f} |")
        print(lines[-1], flush=True)
    lines += ["", "## Sampling", "", "Cell 1's data, N = 100, 5.12 M sequences. Memory is the whole process's peak; libtorch or PyTorch "
              "alone takes some hundred MB of it.", "", "| sampler | seconds | peak MB | times as fast | the same sequences |",
              "|---|--:|--:|--:|---|"]  # fmt: skip
    sample = steps.with_name("sample")
    found = [output([peers, HERE / "peers/sample.py"]), output([sample, "stream"]), output([sample, "alias"])]
    parsed = [(text.rpartition("]")[0], *map(float, text.rpartition("]")[2].split())) for text in found]
    for name, (sums, seconds, peak) in zip(("PyTorch, as the original", "`generate_data`", "`sample_data`"), parsed):
        same = "yes" if sums == parsed[0][0] else "of the same law"
        lines.append(f"| {name} | {seconds:.2f} | {peak:,.0f} | {parsed[0][1] / seconds:.0f}× | {same} |")
        print(lines[-1], flush=True)
    lines += ["", "## Growth", "", "Microseconds a step of the circuit engine (in brackets: of our autograd), and the exponent fitted "
              "to the engine's times.", "", "| grows | sizes: time | exponent |", "|---|---|--:|"]  # fmt: skip
    for name, (size, values) in GROWTH.items():
        times = []
        for value in values:
            filled = [value if x is None else x for x in size]
            engine = 1e6 / speed([steps, *filled, 300, "circuit"])
            times.append((value, engine, 1e6 / speed([steps, *filled, 12, "autograd"])))
        slope = fit([math.log(v) for v, *_ in times], [math.log(t) for _, t, _ in times])
        cells = ", ".join(f"{v}: {t:,.0f} ({a:,.0f})" for v, t, a in times)
        lines.append(f"| {name} | {cells} | {slope:.2f} |")
        print(lines[-1], flush=True)
        slower = [v for v, t, a in times if t > a]
        if slower:
            print(f"    slower than autograd at {slower}", flush=True)
    return lines


def speed(command):
    """Steps per second that a contender prints."""
    return float(output(command).split()[-1])


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


def machine():
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return f"{found[1] if found else platform.processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}."


if __name__ == "__main__":
    steps = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"), "debug/examples/steps")
    results = HERE / "RESULTS.md"
    mark = "<!-- written by hand below -->"
    rest = results.read_text().partition(mark)[2] if results.exists() else "\n"
    text = "\n".join(main(steps, sys.executable, "--quick" in sys.argv))
    results.write_text(f"{text}\n\n{mark}{rest}")
    print(f"bench: written to {results}")
