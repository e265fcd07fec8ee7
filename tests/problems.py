"""Problems that carry their answer: measures with the map, or the value, that is known."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxcolor.measure import Measure, point_cloud


def cloud(seed: int, n: int, dtype, d: int = 3, weighted: bool = True) -> Measure:
    """n normal points with correlated coordinates and, if asked, random weights."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    weights = rng.uniform(0.1, 1, n) if weighted else np.ones(n)
    return point_cloud(jnp.asarray(points, dtype), jnp.asarray(weights / weights.sum(), dtype))


def with_moments(seed: int, mean: np.ndarray, cov: np.ndarray, dtype, n: int = 500) -> Measure:
    """A cloud whose mean and covariance are exactly the ones asked for."""
    raw = np.random.default_rng(seed).normal(size=(n, len(mean)))
    raw -= raw.mean(0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / n)).T
    return point_cloud(jnp.asarray(raw @ np.linalg.cholesky(cov).T + mean, dtype))


def monge_kantorovich(cov0: np.ndarray, cov1: np.ndarray) -> np.ndarray:
    """The symmetric matrix A with A cov0 A = cov1, by NumPy's eigh."""

    def power(matrix, p):
        values, vectors = np.linalg.eigh(matrix)
        return (vectors * np.maximum(values, 0) ** p) @ vectors.T

    root, inverse = power(cov0, 0.5), power(cov0, -0.5)
    return inverse @ power(root @ cov1 @ root, 0.5) @ inverse


def random_covariance(seed: int, d: int = 3) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(d, d))
    return factor @ factor.T + 0.05 * np.eye(d)


def pair(seed: int, n: int = 13, m: int = 9, d: int = 2) -> tuple[np.ndarray, ...]:
    """Two overlapping clouds x (n, d), y (m, d) with uneven weights a (n,), b (m,) of mass one."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5 * rng.normal(size=d)
    a, b = rng.uniform(0.1, 1, n), rng.uniform(0.1, 1, m)
    return x, y, a / a.sum(), b / b.sum()


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def _log(x):
    """log, with -infinity (and no warning) at zero."""
    return np.log(x, out=np.full(np.shape(x), -np.inf), where=np.asarray(x) > 0)


def _proximal(kind: str, parameters: tuple, f: np.ndarray, epsilon: float) -> np.ndarray:
    """Table 1 of Chizat et al. (2018) in the log domain, from the potential of a hard marginal."""
    if kind == "KL":
        return parameters[0] / (parameters[0] + epsilon) * f
    if kind == "TV":
        return np.clip(f, -parameters[0], parameters[0])
    if kind == "Range":
        low, high = epsilon * _log(np.array(parameters))
        return np.clip(0, f + low, f + high)
    return f


def _penalty(kind: str, parameters: tuple, p: np.ndarray, a: np.ndarray) -> float:
    """F(p | a) where it is finite; p is zero where a is."""
    if kind == "KL":
        return parameters[0] * divergence(p, a)
    if kind == "TV":
        return parameters[0] * np.abs(p - a).sum()
    return 0.0


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p | q) = sum p log(p / q) - p + q, for measures of any mass."""
    some = p > 0
    return (p[some] * np.log(p[some] / q[some])).sum() - p.sum() + q.sum()


def entropic(
    cost: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    epsilon: float,
    source: tuple = ("Balanced",),
    target: tuple = ("Balanced",),
    most: int = 100_000,
) -> tuple[np.ndarray, float]:
    """The optimal plan and the primal value: Sinkhorn's own iteration in float64, to 1e-13.

    Marginals are tuples of a name and its parameters. Weightless points are left out, not masked.
    """
    rows, columns = a > 0, b > 0
    inner = np.ix_(rows, columns)
    c, u, v = cost[inner], a[rows], b[columns]
    scale = np.sqrt(u.sum() * v.sum())
    reference = u[:, None] * v[None] / scale
    f, g = np.zeros(len(u)), np.zeros(len(v))

    def half(h, axis):
        top = h.max(axis, keepdims=True)
        return -epsilon * (top.squeeze(axis) + np.log(np.exp(h - top).sum(axis)))

    for _ in range(most):
        before = g
        f = half(np.log(v / scale)[None] + (g[None] - c) / epsilon, 1)
        f = _proximal(source[0], source[1:], f, epsilon)
        g = half(np.log(u / scale)[:, None] + (f[:, None] - c) / epsilon, 0)
        g = _proximal(target[0], target[1:], g, epsilon)
        if np.abs(g - before).max() <= 1e-13 * epsilon + 1e-15 * np.abs(g).max():
            break
    else:
        raise AssertionError("the oracle itself has not converged: give it an easier problem")
    plan = reference * np.exp((f[:, None] + g[None] - c) / epsilon)
    value = (c * plan).sum() + epsilon * divergence(plan, reference)
    value += _penalty(source[0], source[1:], plan.sum(1), u)
    value += _penalty(target[0], target[1:], plan.sum(0), v)
    full = np.zeros_like(cost)
    full[inner] = plan
    return full, value


def marginal(kind: str, *parameters):
    """The library's marginal for the oracle's tuple."""
    from jaxcolor.transport import marginals

    return getattr(marginals, kind)(*parameters)


def violation(
    cost: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    epsilon: float,
    source: tuple,
    target: tuple,
    f: np.ndarray,
    g: np.ndarray,
) -> float:
    """DESIGN's error, relative to the mass, from the potentials and nothing else, in float64."""
    scale = np.sqrt(a.sum() * b.sum())
    plan = a[:, None] * b[None] / scale * np.exp((f[:, None] + g[None] - cost) / epsilon)
    total = 0.0
    for (kind, *parameters), weights, potential, now in (
        (source, a, f, plan.sum(1)),
        (target, b, g, plan.sum(0)),
    ):
        some = weights > 0
        hard = potential[some] - epsilon * np.log(now[some] / weights[some])
        after = _proximal(kind, tuple(parameters), hard, epsilon)
        ideal = weights[some] * np.exp((after - hard) / epsilon)
        total += np.abs(now[some] - ideal).sum()
    return total / scale


def compiled_megabytes(function, *arguments) -> float:
    """What a compiled program takes beside its arguments and results."""
    analysis = jax.jit(function).lower(*arguments).compile().memory_analysis()
    return analysis.temp_size_in_bytes / 2**20
