"""Latency of the project's kernel beside a bare evcxr, kernels of both taking turns. `make latency` calls it.

    latency.py [--rounds N]

Bare evcxr is the same program without this project's launcher and without any dependency; its cells do on plain vectors
what ours do on models. A cell's time is from the request to the kernel's idle message. Prints the table and writes it to
bench/RESULTS.md.
"""

import argparse
import datetime
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from results import record

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "setup"))

import setup  # noqa: E402

SECONDS = 900  # for one cell, at most
TITLE = "## Latency of a cell"

# What a user runs first, cell by cell: up to the first trained model.
OURS = [
    ':dep ntgram-core = { path = "../ntgram-core" }\nuse ntgram_core::prelude::*;',
    "let mut rng = TorchRng::new(2108);\n"
    "let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut rng)?;\n"
    "let mut model = LowRank::new(5, 10, 3, &pi, &mut rng)?;\n"
    "let data = generate_data(64, 100, &pi, 3, &mut rng)?;\n"
    "let history = train(&mut model, &data, &TrainOptions::default())?;",
]
BARE = [
    "use std::collections::BTreeMap;",
    "let mut losses: Vec<f64> = vec![];\n"
    "let mut weights = vec![1.0f64; 50];\n"
    'let sizes = BTreeMap::from([("w_u", 50usize)]);\n'
    'let rate: f64 = "0.001".parse()?;\n'
    "for k in 0..100 { weights.iter_mut().for_each(|w| *w -= rate * *w); losses.push(weights.iter().sum()); }",
]
# Cells that only look, with what a bare kernel's cell does instead.
LOOKS = {
    "a number": ("history.tail_loss()", "losses.iter().sum::<f64>() / 100.0"),
    "a length": ("history.loss.len()", "losses.len()"),
    "an element": ("history.loss[3]", "losses[3]"),
    "a printed line": ('println!("{:.3} nats", history.tail_loss());', 'println!("{:.3} nats", losses[99]);'),
    "a matrix": ("model.w_u()", "weights"),
    "a new variable": ("let w_u = gram(&model.w_u())?;", "let squares: Vec<f64> = weights.iter().map(|w| w * w).collect();"),
    "a heatmap": ('diverging_heatmap(&gram(&model.w_u())?, "W_U")?.figure()', "weights.chunks(5).collect::<Vec<_>>()"),
}  # fmt: skip


class Kernel:
    """A running kernel, and how long it took until it was ready."""

    def __init__(self, name, specs, folder):
        self.manager = KernelManager(kernel_name=name, kernel_spec_manager=specs)
        begun = time.perf_counter()
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=SECONDS)
        self.start = time.perf_counter() - begun

    def time(self, code):
        begun = time.perf_counter()
        request, errors = self.client.execute(code), []
        while True:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "error":
                errors.append(message["content"]["evalue"])
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        if errors:
            sys.exit(f"this cell failed:\n{code}\n{errors}")
        return time.perf_counter() - begun

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


def bare_spec(folder, settings):
    """A kernel spec that starts evcxr as its own installation does."""
    spec = {
        "argv": [settings["evcxr"], "--control_file", "{connection_file}"],
        "display_name": "bare evcxr",
        "language": "rust",
        "interrupt_mode": "message",
        # the compiler's library path, which `cargo install`'s users have by way of rustup; no settings of the user's own
        "env": {"EVCXR_CONFIG_DIR": str(folder), "JUPYTER_PATH": str(folder)},
    }
    setup.write(folder / "bare/kernel.json", json.dumps(spec))
    manager = KernelSpecManager()
    manager.kernel_dirs = [str(folder)]
    return manager


def measure(name, specs, first, looks, times):
    """Runs one kernel through all cells and adds what it took to `times`."""
    kernel = Kernel(name, specs, HERE.parent / "notebooks")
    try:
        times.setdefault("start", []).append(kernel.start)
        cells = [kernel.time(code) for code in first]
        for k, seconds in enumerate(cells):
            times.setdefault(f"cell {k}", []).append(seconds)
        times.setdefault("first result", []).append(sum(cells))
        for _ in range(3):
            for title, code in looks.items():
                times.setdefault(title, []).append(kernel.time(code))
    finally:
        kernel.close()


def table(ours, bare, rounds):
    looks = {
        "all cells that look": ([s for title in LOOKS for s in ours[title]], [s for title in LOOKS for s in bare[title]])
    }
    rows = {
        "kernel starts, until it is ready": (ours["start"], bare["start"]),
        "ready → first trained model (bare: first result)": (ours["first result"], bare["first result"]),
        "· the first cell, with its imports": (ours["cell 0"], bare["cell 0"]),
        "· the training cell": (ours["cell 1"], bare["cell 1"]),
        **{f"{title}: `{LOOKS[title][0]}`": (ours[title], bare[title]) for title in LOOKS},
        "**median of all cells that look**": looks["all cells that look"],
    }
    lines = [
        TITLE,
        "",
        f"`make latency`, {datetime.date.today()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seconds, medians of "
        f"{rounds} kernels of either kind that took turns, 3 runs of each cell that looks in each. Bare evcxr is the same program with "
        "neither launcher nor dependencies, on cells that do the like with plain vectors.",
        "",
        "| | this kernel | bare evcxr | ratio | asked |",
        "|---|--:|--:|--:|--:|",
    ]
    asked = {"ready → first trained model (bare: first result)": "≤ 10 s", "**median of all cells that look**": "≤ 1.5×"}
    for title, (a, b) in rows.items():
        a, b = statistics.median(a), statistics.median(b)
        lines.append(f"| {title} | {a:.2f} | {b:.2f} | {a / b:.2f}× | {asked.get(title, '')} |")
    return "\n".join(lines) + "\n"


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--dry", action="store_true", help="print the table only")
    options = options.parse_args()
    ours, bare = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        specs = bare_spec(Path(folder), setup.settings_for(cuda=False))
        for round in range(options.rounds):
            measure("bare", specs, BARE, {title: code for title, (_, code) in LOOKS.items()}, bare)
            measure("ntgram", KernelSpecManager(), OURS, {title: code for title, (code, _) in LOOKS.items()}, ours)
            print(f"round {round + 1}: ready → first trained model {ours['first result'][-1]:.1f} s", flush=True)
    section = table(ours, bare, options.rounds)
    print(section)
    if not options.dry:
        record("latency.py", section)


if __name__ == "__main__":
    main()
