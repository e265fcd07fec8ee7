import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from skimage.exposure import match_histograms

from jaxcolor.maps import lookup
from jaxcolor.measure import Measure, pad, point_cloud
from jaxcolor.transport import line

from problems import cloud  # isort: skip


@pytest.mark.parametrize("seed", range(3))
def test_pushes_source_onto_target(seed, dtype):
    """Distance left, by SciPy, against the distance there was."""
    source, target = cloud(seed, 400, dtype, d=1), cloud(seed + 9, 300, dtype, d=1)
    moved = line.solve(source, target)(source.points)
    before, left = (
        wasserstein_distance(p[:, 0], target.points[:, 0], source.weights, target.weights)
        for p in (source.points, moved)
    )
    assert left < 0.02 * before


@settings(derandomize=True, max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_monotone_and_within_the_target(seed):
    rng = np.random.default_rng(seed)
    source = point_cloud(rng.normal(size=(60, 1)).astype(np.float32))
    target = point_cloud((rng.normal(size=(45, 1)) ** 3).astype(np.float32))
    moved = np.asarray(line.solve(source, target, knots=512)(jnp.sort(source.points, axis=0)))
    assert (np.diff(moved[:, 0]) >= -1e-4).all()
    both = np.concatenate([source.points, target.points])
    half = np.ptp(both) / 511 / 2  # a knot stands for half a step to either side
    assert moved.min() >= target.points.min() - 1.01 * half
    assert moved.max() <= target.points.max() + 1.01 * half


def test_same_measure_gives_the_identity(dtype):
    mu = cloud(3, 200, dtype)
    np.testing.assert_allclose(line.solve(mu, mu)(mu.points), mu.points, atol=2e-3)


def test_affine_between_translates_and_scales(dtype):
    mu = cloud(5, 3000, dtype, weighted=False)
    target = Measure(2 * mu.points + jnp.asarray(1, dtype), mu.weights)
    inner = jnp.abs(mu.points - mu.points.mean(0)[None]).max(1) < jnp.asarray(2, dtype)
    gap = line.solve(mu, target, knots=4096)(mu.points) - target.points
    assert jnp.abs(gap[inner]).max() < 0.02


def test_agrees_with_scikit_image_histogram_matching(photographs):
    from jaxcolor import transfer

    source, reference = photographs
    ours = transfer(source, reference, method="histogram").astype(int)
    theirs = np.rint(match_histograms(source, reference, channel_axis=-1)).astype(int)
    # it takes the upper end of each level's quantiles, we the middle
    assert np.mean(np.abs(ours - theirs)) < 1.5


def test_mass_without_points_and_padding_are_inert(dtype):
    source, target = cloud(0, 100, dtype), cloud(1, 80, dtype)
    plain = line.solve(source, target)
    far = Measure(source.points.at[0].set(99), source.weights.at[0].set(0))
    trimmed = Measure(source.points[1:], source.weights[1:])
    chex.assert_trees_all_close(
        line.solve(far, target), line.solve(trimmed, target), rtol=1e-4, atol=1e-5
    )
    chex.assert_trees_all_close(plain, line.solve(pad(source), pad(target)), rtol=1e-5, atol=1e-5)


def test_two_colors_onto_two_colors_are_exact():
    source = point_cloud(np.array([[0.2], [0.7]], np.float32), np.array([1.0, 3.0], np.float32))
    target = point_cloud(np.array([[0.1], [0.9]], np.float32), np.array([2.0, 6.0], np.float32))
    moved = line.solve(source, target)(source.points)
    np.testing.assert_allclose(moved, [[0.1], [0.9]], atol=3e-4)


def test_total_mass_does_not_matter(dtype):
    source, target = cloud(0, 100, dtype), cloud(1, 80, dtype)
    scaled = Measure(target.points, target.weights * jnp.asarray(1000, dtype))
    chex.assert_trees_all_close(
        line.solve(source, target), line.solve(source, scaled), rtol=1e-4, atol=1e-4
    )


def test_vmap_is_a_loop():
    pairs = [(cloud(k, 50, np.float32), cloud(k + 10, 50, np.float32)) for k in range(3)]
    stacked = [jax.tree.map(lambda *x: jnp.stack(x), *side) for side in zip(*pairs, strict=True)]
    batch = jax.vmap(line.solve)(*stacked)
    looped = jax.tree.map(lambda *x: jnp.stack(x), *[line.solve(*pair) for pair in pairs])
    chex.assert_trees_all_close(batch, looped, rtol=1e-5, atol=1e-5)


@pytest.mark.long
def test_jit_is_eager():
    pair = cloud(0, 50, np.float32), cloud(10, 50, np.float32)
    with jax.disable_jit():
        eager = line.solve(*pair, knots=64)
    chex.assert_trees_all_close(eager, line.solve(*pair, knots=64), rtol=1e-4, atol=1e-4)


def test_float32_is_near_float64():
    with jax.enable_x64(True):
        pair64 = cloud(0, 500, np.float64), cloud(1, 400, np.float64)
        moved64 = line.solve(*pair64)(pair64[0].points)
    pair32 = cloud(0, 500, np.float32), cloud(1, 400, np.float32)
    moved32 = line.solve(*pair32)(pair32[0].points)
    assert np.quantile(np.abs(np.asarray(moved32) - np.asarray(moved64)), 0.99) < 5e-3


# blur: the displacement smoothed


def two_lines(dtype):
    """Positions and masses of two clouds on the line."""
    source, target = cloud(0, 400, dtype, d=1), cloud(1, 300, dtype, d=1)
    return source.points[:, 0], source.weights, target.points[:, 0], target.weights


def test_without_blur_the_displacement_is_the_rearrangement(dtype):
    x, a, y, b = two_lines(dtype)
    both = line.binned(x, a, y, b, 128)
    plain = both.step * line.rearrange(both.a, both.b, both.target)
    for nothing in (0.0, jnp.zeros((), dtype)):
        np.testing.assert_array_equal(line.axis_map(x, a, y, b, 128, nothing)[2], plain)


@pytest.mark.parametrize("blur", [0.05, 0.4])
def test_blur_fits_local_lines(dtype, blur):
    """By NumPy's weighted polynomial fit, knot by knot."""
    problem = two_lines(dtype)
    _, step, rough = line.axis_map(*problem, 128)
    _, _, smooth = line.axis_map(*problem, 128, jnp.asarray(blur, dtype))
    mass = np.asarray(line.binned(*problem, 128).a, float)
    weight = mass / mass.sum() + line.RARE / 128
    place = np.arange(128) * float(step)
    expected = [
        np.polyfit(
            place - here,
            np.asarray(rough, float),
            1,
            w=np.sqrt(weight * np.exp(-(((place - here) / blur) ** 2) / 2)),
        )[1]
        for here in place
    ]
    np.testing.assert_allclose(smooth, expected, atol=2e-3)
    assert smooth.dtype == dtype


def test_more_blur_is_less_steep(dtype):
    problem = two_lines(dtype)
    bends = [
        float(jnp.abs(jnp.diff(line.axis_map(*problem, 128, jnp.asarray(w, dtype))[2], 2)).sum())
        for w in (0, 0.05, 0.2, 1)
    ]
    assert bends == sorted(bends, reverse=True)
    assert bends[-1] < 0.02 * bends[0]


@pytest.mark.parametrize("blur", [1e-6, 0.05, 1.0, 1e3])
def test_what_is_linear_stays_with_any_blur(single, blur):
    """But for binning: half a step at either end."""
    x, a, _, _ = two_lines(single)
    for y in (x + 2, jnp.full_like(x, x.mean())):
        low, step, shift = line.axis_map(x, a, y, a, 128, jnp.asarray(blur, single))
        np.testing.assert_allclose(x + lookup(x, low, step, shift), y, atol=1.5 * float(step))


@pytest.mark.parametrize("blur", [1e-6, 1e-3, 0.1, 1e3])
def test_blur_of_few_points_is_finite(single, blur):
    one = jnp.asarray([0.25], single)
    two = jnp.asarray([0.0, 1.0], single)
    for x, y in ((one, one), (one, two), (two, one), (two, two[::-1])):
        shift = line.axis_map(
            x, jnp.ones_like(x), y, jnp.ones_like(y), 128, jnp.asarray(blur, single)
        )[2]
        assert jnp.isfinite(shift).all()
        assert jnp.abs(shift).max() < 2


def test_blur_in_float32_is_near_float64():
    found = []
    for double, dtype in ((True, np.float64), (False, np.float32)):
        with jax.enable_x64(double), jax.numpy_dtype_promotion("strict"):
            found.append(line.axis_map(*two_lines(dtype), 128, jnp.asarray(0.3, dtype))[2])
    assert [leaf.dtype for leaf in found] == [np.float64, np.float32]
    np.testing.assert_allclose(*found, atol=5e-3)
