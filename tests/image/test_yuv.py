"""Maps on the codes of frames: against the same in floats, step by step."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.image import yuv
from jaxcolor.image.encoding import BT601, BT709, BT2020, RGB, WEIGHTS, Encoding
from jaxcolor.image.yuv import CodeMap
from jaxcolor.maps import Affine

RNG = np.random.default_rng(0)
IDENTITY = Affine(jnp.eye(3), jnp.zeros(3))
WARM = Affine(
    jnp.array([[0.7, 0.2, 0.0], [0.1, 0.8, 0.0], [0.0, 0.1, 0.6]]), jnp.array([0.05, 0.0, 0.02])
)


def noise(*shape, low=0, high=256):
    return RNG.integers(low, high, shape).astype(np.uint8)


def planes(height, width, halved, **within):
    small = (-(-height // 2), -(-width // 2)) if halved else (height, width)
    return noise(height, width, **within), noise(*small, **within), noise(*small, **within)


def by_hand(color_map, before, after, codes):
    """Codes (n, 3) one by one in float64, as the formulas have it."""
    matrix, offset = before.affine
    rgb = (codes - offset) @ np.linalg.inv(matrix).T
    shown = np.clip(rgb, 0, 1)
    mapped = np.clip(shown @ np.asarray(color_map.matrix, float).T + color_map.offset, 0, 1)
    unseen = ((rgb < 0) & (mapped < 1 / 512)) | ((rgb > 1) & (mapped > 1 - 1 / 512))
    matrix, offset = after.affine
    return np.rint((mapped + np.where(unseen, rgb - shown, 0)) @ matrix.T + offset).clip(0, 255)


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("full", [False, True])
def test_encodings_know_white_black_and_the_primaries(matrix, full):
    code, offset = Encoding(matrix, full).affine
    low, high, most = (0, 255, 255) if full else (16, 235, 240)
    np.testing.assert_allclose(code @ [0, 0, 0] + offset, [low, 128, 128])
    np.testing.assert_allclose(code @ [1, 1, 1] + offset, [high, 128, 128], atol=1e-9)
    ends = [(code @ rgb + offset)[k] for rgb, k in (([0, 0, 1], 1), ([1, 0, 0], 2))]
    np.testing.assert_allclose(ends, [most + 0.5 * full] * 2)


@pytest.mark.parametrize("halved", [True, False])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (2, 2)])
@pytest.mark.parametrize("encoding", [Encoding(BT709), Encoding(BT601, full=True)])
def test_the_identity_changes_no_code(halved, size, encoding):
    one = CodeMap(encoding, encoding)
    one.use(IDENTITY)
    frame = planes(*size, halved)
    for before, after in zip(frame, one(*frame, halve=False), strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("before", [Encoding(BT709), Encoding(BT2020, True), Encoding(RGB, True)])
def test_whole_planes_code_by_code(before):
    after = Encoding(BT709) if before.matrix == RGB else before
    one = CodeMap(before, after)
    one.use(WARM)
    frame = planes(30, 41, False)
    result = np.stack(one(*frame, halve=False), -1).reshape(-1, 3)
    expected = by_hand(WARM, before, after, np.stack(frame, -1).reshape(-1, 3))
    off = np.abs(result - expected)
    assert off.max() <= 1  # of what lies half way between two codes
    assert (off > 0).mean() < 1e-3


def smooth(height, width):
    y, x = np.mgrid[:height, :width]
    waves = (120 + 60 * np.sin(x / 9 + k) * np.cos(y / 7 - k) for k in range(3))
    return [np.rint(wave).astype(np.uint8) for wave in waves]


def halved_by_hand(plane):
    """On even columns, between two rows."""
    wide = np.pad(plane.astype(float), [(0, 0), (1, 0)], "edge")
    wide[:, 0] = wide[:, 2]
    across = (wide[:, :-1:2] + 2 * wide[:, 1::2] + wide[:, 2::2]) / 4
    return (across[::2] + across[1::2]) / 2


def test_halving_chroma_of_the_full_size():
    encoding, frame = Encoding(BT709), smooth(32, 48)
    one = CodeMap(encoding, encoding)
    one.use(WARM)
    y, u, v = one(*frame, halve=True)
    mapped = by_hand(WARM, encoding, encoding, np.stack(frame, -1).reshape(-1, 3))
    mapped = mapped.reshape(32, 48, 3)
    assert np.abs(y - mapped[..., 0]).max() <= 1
    for plane, whole in ((u, mapped[..., 1]), (v, mapped[..., 2])):
        assert plane.shape == (16, 24)
        # but for the left edge, where the one column outside is another
        assert np.abs(plane - halved_by_hand(whole))[:, 1:].max() <= 1.5


def test_halved_chroma_is_as_good_as_whole():
    """A frame whose chroma is smooth comes out the same, whichever way it is stored."""
    encoding, frame = Encoding(BT709), smooth(64, 96)
    small = [np.rint(halved_by_hand(plane)).astype(np.uint8) for plane in frame[1:]]
    one = CodeMap(encoding, encoding)
    one.use(WARM)
    whole, halved = one(*frame, halve=True), one(frame[0], *small, halve=False)
    for a, b in zip(whole, halved, strict=True):
        assert np.abs(a.astype(int) - b)[2:-2, 2:-2].max() <= 2


def test_codes_beyond_black_and_white_stay_where_no_screen_shows_them():
    encoding = Encoding(BT709)
    one = CodeMap(encoding, encoding)
    one.use(Affine(jnp.eye(3) / 4, jnp.zeros(3)))
    y = np.array([[235, 245], [16, 6]], np.uint8)
    grey = np.full((2, 2), 128, np.uint8)
    mapped = one(y, grey, grey, halve=False)[0]
    np.testing.assert_array_equal(mapped, [[71, 71], [16, 6]])


def test_maps_follow_each_other_for_longer_than_the_table_can_count():
    encoding, frame = Encoding(BT709, full=True), planes(6, 8, True, low=60, high=200)
    one = CodeMap(encoding, encoding)
    for k in range(yuv.AGES + 5):
        shift = (k % 7) / 255
        one.use(Affine(jnp.eye(3), jnp.full(3, shift)))
        luma = one(*frame, halve=False)[0]
        if k in (0, 1, yuv.AGES - 1, yuv.AGES, yuv.AGES + 3):
            alone = CodeMap(encoding, encoding)
            alone.use(Affine(jnp.eye(3), jnp.full(3, shift)))
            np.testing.assert_array_equal(luma, alone(*frame, halve=False)[0])


@pytest.mark.parametrize("halved", [True, False])
def test_codes_that_come_later_are_worked_out_later(halved):
    encoding = Encoding(BT709)
    one, anew = CodeMap(encoding, encoding), CodeMap(encoding, encoding)
    one.use(WARM)
    anew.use(WARM)
    quiet = tuple(np.full_like(plane, 90) for plane in planes(40, 60, halved))
    one(*quiet, halve=False)
    frame = tuple(plane.copy() for plane in quiet)
    frame[0][11, 7:9], frame[1][5, 3], frame[2][-1, -1] = 200, 40, 222  # few
    for now in (frame, planes(40, 60, halved), planes(200, 160, halved)):  # few, more, many
        for a, b in zip(one(*now, halve=False), anew(*now, halve=False), strict=True):
            np.testing.assert_array_equal(a, b)
        anew = CodeMap(encoding, encoding)
        anew.use(WARM)


def test_frames_share_their_programs():
    encoding = Encoding(BT709)
    one = CodeMap(encoding, encoding)
    one.use(WARM)
    one(*planes(20, 30, True), halve=False)
    programs = [f._cache_size() for f in (yuv._read, yuv._unknown, yuv._changed, yuv._fill)]
    one.use(Affine(jnp.eye(3) / 3, jnp.zeros(3)))
    one(*planes(20, 30, True), halve=False)
    assert programs == [f._cache_size() for f in (yuv._read, yuv._unknown, yuv._changed, yuv._fill)]
