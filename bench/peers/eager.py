"""The authors' training loop, written plainly in PyTorch: the peer of `make bench` for trigrams in windows of three tokens.

    python eager.py model=notebook n_vocab=10 …      prints steps per second

Models and loss follow the original notebook, and the paper's code (one nn.MultiheadAttention a module, all three positions computed,
position 1 scored). Data are uniform random tokens: the time of a step does not depend on them.
"""

import itertools
import time

import torch as t
import words
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LayerNorm(nn.Module):
    def forward(self, x):
        return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True, unbiased=False) + 1e-10)


class Transformer(nn.Module):
    def __init__(self, d, n_vocab, modules, window=3):
        super().__init__()
        self.word_emb = nn.Linear(d, n_vocab, bias=False)
        self.pos_emb = nn.Linear(d, window, bias=False)
        self.attn = nn.ModuleList(nn.MultiheadAttention(d, 1, bias=False, batch_first=True) for _ in range(modules))
        self.unemb = nn.Linear(d, n_vocab, bias=False)
        self.norm = LayerNorm()
        self.register_buffer("mask", t.ones(window, window, dtype=t.bool).triu(1))

    def forward(self, x):
        res = self.word_emb.weight[x]
        h = self.norm(res) + self.pos_emb.weight
        res = res + sum(attn(h, h, h, attn_mask=self.mask, need_weights=False)[0] for attn in self.attn)
        logits = self.unemb(res)
        return logits - logits.mean()


class Paper(nn.Module):
    """Without layer norm; attention of another size than the stream's between one pair of matrices for all layers; an MLP after it."""

    def __init__(self, d, n_vocab, modules, d_inner, layers, width, window=3):
        super().__init__()
        self.word_emb = nn.Linear(d, n_vocab, bias=False)
        self.pos_emb = nn.Linear(d_inner, window, bias=False)
        attention = lambda: nn.MultiheadAttention(d_inner, 1, bias=False, batch_first=True)
        self.attn = nn.ModuleList(nn.ModuleList(attention() for _ in range(modules)) for _ in range(layers))
        self.compress = nn.Linear(d, d_inner, bias=False) if d_inner != d else nn.Identity()
        self.decompress = nn.Linear(d_inner, d, bias=False) if d_inner != d else nn.Identity()
        mlp = lambda: nn.Sequential(nn.Linear(d, width), nn.GELU(), nn.Linear(width, d, bias=False))
        self.mlp = nn.ModuleList(mlp() for _ in range(layers)) if width else None
        self.unemb = nn.Linear(d, n_vocab, bias=False)
        self.register_buffer("mask", t.ones(window, window, dtype=t.bool).triu(1))

    def forward(self, x):
        res = self.word_emb.weight[x]
        for k, modules in enumerate(self.attn):
            h = self.compress(res) + self.pos_emb.weight
            res = res + self.decompress(sum(attn(h, h, h, attn_mask=self.mask, need_weights=False)[0] for attn in modules))
            if self.mlp is not None:
                res = res + self.mlp[k](res)
        return self.unemb(res)


class LowRank(nn.Module):
    def __init__(self, d, n_vocab):
        super().__init__()
        self.n_vocab = n_vocab
        self.word_emb = nn.Linear(d, n_vocab**2, bias=False)
        self.unemb = nn.Linear(d, n_vocab, bias=False)

    def forward(self, x):
        context = t.cat([t.zeros_like(x[:, :1]), x[:, :-1] + self.n_vocab * x[:, 1:]], dim=1)
        logits = self.unemb(self.word_emb.weight[context])
        return logits - logits.mean()


def built(model, *, n_vocab, d_model, n_modules, d_inner, n_layers, width, order, window, **_):
    assert order == 3 and window == 3, "the authors' loop is for trigrams in windows of three tokens"
    t.manual_seed(0)
    return {
        "low_rank": lambda: LowRank(d_model, n_vocab),
        "notebook": lambda: Transformer(d_model, n_vocab, n_modules),
        "paper": lambda: Paper(d_model, n_vocab, n_modules, d_inner, n_layers, width),
    }[model]()


def step(model, optimizer, batch):
    """Loss and accuracy of one step of the authors' loop."""
    logits = model(batch)[:, 1:-1]
    log_p = (logits.softmax(-1) + 1e-12).log()
    target = batch[:, 2:]
    loss = nn.functional.cross_entropy(log_p.flatten(0, 1), target.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), (logits.argmax(-1) == target).float().mean().item()


def main(steps, **sizes):
    model = built(**sizes)
    batch_size = sizes["batch_size"]
    data = DataLoader(t.randint(sizes["n_vocab"], (steps * batch_size, 3)), batch_size=batch_size, shuffle=True)
    optimizer = t.optim.Adam(model.parameters(), lr=1e-3)
    start = time.perf_counter()
    history = [step(model, optimizer, batch) for batch in data]
    print(len(history) / (time.perf_counter() - start))


def one_by_one(sizes, batches, repetitions, least):
    """A row of the paper's tables, one repetition after the other: seconds before the first epoch (none), and seconds of an epoch of all
    of them. Measured on as many batches of one training's epoch as take `least` seconds."""
    model = built(**sizes)
    optimizer = t.optim.Adam(model.parameters(), lr=1e-3)
    data = TensorDataset(t.randint(sizes["n_vocab"], (batches * sizes["batch_size"], 3)))
    loader = DataLoader(data, batch_size=sizes["batch_size"], shuffle=True)
    for (batch,) in itertools.islice(loader, 2):  # not counted
        step(model, optimizer, batch)
    start = time.perf_counter()
    left = iter(loader)
    found = next(left)
    ready = time.perf_counter()  # all sequences shuffled, one batch taken
    history = []
    while found and (not history or time.perf_counter() - ready < least):
        history.append(step(model, optimizer, found[0]))
        found = next(left, None)
    steps = time.perf_counter() - ready
    return 0.0, repetitions * (ready - start + batches * steps / len(history))


if __name__ == "__main__":
    main(**words.asked())
