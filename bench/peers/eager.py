"""The authors' training loop, written plainly in PyTorch: the peer of `make bench` for trigrams in windows of three tokens.

    python eager.py model=notebook n_vocab=10 …      prints steps per second

Models and loss follow the original notebook, and the paper's code (one nn.MultiheadAttention a module, all three positions computed,
position 1 scored). Data are uniform random tokens: the time of a step does not depend on them.
"""

import sys
import time

import torch as t
from torch import nn


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


def main(model, steps, *, n_vocab, d_model, batch_size, n_modules, d_inner, n_layers, width, order, window):
    assert order == 3 and window == 3, "the authors' loop is for trigrams in windows of three tokens"
    t.manual_seed(0)
    model = {
        "low_rank": lambda: LowRank(d_model, n_vocab),
        "notebook": lambda: Transformer(d_model, n_vocab, n_modules),
        "paper": lambda: Paper(d_model, n_vocab, n_modules, d_inner, n_layers, width),
    }[model]()
    data = t.utils.data.DataLoader(t.randint(n_vocab, (steps * batch_size, 3)), batch_size=batch_size, shuffle=True)
    optimizer = t.optim.Adam(model.parameters(), lr=1e-3)
    losses, accuracies = [], []
    start = time.perf_counter()
    for batch in data:
        logits = model(batch)[:, 1:-1]
        log_p = (logits.softmax(-1) + 1e-12).log()
        target = batch[:, 2:]
        loss = nn.functional.cross_entropy(log_p.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        accuracies.append((logits.argmax(-1) == target).float().mean().item())
    print(steps / (time.perf_counter() - start))


if __name__ == "__main__":
    words = (word.split("=") for word in sys.argv[1:])
    main(**{name: value if name == "model" else int(value) for name, value in words})
