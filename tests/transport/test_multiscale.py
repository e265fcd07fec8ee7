"""Large clouds by bins and tiles: the same answer as newton's, and a check that can say no."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcolor
from jaxcolor.iterate import Status, check
from jaxcolor.measure import Grid, Measure, point_cloud
from jaxcolor.transport import levels, multiscale, newton, tiles
from jaxcolor.transport import problem as pb
from jaxcolor.transport.costs import Euclidean
from jaxcolor.transport.coupling import Coupling, Entropic, Start, average, potential
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.marginals import KL, TV, Balanced

EPSILON = 4e-3


@pytest.fixture(autouse=True)
def _in_earnest(monkeypatch):
    """Small problems, but several bins, leaves and tiles."""
    monkeypatch.setattr(multiscale, "SMALL", 0)
    monkeypatch.setattr(levels, "BINS", 2**17)
    monkeypatch.setattr(tiles, "LEAF", 32)


def clouds(n: int = 500, m: int = 400, d: int = 3, dtype=np.float32):
    """Two clustered clouds in the unit cube, x (n, d), y (m, d), a, b of mass one."""
    random = np.random.default_rng(d)
    made = []
    for size in (n, m):
        centres = random.uniform(0.2, 0.8, (6, d))
        points = centres[random.integers(6, size=size)] + random.normal(0, 0.06, (size, d))
        weights = random.uniform(0.1, 1, size)
        made += [np.clip(points, 0, 1), weights / weights.sum()]
    x, a, y, b = (jnp.asarray(part, dtype) for part in made)
    return x, y, a, b


def exact_error(coupling) -> float:
    """Over all pairs."""
    p, f, g = coupling.problem, coupling.f, coupling.g
    return float(pb.error(p, f, g, (pb.hard_f(p, g), pb.hard_g(p, f))))


@pytest.mark.parametrize("rho", [None, 0.3], ids=["balanced", "kl"])
def test_it_agrees_with_newton(dtype, rho):
    x, y, a, b = clouds(dtype=dtype)
    side = Balanced() if rho is None else KL(rho)
    ours, theirs = (
        solve(Cloud(x, y), a, b, epsilon=EPSILON, source_marginal=side, target_marginal=side)
        for solve in (multiscale.solve, newton.solve)
    )
    double = dtype == np.float64
    check(ours.info)
    assert exact_error(ours) <= (1e-8 if double else 1e-4)
    tolerance = 1e-9 if double else 2e-5
    np.testing.assert_allclose(ours.value, theirs.value, atol=tolerance / 10)
    np.testing.assert_allclose(ours.f, theirs.f, atol=tolerance)
    np.testing.assert_allclose(ours.g, theirs.g, atol=tolerance)
    means = (average(coupling, y) for coupling in (ours, theirs))
    np.testing.assert_allclose(*means, atol=10 * tolerance)
    T = Entropic(ours)
    np.testing.assert_allclose(T(x[:9]), Entropic(theirs)(x[:9]), atol=10 * tolerance)


def test_tiles_hold_all_that_matters():
    """Sums over the tiles are the plan's own, and not all are needed."""
    x, y, a, b = clouds(2000, 1500)
    epsilon = 1e-3
    found = newton.solve(Cloud(x, y), a, b, epsilon=epsilon)
    p = found.problem
    left, right = (tiles.sort(np.asarray(z), np.asarray(w)) for z, w in ((x, a), (y, b)))
    f, g = left.there(np.asarray(found.f)), right.there(np.asarray(found.g))
    for share in (1e-4, 1e-2):
        kept = tiles.kept(left.leaves, right.leaves, f, g, epsilon * np.log(share))
        u, v = (
            pb.leaning(side.leaves.weights, h, p.epsilon, pb.mass(p))
            for side, h in ((left, f), (right, g))
        )
        rows = left.back(kept.sums(u, v, p.epsilon, 1)) / np.asarray(a)
        columns = right.back(kept.sums(u, v, p.epsilon, 0)) / np.asarray(b)
        full = pb.moved(p.a, found.f, pb.hard_f(p, found.g), p.epsilon) / a
        assert (np.asarray(full) - rows).max() <= share + 1e-4
        np.testing.assert_allclose(rows, full, atol=share + 1e-4)
        full = pb.moved(p.b, found.g, pb.hard_g(p, found.f), p.epsilon) / b
        np.testing.assert_allclose(columns, full, atol=share + 1e-4)
    entries = left.leaves.weights.shape[1] * right.leaves.weights.shape[1]
    assert int(kept.count) * entries < 0.7 * 2000 * 1500


@pytest.mark.parametrize("size", [1, 7, 32, 33, 900])
def test_leaves_hold_every_point_once(size):
    points = np.random.default_rng(0).normal(size=(size, 2)).astype(np.float32)
    weights = np.arange(1.0, size + 1, dtype=np.float32)
    cloud = tiles.sort(points, weights)
    assert float(cloud.leaves.weights.sum()) == weights.sum()
    np.testing.assert_array_equal(cloud.back(cloud.leaves.weights), weights)
    there = cloud.leaves.points()
    for c in range(2):
        back = cloud.back(there[:, c].reshape(cloud.leaves.weights.shape))
        np.testing.assert_allclose(back, points[:, c], atol=1e-6)
    np.testing.assert_array_equal(cloud.back(cloud.there(weights)), weights)


@pytest.mark.parametrize("d", [pytest.param(1, marks=pytest.mark.long), 2])
def test_fewer_dimensions(d):
    x, y, a, b = clouds(d=d)
    ours = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    check(ours.info)
    theirs = newton.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    np.testing.assert_allclose(ours.value, theirs.value, atol=2e-6)


def test_degenerate_clouds():
    """A point, a line, points that all are there twice: and again to a line."""
    x, y, a, b = clouds()
    line = jnp.concatenate([y[:, :1], jnp.full((400, 2), 0.5)], 1)
    point = jnp.broadcast_to(y[:1], y.shape)
    twice = jnp.concatenate([y[:200], y[:200]])
    for target in (line, point, twice):
        for source in (x, jnp.broadcast_to(x[:1], x.shape)):
            ours = multiscale.solve(Cloud(source, target), a, b, epsilon=EPSILON)
            check(ours.info)
            assert exact_error(ours) <= 1e-4
            assert np.isfinite(np.concatenate([ours.f, ours.g])).all()


def test_weightless_points_are_inert():
    x, y, a, b = clouds()
    more = jnp.concatenate([jnp.full((60, 3), 9.0), x])
    padded = jnp.concatenate([jnp.zeros(60), a])
    plain = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    other = multiscale.solve(Cloud(more, y), padded, b, epsilon=EPSILON)
    np.testing.assert_array_equal(plain.g, other.g)
    np.testing.assert_array_equal(plain.f, other.f[60:])
    np.testing.assert_allclose(other.f[:60], potential(plain, more[:60]), rtol=1e-5)
    flipped = multiscale.solve(Cloud(y, more), b, padded, epsilon=EPSILON)
    assert np.isfinite(flipped.g).all()
    np.testing.assert_allclose(flipped.value, plain.value, atol=2e-6)


def test_order_translation_and_mass():
    x, y, a, b = clouds()
    plain = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    shuffle = np.random.default_rng(0).permutation(400)
    other = multiscale.solve(Cloud(x, y[shuffle]), a, b[shuffle], epsilon=EPSILON)
    np.testing.assert_allclose(other.g, plain.g[shuffle], atol=2e-5)
    heavy = multiscale.solve(Cloud(x + 4, y + 4), 3 * a, 3 * b, epsilon=EPSILON, tol=5e-4)
    check(heavy.info)
    np.testing.assert_allclose(heavy.value, 3 * plain.value, rtol=2e-4)


def test_a_start_is_taken_up_and_a_bad_one_is_not():
    x, y, a, b = clouds()
    cold = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    assert int(cold.info.steps) >= 2
    warm = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON, init=Start(cold.g, EPSILON))
    assert int(warm.info.steps) == 0
    nonsense = jnp.asarray(np.random.default_rng(0).normal(size=b.size), b.dtype)
    for epsilon in (EPSILON, 0.1):
        start = Start(nonsense, epsilon)
        again = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON, init=start)
        check(again.info)
        assert int(again.info.steps) <= int(cold.info.steps) + 2


def test_too_few_cycles_are_told():
    x, y, a, b = clouds()
    for most in (0, 1):
        info = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON, max_steps=most).info
        assert int(info.status) == Status.MAX_STEPS
        assert int(info.steps) == most
        assert float(info.error) > 1e-4


def test_what_tiles_leave_out_does_not_go_unseen(monkeypatch):
    """With too few tiles their own sums converge all the same; the check says no."""
    x, y, a, b = clouds()
    monkeypatch.setattr(multiscale, "LOST", 2e8)
    coupling = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    assert int(coupling.info.status) == Status.STALLED
    assert float(coupling.info.error) > 1e-3
    np.testing.assert_allclose(coupling.info.error, exact_error(coupling), rtol=0.5)


def test_an_error_out_of_reach_is_told():
    """Rounding in float32 leaves more than 1e-7."""
    x, y, a, b = clouds()
    coupling = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON, tol=1e-7)
    assert int(coupling.info.status) == Status.STALLED
    assert exact_error(coupling) < 1e-4  # the best so far comes back


def test_the_error_is_that_of_all_pairs_and_a_little_more():
    """Mean + 3 standard errors: hardly ever below the truth, and never far above."""
    x, y, a, b = clouds()
    for most in (0, 1, 2, 100):
        coupling = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON, max_steps=most)
        told, truth = float(coupling.info.error), exact_error(coupling)
        assert 0.95 * truth <= told <= 1.6 * truth


def test_the_same_call_gives_the_same_bytes_and_compiles_nothing():
    x, y, a, b = clouds()
    first = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    compiled: list[Any] = [levels.half_steps, levels.from_bins, levels.extend]
    sizes = [function._cache_size() for function in compiled]
    second = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    assert sizes == [function._cache_size() for function in compiled]
    np.testing.assert_array_equal(first.f, second.f)
    np.testing.assert_array_equal(first.g, second.g)


def test_small_problems_are_newtons(monkeypatch):
    monkeypatch.setattr(multiscale, "SMALL", 2**26)
    x, y, a, b = clouds(60, 50)
    ours = multiscale.solve(Cloud(x, y), a, b, epsilon=EPSILON)
    np.testing.assert_array_equal(ours.g, newton.solve(Cloud(x, y), a, b, epsilon=EPSILON).g)


def test_the_door():
    x, y, a, b = clouds()
    mu, nu = Measure(x, a), Measure(y, b)
    out = jaxcolor.solve(mu, nu, epsilon=EPSILON, method="multiscale")
    check(out.info)
    assert isinstance(out, Coupling)
    again = jaxcolor.solve(mu, nu, epsilon=EPSILON, method="multiscale", init=out)
    assert int(again.info.steps) <= 1
    low = Measure(y, 2 * b)
    unfit = jaxcolor.solve(mu, low, epsilon=EPSILON, method="multiscale")
    assert int(unfit.info.status) == Status.INFEASIBLE


def test_what_it_cannot_do_is_refused():
    mu = point_cloud(np.eye(4)[:3])
    nu = point_cloud(np.eye(3))
    options = {"epsilon": 0.1, "method": "multiscale"}
    with pytest.raises(ValueError, match="up to 3 dimensions, got 4: use method='newton'"):
        jaxcolor.solve(mu, mu, **options)
    with pytest.raises(ValueError, match="got Euclidean: use method='newton'"):
        jaxcolor.solve(nu, nu, cost=Euclidean(), **options)
    grid = Grid((jnp.linspace(0, 1, 5),), jnp.full(5, 0.2))
    with pytest.raises(ValueError, match="got GridKernel: use method='newton'"):
        jaxcolor.solve(grid, grid, **options)
    with pytest.raises(ValueError, match="got TV"):
        jaxcolor.solve(nu, nu, source_marginal=TV(1.0), **options)
    with pytest.raises(ValueError, match="outside jit"):
        jax.jit(lambda mu: jaxcolor.solve(mu, mu, **options).value)(nu)
    batch = jax.tree.map(lambda leaf: leaf[None], nu)
    with pytest.raises(ValueError, match="solve_batch runs newton, sinkhorn on jax"):
        jaxcolor.solve_batch(batch, batch, **options)


def colours(picture: np.ndarray) -> np.ndarray:
    return (np.unique(picture.reshape(-1, 3), axis=0) / 255).astype(np.float32)


@pytest.mark.slow
def test_photographs(monkeypatch):
    """All distinct colours of two small photographs, some thousand each, at a small epsilon."""
    from skimage import data

    x, y = (colours(p[::6, ::6])[:3500] for p in (data.coffee(), data.astronaut()))
    mu, nu = point_cloud(x), point_cloud(y)
    monkeypatch.setattr(levels, "BINS", 2**20)
    ours = jaxcolor.solve(mu, nu, epsilon=8e-4, method="multiscale", tol=5e-4)
    check(ours.info)
    assert exact_error(ours) <= 5e-4
    theirs = jaxcolor.solve(mu, nu, epsilon=8e-4, tol=5e-4)
    np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-4)
    moved = (np.asarray(average(coupling, nu.points)) for coupling in (ours, theirs))
    apart = 255 * np.abs(np.subtract(*moved))
    assert apart.mean() < 0.02  # levels of 8 bits
    assert apart.max() < 2  # of a colour that hardly any other is near


@pytest.mark.long
def test_a_hundred_thousand(monkeypatch):
    monkeypatch.undo()
    random = np.random.default_rng(0)
    mu, nu = (point_cloud(random.uniform(size=(100_000, 3)).astype(np.float32)) for _ in range(2))
    out = jaxcolor.solve(mu, nu, epsilon=8e-4, method="multiscale", tol=5e-4)
    check(out.info)
    assert int(out.info.passes) < 10
