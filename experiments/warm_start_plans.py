"""The published network, which predicts a plan, and the recipe that makes a start of a plan.

Rob10001/AmortizedOptimalTransport, whose weights are in $JAXCOLOR_DATA: each colour and its mass,
raw, through three affine layers; one cross-attention of four heads from source to target, whose
averaged weights are the plan's rows.
"""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from bench_transfer import data_folder
from jax import Array
from warm_start_pairs import costs
from warm_start_sweeps import potential

from jaxcolor.maps import HIGHEST
from jaxcolor.measure import Measure

HEADS = 4
LEAST = 1e-12  # masses below count as this
MEANS = 10  # alternations

Weights = dict[str, Array]


@cache
def weights(path: Path | None = None) -> Weights:
    """The arrays of a network, by the names that they were published under."""
    path = path or data_folder() / "amortized_k128.npz"
    if not path.is_file():
        raise SystemExit(f"{path.name} is missing: set JAXCOLOR_DATA to the folder that has it")
    return {name: jnp.asarray(array) for name, array in np.load(path).items()}


def plan_rows(net: Weights, mu: Measure, nu: Measure) -> Array:
    """(n, m) the network's guess of the plan, each row divided by its mass."""
    width = net["attention.in_proj_bias"].size // 3
    query = _projected(net, _encoded(net, "source_enc", mu), 0, width)
    key = _projected(net, _encoded(net, "target_enc", nu), 1, width)
    query, key = (z.reshape(len(z), HEADS, -1).swapaxes(0, 1) for z in (query, key))
    scores = jnp.matmul(query, key.swapaxes(1, 2), precision=HIGHEST)
    return jax.nn.softmax(scores / np.float32(np.sqrt(width // HEADS)), -1).mean(0)


def _encoded(net: Weights, name: str, mu: Measure) -> Array:
    x = jnp.concatenate([mu.points, mu.weights[:, None]], 1)
    for layer in (0, 2, 4):
        x = jax.nn.gelu(x, approximate=False) if layer else x
        x = _affine(x, net[f"{name}.{layer}.weight"], net[f"{name}.{layer}.bias"])
    return x


def _projected(net: Weights, x: Array, part: int, width: int) -> Array:
    """Query (part 0) or key (1) of the attention."""
    some = slice(part * width, (part + 1) * width)
    return _affine(x, net["attention.in_proj_weight"][some], net["attention.in_proj_bias"][some])


def _affine(x: Array, weight: Array, bias: Array) -> Array:
    return jnp.matmul(x, weight.T, precision=HIGHEST) + bias


def from_plan(plan: Array, mu: Measure, nu: Measure, epsilon: float | Array) -> Array:
    """The potential (m,) that the recipe reads off a plan (n, m).

    log v by alternating means of log P + C / epsilon: least squares that count every pair the same,
    those of mass 1e-12 and those where all the mass is.
    """
    scaled = jnp.log(jnp.maximum(plan, LEAST)) + costs(mu, nu) / epsilon

    def means(_, v):
        u = (scaled - v[None]).mean(1)
        return (scaled - u[:, None]).mean(0)

    v = jax.lax.fori_loop(0, MEANS, means, jnp.zeros_like(nu.weights))
    return potential(v, nu.weights, epsilon)


def as_published(net: Weights, mu: Measure, nu: Measure, epsilon) -> Array:
    """With its slip: the columns are multiplied by the source's masses."""
    return from_plan(plan_rows(net, mu, nu) * mu.weights[None], mu, nu, epsilon)


def mended(net: Weights, mu: Measure, nu: Measure, epsilon) -> Array:
    """As it was meant: each row times its own mass."""
    return from_plan(plan_rows(net, mu, nu) * mu.weights[:, None], mu, nu, epsilon)
