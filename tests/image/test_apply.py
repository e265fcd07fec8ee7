import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcolor
from jaxcolor.image import pixels
from jaxcolor.image.apply import apply
from jaxcolor.image.spaces import Lab
from jaxcolor.maps import Affine, InSpace

RNG = np.random.default_rng(0)
TURN = InSpace(Lab(), Affine(jnp.diag(jnp.array([0.9, -1.0, 0.5])), jnp.array([5.0, 0, 0])))
HALVE = Affine(0.5 * jnp.eye(3), jnp.full(3, 0.25))


def picture(dtype, channels, size=(37, 53)):
    shape = size if channels == 1 else (*size, channels)
    if np.issubdtype(dtype, np.floating):
        return RNG.uniform(0, 1, shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [3, 4])
def test_agrees_with_the_map_pixel_by_pixel(dtype, channels):
    image = picture(dtype, channels)
    scale = pixels.full_scale(image.dtype)
    result = apply(TURN, image)
    assert (result.dtype, result.shape) == (image.dtype, image.shape)
    flat = jnp.asarray(image[..., :3].reshape(-1, 3).astype(np.float32) / np.float32(scale))
    expected = np.clip(TURN(flat), 0, 1).reshape(*image.shape[:2], 3) * scale
    # half a level of rounding, and float32
    slack = 0.5 + scale * 2e-6 if scale > 1 else 2e-6 if dtype != np.float16 else 1e-3
    np.testing.assert_allclose(result[..., :3].astype(float), expected, atol=slack)
    if channels == 4:
        np.testing.assert_array_equal(result[..., 3], image[..., 3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2])
def test_grey_stays_grey(dtype, channels):
    image = picture(dtype, channels)
    result = apply(HALVE, image)
    assert (result.dtype, result.shape) == (image.dtype, image.shape)
    scale = pixels.full_scale(image.dtype)
    grey = image if channels == 1 else image[..., 0]
    got = result if channels == 1 else result[..., 0]
    slack = 0.6 / scale if scale > 1 else 1e-5
    np.testing.assert_allclose(got / scale, 0.5 * (grey / scale) + 0.25, atol=slack)


def test_mask_blends_and_black_leaves_alone():
    for dtype in (np.uint8, np.uint16, np.float32, np.float64):
        image = picture(dtype, 3)
        mask = np.zeros(image.shape[:2], np.float32)
        mask[:, 20:30], mask[:, 30:] = 0.5, 1
        result, full = apply(HALVE, image, mask=mask), apply(HALVE, image)
        np.testing.assert_array_equal(result[:, :20], image[:, :20])
        np.testing.assert_array_equal(result[:, 30:], full[:, 30:])
        middle = (image[:, 20:30].astype(float) + full[:, 20:30]) / 2
        slack = 0.51 if np.issubdtype(dtype, np.integer) else 1e-6
        np.testing.assert_allclose(result[:, 20:30], middle, atol=slack)


def test_masks_of_any_kind_are_the_same():
    image = picture(np.uint8, 3)
    inside = RNG.uniform(size=image.shape[:2]) > 0.5
    expected = apply(HALVE, image, mask=inside)
    for mask in (inside * np.uint8(255), inside * np.uint16(65535), inside.astype(np.float32)):
        np.testing.assert_array_equal(apply(HALVE, image, mask=mask), expected)


def test_float_pictures_are_clipped_only_if_they_were_within_range():
    push = Affine(jnp.eye(3), jnp.full(3, 0.5))
    within, beyond = np.full((2, 2, 3), 0.8, np.float32), np.full((2, 2, 3), 1.2, np.float32)
    np.testing.assert_allclose(apply(push, within), 1.0)
    np.testing.assert_allclose(apply(push, beyond), 1.7)


def test_the_source_is_not_written_to():
    image = picture(np.uint8, 4)
    before = image.copy()
    apply(HALVE, image)
    np.testing.assert_array_equal(image, before)
    image.flags.writeable = False
    apply(HALVE, image)


def test_strided_and_read_only_views_work():
    image = picture(np.uint8, 3, (40, 60))
    np.testing.assert_array_equal(
        apply(HALVE, image[::2, ::-3]), apply(HALVE, np.ascontiguousarray(image[::2, ::-3]))
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (257, 256)])
def test_any_size(size):
    image = picture(np.uint8, 3, size)
    expected = np.rint(image * 0.5 + 0.25 * 255)
    assert np.abs(apply(HALVE, image) - expected).max() <= 1


def test_x64_is_honoured_on_every_thread(x64):
    image = RNG.uniform(0, 1, (400, 400, 3))  # three tiles, hence threads
    fine = Affine(jnp.eye(3) * (1 / 3), jnp.full(3, 1e-12))
    np.testing.assert_allclose(apply(fine, image), image / 3 + 1e-12, rtol=1e-14)


def test_no_recompile_for_another_picture_or_another_fit():
    pixels._call.clear_cache()
    for size, gain in (((3, 4), 0.5), ((300, 400), 0.7), ((1, 1), 0.1)):
        for dtype in (np.uint8, np.uint16, np.float32):
            apply(Affine(gain * jnp.eye(3), jnp.zeros(3)), picture(dtype, 3, size))
    assert pixels._call._cache_size() == 1


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((4, 4, 5), np.uint8), "got shape"),
        (np.zeros(4, np.uint8), "got shape"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 4, 3), np.int32), "int32"),
        (np.full((4, 4, 3), np.nan, np.float32), "NaN"),
        (np.full((4, 4, 3), np.inf, np.float32), "NaN or infinite"),
    ],
)
def test_bad_pictures_are_named(image, says):
    with pytest.raises(ValueError, match=says):
        jaxcolor.apply(HALVE, image)


def test_bad_masks_are_named():
    image = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(ValueError, match="same size, 6x4"):
        apply(HALVE, image, mask=np.ones((6, 4)))
    with pytest.raises(ValueError, match="mask"):
        apply(HALVE, image, mask=np.ones((4, 6), np.int64))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_plain_function_is_a_map(channels):
    image = picture(np.uint8, channels)
    assert np.abs(apply(lambda c: 1 - c, image).astype(int) - (255 - image)).max() <= 1


def test_jax_arrays_are_pictures_too():
    image = picture(np.uint8, 3)
    np.testing.assert_array_equal(apply(HALVE, jnp.asarray(image)), apply(HALVE, image))
    assert isinstance(apply(HALVE, jax.device_put(image)), np.ndarray)
