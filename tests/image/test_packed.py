"""Tables on 8-bit pixels in whole numbers: against the same table in floats."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.image import lut, packed
from jaxcolor.image.apply import apply
from jaxcolor.image.bake import bake
from jaxcolor.image.pixels import TILE, evaluate
from jaxcolor.maps import Affine

RNG = np.random.default_rng(0)
IDENTITY = Affine(jnp.eye(3), jnp.zeros(3))


def table(size, low=0.0, high=1.0):
    values = RNG.uniform(low, high, (size, size, size, 3)).astype(np.float32)
    return lut.Lut(jnp.asarray(values), jnp.array([[0.0] * 3, [1.0] * 3]))


def noise(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("size", [2, 17, 33, 65, 100])
def test_the_identity_changes_no_bit(size):
    greys = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    for image in (greys, noise(99, 77, 3)):
        np.testing.assert_array_equal(apply(bake(IDENTITY, size), image), image)


@pytest.mark.parametrize(
    ("size", "low", "high"), [(2, 0, 1), (9, 0, 1), (33, 0, 1), (9, -0.5, 1.5)]
)
def test_it_is_the_table_rounded(size, low, high):
    one, image = table(size, low, high), noise(50, 60, 3)
    levels = 255 * np.clip(evaluate(one, image.reshape(-1, 3) / np.float32(255)), 0, 1)
    off = np.abs(apply(one, image).reshape(-1, 3) - levels)
    # half a level for rounding; a value is known to 1/64 level, half of that beyond [0, 1]
    assert off.max() <= 0.5 + (high - low) / 64 + 1e-3


def test_what_is_not_packed_is_still_applied():
    plain = table(5)
    others = [
        lut.Lut(plain.table, plain.domain, "trilinear"),
        lut.Lut(plain.table, jnp.array([[0.0] * 3, [0.5] * 3])),
        table(5, -20, 20),
    ]
    image = noise(20, 30, 3)
    for one in others:
        assert packed.pack(one) is None
        expected = evaluate(one, image.reshape(-1, 3) / np.float32(255))
        expected = np.rint(255 * np.clip(expected, 0, 1)).reshape(image.shape)
        np.testing.assert_array_equal(apply(one, image), expected)
    assert packed.pack(plain) is not None


def test_other_pictures_go_the_same_way():
    one, image = table(9), noise(40, 50, 4)
    colors = apply(one, np.ascontiguousarray(image[..., :3]))
    mapped = apply(one, image)
    np.testing.assert_array_equal(mapped[..., :3], colors)
    np.testing.assert_array_equal(mapped[..., 3], image[..., 3])
    mask = np.zeros((40, 50), bool)
    mask[:20] = True
    masked = apply(one, np.ascontiguousarray(image[..., :3]), mask=mask)
    np.testing.assert_array_equal(masked[:20], colors[:20])
    np.testing.assert_array_equal(masked[20:], image[20:, :, :3])
    grey = apply(bake(IDENTITY, 5), image[..., 0])
    np.testing.assert_array_equal(grey, image[..., 0])


def test_sizes_of_pictures_share_a_program():
    one = table(9)
    apply(one, noise(8, 8, 3))
    programs = packed._look_up._cache_size()
    apply(table(9), noise(100, 31, 3))
    assert packed._look_up._cache_size() == programs
    # beyond a tile, rows are cut without a seam
    image = noise(TILE // 64 + 3, 64, 3)
    whole = apply(one, image)
    np.testing.assert_array_equal(whole[-9:], apply(one, image[-9:]))
