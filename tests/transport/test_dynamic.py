import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Status, check
from jaxcolor.measure import Grid, nodes
from jaxcolor.transport import dynamic

from problems import squared_distances  # isort: skip

SIDE, FRAMES = 32, 8


def blobs(dtype, *parts, side=SIDE, haze=0.0):
    """Gaussians (centre, width, height) on the pixels of the unit square, mass one."""
    axis = jnp.asarray((np.arange(side) + 0.5) / side, dtype)
    x = nodes((axis, axis))
    total = jnp.full(side**2, haze, dtype)
    for centre, width, height in parts:
        squares = ((x - jnp.asarray(centre, dtype)) ** 2).sum(1)
        total = total + height * jnp.exp(-squares / (2 * width**2))
    return Grid((axis, axis), (total / total.sum()).reshape(side, side))


def two(dtype, side=SIDE):
    """Smooth, of two bumps each, nowhere zero."""
    here = ((0.3, 0.3), 0.1, 1.0), ((0.7, 0.6), 0.12, 0.7)
    there = ((0.6, 0.25), 0.12, 1.0), ((0.3, 0.7), 0.1, 0.8)
    return (blobs(dtype, *parts, side=side, haze=0.05) for parts in (here, there))


def exact(ot, source, target):
    """The linear programme on the pixels' centres, less what Diracs add.

    To land on nodes a point's mass is split between neighbours: on average that costs h^2 / 6
    along each axis.
    """
    x = np.asarray(nodes(source.axes), float)
    a, b = (np.asarray(w, float).ravel() for w in (source.weights, target.weights))
    cost = squared_distances(x, x)
    pixel = float(source.axes[0][1] - source.axes[0][0])
    value = float(ot.emd2(a / a.sum(), b / b.sum(), cost, numItermax=10**7))
    return value - 2 * pixel**2 / 6


def test_gaussian_is_translated(dtype):
    source, target = (blobs(dtype, (c, 0.08, 1.0)) for c in ((0.3, 0.35), (0.65, 0.6)))
    found = dynamic.solve(source, target, frames=FRAMES)
    check(found.info)
    np.testing.assert_allclose(found.value, 0.35**2 + 0.25**2, rtol=0.01)
    middle = found.path.weights[FRAMES // 2]
    want = blobs(dtype, ((0.475, 0.475), 0.08, 1.0)).weights
    assert np.abs(middle - want).sum() < 0.08
    assert found.value.dtype == middle.dtype == dtype


def test_value_is_that_of_the_linear_programme(ot, dtype):
    found = dynamic.solve(*two(dtype), frames=FRAMES)
    check(found.info)
    np.testing.assert_allclose(found.value, exact(ot, *two(dtype)), rtol=0.01)


@pytest.mark.slow
def test_error_falls_with_the_pixel(ot, single):
    """Each from its own side: the centres' means lose what lies between the faces."""
    want = exact(ot, *two(single, 48))
    off = [
        abs(dynamic.solve(*two(single, side), frames=16, tol=1e-3).value - want)
        for side in (16, 32)
    ]
    assert off[1] < off[0] / 2.5


def test_on_a_line_it_is_the_monotone_map(double):
    """W_2^2 = int (F^-1 - G^-1)^2, and the path is that of the quantiles."""
    n, frames = 64, 8
    axis = np.linspace(0, 1, n)
    a, b = (np.exp(-(((axis - c) / w) ** 2)) for c, w in ((0.3, 0.1), (0.65, 0.2)))
    a, b = a / a.sum(), b / b.sum()
    edges = np.linspace(0, 1, n + 1) * n / (n - 1) - 0.5 / (n - 1)
    levels = (np.arange(20_000) + 0.5) / 20_000
    x, y = (np.interp(levels, np.concatenate([[0], np.cumsum(w)]), edges) for w in (a, b))
    source, target = (Grid((jnp.asarray(axis),), jnp.asarray(w)) for w in (a, b))
    found = dynamic.solve(source, target, frames=frames, tol=1e-4)
    check(found.info)
    np.testing.assert_allclose(found.value, ((x - y) ** 2).mean(), rtol=5e-3)
    want = np.histogram((x + y) / 2, edges)[0] / levels.size
    assert np.abs(found.path.weights[frames // 2] - want).sum() < 0.02


def test_mass_is_kept_and_nowhere_made(single):
    source, target = two(single)
    found = dynamic.solve(source, target, frames=FRAMES)
    path = np.asarray(found.path.weights)
    np.testing.assert_allclose(path[0], source.weights, atol=1e-8)
    np.testing.assert_allclose(path[-1], target.weights, atol=1e-8)
    np.testing.assert_allclose(path.sum((1, 2)), 1, rtol=1e-5)
    assert np.minimum(path, 0).sum((1, 2)).min() > -3e-3
    down, along = found.momentum
    assert down.shape == (FRAMES, SIDE - 1, SIDE)
    assert along.shape == (FRAMES, SIDE, SIDE - 1)
    out = np.diff(np.pad(down, [(0, 0), (1, 1), (0, 0)]), axis=1)
    out += np.diff(np.pad(along, [(0, 0), (0, 0), (1, 1)]), axis=2)
    assert np.abs(np.diff(path, axis=0) + out / FRAMES).max() < 1e-4 * path.max()


def test_backwards_is_the_same_path(single):
    source, target = two(single)
    there, back = (
        dynamic.solve(*pair, frames=FRAMES) for pair in ((source, target), (target, source))
    )
    np.testing.assert_allclose(there.value, back.value, rtol=1e-4)
    np.testing.assert_allclose(there.path.weights, back.path.weights[::-1], atol=1e-5)


def test_units_do_not_matter(single):
    """Nor does the mass, or a longer ruler."""
    source, target = two(single)
    one = dynamic.solve(source, target, frames=FRAMES)
    large = (
        Grid(tuple(50 * axis + 7 for axis in part.axes), 3 * part.weights)
        for part in (source, target)
    )
    other = dynamic.solve(*large, frames=FRAMES)
    np.testing.assert_allclose(other.value, 3 * 50**2 * one.value, rtol=1e-4)
    np.testing.assert_allclose(other.path.weights, 3 * one.path.weights, atol=1e-5)
    np.testing.assert_allclose(other.momentum[0], 3 * one.momentum[0], atol=1e-4)


def test_derivatives_in_both_densities(double):
    """The potentials at both ends, by finite differences."""
    source, target = two(double, 12)
    rng = np.random.default_rng(0)

    def value(a, b):
        ends = (Grid(source.axes, w) for w in (a, b))
        return dynamic.solve(*ends, frames=4, tol=1e-8, max_steps=10_000).value

    ends = [source.weights, target.weights]
    slopes = jax.grad(value, (0, 1))(*ends)
    for k in range(2):
        move = 0.1 * jnp.asarray(rng.normal(size=(12, 12))) * ends[k]
        move = move - ends[k] * move.sum()
        rise = [
            value(*(w + move * (sign * 1e-2 if j == k else 0.0) for j, w in enumerate(ends)))
            for sign in (1, -1)
        ]
        np.testing.assert_allclose((slopes[k] * move).sum(), (rise[0] - rise[1]) / 2e-2, rtol=1e-4)


def test_transformations_change_nothing(single):
    pairs = [tuple(two(single, 16)), tuple(two(single, 16))[::-1]]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)
    batch = jax.vmap(lambda a, b: dynamic.solve(a, b, frames=4))(*stacked)
    for k, pair in enumerate(pairs):
        alone = jax.jit(lambda a, b: dynamic.solve(a, b, frames=4))(*pair)
        np.testing.assert_allclose(batch.value[k], alone.value, rtol=1e-5)
        np.testing.assert_allclose(batch.path.weights[k], alone.path.weights, atol=1e-6)
        assert batch.info.status[k] == Status.OK


def test_nothing_moves_between_equals(single):
    source, _ = two(single)
    found = dynamic.solve(source, source, frames=4)
    check(found.info)
    assert 0 <= found.value < 1e-6
    np.testing.assert_allclose(found.path.weights, source.weights[None].repeat(5, 0), atol=1e-5)


def test_it_says_how_it_ended(single):
    source, target = two(single, 16)
    assert dynamic.solve(source, target, frames=4, max_steps=3).info.status == Status.MAX_STEPS
    heavy = Grid(target.axes, 2 * target.weights)
    assert dynamic.solve(source, heavy, frames=4).info.status == Status.INFEASIBLE
    lost = Grid(target.axes, target.weights.at[0, 0].set(jnp.nan))
    assert dynamic.solve(source, lost, frames=4).info.status == Status.NONFINITE


def test_what_makes_no_sense_is_refused(single):
    source, target = two(single, 16)
    with pytest.raises(ValueError, match=r"densities must be \(16, 16\)"):
        dynamic.solve(source, Grid(target.axes, target.weights[1:]))
    with pytest.raises(ValueError, match="frames must be at least 2"):
        dynamic.solve(source, target, frames=1)
