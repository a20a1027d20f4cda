"""Cell 1's data, sampled as the original notebook samples them: rows of the law gathered for every sequence, one `multinomial` over
them. Prints column sums, seconds and the process's peak memory in MB: the peer of `make bench`."""

import resource
import time

import torch as t

N, SUPPORT, SEQUENCES = 100, [40, 40, 1], 1024 * 5000

t.manual_seed(2222)
tables = []
for i, size in enumerate(SUPPORT):
    base = (t.arange(N) < size).float() / size
    tables.append(t.stack([base[t.randperm(N)] for _ in range(N**i)]).view([N] * (i + 1)))

start = time.perf_counter()
x_0 = t.multinomial(tables[0], SEQUENCES, replacement=True)
x_1 = t.multinomial(tables[1][x_0], 1).squeeze(1)
x_2 = t.multinomial(tables[2][x_0, x_1], 1).squeeze(1)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print([int(x.sum()) for x in (x_0, x_1, x_2)], seconds, peak)
