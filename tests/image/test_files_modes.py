"""Pictures as other programs store them: turned, with palettes, with inks."""

import numpy as np
import pytest
import tifffile
from image.profiles import display_p3
from image.samples import INTEGERS, SHAPES, noise, ramp, same
from PIL import Image, ImageCms

from jaxcolor.image import files
from jaxcolor.image.files import Picture

# what the EXIF standard says of each: how the upright picture was turned to be stored
STORED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, -1),
}


class TestUpright:
    @pytest.mark.parametrize("turn", STORED)
    def test_jpeg(self, tmp_path, turn):
        exif = Image.Exif()
        exif[274] = turn
        stored = Image.fromarray(np.ascontiguousarray(STORED[turn](ramp())))
        stored.save(tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
        pixels = files.read(tmp_path / "a.jpg").pixels
        assert pixels.shape == ramp().shape
        assert np.abs(pixels.astype(int) - ramp()).max() <= 6

    @pytest.mark.parametrize("dtype", INTEGERS)
    @pytest.mark.parametrize("turn", STORED)
    def test_tiff(self, tmp_path, turn, dtype):
        stored = np.ascontiguousarray(STORED[turn](ramp(dtype=dtype)))
        tag = (274, "H", 1, turn, True)
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extratags=[tag])
        assert same(files.read(tmp_path / "a.tif").pixels, ramp(dtype=dtype))

    def test_16_bit_png(self, tmp_path):
        exif = Image.Exif()
        exif[274] = 6
        grey = ramp(dtype="uint16")[..., 0]
        stored = Image.fromarray(np.ascontiguousarray(STORED[6](grey)))
        stored.save(tmp_path / "a.png", exif=exif)
        assert same(files.read(tmp_path / "a.png").pixels, grey)

    def test_written_upright(self, tmp_path):
        """No turn is left in what is written: it would be made twice."""
        for suffix in (".jpg", ".tif", ".png"):
            for dtype in INTEGERS:
                files.write(tmp_path / f"a{suffix}", Picture(ramp(dtype=dtype)))
                with Image.open(tmp_path / f"a{suffix}") as image:
                    assert image.getexif().get(274, 1) == 1


class TestOtherModes:
    def test_palette(self, tmp_path):
        colors = np.array([[9, 200, 30], [255, 0, 1], [70, 80, 90]], np.uint8)
        indices = np.random.default_rng(0).integers(0, 3, (6, 7)).astype(np.uint8)
        image = Image.fromarray(indices)
        image.putpalette(colors.tobytes())
        image.save(tmp_path / "a.png")
        image.save(tmp_path / "b.png", transparency=1)
        assert same(files.read(tmp_path / "a.png").pixels, colors[indices])
        alpha = np.where(indices == 1, 0, 255).astype(np.uint8)
        back = files.read(tmp_path / "b.png").pixels
        assert same(back, np.dstack([colors[indices], alpha]))

    def test_one_bit(self, tmp_path):
        bits = np.random.default_rng(0).integers(0, 2, (6, 7)).astype(bool)
        for name in ("a.png", "a.tif"):
            Image.fromarray(bits).save(tmp_path / name)
            assert same(files.read(tmp_path / name).pixels, bits.astype(np.uint8) * 255)

    @pytest.mark.parametrize("mode", ["1", "L", "RGB"])
    def test_one_transparent_color(self, tmp_path, mode):
        image = Image.fromarray(ramp()).convert(mode)
        key = image.getpixel((3, 2))
        image.save(tmp_path / "a.png", transparency=key)
        pixels = files.read(tmp_path / "a.png").pixels
        color = np.asarray(image.convert("RGB" if mode == "RGB" else "L"))
        hit = (color.reshape(*color.shape[:2], -1) == np.reshape(key, -1)).all(-1)
        assert same(pixels, np.dstack([color, np.where(hit, 0, 255).astype(np.uint8)]))

    @pytest.mark.parametrize("profile", [None, b"nonsense" * 30])
    def test_cmyk(self, tmp_path, profile):
        inks = np.full((8, 8, 4), (255, 0, 0, 0), np.uint8)  # cyan
        image = Image.frombytes("CMYK", (8, 8), inks.tobytes())
        image.save(tmp_path / "a.jpg", quality=95, icc_profile=profile)
        picture = files.read(tmp_path / "a.jpg")
        assert picture.profile is None
        assert picture.pixels.shape == (8, 8, 3)
        assert np.abs(picture.pixels[4, 4].astype(int) - (0, 255, 255)).max() <= 3

    @pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
    @pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
    def test_right_colours(self, tmp_path, name, mode):
        """JPEG has inks inverted, as Adobe does; TIFF not."""
        image = Image.new("RGB", (8, 8), (200, 100, 50))
        if mode == "LAB":
            both = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
            image = ImageCms.profileToProfile(image, *both, outputMode="LAB")
            name = "a.tif"  # nothing else has it
        image = image.convert(mode) if mode != "LAB" else image
        image.save(tmp_path / name, **({"quality": 98} if name == "a.jpg" else {}))
        pixels = files.read(tmp_path / name).pixels
        assert pixels.shape == (8, 8, 3)
        assert np.abs(pixels[4, 4].astype(int) - (200, 100, 50)).max() <= 2

    @pytest.mark.parametrize("name", ["a.avif", "a.jp2", "a.bmp", "a.tga", "a.ppm"])
    def test_what_else_pillow_reads(self, tmp_path, name):
        image = Image.new("RGB", (8, 8), (200, 100, 50))
        image.save(tmp_path / name, **({"quality": 98} if name == "a.avif" else {}))
        pixels = files.read(tmp_path / name).pixels
        assert np.abs(pixels[4, 4].astype(int) - (200, 100, 50)).max() <= 2

    def test_palette_with_alpha(self, tmp_path):
        image = Image.new("PA", (8, 8), (1, 77))
        image.putpalette([0, 0, 0, 200, 100, 50])
        image.save(tmp_path / "a.tif")
        assert np.array_equal(files.read(tmp_path / "a.tif").pixels[4, 4], (200, 100, 50, 77))

    @pytest.mark.parametrize("dtype", INTEGERS)
    def test_zero_is_white(self, tmp_path, dtype):
        top = np.iinfo(dtype).max
        pixels = noise(SHAPES["grey"], dtype)
        tifffile.imwrite(tmp_path / "a.tif", top - pixels, photometric="miniswhite")
        assert same(files.read(tmp_path / "a.tif").pixels, pixels)

    def test_other_numbers_become_floats_and_that_is_said(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.full((4, 5), 16384, np.int16))
        with pytest.warns(UserWarning, match=r"a\.tif: its int16 numbers become floats, 1 = full"):
            pixels = files.read(tmp_path / "a.tif").pixels
        assert same(pixels, np.full((4, 5), 16384 / 32767, np.float32))

    def test_deep_cmyk_loses_its_profile(self, tmp_path):
        """Its pixels come back as RGB, of which a CMYK profile says nothing."""
        inks = np.full((8, 8, 4), (65535, 0, 0, 0), np.uint16)
        profile = display_p3()
        profile = profile[:16] + b"CMYK" + profile[20:]
        tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated", iccprofile=profile)
        picture = files.read(tmp_path / "a.tif")
        assert picture.profile is None
        assert np.array_equal(picture.pixels[4, 4], (0, 65535, 65535))

    @pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
    def test_colors_multiplied_by_alpha_in_the_file(self, tmp_path, dtype):
        top = 1 if dtype == "float32" else np.iinfo(dtype).max
        color = np.array([0.2, 0.5, 0.8]) * top
        stored = np.zeros((4, 5, 4), dtype)
        for x, alpha in enumerate((1, 0.8, 0.5, 0.25, 0)):
            stored[:, x] = np.append(color * alpha, top * alpha)
        kind = {"photometric": "rgb", "extrasamples": ["assocalpha"]}
        tifffile.imwrite(tmp_path / "a.tif", stored, **kind)
        back = files.read(tmp_path / "a.tif").pixels
        assert same(back[..., 3], stored[..., 3])
        assert np.abs(back[:, :4, :3] / top - color / top).max() < (
            0.02 if dtype == "uint8" else 1e-4
        )
        assert not back[:, 4].any()

    def test_a_fourth_channel_that_is_no_alpha(self, tmp_path):
        for dtype in INTEGERS:
            pixels = noise(SHAPES["RGBA"], dtype)
            kind = {"photometric": "rgb", "extrasamples": ["unspecified"]}
            tifffile.imwrite(tmp_path / "a.tif", pixels, **kind)
            assert same(files.read(tmp_path / "a.tif").pixels, pixels[..., :3])
