import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from jaxcolor.iterate import Status, check
from jaxcolor.transport import exact, line_exact, sparse
from jaxcolor.transport.costs import Euclidean, Lp, SqEuclidean
from jaxcolor.transport.kernels import Cloud
from jaxcolor.tree import pytree

CONVEX = [SqEuclidean(), Euclidean(), Lp(1.5), Lp(4.0)]
SIZES = [(1, 1), (1, 6), (5, 1), (24, 24)]


def two_lines(seed, dtype, n=24, m=17, alike=False):
    """x (n,), a (n,), y (m,), b (m,), unsorted, of mass one. One size compiles once."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), 1 + 2 * rng.normal(size=m)
    a, b = (np.ones(k) if alike else rng.uniform(0.1, 1, k) for k in (n, m))
    return tuple(jnp.asarray(part, dtype) for part in (x, a / a.sum(), y, b / b.sum()))


def assert_solved(c, of_rounding=60):
    """Marginals, feasible and tight potentials, no gap, the gauge; in float64 on the host."""
    check(c.info)
    parts = (c.a, c.b, c.f, c.g, c.mass, c.kernel.dense(), c.value)
    a, b, f, g, mass, cost, value = (np.asarray(part, np.float64) for part in parts)
    eps = of_rounding * float(np.finfo(c.f.dtype).eps)
    P = np.zeros(cost.shape)
    np.add.at(P, (np.asarray(c.rows), np.asarray(c.cols)), mass)
    top, total = cost.max() + np.finfo(float).tiny, a.sum()
    assert (mass >= 0).all()
    assert np.abs(P.sum(1) - a).sum() + np.abs(P.sum(0) - b).sum() <= eps * total
    slack = cost - f[:, None] - g[None]
    assert slack.min() >= -eps * top
    assert np.abs(slack[P > 0]).max() <= eps * top
    for gap in ((P * cost).sum() - value, a @ f + b @ g - value, b @ g):
        assert abs(gap) <= eps * top * total


@pytest.mark.parametrize(
    ("n", "m", "cost"),
    [(*size, SqEuclidean()) for size in SIZES] + [(24, 17, cost) for cost in CONVEX],
)
def test_solves_the_linear_programme(n, m, cost, dtype):
    problem = two_lines(0, dtype, n, m)
    c = line_exact.couple(*problem, cost)
    assert_solved(c)
    assert c.rows.shape == c.cols.shape == c.mass.shape == (n + m - 1,)
    assert (c.rows.dtype, c.mass.dtype, c.value.dtype) == (jnp.int32, dtype, dtype)
    programme = exact.solve(c.kernel, c.a, c.b, backend="scipy")
    np.testing.assert_allclose(c.value, programme.value, rtol=1e-5)
    if n == m == 24 and type(cost) is SqEuclidean:  # strictly convex: only one plan
        np.testing.assert_allclose(sparse.plan(c), sparse.plan(programme), atol=1e-7)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), which=st.sampled_from(range(len(CONVEX))))
def test_points_and_masses_that_coincide(seed, which):
    """Positions and weights from few values, zero weights among them."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-2, 3, 7), rng.integers(-2, 3, 5)
    a, b = rng.integers(0, 3, 7), rng.integers(0, 3, 5)
    a[3], b[2] = a[3] + 1, b[2] + 1
    problem = (jnp.asarray(part, jnp.float32) for part in (x, a * b.sum(), y, b * a.sum()))
    c = line_exact.couple(*problem, CONVEX[which])
    assert_solved(c)
    programme = exact.solve(c.kernel, c.a, c.b, backend="scipy")
    np.testing.assert_allclose(c.value, programme.value, rtol=1e-5, atol=1e-4)


def test_plan_is_monotone(dtype):
    c = line_exact.couple(*two_lines(1, dtype))
    used = np.asarray(c.mass) > 0
    assert (np.diff(np.asarray(c.kernel.x)[c.rows, 0]) >= 0).all()
    assert (np.diff(np.asarray(c.kernel.y)[c.cols, 0]) >= 0).all()
    # of rows and columns one changes at a time
    steps = (np.diff(c.rows) != 0).astype(int) + (np.diff(c.cols) != 0)
    assert used.all()
    assert (steps == 1).all()


def test_equal_weights_sort_both_sides(dtype):
    x, a, y, b = two_lines(2, dtype, 24, 24, alike=True)
    c = line_exact.couple(x, a, y, b)
    P = np.asarray(sparse.plan(c))
    np.testing.assert_array_equal(P[np.argsort(x), np.argsort(y)], a)
    assert np.count_nonzero(P) == 24
    image = np.asarray(sparse.average(c, y))
    np.testing.assert_array_equal(image[np.argsort(x)], np.sort(y))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
def test_distance_by_independent_codes(p, ot, double):
    for seed in range(3):
        x, a, y, b = (np.asarray(part) for part in two_lines(seed, double))
        ours = float(line_exact.distance(x, a, y, b, p))
        if p == 1:
            assert abs(ours - wasserstein_distance(x, y, a, b)) < 1e-12
        assert abs(ours**p - float(ot.wasserstein_1d(x, y, a, b, p=p))) < 1e-10
        assert abs(ours**p - ot.emd2_1d(x, y, a, b, metric="minkowski", p=p)) < 1e-9
        # between quantile functions, by a fine grid of levels
        levels = (np.arange(200_000) + 0.5) / 200_000
        quantiles = [
            np.sort(s)[np.searchsorted(np.cumsum(w[np.argsort(s)]), levels).clip(0, len(s) - 1)]
            for s, w in ((x, a), (y, b))
        ]
        grid = (np.abs(quantiles[0] - quantiles[1]) ** p).mean() ** (1 / p)
        np.testing.assert_allclose(ours, grid, rtol=2e-4)


def test_closed_forms_of_the_distance(dtype):
    x, a, y, b = two_lines(3, dtype)
    whole = line_exact.distance(x, a, y, b)
    for p in (1.0, 2.0, 7.0):
        moved = line_exact.distance(x, a, x + jnp.asarray(3.5, dtype), a, p)
        np.testing.assert_allclose(moved, 3.5, rtol=1e-5)
        assert line_exact.distance(x, a, x[::-1], a[::-1], p) < 1e-6
    np.testing.assert_allclose(line_exact.distance(y, b, x, a), whole, rtol=1e-5)
    scale = jnp.asarray(-1e6, dtype)
    np.testing.assert_allclose(line_exact.distance(scale * x, a, scale * y, b), 1e6 * whole, 1e-5)
    four = jnp.asarray(4, dtype)
    np.testing.assert_allclose(line_exact.distance(x, four * a, y, four * b), 2 * whole, 1e-5)
    assert line_exact.distance(x, a, y, b, 1.0) <= whole <= line_exact.distance(x, a, y, b, 3.0)


def test_no_power_overflows(single):
    x, a, y, b = two_lines(4, single)
    far = jnp.float32(1e4)
    big = line_exact.distance(far * x, a, far * y, b, 20.0)
    small = line_exact.distance(x / far, a, y / far, b, 20.0)
    np.testing.assert_allclose(big / 1e4, line_exact.distance(x, a, y, b, 20.0), rtol=1e-4)
    np.testing.assert_allclose(big, small * 1e8, rtol=1e-4)


@pytest.mark.parametrize("n", [4096, pytest.param(30_000, marks=pytest.mark.slow)])
def test_masses_are_as_exact_as_the_dtype(n, single):
    """Where differences of plain cumulative sums are off by 1e-4, and more for more points."""
    c = line_exact.couple(*two_lines(5, single, n, n - 1000))
    assert c.info.error < 1e-7
    x, a, y, b = (np.asarray(part, np.float64) for part in two_lines(5, single, n, n - 1000))
    np.testing.assert_allclose(
        line_exact.distance(x, a, y, b, 1.0), wasserstein_distance(x, y, a, b), rtol=1e-5
    )


def test_cost_is_evaluated_on_the_pairs_alone():
    @pytree
    class Counting:
        def __call__(self, x, y):
            assert x.shape == y.shape == (1, 1)
            return (x - y.T) ** 2

    c = line_exact.couple(*two_lines(6, np.float32, 2000, 1500), Counting())
    assert c.kernel.shape == (2000, 1500)
    plain = line_exact.couple(*two_lines(6, np.float32, 2000, 1500))
    np.testing.assert_allclose(c.value, plain.value, rtol=1e-6)


@pytest.mark.parametrize("alike", [False, True])
def test_weightless_points_change_no_bit(alike, dtype):
    x, a, y, b = two_lines(7, dtype, 24, 24, alike)
    plain = line_exact.couple(x, a, y, b)
    rng = np.random.default_rng(0)
    more = [np.concatenate([part, rng.normal(size=9).astype(dtype)]) for part in (x, y)]
    zeros = np.zeros(9, dtype)
    order = [rng.permutation(33) for _ in range(2)]
    padded = line_exact.couple(
        more[0][order[0]],
        np.concatenate([a, zeros])[order[0]],
        more[1][order[1]],
        np.concatenate([b, zeros])[order[1]],
    )
    assert_solved(padded)
    back = [np.argsort(one)[:24] for one in order]
    np.testing.assert_array_equal(
        np.asarray(sparse.plan(padded))[np.ix_(*back)], np.asarray(sparse.plan(plain))
    )
    np.testing.assert_allclose(np.asarray(padded.f)[back[0]], plain.f, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.asarray(padded.g)[back[1]], plain.g, rtol=1e-5, atol=1e-5)


def test_weightless_points_have_feasible_potentials(dtype):
    """f is the c-transform of g where it has to be: on weighted points; elsewhere not above."""
    x, a, y, b = two_lines(8, dtype)
    a, b = a.at[::3].set(0), b.at[::4].set(0)
    c = line_exact.couple(x, a / a.sum(), y, b / b.sum())
    assert_solved(c)
    transform = sparse.potential(c, c.kernel.x)
    some = np.asarray(c.a) > 0
    np.testing.assert_allclose(transform[some], c.f[some], rtol=1e-4, atol=1e-4)
    assert (np.asarray(c.f) <= np.asarray(transform) + 1e-4).all()


def test_masses_that_differ_on_the_line(dtype):
    x, a, y, b = two_lines(9, dtype)
    c = line_exact.couple(x, a, y, b * jnp.asarray(1.01, dtype))
    assert (int(c.info.status), float(c.value)) == (Status.INFEASIBLE, np.inf)
    assert (c.mass == 0).all()
    assert np.isfinite(c.f).all()
    assert line_exact.distance(x, a, y, b * jnp.asarray(1.01, dtype)) == np.inf
    near = line_exact.couple(x, a, y, b * jnp.asarray(1 + 5e-6, dtype))
    check(near.info)
    assert 2e-6 < near.info.error < 8e-6


def test_faults_on_the_line(dtype):
    x, a, y, b = two_lines(10, dtype)
    for broken in ((x.at[2].set(jnp.nan), a, y, b), (x, a, y, b.at[1].set(jnp.nan))):
        c = line_exact.couple(*broken)
        assert c.info.status == Status.NONFINITE
        assert (c.mass == 0).all()
    nothing = line_exact.couple(x, 0 * a, y, 0 * b)
    assert (int(nothing.info.status), float(nothing.value)) == (Status.OK, 0)
    assert np.isfinite(nothing.f).all()
    with pytest.raises(ValueError, match="positions on the line must be"):
        line_exact.couple(x[:, None], a, y, b)
    with pytest.raises(ValueError, match="do not match"):
        line_exact.couple(x, a[1:], y, b)


def assert_differentiable(function, args, step=1e-6):
    """Both modes against central differences, in a random direction."""
    rng = np.random.default_rng(0)
    direction = tuple(jnp.asarray(rng.normal(size=arg.shape)) for arg in args)
    function = jax.jit(function)
    ends = [
        function(*(arg + t * way for arg, way in zip(args, direction, strict=True)))
        for t in (-step, step)
    ]
    _, forward = jax.jit(lambda *ends: jax.jvp(function, *ends))(args, direction)
    slopes = jax.jit(jax.grad(function, argnums=range(len(args))))(*args)
    reverse = sum(jnp.vdot(*pair) for pair in zip(slopes, direction, strict=True))
    np.testing.assert_allclose(forward, (ends[1] - ends[0]) / (2 * step), rtol=1e-6)
    np.testing.assert_allclose(reverse, forward, rtol=1e-12)


@pytest.mark.parametrize(
    "cost", [SqEuclidean(), pytest.param(Lp(3.0), marks=pytest.mark.slow)], ids=["squared", "cubed"]
)
def test_value_has_derivatives(cost, x64):
    """In positions, and in weights as long as their sum stays."""
    x, a, y, b = two_lines(11, np.float64)
    assert_differentiable(
        lambda x, da, y: line_exact.couple(x, a + 0.1 * (da - da.mean()), y, b, cost).value,
        (x, jnp.zeros(24), y),
    )


def test_weights_have_the_potentials_as_derivatives(dtype):
    """Also where they are zero: what mass there would cost."""
    x, a, y, b = two_lines(12, dtype)
    a = a.at[4].set(0)
    a = a / a.sum()
    c = line_exact.couple(x, a, y, b)
    value = jax.grad(lambda a, b: line_exact.couple(x, a, y, b).value, argnums=(0, 1))
    slopes = jax.jit(value)(a, b)
    chex.assert_trees_all_close(slopes, (c.f, c.g), rtol=1e-5)


def test_distance_has_derivatives(x64):
    x, a, y, b = two_lines(13, np.float64)

    def distance(x, y, p):
        return line_exact.distance(x, a, y, b, p)

    assert_differentiable(distance, (x, y, jnp.asarray(2.5)))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_derivatives_are_finite_where_there_are_none(p, dtype):
    """At distance zero, at points that coincide, without mass, with masses that differ."""
    x, a, y, b = two_lines(14, dtype, 24, 24)
    fewer = b.at[3].set(0)
    problems = [
        (x, a, x, a),
        (x, a, y.at[:4].set(x[:4]), b),
        (x.at[:].set(1), a, y, fewer / fewer.sum()),
        (x, a, y, b + b),
    ]
    gradient = jax.jit(jax.grad(line_exact.distance, argnums=(0, 1, 2, 3)))
    for problem in problems:
        slopes = gradient(*problem, p)
        assert all(np.isfinite(slope).all() for slope in slopes)


def test_batches_on_the_line(dtype):
    problems = [two_lines(seed, dtype) for seed in range(4)]
    stacked = [jnp.stack(part) for part in zip(*problems, strict=True)]
    together = jax.vmap(line_exact.couple)(*stacked)
    alone = [line_exact.couple(*problem) for problem in problems]
    looped = jax.tree.map(lambda *leaf: jnp.stack(leaf), *alone)
    chex.assert_trees_all_close(together, looped, rtol=1e-5, atol=1e-6)


def test_maps_agree_with_the_binned_line():
    from jaxcolor.measure import point_cloud
    from jaxcolor.transport import line

    x, a, y, b = two_lines(15, np.float32, 2000, 1500)
    moved = sparse.Nearest(line_exact.couple(x, a, y, b))(x[:, None])
    binned = line.solve(point_cloud(x[:, None], a), point_cloud(y[:, None], b))(x[:, None])
    gap = np.abs(np.asarray(moved - binned))
    assert np.quantile(gap, 0.95) < 0.02


def test_the_kernel_is_a_cloud_that_others_can_use(dtype):
    c = line_exact.couple(*two_lines(0, dtype), Euclidean())
    assert isinstance(c.kernel, Cloud)
    assert c.kernel.dense().shape == (24, 17)
