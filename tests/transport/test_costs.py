from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from jaxcolor.transport import newton
from jaxcolor.transport.costs import Cost, Euclidean, Lp, SqEuclidean
from jaxcolor.transport.kernels import Cloud
from jaxcolor.tree import pytree

from problems import entropic, pair  # isort: skip

COSTS = {
    "squared": (SqEuclidean(), lambda r: r**2),
    "euclidean": (Euclidean(), lambda r: r),
    "lp 1": (Lp(1.0), lambda r: r),
    "lp 0.5": (Lp(0.5), lambda r: r**0.5),
    "lp 3": (Lp(3.0), lambda r: r**3),
}


@pytree
class Weighted:
    """A user's cost: squared differences with a weight for each coordinate."""

    weights: jax.Array
    symmetric: ClassVar[bool] = True

    def __call__(self, x, y):
        scaled = jnp.sqrt(self.weights)
        return SqEuclidean()(x * scaled, y * scaled)


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("d", [1, 3, 5])
def test_costs_are_powers_of_the_distance(name, d, dtype):
    cost, power = COSTS[name]
    x, y, _, _ = pair(0, d=d)
    got = cost(jnp.asarray(x, dtype), jnp.asarray(y, dtype))
    assert got.dtype == dtype
    rtol = 1e-13 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(got, power(cdist(x, y)), rtol=rtol)
    assert isinstance(cost, Cost)
    np.testing.assert_array_equal(got.T, cost(jnp.asarray(y, dtype), jnp.asarray(x, dtype)))


@pytest.mark.parametrize("name", COSTS)
def test_gradient_is_right_apart_and_zero_where_points_coincide(name, double):
    cost, _ = COSTS[name]
    x = jnp.asarray([[0.3, -0.2], [1.0, 2.0]])
    gradient = jax.jit(jax.jacrev(lambda x, y: cost(x, y)))(x, x)  # (2, 2, 2, 2)
    step = 1e-6 * jnp.asarray([[1.0, 0.0], [0.0, 0.0]])
    differences = (cost(x + step, x) - cost(x - step, x))[0, 1] / 2e-6
    np.testing.assert_allclose(gradient[0, 1, 0, 0], differences, rtol=1e-6)
    np.testing.assert_array_equal(gradient[0, 0], 0)
    second = jax.jit(jax.hessian(lambda x: cost(x, x).sum()))(x)
    assert np.isfinite(second).all()


def test_the_power_is_traced_and_differentiable(double):
    x, y, _, _ = pair(1)

    @jax.jit
    def total(p):
        return Lp(p)(x, y).sum()

    assert total._cache_size() == 0
    np.testing.assert_allclose(total(1.5), (cdist(x, y) ** 1.5).sum(), rtol=1e-12)
    np.testing.assert_allclose(total(2.5), (cdist(x, y) ** 2.5).sum(), rtol=1e-12)
    assert total._cache_size() == 1
    exact = (cdist(x, y) ** 1.5 * np.log(cdist(x, y))).sum()
    np.testing.assert_allclose(jax.grad(total)(1.5), exact, rtol=1e-10)
    # a point on itself has no cost, whatever the power
    assert jax.grad(lambda p: Lp(p)(x, x).trace())(1.5) == 0


def test_coordinates_far_from_the_origin_lose_nothing():
    """|x|^2 + |y|^2 - 2 x.y would lose 2^-23 |x|^2 = 1.2 here."""
    x, y, _, _ = pair(2, d=3)
    x, y = np.float32(x) + np.float32(3e3), np.float32(y) + np.float32(3e3)
    exact = cdist(np.float64(x), np.float64(y)) ** 2
    np.testing.assert_allclose(SqEuclidean()(jnp.asarray(x), jnp.asarray(y)), exact, rtol=1e-6)
    for cost in (SqEuclidean(), Euclidean(), Lp(1.5)):
        np.testing.assert_array_equal(jnp.diagonal(cost(jnp.asarray(x), jnp.asarray(x))), 0)


def test_a_users_cost_is_solved_and_differentiated_in_its_own_leaves(double):
    x, y, a, b = (jnp.asarray(v) for v in pair(3))

    @jax.jit
    @jax.value_and_grad
    def value(weights):
        return newton.solve(Cloud(x, y, Weighted(weights)), a, b, epsilon=0.3, tol=1e-11).value

    weights, h = jnp.asarray([1.0, 0.4]), 1e-5
    scaled = np.sqrt(np.asarray(weights))
    _, plain = entropic(cdist(x * scaled, y * scaled) ** 2, *map(np.asarray, (a, b)), 0.3)
    got, gradient = value(weights)
    np.testing.assert_allclose(got, plain, rtol=1e-10)
    for k in range(2):
        e = h * jnp.eye(2)[k]
        differences = (value(weights + e)[0] - value(weights - e)[0]) / (2 * h)
        np.testing.assert_allclose(gradient[k], differences, rtol=1e-7)
