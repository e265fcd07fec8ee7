"""`jaxcolor transfer` does what it says."""

from itertools import cycle, product

import numpy as np
import pytest
from image.profiles import display_p3, grey_gamma
from PIL import Image

from jaxcolor.image import files
from jaxcolor.recipes import METHODS
from jaxcolor.recipes.styles import DEFAULT_LOOK

OTHERS = [method for method in METHODS if method != "gaussian"]

# JPEG holds no alpha; the others hold all
KINDS = {
    "8-bit RGB": ("a.png", "uint8", 3),
    "8-bit RGBA": ("a.png", "uint8", 4),
    "16-bit RGB": ("a.png", "uint16", 3),
    "16-bit RGBA TIFF": ("a.tif", "uint16", 4),
    "float RGB TIFF": ("a.tif", "float32", 3),
    "8-bit grey": ("a.png", "uint8", 1),
    "16-bit grey+alpha": ("a.png", "uint16", 2),
}
# files do not know of methods, which the API's tests try on every kind
IN_TURN = list(zip(cycle(("8-bit RGBA", "16-bit RGB", "16-bit grey+alpha")), OTHERS))


def dressed(color, dtype, channels):
    """A photograph in another depth, with an alpha channel, or grey."""
    top = 1 if dtype == "float32" else np.iinfo(dtype).max
    rng = np.random.default_rng(0)
    # more levels than a photograph of 8 bits has
    values = np.clip(color / 255 + rng.uniform(-0.002, 0.002, color.shape), 0, 1)
    if channels < 3:
        values = values.mean(-1, keepdims=True)
    if channels in (2, 4):
        alpha = np.linspace(0.2, 1, values.shape[1]) * np.ones((len(values), 1))
        values = np.dstack([values, alpha])
    values = values * top if dtype == "float32" else np.rint(values * top)
    return values.astype(dtype)[..., 0] if channels == 1 else values.astype(dtype)


def distance(a, b):
    """Between the averages of two pictures, in levels of 255."""
    return np.abs(a.reshape(-1, 3).mean(0) - b.reshape(-1, 3).mean(0)).max()


class TestMethods:
    @pytest.mark.parametrize("method", METHODS)
    def test_gives_the_colors_of_the_reference(self, done, pair, small, tmp_path, load, method):
        out = tmp_path / "out.png"
        text = done("transfer", *pair, "-o", out, "--method", method)
        assert text == f"{out}: 60x40\n"
        result = load(out)
        assert (result.dtype, result.shape) == (small[0].dtype, small[0].shape)
        assert distance(small[0], small[1]) > 60
        # reinhard matches averages of logarithms, and is clipped
        assert distance(result, small[1]) < (40 if method == "reinhard" else 8)
        assert [one.name for one in tmp_path.iterdir()] == ["out.png"]

    def test_the_default_is_the_one_that_help_names(self, done, pair, tmp_path):
        done("transfer", *pair, "-o", tmp_path / "a.png")
        done("transfer", *pair, "-o", tmp_path / "b.png", "--look", DEFAULT_LOOK)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

    def test_space_matters(self, done, pair, tmp_path, load):
        results = []
        for space in ("srgb", "linear", "lab", "oklab", "lalphabeta"):
            out = tmp_path / f"{space}.png"
            done("transfer", *pair, "-o", out, "--method", "gaussian", "--space", space)
            results.append(load(out).tobytes())
        assert len(set(results)) == 5


class TestWhatIsKept:
    @pytest.mark.parametrize(
        ("kind", "method"),
        [
            *((kind, "gaussian") for kind in KINDS),
            *IN_TURN,
            *(
                pytest.param(*one, marks=pytest.mark.long)
                for one in product(("8-bit RGBA", "16-bit RGB", "16-bit grey+alpha"), OTHERS)
                if one not in IN_TURN
            ),
        ],
    )
    def test_size_depth_profile_and_alpha(self, done, pair, small, save, tmp_path, kind, method):
        name, dtype, channels = KINDS[kind]
        pixels = dressed(small[0], dtype, channels)
        profile = grey_gamma() if channels < 3 else display_p3()
        path, out = save(name, pixels, profile), tmp_path / f"out{name[1:]}"
        done("transfer", path, pair[1], "-o", out, "--method", method)
        result = files.read(out)
        assert (result.pixels.dtype, result.pixels.shape) == (pixels.dtype, pixels.shape)
        assert result.profile == profile
        if channels in (2, 4):
            assert np.array_equal(result.pixels[..., -1], pixels[..., -1])
        assert not np.array_equal(result.pixels, pixels)
        if dtype == "uint16":
            assert len(np.unique(result.pixels.reshape(2400, -1)[:, 0])) > 256

    def test_the_reference_is_seen_in_the_profile_of_the_source(
        self, done, small, save, tmp_path, load
    ):
        """One reference, once as sRGB and once as P3: different numbers, the same colours."""
        muted = (small[1] // 3 * [1.2, 0.8, 0.6] + [120, 80, 60]).astype(np.uint8)
        there = files.convert(files.Picture(muted), display_p3()).pixels
        assert distance(there, muted) > 2
        source = save("source.png", small[0])
        plain, wide = save("srgb.png", muted), save("p3.png", there, display_p3())
        gaussian = ("--method", "gaussian")
        done("transfer", source, plain, "-o", tmp_path / "a.png", *gaussian)
        done("transfer", source, wide, "-o", tmp_path / "b.png", *gaussian)
        assert np.abs(load(tmp_path / "a.png") - load(tmp_path / "b.png").astype(int)).max() <= 3

    def test_a_photograph_from_a_phone(self, done, small, pair, tmp_path):
        exif = Image.Exif()
        exif[274] = 6
        stored = Image.fromarray(np.ascontiguousarray(np.rot90(small[0])))
        kind = {"quality": 95, "subsampling": 0, "exif": exif, "icc_profile": display_p3()}
        stored.save(tmp_path / "phone.jpg", **kind)
        for name in ("out.jpg", "out.tif", "out.png"):
            out = tmp_path / name
            done("transfer", tmp_path / "phone.jpg", pair[1], "-o", out, "--strength", "0")
            with Image.open(out) as image:
                assert image.getexif().get(274, 1) == 1
                assert image.info["icc_profile"] == display_p3()
                assert image.size == (60, 40)
                gap = np.asarray(image).astype(int) - small[0]
            assert np.abs(gap).mean() < 6

    @pytest.mark.parametrize(
        ("dtype", "method"),
        [
            ("uint16", "gaussian"),
            *(("uint8", method) for method in METHODS),
            *(pytest.param("uint16", method, marks=pytest.mark.long) for method in OTHERS),
        ],
    )
    def test_strength_0_is_the_source(self, done, pair, small, save, tmp_path, load, dtype, method):
        pixels = dressed(small[0], dtype, 4)
        out = tmp_path / "out.png"
        nothing = ("--strength", "0", "--method", method)
        done("transfer", save("a.png", pixels), pair[1], "-o", out, *nothing)
        assert np.array_equal(load(out), pixels)

    def test_half_the_strength_is_half_the_change(self, done, pair, small, tmp_path, load):
        whole, half = tmp_path / "whole.png", tmp_path / "half.png"
        done("transfer", *pair, "-o", whole, "--method", "histogram")
        done("transfer", *pair, "-o", half, "--method", "histogram", "--strength", "0.5")
        wanted = (load(whole).astype(float) + small[0]) / 2
        assert np.abs(load(half) - wanted).max() <= 1


class TestMasks:
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_black_stays_as_it_was(self, done, pair, small, save, tmp_path, load, dtype):
        pixels = dressed(small[0], dtype, 3)
        mask = np.zeros((40, 60), np.uint8)
        mask[:, 30:] = 255
        out = tmp_path / "out.png"
        path, mask_path = save("a.png", pixels), save("mask.png", mask)
        done("transfer", path, pair[1], "-o", out, "--mask", mask_path)
        result = load(out)
        assert np.array_equal(result[:, :30], pixels[:, :30])
        assert not np.array_equal(result[:, 30:], pixels[:, 30:])
        # the white part alone was matched: all that the mask counts has the look
        scale = 255 / np.iinfo(dtype).max
        assert distance(result[:, 30:] * scale, small[1]) < 10

    def test_any_picture_can_be_one(self, done, pair, save, tmp_path):
        """Grey, colour, one bit, 16 bit, and white made transparent: the same mask."""
        half = np.zeros((40, 60), np.uint8)
        half[:20] = 255
        white = np.full((40, 60), 255, np.uint8)
        kinds = [
            save("grey.png", half),
            save("color.png", np.dstack([half] * 3)),
            save("deep.tif", half * np.uint16(257)),
            save("alpha.png", np.dstack([white, half])),
            tmp_path / "bit.png",
        ]
        Image.fromarray(half > 0).save(kinds[-1])
        results = []
        for mask in kinds:
            out = tmp_path / f"out-{mask.stem}.png"
            done("transfer", *pair, "-o", out, "--mask", mask, "--method", "gaussian")
            results.append(out.read_bytes())
        assert len(set(results)) == 1

    def test_of_the_reference(self, done, pair, save, tmp_path, load):
        """Half red, half blue: the mask says which is the look."""
        noise = np.random.default_rng(0).integers(0, 30, (40, 50, 3))
        look = np.where(np.arange(50)[None, :, None] < 25, (200, 40, 40), (40, 40, 200)) + noise
        reference = save("look.png", look.astype(np.uint8))
        mask = np.zeros((40, 50), np.uint8)
        mask[:, 25:] = 255
        out = tmp_path / "out.png"
        options = ("--reference-mask", save("mask.png", mask), "--method", "gaussian")
        done("transfer", pair[0], reference, "-o", out, *options)
        assert distance(load(out), look[:, 25:]) < 3

    def test_a_lut_ignores_it(self, done, pair, save, tmp_path):
        """The table is that of the fit; the mask's edge is not in it."""
        mask = np.full((40, 60), 128, np.uint8)  # even weight: the same fit, half applied
        mask_path = save("mask.png", mask)
        gaussian = ("--method", "gaussian", "--lut-size", "5")
        lut = ("--lut", tmp_path / "a.cube")
        done("transfer", *pair, "-o", tmp_path / "a.png", *gaussian, *lut, "--mask", mask_path)
        done("transfer", *pair, "-o", tmp_path / "b.png", *gaussian, "--lut", tmp_path / "b.cube")
        a, b = (np.loadtxt(tmp_path / name, skiprows=3) for name in ("a.cube", "b.cube"))
        assert np.abs(a - b).max() < 1e-3


class TestBoth:
    @pytest.mark.parametrize("method", ["gaussian", "sliced"])
    def test_is_the_reverse_command(self, done, small, save, tmp_path, method):
        """With masks and profiles, which change sides too."""
        a, b = save("a.png", small[0], display_p3()), save("b.png", dressed(small[1], "uint16", 4))
        mask_a, mask_b = np.zeros((40, 60), np.uint8), np.zeros((40, 50), np.uint8)
        mask_a[:, :30], mask_b[9:] = 255, 200
        mask_a, mask_b = save("ma.png", mask_a), save("mb.png", mask_b)
        there, back, other = (tmp_path / f"{name}.png" for name in ("there", "back", "other"))
        options = ("--method", method, "--seed", "3")
        text = done(
            *("transfer", a, b, "-o", there, "--both", back, *options),
            *("--mask", mask_a, "--reference-mask", mask_b),
        )
        assert text == f"{there}: 60x40\n{back}: 50x40\n"
        done(
            *("transfer", b, a, "-o", other, *options),
            *("--mask", mask_b, "--reference-mask", mask_a),
        )
        assert back.read_bytes() == other.read_bytes()
