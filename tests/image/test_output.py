"""What a file can hold of a recoloured picture: gamut, dither, dtype."""

import numpy as np
import pytest

from jaxcolor.image.output import LUMA, dithered, finished, into_gamut
from jaxcolor.image.pixels import from_float

RNG = np.random.default_rng(0)
EIGHT = np.dtype(np.uint8)


def luma(colors):
    return colors @ LUMA.astype(colors.dtype)


def flat(level, shape=(128, 128, 3)):
    return np.full(shape, level / 255, np.float32)


# into_gamut


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inside_nothing_changes(dtype):
    """Ends and corners of the cube included."""
    x = RNG.random((5000, 3)).astype(dtype)
    x[:1000] = np.rint(x[:1000])
    result = into_gamut(x)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, x)


@pytest.fixture(scope="module")
def beyond():
    """Colours outside the cube with a luma inside it."""
    x = RNG.uniform(-0.6, 1.6, (8000, 3)).astype(np.float32)
    outside = ((x < 0) | (x > 1)).any(1)
    return x[outside & (luma(x) > 0) & (luma(x) < 1)]


def test_outside_keeps_luma(beyond):
    result = into_gamut(beyond)
    assert len(beyond) > 1000
    assert result.min() >= 0
    assert result.max() <= 1
    np.testing.assert_allclose(luma(result), luma(beyond), atol=2e-6)


def test_outside_keeps_hue_and_as_much_saturation_as_fits(beyond):
    """The direction from grey stays, and the way goes on to a side of the cube."""
    grey = luma(beyond)[:, None]
    before, after = beyond - grey, into_gamut(beyond) - grey
    share = (before * after).sum(1) / (before**2).sum(1)
    assert (share < 1).all()
    assert (share >= 0).all()
    np.testing.assert_allclose(after, share[:, None] * before, atol=2e-6)
    result = into_gamut(beyond)
    to_side = np.minimum(result, 1 - result).min(1)
    np.testing.assert_allclose(to_side, 0, atol=2e-6)


def test_a_luma_out_of_range_is_black_or_white():
    x = np.array([[-0.5, -0.2, 0.1], [1.5, 1.2, 0.9], [-1, -1, -1], [9, 9, 9]], np.float32)
    np.testing.assert_array_equal(into_gamut(x)[:, 0], [0, 1, 0, 1])
    assert (np.ptp(into_gamut(x), axis=1) == 0).all()


def test_a_picture_and_its_rows_alike(beyond):
    rows = beyond[:1000]
    picture = into_gamut(rows.reshape(20, 50, 3))
    np.testing.assert_allclose(picture.reshape(-1, 3), into_gamut(rows), atol=1e-6)


# dithered


def test_whole_levels_stay():
    picture = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 300, 3))
    np.testing.assert_array_equal(dithered(picture / np.float32(255), EIGHT), picture)


def test_levels_that_lost_or_gained_their_last_bit_stay():
    levels = np.broadcast_to(np.arange(1, 255, dtype=np.uint8)[:, None, None], (254, 300, 3))
    floats = levels / np.float32(255)
    for towards in (np.float32(0), np.float32(1)):
        near = np.nextafter(np.nextafter(floats, towards), towards)
        np.testing.assert_array_equal(dithered(near, EIGHT), levels)


@pytest.mark.parametrize("level", [0.1, 0.5, 10.1, 77.25, 100.5, 200.9, 254.98])
def test_the_mean_is_kept(level):
    result = dithered(flat(level), EIGHT)
    assert set(np.unique(result)) <= {int(level), int(level) + 1}
    np.testing.assert_allclose(result.mean((0, 1)), level, atol=0.01)


@pytest.mark.parametrize("level", [0.1, 0.5, 77.25])
def test_the_mean_is_kept_nearby(level):
    """Over any 8 x 8 pixels, where noise would be off by .15 and plain rounding by .5."""
    result = dithered(flat(level), EIGHT)[..., 1].astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(result, (8, 8)).mean((2, 3))
    assert np.abs(windows - level).max() < 0.06


def test_channels_are_out_of_step():
    result = dithered(flat(100.5), EIGHT).astype(float)
    assert (np.ptp(result, axis=2) > 0).mean() > 0.4


@pytest.mark.parametrize("channels", [1, 3])
def test_strips_leave_no_seam(channels):
    picture = RNG.random((50, 33, channels)).astype(np.float32)
    whole = dithered(picture, EIGHT)
    assert whole.shape == picture.shape
    strips = [dithered(picture[k : k + 7], EIGHT, k) for k in range(0, 50, 7)]
    np.testing.assert_array_equal(np.concatenate(strips), whole)
    assert np.abs(whole - 255 * picture).max() < 1.002


def test_what_is_beyond_the_scale_meets_its_end():
    np.testing.assert_array_equal(dithered(flat(-60.5), EIGHT), 0)
    np.testing.assert_array_equal(dithered(flat(300.5), EIGHT), 255)


# finished


def test_eight_bits_alone_are_dithered():
    picture = flat(100.4, (40, 50, 3))
    how = {"bounded": True, "gamut": True}
    eight = finished(picture, EIGHT, dither=True, **how)
    np.testing.assert_array_equal(eight, dithered(picture, EIGHT))
    np.testing.assert_array_equal(eight, finished(picture, EIGHT, dither=True, **how))
    assert (finished(picture, EIGHT, dither=False, **how) == 100).all()
    deep = np.dtype(np.uint16)
    np.testing.assert_array_equal(
        finished(picture, deep, dither=True, **how), from_float(picture, deep)
    )
    for kind in (np.float16, np.float32, np.float64):
        result = finished(picture, np.dtype(kind), dither=True, **how)
        np.testing.assert_array_equal(result, picture.astype(kind))
        assert result.dtype == kind


def test_fade_or_clip():
    picture = RNG.uniform(-0.5, 1.5, (50, 33, 3)).astype(np.float32)
    single = np.dtype(np.float32)
    fade, cut = (
        finished(picture, single, bounded=True, gamut=gamut, dither=False)
        for gamut in (True, False)
    )
    np.testing.assert_allclose(fade, into_gamut(picture), atol=1e-6)
    np.testing.assert_array_equal(cut, np.clip(picture, 0, 1))


@pytest.mark.parametrize("gamut", [True, False])
def test_unbounded_floats_are_left_alone(gamut):
    picture = RNG.uniform(-1, 4, (50, 33, 3)).astype(np.float32)
    result = finished(picture, picture.dtype, bounded=False, gamut=gamut, dither=True)
    np.testing.assert_array_equal(result, picture)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_is_clipped(dtype):
    grey = np.linspace(-0.5, 1.5, 40, dtype=np.float32).reshape(8, 5, 1)
    how = {"bounded": True, "gamut": True, "dither": False}
    result = finished(grey, np.dtype(dtype), **how)
    np.testing.assert_array_equal(result, from_float(grey, np.dtype(dtype)))


def test_the_floats_given_are_not_changed():
    picture = RNG.uniform(-0.5, 1.5, (50, 33, 3)).astype(np.float32)
    before = picture.copy()
    finished(picture, EIGHT, bounded=True, gamut=True, dither=True)
    np.testing.assert_array_equal(picture, before)
