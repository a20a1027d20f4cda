"""What `make bench` measures: sizes of models, how many steps each contender makes, and the ratios asked for. Data alone."""

from dataclasses import asdict, dataclass, field, replace


@dataclass(frozen=True)
class Sizes:
    """A model and its batches, told to every contender in the same words: `model=notebook n_vocab=10 …`."""

    model: str  # "low_rank"; "notebook": the Transformer with layer norm; "paper": without, and a law that leaves nothing to chance
    n_vocab: int
    d_model: int
    batch_size: int
    n_modules: int = 0
    window: int = 3
    order: int = 3
    d_inner: int = 0  # size of an attention module, d_h; 0: as d_model
    n_layers: int = 1
    width: int = 0  # of the MLP in each layer; 0: none

    def __post_init__(self):
        object.__setattr__(self, "d_inner", self.d_inner or self.d_model)

    def words(self, steps):
        return [f"{name}={value}" for name, value in (asdict(self) | {"steps": steps}).items()]

    def varied(self, name, value):
        """The same with another size; modules stay as large as the stream where they are."""
        inner = {"d_inner": value} if name == "d_model" and self.d_inner == self.d_model else {}
        return replace(self, **{name: value}, **inner)


@dataclass(frozen=True)
class Row:
    """One configuration: steps that each contender makes (contenders not named are not run), and the least ratio asked for."""

    sizes: Sizes
    steps: dict
    asked: dict = field(default_factory=dict)


def steps(ours, autograd, eager=None, jax=None):
    return {name: n for name, n in zip(("ours", "autograd", "eager", "jax"), (ours, autograd, eager, jax)) if n}


def low_rank(n_vocab, d_model, batch_size, **others):
    return Sizes("low_rank", n_vocab, d_model, batch_size, **others)


def notebook(n_vocab, d_model, n_modules, batch_size, **others):
    return Sizes("notebook", n_vocab, d_model, batch_size, n_modules, **others)


def paper(n_vocab, d_model, n_modules, batch_size, **others):
    return Sizes("paper", n_vocab, d_model, batch_size, n_modules, **others)


# The notebook's cells. The first Transformer's least ratio to JAX is what it was when the engine took windows of three tokens alone.
NOTEBOOK = {
    "low rank, N 10, d 5, B 512": Row(low_rank(10, 5, 512), steps(5000, 1500, 300, 5000), {"eager": 300, "jax": 5}),
    "low rank, N 10, d 5, B 1024": Row(low_rank(10, 5, 1024), steps(5000, 1500, 300, 5000), {"eager": 300, "jax": 5}),
    "low rank, N 100, d 10, B 1024": Row(low_rank(100, 10, 1024), steps(5000, 500, 200, 4000), {"eager": 50, "jax": 2.5}),
    "Transformer, N 10, d 5, H 5, B 512": Row(notebook(10, 5, 5, 512), steps(5000, 400, 150, 4000), {"eager": 200, "jax": 36.8}),
    "Transformer, N 10, d 5, H 20, B 1024": Row(notebook(10, 5, 20, 1024), steps(5000, 150, 60, 800), {"eager": 200, "jax": 15}),
    "Transformer, N 100, d 10, H 5, B 1024": Row(notebook(100, 10, 5, 1024), steps(5000, 200, 80, 1000), {"eager": 80, "jax": 6}),
    "Transformer, N 100, d 10, H 10, B 1024": Row(notebook(100, 10, 10, 1024), steps(5000, 150, 60, 800), {"eager": 80, "jax": 6}),
}
# Beyond them: windows, orders and layers; the paper's models, with PyTorch in the authors' loop.
FAMILY = {
    "Transformer, N 10, d 5, H 5, B 512, T 4": Row(notebook(10, 5, 5, 512, window=4), steps(8000, 200, jax=800), {"jax": 12}),
    "Transformer, N 10, d 5, H 5, B 512, T 8": Row(notebook(10, 5, 5, 512, window=8), steps(2000, 80, jax=200), {"jax": 10}),
    "Transformer, N 100, d 10, H 5, B 1024, T 8": Row(notebook(100, 10, 5, 1024, window=8), steps(800, 30, jax=100), {"jax": 8}),
    "Transformer, 2 layers, N 30, d 32, H 4, B 256, T 16": Row(
        notebook(30, 32, 4, 256, window=16, n_layers=2), steps(250, 20, jax=80), {"jax": 2}
    ),
    "low rank, N 10, d 5, B 512, T 8": Row(low_rank(10, 5, 512, window=8), steps(5000, 400, jax=2000), {"autograd": 30}),
    "low rank, N 10, d 5, B 512, n 2": Row(low_rank(10, 5, 512, order=2), steps(5000, 1000, jax=5000), {"autograd": 30}),
    "low rank, N 10, d 5, B 512, n 4, T 4": Row(low_rank(10, 5, 512, order=4, window=4), steps(5000, 1000, jax=5000), {"autograd": 30}),
    "paper's, N 50, d 10, d_h 10, H 20, B 256": Row(paper(50, 10, 20, 256), steps(5000, 60, 60, 500), {"jax": 20}),
    "paper's, N 50, d 10, d_h 4, H 20, B 256": Row(paper(50, 10, 20, 256, d_inner=4), steps(8000, 60, 60, 1500), {"jax": 10}),
    "paper's, MLP of 300, N 70, d 10, H 1, B 1024": Row(paper(70, 10, 1, 1024, width=300), steps(1500, 80, 150, 400), {"jax": 5}),
    "paper's, N 200, d 50, d_h 50, H 11, B 1024": Row(paper(200, 50, 11, 1024), steps(300, 15, 25, 40), {"jax": 8}),
    "paper's, 3 layers, N 70, d 10, H 21, B 512": Row(paper(70, 10, 21, 512, n_layers=3), steps(1000, 15, 15, 60), {"jax": 8}),
}
# Where parameters, not data, take the memory, and where neither is much: trainings of 300 steps.
SHORT = {
    "low rank, N 300, d 64, B 128": low_rank(300, 64, 128),
    "Transformer, N 300, d 64, H 64, B 128": notebook(300, 64, 64, 128),
    "Transformer, N 300, d 64, H 5, B 256": notebook(300, 64, 5, 256),
}
# What grows: the sizes, which of them is varied, and its values.
GROWTH = {
    "N (low rank, d 10, B 1024)": (low_rank(10, 10, 1024), "n_vocab", [10, 30, 100, 300, 1000]),
    "N (Transformer, d 10, H 5, B 1024)": (notebook(10, 10, 5, 1024), "n_vocab", [10, 30, 100, 300, 1000]),
    "d (low rank, N 100, B 1024)": (low_rank(100, 10, 1024), "d_model", [5, 10, 20, 40, 64]),
    "d (Transformer, N 100, H 5, B 1024)": (notebook(100, 10, 5, 1024), "d_model", [5, 10, 20, 40, 64]),
    "H (Transformer, N 100, d 10, B 1024)": (notebook(100, 10, 1, 1024), "n_modules", [1, 4, 16, 64]),
    "B (low rank, N 100, d 10)": (low_rank(100, 10, 1024), "batch_size", [128, 512, 2048, 8192]),
    "B (Transformer, N 100, d 10, H 5)": (notebook(100, 10, 5, 1024), "batch_size", [128, 512, 2048, 8192]),
    "T (low rank, N 10, d 5, B 512)": (low_rank(10, 5, 512), "window", [3, 4, 6, 8, 12, 16, 24, 32]),
    "T (Transformer, N 10, d 5, H 5, B 512)": (notebook(10, 5, 5, 512), "window", [3, 4, 6, 8, 12, 16, 24, 32]),
    "n (low rank, N 10, d 5, B 512, T 6)": (low_rank(10, 5, 512, window=6), "order", [1, 2, 3, 4, 5]),
    "n (Transformer, N 10, d 5, H 5, B 512, T 6)": (notebook(10, 5, 5, 512, window=6), "order", [1, 2, 3, 4, 5]),
}
