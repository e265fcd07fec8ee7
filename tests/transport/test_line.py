import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from skimage.exposure import match_histograms

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


def test_vmap_is_a_loop_and_jit_is_eager():
    pairs = [(cloud(k, 50, np.float32), cloud(k + 10, 50, np.float32)) for k in range(3)]
    stacked = [jax.tree.map(lambda *x: jnp.stack(x), *side) for side in zip(*pairs, strict=True)]
    batch = jax.vmap(line.solve)(*stacked)
    looped = jax.tree.map(lambda *x: jnp.stack(x), *[line.solve(*pair) for pair in pairs])
    chex.assert_trees_all_close(batch, looped, rtol=1e-5, atol=1e-5)
    with jax.disable_jit():
        eager = line.solve(*pairs[0], knots=64)
    chex.assert_trees_all_close(eager, line.solve(*pairs[0], knots=64), rtol=1e-4, atol=1e-4)


def test_float32_is_near_float64():
    with jax.enable_x64(True):
        pair64 = cloud(0, 500, np.float64), cloud(1, 400, np.float64)
        moved64 = line.solve(*pair64)(pair64[0].points)
    pair32 = cloud(0, 500, np.float32), cloud(1, 400, np.float32)
    moved32 = line.solve(*pair32)(pair32[0].points)
    assert np.quantile(np.abs(np.asarray(moved32) - np.asarray(moved64)), 0.99) < 5e-3
