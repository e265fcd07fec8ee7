import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from jaxcolor.measure import Measure, pad, point_cloud
from jaxcolor.recipes.score import sw2
from jaxcolor.transport import sliced

from problems import cloud  # isort: skip

KEY = jax.random.key(0)


def sliced_distance(x, y) -> float:
    """Plain definition on two equal-sized clouds, 200 directions."""
    theta = np.random.default_rng(0).normal(size=(200, 3))
    theta /= np.linalg.norm(theta, axis=1, keepdims=True)
    px, py = (np.sort(np.asarray(p, np.float64) @ theta.T, 0) for p in (x, y))
    return float(np.sqrt(((px - py) ** 2).mean()))


@pytest.mark.parametrize("seed", range(3))
def test_reaches_the_target(seed, dtype):
    source, target = (cloud(seed + k, 3000, dtype, weighted=False) for k in (0, 30))
    moved = sliced.solve(source, target, jax.random.key(seed))(source.points)
    before = sliced_distance(source.points, target.points)
    assert sliced_distance(moved, target.points) < 0.02 * before


def test_lies_near_the_optimal_assignment():
    source, target = (cloud(k, 400, np.float32, weighted=False) for k in (0, 30))
    moved = np.asarray(sliced.solve(source, target, KEY, knots=4096)(source.points))
    cost = cdist(source.points, target.points, "sqeuclidean")
    best = cost[linear_sum_assignment(cost)].mean()
    ours = ((moved - np.asarray(source.points)) ** 2).sum(1).mean()
    assert 0.95 * best < ours < 1.10 * best


def test_translation_is_found(dtype):
    source = cloud(4, 1000, dtype)
    shift = jnp.asarray([3.0, -1.0, 0.5], dtype)
    moved = sliced.solve(source, Measure(source.points + shift[None], source.weights), KEY)
    off = jnp.abs(moved(source.points) - source.points - shift[None])
    step = jnp.ptp(source.points) / sliced.KNOTS
    assert np.quantile(off, 0.5) < step
    assert np.quantile(off, 0.99) < 4 * step


def test_relaxation_makes_shorter_steps():
    source, target = (cloud(k, 500, np.float32, weighted=False) for k in (0, 30))
    left = [
        sliced_distance(
            sliced.solve(source, target, KEY, bases=4, relaxation=r)(source.points), target.points
        )
        for r in (0.25, 0.5, 1.0)
    ]
    assert left[0] > left[1] > left[2]


def test_weights_count(dtype):
    """A point of weight two is two points."""
    points = cloud(0, 64, dtype).points
    target = cloud(1, 100, dtype)
    weights = jnp.ones(64, dtype).at[:10].set(2)
    twice = jnp.concatenate([points, points[:10]])
    a = sliced.solve(Measure(points, weights), target, KEY, bases=5)
    b = sliced.solve(point_cloud(twice), target, KEY, bases=5)
    # a level beside a jump of the target may fall either way by rounding
    assert np.quantile(jnp.abs(a(points) - b(points)).max(1), 0.9) < 5e-3


def test_padding_is_inert(dtype):
    source, target = cloud(0, 1100, dtype), cloud(1, 1300, dtype)
    a = sliced.solve(source, target, KEY, bases=6)
    b = sliced.solve(pad(source), pad(target), KEY, bases=6)
    gap = jnp.abs(a(source.points) - b(source.points)).max(1)
    # a level beside a jump of the target may fall either way by rounding
    assert np.quantile(gap, 0.95) < (1e-9 if dtype == np.float64 else 1e-3)


def test_same_key_same_map_other_key_other_map():
    source, target = cloud(0, 100, np.float32), cloud(1, 80, np.float32)
    first = sliced.solve(source, target, KEY, bases=3)
    chex.assert_trees_all_equal(first, sliced.solve(source, target, KEY, bases=3))
    other = sliced.solve(source, target, jax.random.key(1), bases=3)
    assert jnp.abs(first.frames - other.frames).max() > 0.1


def test_vmap_is_a_loop():
    pairs = [(cloud(k, 64, np.float32), cloud(k + 10, 64, np.float32)) for k in range(3)]
    stacked = [jax.tree.map(lambda *x: jnp.stack(x), *side) for side in zip(*pairs, strict=True)]

    def moved(a, b):
        return sliced.solve(a, b, KEY, bases=3, knots=64)(a.points)

    batch = jax.vmap(moved)(*stacked)
    for k, pair in enumerate(pairs):
        np.testing.assert_allclose(batch[k], moved(*pair), atol=1e-3)


def test_what_cannot_be_done_is_said():
    flat, solid = cloud(0, 20, np.float32, d=2), cloud(1, 20, np.float32)
    with pytest.raises(ValueError, match="differ in dimension"):
        sliced.solve(flat, solid, KEY)
    with pytest.raises(ValueError, match="bases"):
        sliced.solve(solid, solid, KEY, bases=0)
    with pytest.raises(ValueError, match="knots"):
        sliced.solve(solid, solid, KEY, knots=1)


def test_no_retrace_for_new_values():
    chex.clear_trace_counter()
    solve = jax.jit(
        chex.assert_max_traces(lambda a, b, k: sliced.solve(a, b, k, bases=2, knots=32), n=1)
    )
    for seed in range(3):
        pair = cloud(seed, 64, np.float32), cloud(seed + 1, 64, np.float32)
        solve(*pair, jax.random.key(seed))


@pytest.mark.slow
@pytest.mark.parametrize(("bases", "median", "worst"), [(10, 0.0095, 0.011), (30, 0.003, 0.004)])
def test_published_pair_over_eight_keys(shared_data, bases, median, worst):
    import jaxcolor

    house, plain = shared_data("scotland_house.png"), shared_data("scotland_plain.png")
    left = [
        sw2(
            jaxcolor.transfer(
                house, plain, method="sliced", space="srgb", bases=bases, key=jax.random.key(k)
            ),
            plain,
        )
        for k in range(8)
    ]
    assert np.median(left) <= median
    assert max(left) <= worst


# blur: maps smoothed along each axis


@pytest.fixture(scope="module")
def colours(photographs):
    """Of two photographs, 4,096 points each."""
    from jaxcolor.image import colors
    from jaxcolor.image.pixels import view

    return [colors.sample(view(picture), size=4096) for picture in photographs]


def few(source, target, **options):
    """One program, for 64 points on either side, that these tests share."""
    return sliced.solve(source, target, KEY, bases=2, **options)


def test_no_blur_is_the_default_bit_for_bit(dtype):
    pair = cloud(0, 64, dtype), cloud(1, 64, dtype)
    chex.assert_trees_all_equal(few(*pair, blur=jnp.zeros((), dtype)), few(*pair))


@pytest.mark.parametrize("blur", [0.1, 2.0])
def test_blur_leaves_translations_as_they_are(dtype, blur):
    source = cloud(4, 64, dtype)
    shift = jnp.asarray([3.0, -1.0, 0.5], dtype)
    moved = few(source, Measure(source.points + shift[None], source.weights), blur=blur)
    step = jnp.ptp(source.points) / sliced.KNOTS
    off = jnp.abs(moved(source.points) - source.points - shift[None])
    assert off.max() < 2 * step
    assert off.dtype == dtype


@pytest.mark.parametrize("blur", [0.1, 2.0])
def test_blur_meets_a_flat_target(dtype, blur):
    source = cloud(4, 64, dtype)
    point = jnp.broadcast_to(jnp.asarray([1.0, 2.0, 3.0], dtype), (64, 3))
    moved = few(source, Measure(point, source.weights), blur=blur)(source.points)
    # a local mean, in place of a line, would be off by units
    np.testing.assert_allclose(moved, point, atol=5e-3)


def test_more_blur_fits_better_in_a_table_and_costs_little(colours, photographs):
    from jaxcolor import apply, bake
    from jaxcolor.image.bake import bake_error

    source, reference = photographs
    decibels, left = [], []
    for blur in (0.0, 0.05, 0.2):
        fitted = sliced.solve(*colours, KEY, bases=10, blur=blur)
        decibels.append(bake_error(bake(fitted, 17), fitted, source)[0])
        left.append(sw2(apply(fitted, source), reference))
    assert decibels[0] + 2 < decibels[1]
    assert decibels[1] + 5 < decibels[2]
    before = sw2(source, reference)
    assert left[1] < 0.025 * before
    assert left[2] < 0.06 * before


def test_blur_is_traced():
    pair = cloud(0, 64, np.float32), cloud(1, 64, np.float32)
    first = few(*pair, blur=0.1)
    programs = sliced.solve._cache_size()
    other = few(*pair, blur=0.3)
    assert sliced.solve._cache_size() == programs
    assert jnp.abs(first.shift - other.shift).max() > 1e-3


def test_vmap_over_blur_is_a_loop():
    pair = cloud(0, 64, np.float32), cloud(1, 64, np.float32)
    widths = jnp.array([0.0, 0.2, 1.0])
    batch = jax.vmap(lambda blur: few(*pair, blur=blur))(widths)
    for k, blur in enumerate(widths):
        chex.assert_trees_all_close(
            jax.tree.map(lambda leaf, k=k: leaf[k], batch), few(*pair, blur=blur), atol=1e-3
        )


def test_blur_in_double_precision(double):
    pair = cloud(0, 64, double), cloud(1, 64, double)
    fitted = few(*pair, blur=0.3)
    assert {leaf.dtype for leaf in jax.tree.leaves(fitted)} == {double}
    left, before = (
        sliced_distance(p, pair[1].points) for p in (fitted(pair[0].points), pair[0].points)
    )
    assert left < 0.3 * before


def test_a_flat_source_with_blur():
    source, target = point_cloud(np.full((64, 3), 0.3, np.float32)), cloud(1, 64, np.float32)
    moved = few(source, target, blur=0.2)(source.points)
    np.testing.assert_allclose(moved, jnp.broadcast_to(moved[0], moved.shape), atol=1e-5)
    # the middle of the target, or near it
    spread = target.points.std(0).max()
    assert jnp.abs(moved[0] - jnp.median(target.points, axis=0)).max() < spread
