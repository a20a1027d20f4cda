"""Makes the reference numbers paper.json: trainings of "Memorization in Attention-only Transformers" (Dana, Pydi, Chevaleyre,
2025), in plain PyTorch, on one thread of the CPU.

    python make_paper.py [CASE …] [--to FILE] [--check] [--epochs K]

CASE        cases to compute, by their names in the file; all of them unless named
--to FILE   writes them there
--check     compares with the file beside this script and prints the largest relative difference of each quantity;
            ends with status 1 if one that is judged (see `tolerance`) differs by more than it may
--epochs K  trains only K epochs of each run

PyTorch 2.13.0 and numpy. Laws, data and summaries are those of make.py. What the authors' code computes is written here again,
in our own words: no layer norm, modules of size d_h behind one pair of matrices that all modules and layers share, logits as
they are; one random stream that runs on through the models and epochs of a case.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch as t
from torch import nn
from torch.utils.data import DataLoader

from make import data_summary, digits, entropy, generate_data, leaves, listed, mlp, power_unif_law, relative_difference, summary

HERE = Path(__file__).resolve().parent
EPOCHS = 64
WINDOW = 3

SMALL = dict(n_vocab=50, batch_size=256, num_batch=64, lr=0.1, lr_low=0.005)
LARGE = SMALL | dict(n_vocab=200, batch_size=1024)
MLP = dict(n_vocab=70, batch_size=1024, num_batch=256, lr=0.1, lr_low=0.001)
TINY = SMALL | dict(n_vocab=10)
DEEP = dict(n_vocab=70, batch_size=512, num_batch=128, lr=0.05, lr_low=0.05)

# setting, model, repetitions, epochs that are trained
CASES = {
    "exp_1_3_H1_x2": (SMALL, dict(d=3, parallel_heads=1, d_head=3), 2, 64),
    "exp_1_10_H11": (SMALL, dict(d=10, parallel_heads=11, d_head=10), 1, 64),
    "exp_2_dh1": (SMALL, dict(d=10, parallel_heads=20, d_head=1), 1, 8),
    "exp_2_dh4": (SMALL, dict(d=10, parallel_heads=20, d_head=4), 1, 64),
    "exp_3_d5": (SMALL, dict(d=5, parallel_heads=20, d_head=10), 1, 16),
    "exp_5_7_mlp70": (MLP, dict(d=7, parallel_heads=1, d_head=7, width=70), 1, 2),
    "exp_6_H1_x3": (TINY, dict(d=2, parallel_heads=1, d_head=2), 3, 64),
    "exp_1_40_dim_H1": (LARGE, dict(d=40, parallel_heads=1, d_head=40), 1, 2),
    "exp_1_7_depth_H5": (DEEP, dict(d=7, nb_layers=3, parallel_heads=5, d_head=7), 1, 4),
    "exp_5_7_depth_w56": (DEEP, dict(d=7, nb_layers=3, parallel_heads=1, d_head=7, width=56), 1, 4),
    "exp_2_depth_dh3": (DEEP, dict(d=10, nb_layers=3, parallel_heads=21, d_head=3), 1, 1),
}


class Transformer(nn.Module):
    def __init__(self, n_vocab, d, parallel_heads, d_head, nb_layers=1, width=0):
        super().__init__()
        self.word_emb = nn.Linear(d, n_vocab, bias=False)
        self.pos_emb = nn.Linear(d_head, WINDOW, bias=False)
        self.attn_seq = nn.ModuleList(
            nn.ModuleList(nn.MultiheadAttention(d_head, 1, bias=False, batch_first=True) for _ in range(parallel_heads))
            for _ in range(nb_layers)
        )
        self.linear_compress = nn.Linear(d, d_head, bias=False)  # drawn, and not used, where d = d_head
        self.linear_decompress = nn.Linear(d_head, d, bias=False)
        self.mlp_seq = nn.ModuleList(mlp(d, width, 1) for _ in range(nb_layers)) if width else None
        self.unemb = nn.Linear(d, n_vocab, bias=False)
        self.compresses = d != d_head
        self.register_buffer("mask", t.ones(WINDOW, WINDOW, dtype=t.bool).triu(1), persistent=False)

    def forward(self, x):
        """Logits (B, S, N) of tokens (B, S)."""
        res = self.word_emb.weight[x]
        for i, layer in enumerate(self.attn_seq):
            c = (self.linear_compress(res) if self.compresses else res) + self.pos_emb.weight
            a = sum(attention(c, c, c, attn_mask=self.mask)[0] for attention in layer)
            res = res + (self.linear_decompress(a) if self.compresses else a)
            if self.mlp_seq:
                res = res + self.mlp_seq[i](res)
        return self.unemb(res)


def sampled(tensors, modules):
    """Of many modules the first two and the last; everything else."""
    module = re.compile(r"attn_seq\.\d+\.(\d+)\.")
    kept = {0, 1, modules - 1}
    named = ((name, module.match(name), tensor) for name, tensor in tensors)
    return {name: summary(tensor) for name, found, tensor in named if not found or int(found[1]) in kept}


def train(model, data, law_entropy, batch_size, lr, lr_low, epochs):
    """`epochs` of the EPOCHS passes that the rate is made for. The authors give rates where LinearLR takes factors."""
    optimizer = t.optim.Adam(model.parameters(), lr=lr)
    scheduler = t.optim.lr_scheduler.LinearLR(optimizer, start_factor=lr, end_factor=lr_low, total_iters=EPOCHS)
    losses, accuracies, rates, first = [], [], [], {}
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        for batch in DataLoader(data, batch_size=batch_size, shuffle=True):
            logits, target = model(batch)[:, 1:-1], batch[:, 2:]
            log_p = t.log(t.softmax(logits, -1) + 1e-12)
            loss = nn.functional.cross_entropy(log_p.flatten(0, 1), target.flatten())
            optimizer.zero_grad()
            loss.backward()
            if not first:
                gradients = {name: t.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
                first = {"rows": batch[:4].tolist(), "gradients": gradients}
            optimizer.step()
            losses.append((loss - law_entropy).item())
            accuracies.append((logits.argmax(-1) == target).float().mean().item())
        scheduler.step()
    return losses, accuracies, rates, first


def run(setting, sizes, data, law_entropy, epochs):
    """One model and its training, from where the stream is."""
    model = Transformer(setting["n_vocab"], **sizes)
    modules = sizes["parallel_heads"]
    out = {
        "model": {"d": sizes["d"], "nb_layers": sizes.get("nb_layers", 1)}
        | ({"width": sizes["width"]} if "width" in sizes else {})
        | {"parallel_heads": modules, "d_head": sizes["d_head"]},
        "init": sampled(model.named_parameters(), modules),
    }
    how = {name: setting[name] for name in ("batch_size", "lr", "lr_low")}
    losses, accuracies, rates, first = train(model, data, law_entropy, epochs=epochs, **how)
    by_epoch = lambda values: listed(np.reshape(values, (epochs, -1)).mean(1), 6)  # noqa: E731
    out |= {
        "first_batch_rows": first["rows"],
        "first_gradients": sampled(first["gradients"].items(), modules),
        "loss_first": listed(losses[:20], 8),
        "acc_first": accuracies[:20],
        "loss_by_epoch": by_epoch(losses),
        "acc_by_epoch": by_epoch(accuracies),
        "lr_by_epoch": listed(rates, 12),
        "original_acc": sum(accuracies[-101:-1]) / 100,
        "steps": len(losses),
        "epochs_total": EPOCHS,
    }
    if epochs == EPOCHS:
        out["final"] = sampled(model.named_parameters(), modules)
    return out


def case(name, most):
    setting, sizes, repetitions, epochs = CASES[name]
    n_vocab, batch_size, num_batch = (setting[key] for key in ("n_vocab", "batch_size", "num_batch"))
    t.manual_seed(2222)
    pi = power_unif_law([1, 1, 1], [n_vocab, n_vocab, 1], n_vocab)
    data = generate_data(batch_size, num_batch, pi, WINDOW)
    law_entropy = entropy(pi)
    out = {
        "law": {"tables": [summary(table) for table in pi], "entropy": digits(law_entropy, 9)},
        "data": data_summary(data) | {"batch_size": batch_size, "num_batch": num_batch},
        "runs": [],
    }
    t.manual_seed(2222)
    for _ in range(repetitions):
        out["runs"].append(run(setting, sizes, data, law_entropy, min(epochs, most)))
        # the next run's place in the stream: after all epochs, two 64-bit draws each
        for _ in range(2 * (epochs - min(epochs, most))):
            t.empty((), dtype=t.int64).random_()
    return out


def tolerance(path):
    """How far a quantity may differ, on any processor; None where it is shown and not judged.

    Laws, data, batches, initial parameters and rates follow from the generator's integers: not at all; nor do first accuracies,
    which count. Gradients and first losses are float32 sums in the processor's order. Whole trainings at such rates are chaotic:
    paper_parity.rs measures how far.
    """
    if "final" in path or path[-1] in ("loss_by_epoch", "acc_by_epoch", "original_acc"):
        return None
    if "first_gradients" in path:
        return 1e-5
    return 1e-6 if path[-1] == "loss_first" else 0.0


def check(name, ours, theirs, whole):
    """Prints the difference of each quantity; whether all that are judged agree, and none is missing."""
    computed, expected = dict(leaves(ours)), dict(leaves(theirs))
    good = True
    for path in sorted(computed.keys() ^ expected.keys()):
        if whole or path in computed:
            print(f"{name}  {' '.join(path)}: only in {'what was computed' if path in computed else 'the file'}")
            good = False
    for path, value in expected.items():
        if path not in computed or (not whole and path[-1] in ("steps", "original_acc")):
            continue
        got = computed[path]
        if not whole and path[-1].endswith("by_epoch"):
            value = value[: len(got)]
        difference, most = relative_difference(got, value, 0.0), tolerance(path)
        verdict = "not judged" if most is None else f"at most {most:.0e}"
        if most is not None and not difference <= most:
            good, verdict = False, f"MORE THAN {most:.0e}"
        print(f"{name}  {' '.join(path)}: {difference:.1e} ({verdict})", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--to", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="K")
    chosen = parser.parse_args()
    if unknown := set(chosen.cases) - CASES.keys():
        parser.error(f"no such case: {unknown}")
    if not (chosen.to or chosen.check) or chosen.epochs < 1:
        parser.error("nothing to do: --to FILE writes, --check compares, --epochs is at least 1")
    t.set_num_threads(1)
    print(f"PyTorch {t.__version__}, numpy {np.__version__}, {t.backends.cpu.get_cpu_capability()}", flush=True)
    good, made, theirs = True, {}, json.loads((HERE / "paper.json").read_text())
    for name in chosen.cases or CASES:
        started = time.perf_counter()
        made[name] = case(name, chosen.epochs)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
        if chosen.check:
            good &= check(name, made[name], theirs[name], chosen.epochs >= CASES[name][3])
    if chosen.to:
        texts = (f"{json.dumps(name)}:{json.dumps(out, separators=(',', ':'))}" for name, out in made.items())
        chosen.to.write_text("{" + ",\n".join(texts) + "}\n")
    sys.exit(not good)


if __name__ == "__main__":
    main()
