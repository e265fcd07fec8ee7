"""Look-up tables as Hald pictures, and how ffmpeg plays ours."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from image.players import haldclut, lut_filter
from image.profiles import display_p3

import jaxcolor
from jaxcolor.image import INTERPOLATIONS, files, hald, lut
from jaxcolor.image.apply import apply
from jaxcolor.image.bake import bake, bake_curves, bake_error
from jaxcolor.image.cube import UNIT
from jaxcolor.image.pixels import evaluate, from_float

RNG = np.random.default_rng(0)


def same(colors):
    return colors


def random_lut(size=9, domain=UNIT):
    table = RNG.uniform(-0.2, 1.2, (size, size, size, 3))
    return lut.Lut(jnp.asarray(table, jnp.float32), jnp.asarray(domain))


def test_red_runs_fastest_and_white_is_last(tmp_path):
    hald.save(tmp_path / "x.png", bake(same, 4))
    pixels = files.read(tmp_path / "x.png").pixels
    assert (pixels.shape, pixels.dtype) == ((8, 8, 3), np.uint16)
    rows = pixels.reshape(-1, 3)
    np.testing.assert_array_equal(rows[:4] // 21845, [[k, 0, 0] for k in range(4)])
    np.testing.assert_array_equal(rows[[4, 16, 63]] // 21845, [[0, 1, 0], [0, 0, 1], [3, 3, 3]])


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_round_trip(tmp_path, name):
    one = random_lut()
    hald.save(tmp_path / name, one)
    again = hald.load(tmp_path / name)
    clipped = np.clip(one.table, 0, 1)
    np.testing.assert_allclose(again.table, clipped, atol=0.51 / 65535)
    np.testing.assert_array_equal(again.table, hald.stored(one).table)
    assert np.abs(clipped - one.table).max() > 0.1  # something to clip


@pytest.mark.parametrize("kind", ["8 bits", "alpha", "grey", "grey and alpha", "float"])
def test_what_other_programs_write(tmp_path, kind):
    colors = RNG.integers(0, 256, (27, 27, 3)).astype(np.uint8)
    full = np.full((27, 27, 1), 255, np.uint8)
    grey = "grey" in kind
    pixels = colors[..., :1] if grey else colors
    expected = np.broadcast_to(pixels, colors.shape) / 255
    pixels = np.concatenate([pixels, full], -1) if "alpha" in kind else pixels
    pixels = pixels[..., 0] if kind == "grey" else pixels
    pixels = (pixels / np.float32(255)) if kind == "float" else pixels
    files.write(tmp_path / "x.tif", files.Picture(pixels))
    table = hald.load(tmp_path / "x.tif").table
    np.testing.assert_allclose(
        table.transpose(2, 1, 0, 3).reshape(27, 27, 3), expected, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((64, 65, 3), "65x64 is no size of a Hald picture; those are 8x8, 27x27, 64x64, "),
        ((63, 63, 3), "63x63 is no size"),
        ((1, 1, 3), "1x1 is no size"),
        ((27, 27, 4), "transparent in places"),
    ],
)
def test_what_is_no_hald_picture(tmp_path, shape, says):
    files.write(tmp_path / "x.png", files.Picture(np.zeros(shape, np.uint8)))
    with pytest.raises(ValueError, match=says) as caught:
        hald.load(tmp_path / "x.png")
    assert "x.png" in str(caught.value)


def test_compressed_pictures_are_refused(tmp_path):
    files.write(tmp_path / "x.jpg", files.Picture(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(ValueError, match="is PNG or TIFF"):
        hald.load(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (random_lut(5), "holds tables of 4, 9, 16, .* not 5"),
        (random_lut(9, UNIT * 2), "within 0..1, this table of 0..2: write a .cube"),
        (lut.Lut(jnp.full((4, 4, 4, 3), jnp.nan), jnp.asarray(UNIT)), "NaN"),
    ],
)
def test_what_it_cannot_hold_is_refused(tmp_path, table, says):
    with pytest.raises(ValueError, match=says) as caught:
        hald.save(tmp_path / "x.png", table)
    assert "x.png" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_numbers_are_taken_as_they_are_whatever_the_profile(tmp_path):
    pixels = RNG.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    for name, profile in (("plain.png", None), ("p3.png", display_p3())):
        files.write(tmp_path / name, files.Picture(pixels, profile))
    plain = hald.load(tmp_path / "plain.png")
    with pytest.warns(UserWarning, match="colour profile .Display P3.*as they are"):
        other = hald.load(tmp_path / "p3.png")
    np.testing.assert_array_equal(plain.table, other.table)


# what changes nothing changes nothing


def levels(dtype):
    """All 256 greys, or random colours of 16 bits with the ends among them."""
    if dtype == np.uint8:
        return np.stack([np.arange(256, dtype=np.uint8)] * 3, -1)[None]
    some = RNG.integers(0, 65536, (200, 300, 3)).astype(np.uint16)
    some[0, :2] = [[0], [65535]]
    return some


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", ["2.cube", "17.cube", "33.cube", "16.png", "64.png"])
def test_the_identity_keeps_every_bit(tmp_path, name, dtype):
    one = bake(same, int(name.split(".")[0]))
    if name.endswith("png"):
        hald.save(tmp_path / name, one)
        one = hald.load(tmp_path / name)
    else:
        one.save(tmp_path / name)
        one = lut.load(tmp_path / name)
    picture = levels(dtype)
    for interpolation in INTERPOLATIONS:
        np.testing.assert_array_equal(apply(lut.interpolated(one, interpolation), picture), picture)


def test_curves_that_change_nothing_keep_every_bit(tmp_path):
    bake_curves(same, 1024).save(tmp_path / "x.cube")
    for picture in (levels(np.uint8), levels(np.uint16)):
        np.testing.assert_array_equal(apply(lut.load(tmp_path / "x.cube"), picture), picture)


def test_odd_levels_are_within_a_level_of_16_bits(tmp_path):
    """Points that fall between two levels are rounded in the file."""
    hald.save(tmp_path / "x.png", bake(same, 25))
    one, deep = hald.load(tmp_path / "x.png"), levels(np.uint16)
    np.testing.assert_array_equal(apply(one, levels(np.uint8)), levels(np.uint8))
    assert np.abs(apply(one, deep).astype(int) - deep).max() == 1


# ffmpeg plays them likewise


@pytest.fixture(scope="module")
def pictures(photographs):
    """Three, of 8 bits."""
    from skimage import data

    chelsea = np.ascontiguousarray(data.chelsea()[40:120, 100:220])
    return [np.ascontiguousarray(picture[:60, :90]) for picture in (*photographs, chelsea)]


@pytest.fixture(scope="module")
def fitted(pictures):
    """A map of each method, for each picture, to the look of the next."""

    @cache
    def fit(number, method):
        return jaxcolor.fit(pictures[number], pictures[(number + 1) % 3], method=method)

    return fit


# every picture, method and size with every other, but not all three at once
CASES = [
    pytest.param(number, method, size, marks=pytest.mark.slow if size == 65 else ())
    for number in range(3)
    for turn, method in enumerate(("gaussian", "sliced", "newton"))
    for size in [(17, 33, 65)[(number + turn) % 3]]
]


def on_a_scale_of_255(color_map, picture):
    colors = evaluate(color_map, picture.reshape(-1, 3) / np.float32(255))
    return 255 * np.clip(colors, 0, 1).reshape(picture.shape)


def check_played(theirs, ours, color_map, picture, rounded=0.0):
    """ffmpeg truncates where we round."""
    assert np.abs(theirs - apply(ours, picture)).max() <= 1
    off = 255 * bake_error(ours, color_map, picture).worst
    exact = on_a_scale_of_255(color_map, picture)
    assert np.abs(theirs - exact).max() <= 1.01 + off + rounded


@pytest.mark.parametrize(("number", "method", "size"), CASES)
def test_ffmpeg_plays_cubes_as_we_do(tmp_path, pictures, fitted, number, method, size):
    picture, color_map = pictures[number], fitted(number, method)
    baked = bake(color_map, size)
    baked.save(tmp_path / "x.cube")
    for interpolation in INTERPOLATIONS:
        ours = lut.interpolated(lut.load(tmp_path / "x.cube"), interpolation)
        theirs = lut_filter("lut3d", picture, tmp_path / "x.cube", interpolation)
        check_played(theirs, ours, color_map, picture)


@pytest.mark.parametrize(("number", "method"), [(0, "gaussian"), (1, "sliced"), (2, "newton")])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ffmpeg_plays_hald_pictures_as_we_do(tmp_path, pictures, fitted, number, method, dtype):
    picture, color_map = pictures[number], fitted(number, method)
    hald.save(tmp_path / "x.png", bake(color_map, 16))
    pixels = from_float(files.read(tmp_path / "x.png").pixels / 65535, np.dtype(dtype))
    files.write(tmp_path / "x.png", files.Picture(pixels))
    for interpolation in INTERPOLATIONS:
        ours = lut.interpolated(hald.load(tmp_path / "x.png"), interpolation)
        theirs = haldclut(picture, pixels, interpolation)
        # and brings the Hald picture to the 8 bits of the other
        check_played(theirs, ours, color_map, picture, rounded=0.5)


def test_ffmpeg_plays_curves_as_we_do(tmp_path, pictures, fitted):
    picture, color_map = pictures[0], fitted(0, "histogram")
    bake_curves(color_map).save(tmp_path / "x.cube")
    theirs = lut_filter("lut1d", picture, tmp_path / "x.cube", "linear")
    assert np.abs(theirs - apply(color_map, picture)).max() <= 1


def test_a_generator_that_divides_by_one_too_many_darkens_here_as_there():
    """k / L^2 for k / (L^2 - 1): white is not among its colours, and no player can know."""
    k = np.arange(64) / 64
    rows = np.stack(np.meshgrid(k, k, k, indexing="ij")[::-1], -1).reshape(512, 512, 3)
    pixels = from_float(rows.astype(np.float32), np.dtype(np.uint16))
    white = np.full((8, 8, 3), 255, np.uint8)
    table = jnp.asarray(rows.reshape(64, 64, 64, 3).transpose(2, 1, 0, 3), jnp.float32)
    ours = apply(lut.Lut(table, jnp.asarray(UNIT)), white)
    assert (ours == 251).all()
    assert np.abs(haldclut(white, pixels, "tetrahedral") - ours).max() <= 1
