"""How the peers in JAX train and how it is timed, the same for all models: Adam over the batches, compiled whole (jit of a scan)."""

import time

import jax
import optax


def training(loss, has_aux=False):
    """(parameters, batches) -> the trained parameters with Adam's state, and for each batch what `loss(parameters, batch)` gives."""
    optimizer = optax.adam(1e-3)

    def step(carry, x):
        p, state = carry
        value, gradient = jax.value_and_grad(loss, has_aux=has_aux)(p, x)
        update, state = optimizer.update(gradient, state)
        return (optax.apply_updates(p, update), state), value

    return lambda p, batches: jax.lax.scan(step, (p, optimizer.init(p)), batches)


def seconds(fit, *arguments, least=0.0):
    """Seconds to compile `fit`, and seconds of a run of it, warm: the mean of as many runs as take `least` seconds, one or more."""
    start = time.perf_counter()
    fit = jax.jit(fit).lower(*arguments).compile()
    compilation = time.perf_counter() - start
    jax.block_until_ready(fit(*arguments))
    start, runs, spent = time.perf_counter(), 0, 0.0
    while runs == 0 or spent < least:
        jax.block_until_ready(fit(*arguments))
        runs, spent = runs + 1, time.perf_counter() - start
    return compilation, spent / runs
