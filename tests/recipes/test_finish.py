"""`Change`: smoothed, matched again, blended, rounded."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jaxcolor
from jaxcolor.image.pixels import view
from jaxcolor.image.smooth import smooth
from jaxcolor.maps import Affine
from jaxcolor.recipes.finish import Change, blend
from jaxcolor.recipes.styles import Finish

RNG = np.random.default_rng(0)
HALF = Affine(jnp.eye(3) / 2, jnp.zeros(3))
QUARTER = Affine(jnp.zeros((3, 3)), jnp.full(3, 0.25))  # every colour to the grey of 1/4
GUIDED = Finish(smooth="guided")
SQUARED = Partial(jnp.square)


@pytest.fixture(scope="module")
def picture(photographs):
    """(60, 80, 3) uint8."""
    return photographs[0][:60, :80].copy()


# the order of things


def test_without_a_finish_it_is_apply(picture):
    for one in (picture, picture[..., 1], picture / np.float32(255)):
        np.testing.assert_array_equal(Change(HALF, view(one)).at(), jaxcolor.apply(HALF, one))


def test_smoothing_is_of_the_change(picture):
    change = Change(SQUARED, view(picture), GUIDED)
    expected = smooth(picture, (picture / np.float32(255)) ** 2, "guided")
    np.testing.assert_allclose(change.after, expected, atol=1e-5)
    off = np.abs(change.at() - np.clip(expected, 0, 1) * 255)
    assert off.max() <= 0.51


@pytest.mark.parametrize(
    ("how", "count"),
    [
        (GUIDED, 0),
        (Finish("guided", rematch=True), 1),
        (Finish("guided", rounds=2), 1),
        (Finish("guided", rounds=2, rematch=True), 2),
        (Finish("guided", rounds=4), 3),
    ],
)
def test_it_is_matched_again_as_often_as_said(picture, how, count):
    seen = []

    def again(now):
        seen.append(now)
        return HALF

    Change(HALF, view(picture), how, again).at()
    assert len(seen) == count == how.matches


def test_what_is_matched_again_is_the_smoothed_picture(picture):
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[:, 40:] = 255
    seen = []

    def again(now):
        seen.append(now)
        return HALF

    change = Change(SQUARED, view(picture, mask), Finish("guided", rematch=True), again)
    after = change.after
    [now] = seen
    smoothed = smooth(picture, (picture / np.float32(255)) ** 2, "guided")
    # at 8 bits, whatever the picture is
    assert np.abs(now.color.reshape(picture.shape) - 255 * np.clip(smoothed, 0, 1)).max() < 0.51
    np.testing.assert_array_equal(now.mask, mask.ravel())
    np.testing.assert_allclose(after, np.clip(smoothed, 0, 1) / 2, atol=0.51 / 255)


def test_the_last_match_has_the_last_word(picture):
    result = Change(HALF, view(picture), Finish("guided", rematch=True), lambda _: QUARTER).at()
    assert np.abs(result.astype(int) - 64).max() <= 1
    # in between it has not
    between = Change(HALF, view(picture), Finish("guided", rounds=2), lambda _: QUARTER).at()
    assert np.ptp(between) > 20


def test_a_wide_picture_is_matched_as_it_is():
    wide = RNG.uniform(-1, 4, (60, 80, 3)).astype(np.float32)
    seen = []

    def again(now):
        seen.append(now)
        return HALF

    change = Change(HALF, view(wide), Finish("guided", rematch=True), again)
    smoothed = smooth(wide, wide / 2, "guided")
    np.testing.assert_allclose(change.at(), smoothed / 2, atol=1e-5)
    assert seen[0].color.dtype == np.float32
    assert not seen[0].bounded


# strength


def test_the_change_is_worked_out_once(picture):
    seen = []

    def again(now):
        seen.append(now)
        return HALF

    change = Change(HALF, view(picture), Finish("guided", rematch=True), again)
    frames = [change.at(s).mean() for s in (0, 0.25, 0.5, 1)]
    assert len(seen) == 1
    assert frames == sorted(frames, reverse=True)
    np.testing.assert_allclose(np.diff(frames), np.array([-1, -1, -2]) * 0.25 * 0.75 * frames[0],
                               rtol=0.02)  # fmt: skip


@pytest.mark.parametrize("how", [Finish(), GUIDED, Finish("none", gamut="fade", dither=True)])
def test_no_strength_is_no_change(picture, how):
    deep = (picture / 255 + RNG.uniform(0, 1e-3, picture.shape)).clip(0, 1)
    for one in (picture, picture * np.uint16(257), deep.astype(np.float32)):
        np.testing.assert_array_equal(Change(SQUARED, view(one), how).at(0), one)


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan"), float("inf")])
def test_another_strength_is_refused(picture, strength):
    for how in (Finish(), GUIDED):
        with pytest.raises(ValueError, match=r"0\.\.1"):
            Change(HALF, view(picture), how).at(strength)


def test_blend_of_a_map():
    x = jnp.asarray(RNG.random((20, 3)), jnp.float32)
    np.testing.assert_allclose(blend(HALF, 0.5)(x), 0.75 * x, atol=1e-6)
    np.testing.assert_array_equal(blend(HALF, 0)(x), x)
    assert blend(HALF, 1) is HALF


# kinds of pictures


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_outside_the_mask_no_bit_changes(picture, dtype):
    """Nor in the alpha, which holds what float32 does not."""
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    one = (RNG.random((60, 80, 4)) * top).astype(dtype)
    mask = np.zeros((60, 80))
    mask[:30] = 1
    result = Change(HALF, view(one, mask), Finish("guided", gamut="fade", dither=True)).at()
    assert result.dtype == dtype
    np.testing.assert_array_equal(result[30:], one[30:])
    np.testing.assert_array_equal(result[..., 3], one[..., 3])
    assert result[:30, :, :3].mean() < 0.7 * one[:30, :, :3].mean()


def test_half_a_mask_is_half_the_change(picture):
    mask = np.full(picture.shape[:2], 0.5)
    masked = Change(SQUARED, view(picture, mask), GUIDED)
    whole = Change(SQUARED, view(picture), GUIDED)
    np.testing.assert_array_equal(masked.at(), whole.at(0.5))


@pytest.mark.parametrize("rematch", [False, True])
def test_grey_stays_grey(picture, rematch):
    grey = np.dstack([picture[..., 1], RNG.integers(0, 256, (60, 80))]).astype(np.uint8)
    red = Affine(jnp.diag(jnp.array([1.0, 0.2, 0.2])), jnp.zeros(3))
    how = Finish("guided", gamut="fade", dither=True, rematch=rematch)
    result = Change(red, view(grey), how, lambda _: red).at()
    assert result.shape == (60, 80, 2)
    np.testing.assert_array_equal(result[..., 1], grey[..., 1])
    assert 0 < result[..., 0].mean() < 0.8 * grey[..., 0].mean()


def test_depths_agree(picture):
    how = Finish("yaroslavsky", gamut="fade")
    eight, deep, single = (
        Change(SQUARED, view(one), how).at() / top
        for one, top in (
            (picture, 255),
            (picture * np.uint16(257), 65535),
            (picture / np.float32(255), 1),
        )
    )
    assert np.abs(eight - single).max() < 0.51 / 255
    assert np.abs(deep - single).max() < 1 / 65535


def test_fade_keeps_what_clipping_loses(picture):
    bright = Affine(jnp.diag(jnp.array([3.0, 1.0, 1.0])), jnp.zeros(3))
    x = picture / np.float32(255)
    cut, fade = (
        Change(bright, view(x), Finish("none", gamut=gamut)).at() for gamut in ("clip", "fade")
    )
    weights = np.array([0.2126, 0.7152, 0.0722])
    wanted = np.clip((x * np.array([3, 1, 1])) @ weights, 0, 1)
    assert np.abs(fade @ weights - wanted).max() < 1e-5
    assert np.abs(cut @ weights - wanted).max() > 0.05


def test_dithering_keeps_means_that_rounding_loses():
    flat = np.full((60, 80, 3), 101, np.uint8)
    third = Affine(jnp.eye(3) / 4, jnp.zeros(3))  # 25.25
    dithered, rounded = (
        Change(third, view(flat), Finish("none", dither=dither)).at() for dither in (True, False)
    )
    assert (rounded == 25).all()
    np.testing.assert_allclose(dithered.mean((0, 1)), 25.25, atol=0.01)
    assert set(np.unique(dithered)) == {25, 26}


def test_the_source_is_not_changed(picture):
    before = picture.copy()
    change = Change(SQUARED, view(picture), Finish("guided", 2, True, "fade", True), lambda _: HALF)
    change.at(0.3)
    np.testing.assert_array_equal(picture, before)
