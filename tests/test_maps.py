import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor import maps
from jaxcolor.image.spaces import SPACES
from jaxcolor.measure import point_cloud
from jaxcolor.transport import sliced

from problems import cloud  # isort: skip


@pytest.fixture(scope="module")
def quantile():
    source, target = cloud(0, 300, np.float32), cloud(1, 200, np.float32)
    return sliced.solve(source, target, jax.random.key(0), bases=4, knots=64)


def by_hand(q: maps.Quantile, colors: np.ndarray) -> np.ndarray:
    """The composition, one base and one axis at a time, with np.interp."""
    x = colors.astype(np.float64)
    for frame, low, step, shift in zip(
        *(np.asarray(p, np.float64) for p in (q.frames, q.low, q.step, q.shift)), strict=True
    ):
        along = x @ frame.T
        moves = [
            np.interp(along[:, c], low[c] + step[c] * np.arange(shift.shape[1]), shift[c])
            for c in range(3)
        ]
        x = x + np.stack(moves, 1) @ frame
    return x


def test_quantile_map_is_the_composition_of_its_tables(quantile):
    colors = np.random.default_rng(2).normal(size=(50, 3)).astype(np.float32) * 3
    np.testing.assert_allclose(quantile(jnp.asarray(colors)), by_hand(quantile, colors), atol=2e-5)


def test_quantile_map_goes_on_with_slope_one(quantile):
    one = maps.Quantile(*(leaf[:1] for leaf in jax.tree.leaves(quantile)))
    far = jnp.array([[1e3, 0.0, 0.0], [1e3 + 1, 0.0, 0.0]]) @ one.frames[0]
    moved = one(far)
    np.testing.assert_allclose(moved[1] - moved[0], far[1] - far[0], atol=1e-3)
    assert jnp.isfinite(quantile(jnp.array([[1e6, -1e6, 0.0]]))).all()


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_blend_interpolates(quantile, strength):
    x = jnp.linspace(-1, 1, 30).reshape(10, 3)
    blended = maps.Blend(jnp.asarray(strength), quantile)(x)
    np.testing.assert_allclose(blended, (1 - strength) * x + strength * quantile(x), atol=1e-5)


@pytest.mark.parametrize("name", SPACES)
def test_identity_in_any_space_is_the_identity(name):
    x = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (100, 3)), jnp.float32)
    same = maps.InSpace(SPACES[name], maps.Affine(jnp.eye(3), jnp.zeros(3)))
    np.testing.assert_allclose(same(x), x, atol=1e-5)


def test_maps_follow_the_dtype_of_the_colors(quantile, dtype):
    x = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (8, 3)), dtype)
    affine = maps.Affine(jnp.eye(3, dtype=np.float32), jnp.zeros(3, np.float32))
    for one in (quantile, affine, maps.Blend(jnp.asarray(0.5, np.float32), affine)):
        assert one(x).dtype == dtype


def test_jit_vmap_and_eager_agree(quantile):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 5, 3)), jnp.float32)
    looped = jnp.stack([quantile(one) for one in x])
    np.testing.assert_allclose(jax.vmap(quantile)(x), looped, atol=1e-5)
    np.testing.assert_allclose(jax.jit(quantile.__call__)(x[0]), looped[0], atol=1e-5)


def test_derivative_in_the_colors_matches_differences(x64):
    source, target = cloud(0, 300, np.float64), cloud(1, 200, np.float64)
    one = sliced.solve(source, target, jax.random.key(0), bases=3, knots=32)
    point = jnp.array([0.31, -0.2, 0.5])

    def value(p):
        return (one(p[None]) ** 2).sum()

    step = 1e-6
    differences = [
        (value(point.at[c].add(step)) - value(point.at[c].add(-step))) / (2 * step)
        for c in range(3)
    ]
    np.testing.assert_allclose(jax.grad(value)(point), np.array(differences), rtol=1e-5)


def test_one_program_for_two_fits_of_one_shape(quantile):
    chex.clear_trace_counter()
    call = jax.jit(chex.assert_max_traces(lambda m, x: m(x), n=1))
    x = jnp.zeros((4, 3))
    call(quantile, x)
    call(jax.tree.map(lambda leaf: leaf + 1, quantile), x)


def test_constant_measure_maps_to_a_point():
    """Flat onto flat: every table is one displacement."""
    one = point_cloud(np.full((5, 3), 0.25, np.float32))
    other = point_cloud(np.full((7, 3), 0.75, np.float32))
    fitted = sliced.solve(one, other, jax.random.key(0), bases=3)
    np.testing.assert_allclose(fitted(one.points), 0.75, atol=1e-6)
