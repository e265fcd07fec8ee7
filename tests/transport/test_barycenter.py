import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.measure import Measure, stack
from jaxcolor.transport import barycenter, directions, exact, line_exact
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.sliced_distance import distance

from problems import cloud, with_moments  # isort: skip

KEY = jax.random.key(0)
LAMBDA = np.array([0.2, 0.5, 0.3])


def diracs(dtype):
    """Three points, as measures of one point each."""
    points = jnp.asarray(np.random.default_rng(0).normal(size=(3, 1, 3)), dtype)
    return Measure(points, jnp.ones((3, 1), dtype))


def clouds(dtype, sizes=(40, 50, 30)):
    return stack(*(cloud(k, n, dtype) for k, n in enumerate(sizes)))


def test_diracs_have_their_mean(dtype):
    measures, weights = diracs(dtype), jnp.asarray(LAMBDA, dtype)
    expected = LAMBDA @ np.asarray(measures.points[:, 0])
    by_slices = barycenter.sliced(measures, KEY, weights=weights, size=1)
    by_plans = barycenter.free_support(measures, epsilon=0.1, weights=weights, size=1)
    for found in (by_slices, by_plans):
        assert found.info.status == 0
        np.testing.assert_allclose(found.measure.points[0], expected, atol=1e-4)
        np.testing.assert_allclose(found.measure.weights.sum(), 1, rtol=1e-6)


def test_translates_have_the_mean_translate(dtype):
    """All of them, with any lambda: the shape stays."""
    base = cloud(0, 300, dtype, weighted=False)
    shifts = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3)) * 3, dtype)
    measures = Measure(base.points[None] + shifts[:, None], jnp.stack([base.weights] * 3))
    expected = base.points + (jnp.asarray(LAMBDA, dtype) @ shifts)[None]
    found = barycenter.sliced(
        measures, KEY, weights=jnp.asarray(LAMBDA, dtype), start=base, steps=20
    )
    np.testing.assert_allclose(found.measure.points, expected, atol=0.05)
    theta = directions.quadrature(50, 3).astype(dtype)
    left = distance(found.measure, Measure(expected, base.weights), theta)
    assert left < 0.01


def test_gaussians_have_about_the_gaussian_between(single):
    """Nearly: standard deviations averaged is the barycenter of W_2. Ours is that of SW_2."""
    sides = [np.array([1.0, 2.0]), np.array([3.0, 1.0])]
    measures = stack(
        *(
            with_moments(k, np.full(2, 4.0 * k), np.diag(s**2), single, n=4000)
            for k, s in enumerate(sides)
        )
    )
    found = barycenter.sliced(measures, KEY, size=4000, steps=60).measure
    np.testing.assert_allclose(found.points.mean(0), [2, 2], atol=0.02)
    between = (sides[0] + sides[1]) / 2
    np.testing.assert_allclose(found.points.std(0), between, rtol=0.1)
    assert abs(np.corrcoef(found.points.T)[0, 1]) < 0.03
    wasserstein = with_moments(5, np.full(2, 2.0), np.diag(between**2), single, n=4000)
    theta = directions.quadrature(40, 2)

    def objective(mu):
        ends = [Measure(measures.points[k], measures.weights[k]) for k in range(2)]
        return sum(float(distance(mu, end, theta)) ** 2 for end in ends)

    assert objective(found) < objective(wasserstein)


def test_free_support_lowers_the_exact_objective(double):
    measures = clouds(double)
    weights = jnp.asarray(LAMBDA)
    start = barycenter.mixture(measures, 40, weights)
    found = barycenter.free_support(
        measures, epsilon=0.05, weights=weights, start=start, steps=15
    ).measure

    def objective(mu):
        values = []
        for k in range(3):
            kernel = Cloud(mu.points, measures.points[k])
            values.append(exact.solve(kernel, mu.weights, measures.weights[k]).value)
        return float(LAMBDA @ np.array(values))

    assert objective(found) < 0.8 * objective(start)
    # a fixed point of the exact iteration, or near one
    images = sum(LAMBDA[k] * np.asarray(barycentric(found, measures, k)) for k in range(3))
    exact_next = Measure(jnp.asarray(images), found.weights)
    assert objective(exact_next) > 0.93 * objective(found)


def barycentric(mu, measures, k):
    from jaxcolor.transport.sparse import average

    kernel = Cloud(mu.points, measures.points[k])
    return average(exact.solve(kernel, mu.weights, measures.weights[k]), measures.points[k])


@pytest.mark.parametrize("solve", ["sliced", "free_support", "quantile"])
def test_vmap_over_lambda_is_a_loop(solve, single):
    measures = clouds(single)
    if solve == "quantile":
        measures = Measure(measures.points[..., :1], measures.weights)
    options = {
        "sliced": lambda w: barycenter.sliced(measures, KEY, weights=w, size=64, steps=3).measure,
        "free_support": lambda w: barycenter.free_support(
            measures, epsilon=0.5, weights=w, size=20, steps=2).measure,
        "quantile": lambda w: barycenter.quantile(measures, weights=w),
    }[solve]  # fmt: skip
    many = jnp.asarray([[1.0, 0, 0], [0.2, 0.5, 0.3], [0, 0.5, 0.5]], single)
    batch = jax.vmap(options)(many)
    for k in range(3):
        alone = options(many[k])
        np.testing.assert_allclose(batch.points[k], alone.points, atol=2e-3)


def test_at_a_corner_a_measure_is_its_own_barycenter(single):
    measures = clouds(single)
    found = barycenter.sliced(measures, KEY, weights=jnp.array([0.0, 1.0, 0.0]), size=2000)
    one = Measure(measures.points[1], measures.weights[1])
    theta = directions.quadrature(50, 3)
    extent = float(jnp.abs(one.points).max())
    assert distance(found.measure, one, theta) < 0.01 * extent


def test_padding_is_inert(single):
    few = clouds(single)
    more = jax.tree.map(lambda leaf: leaf, few)
    points = jnp.concatenate([more.points, jnp.full((3, 14, 3), 77.0)], 1)
    more = Measure(points, jnp.concatenate([more.weights, jnp.zeros((3, 14))], 1))
    for solve in (
        lambda m: barycenter.sliced(m, KEY, size=50, steps=4).measure.points,
        lambda m: barycenter.free_support(m, epsilon=0.3, size=20, steps=3).measure.points,
    ):
        np.testing.assert_allclose(solve(more), solve(few), atol=1e-3)


# the line


def test_quantile_functions_are_averaged(dtype):
    measures = clouds(dtype)
    measures = Measure(measures.points[..., :1], measures.weights)
    found = barycenter.quantile(measures, weights=jnp.asarray(LAMBDA, dtype))
    np.testing.assert_allclose(found.weights.sum(), 1, rtol=1e-5)
    levels = (np.arange(999) + 0.5) / 999

    def at(points, weights):
        order = np.argsort(points[:, 0])
        ends = np.cumsum(np.asarray(weights, float)[order])
        place = np.searchsorted(ends / ends[-1], levels).clip(0, len(order) - 1)
        return np.asarray(points, float)[order, 0][place]

    expected = sum(
        lam * at(np.asarray(measures.points[k]), measures.weights[k])
        for k, lam in enumerate(LAMBDA)
    )
    got = at(np.asarray(found.points), found.weights)
    assert np.quantile(np.abs(got - expected), 0.99) < 1e-4


def test_two_on_the_line_are_the_plan_s_interpolation(double):
    x, y = cloud(0, 20, double, d=1), cloud(5, 15, double, d=1)
    plan = line_exact.couple(x.points[:, 0], x.weights, y.points[:, 0], y.weights)
    for t in (0.0, 0.3, 1.0):
        one = barycenter.interpolate(plan, t)
        other = barycenter.quantile(stack(x, y), weights=jnp.array([1 - t, t]))
        # (to one's own levels: 1-D distance zero)
        off = line_exact.distance(one.points[:, 0], one.weights, other.points[:, 0], other.weights)
        assert off < 1e-7


def test_interpolation_has_few_points_and_constant_speed(double):
    x, y = cloud(0, 20, double), cloud(5, 15, double)
    plan = exact.solve(Cloud(x.points, y.points), x.weights, y.weights)
    assert int((plan.mass > 0).sum()) <= 20 + 15 - 1
    middle = barycenter.interpolate(plan, 0.25)
    assert int((middle.weights > 0).sum()) <= 20 + 15 - 1
    for end, share in ((x, 0.25), (y, 0.75)):
        kernel = Cloud(end.points, middle.points)
        cost = exact.solve(kernel, end.weights, middle.weights).value
        np.testing.assert_allclose(cost, share**2 * plan.value, rtol=1e-6)


def test_what_makes_no_sense_is_refused():
    measures = clouds(np.float32)
    with pytest.raises(ValueError, match=r"points \(K, m, d\)"):
        barycenter.sliced(Measure(measures.points[0], measures.weights[0]), KEY)
    with pytest.raises(ValueError, match=r"\(3,\), one a measure"):
        barycenter.sliced(measures, KEY, weights=jnp.ones(2))
    with pytest.raises(ValueError, match=r"\(K, m, 1\)"):
        barycenter.quantile(measures)
