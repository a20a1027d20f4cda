"""How fast a step could be at best: the arithmetic that it needs, and what a core of this machine does."""

import math
import os
import timeit


def operations(s):
    """Floating-point operations that one step needs at least, and the bytes of parameters and optimiser state it must pass over.

    Rows are what differs: of B uniform sequences N^k (1 - (1 - 1/N^k)^B) prefixes of k tokens. By row, its gradients included:

    - a product with a matrix: 6 for each of its numbers (one product on the way there, two on the way back). Queries, keys, values and
      outputs of the first layer are made for each token, since the position's part of them can be added; of later layers for each
      prefix. The last layer needs queries and outputs at scored positions only;
    - attention, for each module and key: 6 d_h for the score and 6 d_h for the mix, 20 for the exponential and the sums. In the first
      layer a score depends on two tokens: there are at most N² for two positions;
    - an MLP: 30 a hidden unit for GELU beside its two matrices;
    - the unembedding at each scored prefix, 6 N d, and 30 a logit for exponential, sums and gradient. In a low-rank model that is all,
      and rows are contexts.

    Layer norms, residual sums and the sorting of a batch are left out. Adam takes about 15 a parameter, and reads and writes parameter
    and two moments; of a low-rank model's rows only those that the batch has need be touched, with about 15 more to make up for the
    steps in which they rested.
    """
    n, d, inner, modules = s.n_vocab, s.d_model, s.d_inner, s.n_modules
    scored = range(max(s.order - 2, 0), s.window - 1)
    if s.model == "low_rank":
        rows = distinct(n ** (s.order - 1), s.batch_size * len(scored))
        moved = rows * d + n * d
        return rows * n * (6 * d + 30) + 15 * (rows * d + moved), 24 * moved

    prefixes = [distinct(n ** (p + 1), s.batch_size) for p in range(s.window - 1)]
    tokens, nodes = distinct(n, s.batch_size * (s.window - 1)), sum(prefixes)
    flops = 0
    for layer in range(s.n_layers):
        first, last = layer == 0, layer == s.n_layers - 1
        asking = scored if last else range(s.window - 1)
        asked = sum(prefixes[p] for p in asking)
        read, queries = (tokens, min(tokens, asked)) if first else (nodes, asked)
        flops += 6 * modules * inner**2 * (2 * read + 2 * queries)
        for p in asking:
            keys = modules * (p + 1) if p > 0 else 0  # a single key has the weight 1
            scores = min(prefixes[p], n**2) if first else prefixes[p]
            flops += keys * (scores * 6 * inner + prefixes[p] * (6 * inner + 20))
        if inner != d:
            flops += 6 * d * inner * (read + asked)
        flops += asked * s.width * (12 * d + 30)
    flops += sum(prefixes[p] for p in scored) * n * (6 * d + 30)
    moved = 2 * n * d + s.window * inner + s.n_layers * (4 * modules * inner**2 + s.width * (2 * d + 1))
    moved += 2 * d * inner if inner != d else 0
    return flops + 15 * moved, 24 * moved


def distinct(values, draws):
    """Expected number of distinct values among uniform draws."""
    return 1.0 if values == 1 else -values * math.expm1(draws * math.log1p(-1 / values))


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
