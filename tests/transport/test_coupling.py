import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.transport import newton, sinkhorn
from jaxcolor.transport.coupling import Entropic, average, confidence, plan, potential
from jaxcolor.transport.kernels import Cloud, Dense
from jaxcolor.transport.marginals import KL, TV, Balanced

from problems import pair  # isort: skip

EPSILON = 0.1
mapped = jax.jit(lambda coupling, colors: Entropic(coupling)(colors))


def couple(dtype, source=None, target=None, shift=0.0, method=newton, tol=None):
    """The usual clouds, the target moved by `shift`."""
    x, y, a, b = (jnp.asarray(v, dtype) for v in pair(0))
    return method.solve(
        Cloud(x, y + jnp.asarray(shift, dtype)),
        a,
        b,
        epsilon=EPSILON,
        source_marginal=source or Balanced(),
        target_marginal=target or Balanced(),
        tol=tol,
    )


def relaxed(dtype, shift=0.0):
    return couple(dtype, KL(1.0), KL(1.0), shift)


@pytest.mark.parametrize("make", [couple, relaxed])
def test_the_plan_is_the_formula(make, double):
    c = make(double)
    x, y, a, b = (np.asarray(v) for v in (c.kernel.x, c.kernel.y, c.a, c.b))
    cost = ((x[:, None] - y) ** 2).sum(-1)
    want = a[:, None] * b * np.exp((np.asarray(c.f)[:, None] + np.asarray(c.g) - cost) / EPSILON)
    np.testing.assert_allclose(plan(c), want, rtol=1e-10)


def test_a_balanced_plan_has_its_marginals(dtype):
    c = couple(dtype)
    close = 1e-8 if dtype == np.float64 else 1e-4
    assert np.abs(plan(c).sum(1) - c.a).sum() + np.abs(plan(c).sum(0) - c.b).sum() <= close
    for axis in (0, 1):
        np.testing.assert_allclose(confidence(c, axis), 1, atol=100 * close)


@pytest.mark.parametrize("make", [couple, relaxed])
@pytest.mark.parametrize("axis", [0, 1])
def test_average_is_the_plans_mean_of_values(make, axis, double):
    c = make(double)
    masses = np.asarray(plan(c)) if axis == 1 else np.asarray(plan(c)).T
    masses = masses / masses.sum(1, keepdims=True)
    values = np.random.default_rng(0).normal(size=(masses.shape[1], 3))
    np.testing.assert_allclose(average(c, jnp.asarray(values), axis), masses @ values, rtol=1e-10)
    one = average(c, jnp.asarray(values[:, 0]), axis)
    assert one.shape == masses.shape[:1]
    np.testing.assert_allclose(one, masses @ values[:, 0], rtol=1e-10)


@pytest.mark.parametrize("make", [couple, relaxed])
@pytest.mark.parametrize("axis", [0, 1])
def test_potential_at_the_support_is_the_solvers(make, axis, double):
    c = make(double)
    points, own = (c.kernel.x, c.f) if axis == 1 else (c.kernel.y, c.g)
    np.testing.assert_allclose(potential(c, points, axis), own, atol=1e-7)


@pytest.mark.parametrize("axis", [0, 1])
def test_potential_at_new_points_is_one_proximal_half_step(axis, double):
    c, rho = relaxed(double), 1.0
    z = np.random.default_rng(1).normal(size=(5, 2))
    other, weights, opposite = (c.kernel.y, c.b, c.g) if axis == 1 else (c.kernel.x, c.a, c.f)
    cost = ((z[:, None] - np.asarray(other)) ** 2).sum(-1)
    inner = (np.asarray(weights) * np.exp((np.asarray(opposite) - cost) / EPSILON)).sum(1)
    hard = -EPSILON * np.log(inner)
    got = potential(c, jnp.asarray(z), axis)
    np.testing.assert_allclose(got, rho / (rho + EPSILON) * hard, rtol=1e-10)


def test_the_gradient_of_the_potential_points_to_the_map(double):
    """For |x - y|^2: grad f(x) = 2 (x - T(x)), T the barycentric projection."""
    c = couple(double)
    z = jnp.asarray(np.random.default_rng(2).normal(size=(5, 2)))
    gradient = jax.jit(jax.grad(lambda z: potential(c, z).sum()))(z)
    np.testing.assert_allclose(z - gradient / 2, mapped(c, z), atol=1e-10)


def test_points_are_needed_for_new_points(single):
    x, y, a, b = (jnp.asarray(v, jnp.float32) for v in pair(0))
    c = newton.solve(Dense(Cloud(x, y).dense()), a, b, epsilon=EPSILON)
    for ask in (lambda: potential(c, x), lambda: mapped(c, x)):
        with pytest.raises(ValueError, match="a cost matrix knows no points"):
            ask()


def test_confidence_falls_with_the_distance_of_partners(double):
    """Under KL smoothly: near partners are kept, far ones given up."""
    shares = [float(confidence(relaxed(double, shift)).mean()) for shift in (0.0, 1.0, 2.0, 6.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert shares[-1] < 1e-6


def test_confidence_under_total_variation_is_all_or_nothing(double):
    c = couple(double, TV(1.0), TV(1.0), shift=1.0, method=sinkhorn)
    shares = np.asarray(confidence(c))
    clear = np.abs(np.asarray(c.f)) < 0.999
    assert clear.any()
    assert (~clear).any()
    np.testing.assert_allclose(shares[clear], 1, atol=1e-6)
    assert (shares[~clear] < 1 + 1e-6).all()
    assert shares.min() < 0.1


# the map


@pytest.mark.parametrize("make", [couple, relaxed])
def test_the_map_at_the_support_is_average_by_confidence(make, double):
    c = make(double, shift=0.5)
    w = jnp.minimum(confidence(c), 1)[:, None]
    want = (1 - w) * c.kernel.x + w * average(c, c.kernel.y)
    np.testing.assert_allclose(mapped(c, c.kernel.x), want, atol=1e-7)


@pytest.mark.parametrize("make", [couple, relaxed])
def test_the_map_is_finite_far_from_everything(make, single):
    """A balanced one stays in the target's hull, but for rounding; a relaxed one lets go."""
    c = make(single)
    z = jnp.asarray([[1e3, 0.0], [-1e4, 1e4], [0.0, 1e8]], single)
    got = mapped(c, z)
    assert np.isfinite(got).all()
    if make is couple:
        rounding = 4 * jnp.finfo(single).eps * jnp.abs(z)
        assert (got >= c.kernel.y.min(0) - rounding).all()
        assert (got <= c.kernel.y.max(0) + rounding).all()
    else:
        np.testing.assert_array_equal(got, z)


def test_colours_without_partners_stay(single):
    c = relaxed(single, shift=30.0)
    np.testing.assert_allclose(mapped(c, c.kernel.x), c.kernel.x, atol=1e-6)


def test_the_map_takes_the_dtype_of_the_colours(double):
    c = couple(double)
    single = mapped(c, c.kernel.x.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, mapped(c, c.kernel.x), atol=1e-4)


def test_the_map_of_a_cloud_onto_its_translate_is_the_translation(double):
    x, _, a, _ = pair(3)
    a = np.where(np.arange(13) < 9, a, 0)  # the last four are padding
    x, a, y, b = (jnp.asarray(v) for v in (x, a, x[:9], a[:9]))
    c = newton.solve(Cloud(x, y + 5.0), a, b, epsilon=1e-3)
    # blurred by epsilon, but the same blur as that of the identity
    near = newton.solve(Cloud(x, y), a, b, epsilon=1e-3)
    np.testing.assert_allclose(mapped(c, y), mapped(near, y) + 5.0, atol=1e-7)
    np.testing.assert_allclose(mapped(c, y), y + 5.0, atol=0.1)


def test_the_map_under_transformations(double):
    c = relaxed(double)
    z = jnp.asarray(np.random.default_rng(3).normal(size=(4, 6, 2)))
    T = Entropic(c)
    want = jnp.stack([mapped(c, one) for one in z])
    chex.assert_trees_all_close(T(z[0]), want[0], rtol=1e-10)
    chex.assert_trees_all_close(jax.jit(jax.vmap(T))(z), want, rtol=1e-10)
    jacobian = jax.jit(jax.jacrev(T.__call__))(z[0])
    direction = np.random.default_rng(4).normal(size=(6, 2))
    differences = (mapped(c, z[0] + 1e-6 * direction) - mapped(c, z[0] - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(
        np.einsum("idje,je->id", jacobian, direction), differences, rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("make", [couple, relaxed])
def test_the_slope_of_the_map_is_finite_everywhere(make, single):
    """Where confidence is 0, 1 or capped there, and far away."""
    c = make(single)
    z = jnp.concatenate([c.kernel.x, c.kernel.y, jnp.asarray([[1e3, -1e3], [1e6, 0.0]])])
    assert np.isfinite(jax.jit(jax.grad(lambda z: Entropic(c)(z).sum()))(z)).all()
