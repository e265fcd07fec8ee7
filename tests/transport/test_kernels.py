from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from jaxcolor.transport import kernels
from jaxcolor.transport.blocks import BLOCK
from jaxcolor.transport.costs import Euclidean, Lp, SqEuclidean
from jaxcolor.transport.kernels import Cloud, Dense
from jaxcolor.tree import pytree

from problems import compiled_megabytes, pair, squared_distances  # isort: skip

SIZES = [(1, 511), (511, 5), (512, 513), (513, 1), (1300, 512)]


@pytree
class Skew:
    """A user's cost that is not symmetric: |x - matrix y|^2 + x_0."""

    matrix: jax.Array

    def __call__(self, x, y):
        return SqEuclidean()(x, y @ self.matrix.T) + x[:, :1]


MATRIX = np.array([[1.0, 0.5], [0.0, 0.7]])
# each with its NumPy counterpart
COSTS: dict[str, tuple[Callable, Callable]] = {
    "squared": (lambda: SqEuclidean(), squared_distances),
    "euclidean": (lambda: Euclidean(), lambda x, y: squared_distances(x, y) ** 0.5),
    "lp": (lambda: Lp(jnp.asarray(1.5)), lambda x, y: squared_distances(x, y) ** 0.75),
    "skew": (
        lambda: Skew(jnp.asarray(MATRIX)),
        lambda x, y: squared_distances(x, y @ MATRIX.T) + x[:, :1],
    ),
}


class Inputs(NamedTuple):
    """Exponents, values and vectors for either axis."""

    h: jax.Array  # (m,), for axis 1
    k: jax.Array  # (n,), for axis 0
    values: jax.Array  # (m, 2)
    column: jax.Array  # (n,)
    a: jax.Array
    b: jax.Array


EPSILON = 0.3


def inputs(n: int, m: int) -> Inputs:
    """Some exponents are -infinity and some weights zero, as padding makes them."""
    rng = np.random.default_rng(n * m)
    h, k, column = rng.normal(size=m), rng.normal(size=n), rng.normal(size=n)
    a, b = rng.uniform(0.1, 1, n), rng.uniform(0.1, 1, m)
    h[1::3], b[1::3] = -np.inf, 0
    k[2::4], a[2::4] = -np.inf, 0
    return Inputs(*map(jnp.asarray, (h, k, rng.normal(size=(m, 2)), column, a, b)))


@jax.jit
def verbs(kernel, given: Inputs) -> dict[str, jax.Array]:
    epsilon = jnp.asarray(EPSILON, given.h.dtype)
    results = {
        "softmin 1": kernel.softmin(given.h, epsilon, 1),
        "softmin 0": kernel.softmin(given.k, epsilon, 0),
        "average 1": kernel.average(given.h, epsilon, given.values, 1),
        "average 0": kernel.average(given.k, epsilon, given.column, 0),
        "span": kernel.span(given.a, given.b),
        "dense": kernel.dense(),
    }
    for stored in (True, False):
        rows, normaliser = kernel.rows(given.h, epsilon, stored)
        name = "stored" if stored else "streamed"
        results[f"{name} forward"] = rows.forward(given.values[:, 0])
        results[f"{name} backward"] = rows.backward(given.column)
        results[f"{name} normaliser"] = normaliser
    return results


def expected(cost: np.ndarray, given: Inputs) -> dict[str, np.ndarray]:
    h, k, values, column, a, b = (np.asarray(v, np.float64) for v in given)
    over_columns, over_rows = h[None] - cost / EPSILON, (k[:, None] - cost / EPSILON).T
    rows = softmax(over_columns, 1)
    results = {
        "softmin 1": logsumexp(over_columns, 1),
        "softmin 0": logsumexp(over_rows, 1),
        "average 1": rows @ values,
        "average 0": softmax(over_rows, 1) @ column,
        "span": cost[np.ix_(a > 0, b > 0)].max(),
        "dense": cost,
    }
    for name in ("stored", "streamed"):
        results[f"{name} forward"] = rows @ values[:, 0]
        results[f"{name} backward"] = column @ rows
        results[f"{name} normaliser"] = logsumexp(over_columns, 1)
    return results


def assert_verbs(kernels_: list, cost: np.ndarray, given: Inputs, rtol: float):
    want = expected(cost, given)
    for kernel in kernels_:
        assert kernel.shape == cost.shape
        for name, got in verbs(kernel, given).items():
            assert got.dtype == given.h.dtype
            np.testing.assert_allclose(
                got, want[name], rtol=rtol, atol=rtol * np.abs(want[name]).max(), err_msg=name
            )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_verb_is_the_full_matrix_on_both_storages(size, double):
    x, y, _, _ = pair(0, *size)
    given = inputs(*size)
    cost = squared_distances(x, y)
    tested = [Cloud(jnp.asarray(x), jnp.asarray(y))]
    if size in ((511, 5), (512, 513)):
        tested.append(Dense(jnp.asarray(cost)))
    assert_verbs(tested, cost, given, 1e-11)


@pytest.mark.parametrize("name", ["lp", "skew"])
def test_every_verb_serves_every_cost(name, double):
    """Over the edge of a block on both sides: a cost that is not symmetric must not be turned."""
    make, oracle = COSTS[name]
    x, y, _, _ = pair(1, BLOCK + 8, BLOCK + 3)
    cloud = Cloud(jnp.asarray(x), jnp.asarray(y), make())
    assert_verbs([cloud], oracle(x, y), inputs(*cloud.shape), 1e-11)


def test_every_verb_in_single_precision(single):
    x, y, _, _ = pair(2, BLOCK + 1, 40)
    given = jax.tree.map(lambda v: v.astype(jnp.float32), inputs(BLOCK + 1, 40))
    cloud = Cloud(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    cost = squared_distances(x, y)
    assert_verbs([cloud, Dense(jnp.asarray(cost, jnp.float32))], cost, given, 2e-5)


@pytest.mark.parametrize("name", COSTS)
def test_other_points_take_the_place_of_rows_or_columns(name, double):
    make, oracle = COSTS[name]
    x, y, _, _ = pair(3)
    z = np.random.default_rng(0).normal(size=(6, 2))
    cloud = Cloud(*(jnp.asarray(v) for v in (x, y)), make())
    for axis, cost in ((1, oracle(z, y)), (0, oracle(x, z))):
        moved = cloud.at(jnp.asarray(z), axis)
        assert moved.shape == cost.shape
        np.testing.assert_allclose(moved.dense(), cost, rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_bare_matrix_has_no_other_points(axis):
    with pytest.raises(ValueError, match=r"Cloud\(x, y, cost\)"):
        Dense(jnp.zeros((3, 2))).at(jnp.zeros((4, 2)), axis)


@pytest.mark.parametrize("size", [(7, 5), (BLOCK + 5, 30)], ids=str)
def test_the_derivative_of_softmin_is_average(size, double):
    x, y, _, _ = pair(4, *size)
    given = inputs(*size)
    cloud, epsilon = Cloud(jnp.asarray(x), jnp.asarray(y)), jnp.asarray(EPSILON)

    @jax.jit
    def compare(h, direction):
        _, change = jax.jvp(lambda h: cloud.softmin(h, epsilon, 1), (h,), (direction,))
        return change, cloud.average(h, epsilon, direction, 1)

    np.testing.assert_allclose(*compare(given.h, given.values[:, 0]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["squared", "skew"])
def test_reverse_mode_through_blocks_is_that_of_the_full_matrix(name, axis, double):
    """In points, exponents and epsilon at once; -infinity among the exponents leaves no NaN."""
    make, oracle = COSTS[name]
    n, m = BLOCK + 20, BLOCK + 9
    x, y, _, _ = pair(5, n, m)
    h = np.asarray(inputs(n, m).h if axis == 1 else inputs(n, m).k)
    rng = np.random.default_rng(1)
    weights, values = rng.normal(size=(n, m)[1 - axis]), rng.normal(size=(n, m)[axis])

    def ours(x, y, h, epsilon):
        kernel = Cloud(x, y, make())
        both = kernel.softmin(h, epsilon, axis) + kernel.average(h, epsilon, values, axis)
        return (weights * both).sum()

    def numpy(x, y, h, epsilon):
        cost = oracle(x, y)
        exponents = h - (cost if axis == 1 else cost.T) / epsilon
        return weights @ (logsumexp(exponents, 1) + softmax(exponents, 1) @ values)

    at = (x, y, h, np.array(EPSILON))
    gradients = jax.jit(jax.grad(ours, argnums=(0, 1, 2, 3)))(*at)
    for k, gradient in enumerate(gradients):
        assert np.isfinite(gradient).all()
        step = 1e-5 * rng.normal(size=at[k].shape)
        up, down = (numpy(*at[:k], at[k] + s * step, *at[k + 1 :]) for s in (1, -1))
        np.testing.assert_allclose(2 * np.vdot(step, gradient), up - down, rtol=1e-5, atol=1e-10)


def test_softmin_of_weightless_columns_is_that_of_the_others(dtype):
    """Nor do huge costs there matter, which would overflow if they were looked at."""
    cost = jnp.asarray([[1.0, 2.0, 1e30], [0.5, 3.0, 0.0]], dtype)
    h = jnp.asarray([0.1, -0.2, -jnp.inf], dtype)
    epsilon = jnp.asarray(0.5, dtype)
    values = jnp.asarray([1.0, 2.0, 1e30], dtype)
    kernel, inner = Dense(cost), Dense(cost[:, :2])
    np.testing.assert_allclose(
        kernel.softmin(h, epsilon, 1), inner.softmin(h[:2], epsilon, 1), rtol=1e-6
    )
    np.testing.assert_allclose(
        kernel.average(h, epsilon, values, 1),
        inner.average(h[:2], epsilon, values[:2], 1),
        rtol=1e-6,
    )


def test_softmin_neither_overflows_nor_underflows(dtype):
    """Exponents of a million, which is what a small epsilon makes of any cost."""
    cost = jnp.asarray([[1.0, 1.000001], [2.0, 7.0]], dtype)
    epsilon = jnp.asarray(1e-6, dtype)
    got = -epsilon * Dense(cost).softmin(jnp.zeros(2, dtype), epsilon, 1)
    np.testing.assert_allclose(got, [1.0, 2.0], rtol=1e-6)


def test_span_sees_the_support_only(dtype):
    x = jnp.asarray([[0.0], [1.0], [100.0]], dtype)
    weights = jnp.asarray([0.5, 0.5, 0.0], dtype)
    for kernel in (Cloud(x, x), Dense(SqEuclidean()(x, x))):
        assert kernel.span(weights, weights) == 1
        assert kernel.span(weights, jnp.ones(3, dtype)) == 1e4


@pytest.mark.parametrize("verb", ["softmin 1", "softmin 0", "average", "span", "rows", "gradient"])
def test_a_cloud_never_forms_the_matrix(verb, single):
    """20,000^2 costs are 1,526 MB in float32."""
    n = 20_000
    x = jax.ShapeDtypeStruct((n, 3), jnp.float32)
    h = jax.ShapeDtypeStruct((n,), jnp.float32)
    epsilon = jnp.float32(0.1)

    def function(x, h):
        kernel = Cloud(x, x)
        match verb:
            case "softmin 1" | "softmin 0":
                return kernel.softmin(h, epsilon, int(verb[-1]))
            case "average":
                return kernel.average(h, epsilon, x, 1)
            case "span":
                return kernel.span(h, h)
            case "rows":
                rows, normaliser = kernel.rows(h, epsilon, stored=False)
                return rows.forward(h), rows.backward(h), normaliser
            case _:
                return jax.grad(lambda x: Cloud(x, x).softmin(h, epsilon, 1).sum())(x)

    # a block of 512 rows; the gradient needs several at once
    assert compiled_megabytes(function, x, h) < (300 if verb == "gradient" else 60)


def test_small_clouds_are_compacted_and_large_ones_are_not():
    x = jnp.zeros((BLOCK + 1, 2))
    assert isinstance(kernels.compact(Cloud(x[:5], x)), Dense)
    assert isinstance(kernels.compact(Cloud(x, x)), Cloud)
