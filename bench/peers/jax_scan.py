"""The notebook's trainings in JAX, compiled whole (jit of a scan over all batches): the peer of `make bench`.

    python jax_scan.py model=notebook n_vocab=10 …   prints steps per second, warm (the compilation is not counted)

Only what position 1 needs is computed.
"""

import jax
import jax.numpy as jnp
import timing
import words


def layer_norm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / (jnp.sqrt((centred**2).mean(-1, keepdims=True)) + 1e-10)


def logits_low(p, x, n_vocab):
    return p["w_e"][x[:, 0] + n_vocab * x[:, 1]] @ p["w_u"].T


def logits_tr(p, x, n_vocab):
    res = p["w_e"][x[:, :2]]  # (B, 2, d)
    h = layer_norm(res) + p["pos"][:2]
    q = jnp.einsum("bd,hed->bhe", h[:, 1], p["q"])
    k, v = (jnp.einsum("bsd,hed->bhse", h, p[name]) for name in "kv")
    pattern = jax.nn.softmax(jnp.einsum("bhe,bhse->bhs", q, k) / jnp.sqrt(h.shape[-1]), -1)
    out = jnp.einsum("bhe,hde->bd", jnp.einsum("bhs,bhse->bhe", pattern, v), p["o"])
    return (res[:, 1] + out) @ p["w_u"].T


def main(model, steps, *, n_vocab, d_model, batch_size, n_modules, order, window, **_):
    assert order == 3 and window == 3 and model != "paper", "family.py has the others"
    d, modules = d_model, n_modules
    keys = iter(jax.random.split(jax.random.PRNGKey(0), 8))
    draw = lambda *shape: jax.random.uniform(next(keys), shape, minval=-1, maxval=1) / jnp.sqrt(d)
    if model == "low_rank":
        params, logits = {"w_e": draw(n_vocab**2, d), "w_u": draw(n_vocab, d)}, logits_low
    else:
        params = {"w_e": draw(n_vocab, d), "pos": draw(3, d), "w_u": draw(n_vocab, d)}
        params |= {name: draw(modules, d, d) for name in "qkvo"}
        logits = logits_tr
    data = jax.random.randint(next(keys), (steps, batch_size, 3), 0, n_vocab)

    def loss(p, x):
        log_p = jax.nn.log_softmax(logits(p, x, n_vocab))
        return -jnp.take_along_axis(log_p, x[:, 2:], 1).mean()

    _, run = timing.seconds(timing.training(loss), params, data)
    print(steps / run)


if __name__ == "__main__":
    main(**words.asked())
