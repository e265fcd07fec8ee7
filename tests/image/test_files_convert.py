"""From one colour profile to another."""

import numpy as np
import pytest
from image.profiles import P3_TO_SRGB, display_p3, grey_gamma
from image.samples import INTEGERS, SHAPES, noise, same
from PIL import ImageCms

from jaxcolor.image import files
from jaxcolor.image.files import Picture


def srgb_curve(v):
    return np.where(v <= 0.0031308, 12.92 * v, 1.055 * np.abs(v) ** (1 / 2.4) - 0.055)


def srgb_inverse(v):
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


class TestConvert:
    @pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
    def test_p3_to_srgb(self, dtype):
        rng = np.random.default_rng(0)
        colors = rng.uniform(0.4, 0.7, (20, 30, 3))  # in both gamuts
        scale = 1 if dtype == "float32" else np.iinfo(dtype).max
        pixels = (np.rint(colors * scale) if scale > 1 else colors).astype(dtype)
        result = files.convert(Picture(pixels, display_p3()), None)
        wanted = 255 * np.clip(srgb_curve(srgb_inverse(colors) @ np.transpose(P3_TO_SRGB)), 0, 1)
        assert result.profile is None
        assert result.pixels.dtype == np.uint8
        assert np.abs(result.pixels - wanted).max() <= 2
        assert np.abs(result.pixels - 255 * colors).max() > 10  # so that doing nothing fails

    def test_there_and_back(self):
        pixels = np.random.default_rng(0).integers(80, 170, (20, 30, 3)).astype(np.uint8)
        there = files.convert(Picture(pixels), display_p3())
        assert there.profile == display_p3()
        back = files.convert(there, None)
        assert np.abs(back.pixels.astype(int) - pixels).max() <= 2

    def test_the_same_profile_is_no_work(self):
        for profile in (None, display_p3(), b"nonsense"):
            picture = Picture(noise(SHAPES["RGB"], "uint16"), profile)
            assert files.convert(picture, profile) is picture

    @pytest.mark.parametrize("kind", ["grey+alpha", "RGBA"])
    @pytest.mark.parametrize("dtype", INTEGERS)
    def test_alpha_is_kept(self, kind, dtype):
        picture = Picture(noise(SHAPES[kind], dtype), display_p3())
        alpha = files.convert(picture, None).pixels[..., -1]
        assert alpha.max() > 0
        scale = 1 if dtype == "uint8" else 257
        assert np.abs(alpha - picture.pixels[..., -1] / scale).max() <= 0.5

    @pytest.mark.parametrize("shape", [(3, 256), (1, 256), (256, 1)])
    def test_grey_with_a_grey_profile(self, shape):
        levels = np.resize(np.arange(256, dtype=np.uint8), shape)
        result = files.convert(Picture(levels, grey_gamma(1.8)), None).pixels
        wanted = 255 * srgb_curve((levels / 255) ** 1.8)
        assert result.shape == (*shape, 3)
        # near black a level of one curve is many of the other
        assert np.abs(result - wanted[..., None])[levels > 24].max() <= 2

    @pytest.mark.parametrize("kind", SHAPES)
    def test_into_a_grey_profile(self, kind):
        """The reference of a grey source: comes back grey, in that source's curve."""
        picture = Picture(np.full(SHAPES[kind], 128, np.uint8))
        result = files.convert(picture, grey_gamma(1.8)).pixels
        assert result.shape == (
            *SHAPES[kind][:2],
            *((2,) if kind in ("grey+alpha", "RGBA") else ()),
        )
        wanted = 255 * float(srgb_inverse(np.float64(128 / 255))) ** (1 / 1.8)
        assert np.abs(np.atleast_3d(result)[..., 0] - wanted).max() <= 2

    @pytest.mark.parametrize("profile", [None, display_p3()])
    def test_grey_with_an_rgb_profile(self, profile):
        """Many programs embed sRGB in grey pictures; on the neutral axis P3 and sRGB agree."""
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        result = files.convert(Picture(levels, srgb), profile).pixels
        assert np.abs(np.atleast_3d(result).astype(int) - levels[..., None]).max() <= 2

    @pytest.mark.parametrize(
        "broken",
        [b"nonsense" * 30, b"", display_p3()[:200], display_p3()[:16] + b"CMYK" + bytes(480)],
    )
    def test_a_broken_profile_is_a_warning(self, broken):
        picture = Picture(noise(SHAPES["RGB"], "uint16"), broken)
        with pytest.warns(UserWarning, match="colour profile not used"):
            result = files.convert(picture, None)
        assert same(result.pixels, picture.pixels)
        assert result.profile is None
        with pytest.warns(UserWarning, match="colour profile not used"):
            result = files.convert(Picture(picture.pixels), broken)
        assert same(result.pixels, picture.pixels)

    def test_a_grey_profile_on_a_color_picture(self):
        picture = Picture(noise(SHAPES["RGB"]), grey_gamma())
        with pytest.warns(UserWarning, match="grey profile on a colour picture"):
            assert same(files.convert(picture, None).pixels, picture.pixels)

    def test_nan_is_left_for_the_fit_to_refuse(self):
        pixels = np.full((4, 5, 3), np.nan, np.float32)
        assert np.isnan(files.convert(Picture(pixels, display_p3()), None).pixels).all()
