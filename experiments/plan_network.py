"""A network that predicts plans, trained by the published recipe on our palettes.

    python experiments/plan_network.py WEIGHTS.npz --pool POOL.npz [--minutes 6]

As Rob10001/AmortizedOptimalTransport: its architecture (`warm_start_plans`; what never reaches the
output is left out), plans of epsilon .1 as labels, KLDivLoss(batchmean) on their rows divided by
their masses, AdamW at 1e-3 with PyTorch's decay, no schedule. Smaller so that two cores do it:
batches of 32 instead of 4,096, 8,192 labelled pairs instead of 80,000, and as many steps as the
minutes allow instead of 2,000. The pool is `jaxcolor.amortize.store.pool`'s; its pairs are bent as
ours are for training. `warm_start.py --plans WEIGHTS.npz` puts the network in the table. Needs the
`bench` extra and optax.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import warm_start_plans as plans
from jax import Array
from warm_start_newton import solved
from warm_start_pairs import EPSILON, costs

from jaxcolor.amortize import store, train
from jaxcolor.measure import Measure

WIDTH = 256
PAIRS = 8192
HELD = 256  # pairs kept for validation; their pictures are the pool's, as in the study
BATCH = 32
RATE, DECAY = 1e-3, 1e-2
STEPS = 10  # between two looks at the clock
FLOOR = 1e-8

Labels = tuple[Measure, Measure, Array]


def initial(key: Array) -> plans.Weights:
    """PyTorch's own: uniform within 1 / sqrt(inputs); Xavier's for the attention."""
    net = {}
    shapes = {0: (WIDTH, 4), 2: (WIDTH, WIDTH), 4: (WIDTH, WIDTH)}
    keys = iter(jax.random.split(key, 16))
    for side in ("source_enc", "target_enc"):
        for layer, shape in shapes.items():
            bound = shape[1] ** -0.5
            for name, size in (("weight", shape), ("bias", shape[:1])):
                drawn = jax.random.uniform(next(keys), size, minval=-bound, maxval=bound)
                net[f"{side}.{layer}.{name}"] = drawn
    bound = (6 / (4 * WIDTH)) ** 0.5
    shape = (3 * WIDTH, WIDTH)
    net["attention.in_proj_weight"] = jax.random.uniform(
        next(keys), shape, minval=-bound, maxval=bound
    )
    net["attention.in_proj_bias"] = jnp.zeros(3 * WIDTH)
    return net


def labelled(pool: Measure, made: int, count: int, seed: int) -> Labels:
    """Pairs and the potentials of their plans: 128 numbers that say all the plan does."""
    sources, targets, _ = jax.jit(train.pairs, static_argnums=(2, 3))(
        jax.random.key(seed), pool, made, count
    )
    return sources, targets, solved((sources, targets), EPSILON, 1e-4).g


def log_rows(mu: Measure, nu: Measure, g: Array) -> Array:
    """(n, m) logarithm of the plan's rows divided by their masses."""
    some = nu.weights > 0
    leaning = jnp.where(some, jnp.log(jnp.where(some, nu.weights, 1)) + g / EPSILON, -jnp.inf)
    return jax.nn.log_softmax(leaning[None] - costs(mu, nu) / EPSILON, 1)


def divergence(net: plans.Weights, labels: Labels) -> Array:
    """KL of the guessed rows from the true ones, summed over rows, mean over pairs."""

    def one(mu, nu, g):
        truth = log_rows(mu, nu, g)
        guess = jnp.log(plans.plan_rows(net, mu, nu) + FLOOR)
        return (jnp.exp(truth) * jnp.where(truth > -jnp.inf, truth - guess, 0)).sum()

    return jax.vmap(one)(*labels).mean()


def stepper(tool, labels: Labels):
    """(weights, moments, key) -> the same after STEPS steps, and the losses."""
    count = len(labels[2])

    @partial(jax.jit, donate_argnums=(0, 1))
    def many(net, moments, key):
        def one(carry, key):
            net, moments = carry
            pick = jax.random.randint(key, (BATCH,), 0, count)
            some = jax.tree.map(lambda leaf: leaf[pick], labels)
            value, slope = jax.value_and_grad(divergence)(net, some)
            change, moments = tool.update(slope, moments, net)
            return (jax.tree.map(jnp.add, net, change), moments), value

        (net, moments), values = jax.lax.scan(one, (net, moments), jax.random.split(key, STEPS))
        return net, moments, values

    return many


def trained(labels: Labels, held: Labels, seconds: float, seed: int = 0) -> plans.Weights:
    """Steps for so many seconds, counted from the first."""
    import optax

    tool = optax.adamw(RATE, weight_decay=DECAY)
    net = initial(jax.random.key(seed))
    many, moments = stepper(tool, labels), tool.init(net)
    check = jax.jit(lambda net: jnp.stack([divergence(net, part) for part in _parts(held)]).mean())
    began, said, steps = time.perf_counter(), 0.0, 0
    while (spent := time.perf_counter() - began) < seconds:
        net, moments, values = many(net, moments, jax.random.fold_in(jax.random.key(1), steps))
        values.block_until_ready()
        steps += STEPS
        if spent - said > 30:
            said = spent
            print(
                f"step {steps}: {float(values.mean()):.1f}, unseen {float(check(net)):.1f}",
                flush=True,
            )
    print(f"{steps} steps: unseen pairs at {float(check(net)):.2f} (the study's own: 264.42)")
    return net


def _parts(labels: Labels) -> list[Labels]:
    count = len(labels[2])
    cut = [slice(low, low + BATCH) for low in range(0, count, BATCH)]
    return [jax.tree.map(lambda leaf, s=s: leaf[s], labels) for s in cut]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="the .npz to write")
    parser.add_argument("--pool", type=Path, required=True, help="made where it does not exist")
    parser.add_argument("--photos", help="photographs for a pool to be made")
    parser.add_argument("--scenes", type=int, default=10_048, help="of a pool to be made")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="with labels")
    parser.add_argument("--minutes", type=float, default=6)
    args = parser.parse_args()
    pool, made = store.pool(args.pool, args.scenes, args.photos)
    labels, held = (labelled(pool, made, n, k) for k, n in enumerate((args.pairs, HELD)))
    net = trained(labels, held, 60 * args.minutes)
    arrays = {name: np.asarray(array) for name, array in net.items()}
    store.write(args.weights, lambda file: np.savez(file, allow_pickle=False, **arrays))


if __name__ == "__main__":
    main()
