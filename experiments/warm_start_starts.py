"""Where a solver may begin: potentials g of the target's colours, guessed in many ways."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import warm_start_plans as plans
from jax import Array
from warm_start_pairs import CORES, COST, EPSILON, Pairs, costs, shared_out
from warm_start_sweeps import log_v, potential, problem, sweep

from jaxcolor import amortize
from jaxcolor.amortize import model, store, warm
from jaxcolor.maps import HIGHEST
from jaxcolor.measure import Measure
from jaxcolor.transport import coupling, gaussian, newton
from jaxcolor.transport.backends import import_pot
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.quantize import quantize

COARSE = 32
HIGHEST_EPSILON, COOLING = 25.6, 0.95
ANNEALING = int(np.ceil(np.log(EPSILON / HIGHEST_EPSILON) / np.log(COOLING)))  # sweeps
CHUNK = 32

Guess = Callable[[Measure, Measure, Array], Array]


class Start(NamedTuple):
    """A way to begin.

    Attributes:
        guess: (source, target, epsilon) -> g (m,), in JAX; none where the host computes.
        sweeps: what it costs, where that is sweeps.
        learned: whether a network did it.
    """

    guess: Guess | None
    sweeps: int = 0
    learned: bool = False


def zeros(mu: Measure, nu: Measure, epsilon: Array) -> Array:
    """log v = 0, as the study begins."""
    return potential(jnp.zeros_like(nu.weights), nu.weights, epsilon)


def transformed(g: Array, mu: Measure, nu: Measure) -> Array:
    """The largest g with the same f: both hard c-transforms. Feasible and 1-Lipschitz, at last."""
    cost = costs(mu, nu)
    f = jnp.where(nu.weights > 0, cost - g[None], jnp.inf).min(1)
    return jnp.where(mu.weights[:, None] > 0, cost - f[:, None], jnp.inf).min(0)


def gaussian_guess(mu: Measure, nu: Measure, epsilon: Array) -> Array:
    """The quadratic whose gradient is nearest to the directions of the Gaussian map, transformed.

    For the cost |x - y| an optimal g has gradient (y - x) / |y - x|, x being where y comes from:
    the Gaussian map says where. Its directions are no gradient: least squares in the target's L2.
    """
    back = gaussian.solve(nu, mu)
    move = nu.points - back(nu.points)
    goal = move / jnp.sqrt((move**2).sum(1, keepdims=True) + 1e-12)
    y = nu.points - jnp.matmul(nu.weights, nu.points, precision=HIGHEST)[None]
    # by parameter: g = p.y + y'Qy / 2 with Q symmetric
    one, other = np.triu_indices(3)
    linear = jnp.broadcast_to(jnp.eye(3, dtype=y.dtype), (len(y), 3, 3))
    basis = np.zeros((6, 3, 3), np.float32)
    basis[np.arange(6), one, other] = basis[np.arange(6), other, one] = 1
    quadratic = jnp.einsum("kij,nj->nki", jnp.asarray(basis, y.dtype), y, precision=HIGHEST)
    slopes = jnp.concatenate([linear, quadratic], 1)  # (m, 9, 3)
    weighted = slopes * nu.weights[:, None, None]
    gram = jnp.einsum("nki,nli->kl", weighted, slopes, precision=HIGHEST)
    right = jnp.einsum("nki,ni->k", weighted, goal, precision=HIGHEST)
    ridge = 1e-6 * jnp.diag(jnp.diag(gram))
    free = jnp.linalg.solve(gram + ridge, right)
    values = 0.5 * (quadratic * y[:, None]).sum(2)
    g = jnp.matmul(jnp.concatenate([y, values], 1), free, precision=HIGHEST)
    return transformed(g, mu, nu)


def line_guess(mu: Measure, nu: Measure, epsilon: Array) -> Array:
    """The exact potential of the projections on the first principal component, transformed.

    On the line g' = sign(A - B), A and B the cumulated masses.
    """
    m = len(nu.weights)
    points = jnp.concatenate([nu.points, mu.points])
    both = Measure(points, jnp.concatenate([nu.weights, mu.weights]) / 2)
    mean, covariance = gaussian.moments(both)
    axis = jnp.linalg.eigh(covariance)[1][:, -1]
    t = jnp.matmul(points - mean[None], axis, precision=HIGHEST)
    order = jnp.argsort(t)
    excess = jnp.cumsum(jnp.concatenate([-nu.weights, mu.weights])[order])
    rises = jnp.sign(excess[:-1]) * jnp.diff(t[order])
    values = jnp.concatenate([jnp.zeros(1, t.dtype), jnp.cumsum(rises)])
    g = jnp.zeros_like(t).at[order].set(values)[:m]
    return transformed(g, mu, nu)


def coarse_guess(mu: Measure, nu: Measure, epsilon: Array) -> Array:
    """The solution between 32 colours of each palette, extended by a softmin."""
    one, other = jax.random.split(jax.random.key(0))
    few, fewer = quantize(mu, COARSE, one), quantize(nu, COARSE, other)
    kernel = Cloud(few.points, fewer.points, COST)
    found = newton.solve(kernel, few.weights, fewer.weights, epsilon=epsilon, tol=1e-3)
    return coupling.potential(found, nu.points, axis=0)


def annealed(mu: Measure, nu: Measure, epsilon: Array) -> Array:
    """One sweep at each epsilon 25.6 * .95^t above the problem's (.1)."""
    levels = HIGHEST_EPSILON * COOLING ** np.arange(ANNEALING, dtype=np.float32)

    def one(g, level):
        level = jnp.maximum(level, epsilon)
        v = sweep(problem(mu, nu, level), log_v(g, nu.weights, level))
        return potential(v, nu.weights, level), None

    return jax.lax.scan(one, jnp.zeros_like(nu.weights), jnp.asarray(levels, nu.weights.dtype))[0]


def constant_plan(mu: Measure, nu: Measure, epsilon: Array) -> Array:
    n, m = len(mu.weights), len(nu.weights)
    return plans.from_plan(jnp.full((n, m), 1 / (n * m), mu.weights.dtype), mu, nu, epsilon)


def true_plan(mu: Measure, nu: Measure, epsilon: Array) -> Array:
    kernel = Cloud(mu.points, nu.points, COST)
    found = newton.solve(kernel, mu.weights, nu.weights, epsilon=epsilon)
    return plans.from_plan(coupling.plan(found), mu, nu, epsilon)


@cache
def network_guess(path: Path | None) -> Guess:
    """Of ours: the weights of a file, or those that come with the package."""
    network = store.load_network(path) if path else amortize.start.network

    def guess(mu: Measure, nu: Measure, epsilon: Array) -> Array:
        parts = mu.points, mu.weights, nu.points, nu.weights, epsilon
        single = (jnp.asarray(part, jnp.float32) for part in parts)
        return model.potential(network, *single).astype(nu.weights.dtype)

    setattr(guess, "init", warm.Guess(network))  # noqa: B010  as solvers take it, batched
    return guess


def catalogue(ours: list[Path | None], planned: Path | None) -> dict[str, Start]:
    """Every start by name; `ours` are files of weights, `planned` a network trained on plans."""
    published = plans.weights()
    starts = {
        "zeros": Start(zeros),
        "published network, as published": Start(partial(plans.as_published, published), 0, True),
        "published network, slip mended": Start(partial(plans.mended, published), 0, True),
        "its recipe on a constant": Start(constant_plan),
        "its recipe on the true plan": Start(true_plan),
        "Gaussian": Start(gaussian_guess, 1),
        "line": Start(line_guess, 1),
        "coarse, 32 colours": Start(coarse_guess),
        "annealing": Start(annealed, ANNEALING),
        "exact dual (POT)": Start(None),
    }
    if planned:
        guess = partial(plans.mended, plans.weights(planned))
        starts["network trained on plans"] = Start(guess, 0, True)
    for number, path in enumerate(ours):
        name = "ours" if number == 0 else f"ours, other weights {number}"
        starts[name] = Start(network_guess(path), 0, True)
    return starts


def potentials(start: Start, pairs: Pairs, epsilon: float) -> np.ndarray:
    """(B, m) the guesses, of weighted mean zero."""
    if start.guess is None:
        g = exact_duals(*pairs)
    else:
        g = shared_out(partial(_mapped, start.guess, epsilon), pairs, CHUNK)
    return g - (np.asarray(pairs[1].weights) * g).sum(1, keepdims=True)


@partial(jax.jit, static_argnames="guess")
def _mapped(guess: Guess, epsilon: float, mu: Measure, nu: Measure) -> Array:
    level = jnp.asarray(epsilon, nu.weights.dtype)
    return jax.lax.map(lambda pair: guess(pair[0], pair[1], level), (mu, nu))


def exact_duals(mu: Measure, nu: Measure) -> np.ndarray:
    """(B, m) the target's potentials in the linear programme."""
    parts = [np.asarray(part) for part in jax.tree.leaves((mu, nu))]

    def one(i: int) -> np.ndarray:
        x, a, y, b = (part[i] for part in parts)
        return exact_dual(Measure(x, a), Measure(y, b))

    with ThreadPoolExecutor(CORES) as pool:
        return np.stack(list(pool.map(one, range(len(parts[0])))))


def exact_dual(mu: Measure, nu: Measure) -> np.ndarray:
    """(m,) of one pair, by POT's network simplex."""
    ot = import_pot()
    x, a, y, b = (np.asarray(part, np.float64) for part in jax.tree.leaves((mu, nu)))
    cost = ot.dist(x, y, "euclidean")
    a, b = a / a.sum(), b / b.sum()
    _, log = ot.lp.emd(a, b, cost, numItermax=10**7, log=True, check_marginals=False)
    return log["v"].astype(np.float32)
