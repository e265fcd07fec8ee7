import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from jaxcolor.transport.nearest import TILE, nearest


def two_clouds(seed, n, k, d, dtype):
    rng = np.random.default_rng(seed)
    return (jnp.asarray(rng.normal(size=(size, d)), dtype) for size in (n, k))


@pytest.mark.parametrize(("n", "k", "d"), [(1, 1, 1), (50, 7, 1), (300, 33, 3), (200, 100, 5)])
def test_agrees_with_a_tree(n, k, d, dtype):
    points, centres = two_clouds(0, n, k, d, dtype)
    index = nearest(points, centres)
    assert index.dtype == jnp.int32
    np.testing.assert_array_equal(index, cKDTree(centres).query(points)[1])


def test_more_points_than_a_tile():
    points, centres = two_clouds(1, TILE + 100, 40, 3, np.float32)
    np.testing.assert_array_equal(nearest(points, centres), cKDTree(centres).query(points)[1])


def test_finds_itself_far_from_the_origin(dtype):
    """The form |x|^2 + |c|^2 - 2 x.c does not: it rounds by 2^-23 |x|^2."""
    points, _ = two_clouds(2, 500, 1, 3, dtype)
    points = points * jnp.asarray(1e-2, dtype) + jnp.asarray(1000, dtype)
    points = jnp.unique(points, axis=0)
    np.testing.assert_array_equal(nearest(points, points), np.arange(len(points)))


def test_first_of_several_at_one_distance():
    centres = jnp.array([[5.0], [1.0], [-1.0], [1.0]])
    np.testing.assert_array_equal(nearest(jnp.array([[0.0], [1.0]]), centres), [1, 1])


def test_only_what_counts_is_found(dtype):
    points, centres = two_clouds(3, 60, 20, 3, dtype)
    counts = jnp.arange(20) % 3 == 0
    expected = 3 * cKDTree(centres[::3]).query(points)[1]
    np.testing.assert_array_equal(nearest(points, centres, counts), expected)
    np.testing.assert_array_equal(nearest(points, centres, jnp.zeros(20, bool)), np.zeros(60))


def test_batches():
    points, centres = two_clouds(4, 90, 60, 3, np.float32)
    stacked = points.reshape(3, 30, 3), centres.reshape(3, 20, 3)
    looped = jnp.stack([nearest(*one) for one in zip(*stacked, strict=True)])
    chex.assert_trees_all_equal(jax.vmap(nearest)(*stacked), looped)
