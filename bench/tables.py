"""The paper's 34 tables as data: 239 rows, each the mean of several trainings. Dana, Pydi, Chevaleyre, *Memorization in Attention-only
Transformers*, AISTATS 2025; names are those of the authors' published tables."""

from dataclasses import dataclass

from configurations import Sizes, paper

EPOCHS = 64


@dataclass(frozen=True)
class Table:
    """Rows that differ in one size."""

    name: str
    experiment: str
    batches: int  # of an epoch
    sizes: Sizes
    varied: str  # which size
    values: tuple
    repetitions: int = 5

    def row(self, value):
        return self.sizes.varied(self.varied, value)

    @property
    def trainings(self):
        return len(self.values) * self.repetitions

    @property
    def steps(self):
        return self.trainings * EPOCHS * self.batches


def table(name, experiment, batches, sizes, varied, values, **others):
    return Table(name, experiment, batches, sizes, varied, tuple(values), **others)


TABLES = [
    # Heads, their size, the stream's: N 50.
    *(table(f"exp_1_{d}", "exp_1", 64, paper(50, d, 1, 256), "n_modules", range(1, 32, 5)) for d in range(3, 14)),
    table("exp_2", "exp_2", 64, paper(50, 10, 20, 256), "d_inner", range(1, 11)),
    table("exp_3", "exp_3", 64, paper(50, 5, 20, 256, d_inner=10), "d_model", range(5, 16)),
    # Heads against an MLP of 2 d (p - 1) units, p = 1, 6 … 31: N 70.
    *(table(f"exp_5_{d}_att", "exp_5", 256, paper(70, d, 1, 1024), "n_modules", range(1, 32, 5)) for d in (7, 10, 13)),
    *(table(f"exp_5_{d}_mlp", "exp_5", 256, paper(70, d, 1, 1024), "width", range(0, 61 * d, 10 * d)) for d in (7, 10, 13)),
    # The smallest stream, more repetitions.
    table("exp_6", "exp_6", 64, paper(10, 2, 1, 256), "n_modules", range(1, 22, 4), repetitions=20),
    # Larger dimensions: N 200.
    *(table(f"exp_1_{d}_dim", "_dim", 64, paper(200, d, 1, 1024), "n_modules", range(1, 12, 2)) for d in (40, 50, 60)),
    table("exp_2_dim", "_dim", 64, paper(200, 50, 11, 1024), "d_inner", (1, *range(5, 51, 5))),
    *(table(f"exp_5_{d}_dim", "_dim", 64, paper(200, d, 1, 1024), "width", range(0, 21 * d, 4 * d)) for d in (40, 50, 60)),
    # Three layers: N 70.
    *(table(f"exp_1_{d}_depth", "_depth", 128, paper(70, d, 1, 512, n_layers=3), "n_modules", range(1, 22, 4)) for d in (7, 10, 13)),
    table("exp_2_depth", "_depth", 128, paper(70, 10, 21, 512, n_layers=3), "d_inner", range(1, 11)),
    *(table(f"exp_5_{d}_depth", "_depth", 128, paper(70, d, 1, 512, n_layers=3), "width", range(0, 41 * d, 8 * d)) for d in (7, 10, 13)),
]  # fmt: skip
EXPERIMENTS = list(dict.fromkeys(table.experiment for table in TABLES))
