"""The wider family in JAX, compiled whole (jit of a scan over all batches): the peer of `make bench` for other windows, orders and
layers, and for the paper's models.

    python family.py model=notebook n_vocab=10 …   prints steps per second, warm (the compilation is not counted)

Written as a user would write it: the models' own parameters, attention at all positions, the unembedding at the scored ones.
B sequences of T tokens, S = T - 1 positions that are read, H modules of size h in each layer. Uniform random tokens: the time of a step
does not depend on them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import timing
import words

SCANNED = 8  # batches in a timed run of a row of the paper's tables: a call's own time counts little beside them


def init_low_rank(draw, *, n_vocab, d_model, order, **_):
    return {"w_e": draw(d_model, n_vocab ** (order - 1), d_model), "w_u": draw(d_model, n_vocab, d_model)}


def init_transformer(draw, *, n_vocab, d_model, d_inner, n_modules, n_layers, window, width, **_):
    p = {name: draw(d_model, n_vocab, d_model) for name in ("w_e", "w_u")}
    p |= {"pos": draw(d_inner, window, d_inner), "layers": []}
    if d_inner != d_model:
        p |= {"w_c": draw(d_model, d_inner, d_model), "w_d": draw(d_inner, d_model, d_inner)}
    for _ in range(n_layers):
        layer = {name: draw(d_inner, n_modules, d_inner, d_inner) for name in "qkvo"}
        if width:
            layer |= {"w_1": draw(d_model, width, d_model), "b_1": draw(d_model, width), "w_2": draw(width, d_model, width)}
        p["layers"].append(layer)
    return p


def layer_norm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / (jnp.sqrt((centred**2).mean(-1, keepdims=True)) + 1e-10)


def logits_low_rank(p, x, first, *, n_vocab, order, **_):
    """x (B, S) -> (B, scored, N): a row of the table for each n - 1 tokens."""
    positions = jnp.arange(first, x.shape[1])
    context = sum(x[:, positions - back] * n_vocab ** (order - 2 - back) for back in range(order - 1))
    return p["w_e"][context] @ p["w_u"].T


def logits_transformer(p, x, first, *, norm, **_):
    """x (B, S) -> (B, scored, N)."""
    positions = x.shape[1]
    mask = jnp.tril(jnp.ones((positions, positions), bool))
    res = p["w_e"][x]  # (B, S, d)
    for layer in p["layers"]:
        read = norm(res)
        read = (read @ p["w_c"].T if "w_c" in p else read) + p["pos"][:positions]  # (B, S, h)
        q, k, v = (jnp.einsum("bsd,med->bmse", read, layer[name]) for name in "qkv")
        scores = jnp.einsum("bmse,bmte->bmst", q, k) / jnp.sqrt(read.shape[-1])
        pattern = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), -1)
        out = jnp.einsum("bmse,mde->bsd", jnp.einsum("bmst,bmte->bmse", pattern, v), layer["o"])
        res = res + (out @ p["w_d"].T if "w_d" in p else out)
        if "w_1" in layer:
            hidden = jax.nn.gelu(norm(res) @ layer["w_1"].T + layer["b_1"], approximate=False)  # (B, S, width)
            res = res + hidden @ layer["w_2"].T
    return res[:, first:] @ p["w_u"].T


def prepared(model, batches, leading=(), **sizes):
    """Initial parameters and batches, with `leading` dimensions before their own, and the loss with the accuracy beside it."""
    rng = np.random.default_rng(0)
    draw = lambda fan_in, *shape: jnp.asarray(rng.uniform(-1, 1, (*leading, *shape)) / np.sqrt(fan_in), jnp.float32)
    init, logits = (init_low_rank, logits_low_rank) if model == "low_rank" else (init_transformer, logits_transformer)
    norm = layer_norm if model == "notebook" else lambda x: x
    first = max(sizes["order"] - 2, 0)  # the first scored position
    logits = functools.partial(logits, first=first, norm=norm, **sizes)
    params = init(draw, **sizes)
    shape = (*leading, batches, sizes["batch_size"], sizes["window"])
    data = jnp.asarray(rng.integers(sizes["n_vocab"], size=shape, dtype=np.int32))

    def loss(p, x):
        scores, target = logits(p, x[:, :-1]), x[:, first + 1 :]
        log_p = jax.nn.log_softmax(scores)
        return -jnp.take_along_axis(log_p, target[..., None], -1).mean(), (scores.argmax(-1) == target).mean()

    return params, data, loss


def main(model, steps, **sizes):
    params, data, loss = prepared(model, batches=steps, **sizes)
    _, run = timing.seconds(timing.training(lambda p, x: loss(p, x)[0]), params, data)
    print(steps / run)


def side_by_side(sizes, batches, repetitions, least):
    """A row of the paper's tables, all repetitions in one program (vmap): seconds to compile it, and seconds of an epoch of all of them.

    Measured on a scan over a few batches, again and again for `least` seconds. Each repetition has batches of its own, in their shuffled
    order before the clock starts. Accuracies are computed, as by the authors.
    """
    params, data, loss = prepared(**sizes, batches=SCANNED, leading=(repetitions,))
    compilation, run = timing.seconds(jax.vmap(timing.training(loss, has_aux=True)), params, data, least=least)
    return compilation, batches * run / SCANNED


def one_by_one(sizes, batches, repetitions, least):
    """The same with one repetition after the other, compiled once."""
    params, data, loss = prepared(**sizes, batches=SCANNED)
    compilation, run = timing.seconds(timing.training(loss, has_aux=True), params, data, least=least)
    return compilation, repetitions * batches * run / SCANNED


if __name__ == "__main__":
    main(**words.asked())
