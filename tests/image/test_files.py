"""Pictures written and read back, checked against other readers and writers."""

import io
from itertools import product

import numpy as np
import pytest
import tifffile
from image.profiles import display_p3, grey_gamma
from image.samples import INTEGERS, SHAPES, noise, other_reader, ramp, same
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from jaxcolor.image import files
from jaxcolor.image.files import Picture


def png_chunks(path):
    data, at, names = path.read_bytes(), 8, []
    while at < len(data):
        names.append(data[at + 4 : at + 8].decode())
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return names


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize("dtype", INTEGERS)
    @pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
    def test_integers_are_exact(self, tmp_path, suffix, dtype, shape):
        path, pixels = tmp_path / f"a{suffix}", noise(shape, dtype)
        files.write(path, Picture(pixels))
        back = files.read(path)
        assert same(back.pixels, pixels)
        assert back.profile is None
        assert same(other_reader(path)[0], pixels)

    @pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
    def test_float_tiff_is_exact_beyond_0_and_1(self, tmp_path, shape):
        path, pixels = tmp_path / "a.tiff", noise(shape, "float32")
        assert pixels.min() < -1
        assert pixels.max() > 2
        files.write(path, Picture(pixels))
        assert same(files.read(path).pixels, pixels)
        assert same(other_reader(path)[0], pixels)

    def test_float64_is_exact(self, tmp_path):
        files.write(tmp_path / "a.tif", Picture(np.full((2, 2, 3), 1 / 3)))
        assert same(files.read(tmp_path / "a.tif").pixels, np.full((2, 2, 3), 1 / 3))

    @pytest.mark.parametrize("dtype", INTEGERS)
    def test_alpha_is_straight_in_the_file(self, tmp_path, dtype):
        path, pixels = tmp_path / "a.tif", noise(SHAPES["RGBA"], dtype)
        files.write(path, Picture(pixels))
        with tifffile.TiffFile(path) as tiff:
            (meaning,) = tiff.pages[0].extrasamples
        assert meaning == tifffile.EXTRASAMPLE.UNASSALPHA
        assert pixels[0, 0, 3] == 0  # and yet its colour came through, above
        assert pixels[0, 0, :3].any()

    def test_16_bit_by_another_reader(self, tmp_path):
        """tifffile shares no code with OpenImageIO; Pillow reads deep grey exactly."""
        pixels = noise(SHAPES["RGBA"], "uint16")
        files.write(tmp_path / "a.tif", Picture(pixels))
        assert same(tifffile.imread(tmp_path / "a.tif"), pixels)
        files.write(tmp_path / "a.png", Picture(pixels[..., 0]))
        with Image.open(tmp_path / "a.png") as image:
            assert same(np.asarray(image, np.uint16), pixels[..., 0])

    def test_files_of_others(self, tmp_path):
        deep = noise(SHAPES["RGB"], "uint16")
        tifffile.imwrite(tmp_path / "strips.tif", deep, rowsperstrip=2)
        planes = {"photometric": "rgb", "planarconfig": "separate"}
        tifffile.imwrite(tmp_path / "planes.tif", deep.transpose(2, 0, 1), **planes)
        tifffile.imwrite(tmp_path / "float.tif", deep.astype(np.float32) / 999, photometric="rgb")
        assert same(files.read(tmp_path / "strips.tif").pixels, deep)
        assert same(files.read(tmp_path / "planes.tif").pixels, deep)
        assert same(files.read(tmp_path / "float.tif").pixels, deep.astype(np.float32) / 999)
        Image.fromarray(deep[..., 0]).save(tmp_path / "grey.png")
        assert same(files.read(tmp_path / "grey.png").pixels, deep[..., 0])

    def test_floats_become_16_bit_in_png(self, tmp_path):
        pixels = np.array([[-0.5, 0.0, 0.25, 1.0, 2.0]], np.float32)
        files.write(tmp_path / "a.png", Picture(pixels))
        wanted = np.array([[0, 0, 16384, 65535, 65535]], np.uint16)
        assert same(other_reader(tmp_path / "a.png")[0], wanted)
        assert same(files.read(tmp_path / "a.png").pixels, wanted)

    def test_one_row_one_column(self, tmp_path):
        for shape in ((1, 5), (5, 1), (1, 1, 4)):
            for dtype in INTEGERS:
                pixels = noise(shape, dtype)
                files.write(tmp_path / "a.png", Picture(pixels))
                assert same(files.read(tmp_path / "a.png").pixels, pixels)

    def test_uppercase_suffix(self, tmp_path):
        for name, kind in (("A.PNG", "PNG"), ("A.JPG", "JPEG"), ("A.TIF", "TIFF")):
            files.write(tmp_path / name, Picture(ramp()))
            with Image.open(tmp_path / name) as image:
                assert image.format == kind


class TestJpeg:
    @pytest.mark.parametrize("dtype", INTEGERS)
    def test_quality_and_sampling(self, tmp_path, dtype):
        files.write(tmp_path / "a.jpg", Picture(ramp(dtype=dtype)))
        # what quality 95 means to the encoder, from Pillow itself
        model = io.BytesIO()
        Image.fromarray(ramp()).save(model, "JPEG", quality=95)
        with Image.open(tmp_path / "a.jpg") as image, Image.open(model) as expected:
            assert get_sampling(image) == 0
            assert image.quantization == expected.quantization
            close = np.abs(np.asarray(image).astype(int) - ramp()).max()
        assert close <= 6

    @pytest.mark.parametrize("shape", [SHAPES["grey+alpha"], SHAPES["RGBA"]])
    @pytest.mark.parametrize("dtype", INTEGERS)
    def test_alpha(self, tmp_path, shape, dtype):
        path, pixels = tmp_path / "a.jpg", noise(shape, dtype)
        with pytest.raises(ValueError, match=r"a\.jpg: JPEG cannot hold transparency; write PNG"):
            files.write(path, Picture(pixels))
        assert not list(tmp_path.iterdir())
        pixels[..., -1] = np.iinfo(dtype).max
        files.write(path, Picture(pixels))
        with Image.open(path) as image:
            assert image.mode == ("L" if shape[2] == 2 else "RGB")


class TestProfile:
    @pytest.mark.parametrize("dtype", INTEGERS)
    @pytest.mark.parametrize(
        ("suffix", "kind"),
        [*product((".png", ".tif"), SHAPES), (".jpg", "grey"), (".jpg", "RGB")],
    )
    def test_bytes_are_kept(self, tmp_path, dtype, suffix, kind):
        path = tmp_path / f"a{suffix}"
        profile = grey_gamma() if kind.startswith("grey") else display_p3()
        files.write(path, Picture(noise(SHAPES[kind], dtype), profile))
        assert files.read(path).profile == profile
        assert other_reader(path)[1] == profile

    @pytest.mark.parametrize("dtype", INTEGERS)
    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_unfit_profiles_too(self, tmp_path, capfd, dtype, suffix):
        """libpng would drop them, or refuse to write the picture, and say so on stderr."""
        path = tmp_path / f"a{suffix}"
        padded = display_p3() + bytes(4)
        for shape, profile in (
            (SHAPES["RGB"], padded),
            (SHAPES["RGB"], b"nonsense" * 30),
            (SHAPES["grey"], display_p3()),
            (SHAPES["RGB"], grey_gamma()),
        ):
            files.write(path, Picture(noise(shape, dtype), profile))
            back = files.read(path)
            assert back.profile == profile
            assert same(back.pixels, noise(shape, dtype))
        assert capfd.readouterr() == ("", "")

    def test_a_deep_png_does_not_also_say_srgb(self, tmp_path):
        """Some programs believe the sRGB chunk rather than the profile."""
        files.write(tmp_path / "a.png", Picture(ramp(dtype="uint16"), display_p3()))
        names = png_chunks(tmp_path / "a.png")
        assert names.count("iCCP") == 1
        assert names.index("iCCP") < names.index("IDAT")
        assert not {"sRGB", "gAMA", "cHRM", "cICP"} & set(names)

    def test_a_large_profile(self, tmp_path):
        """JPEG splits it over several segments."""
        big = display_p3() + np.random.default_rng(0).bytes(150_000)
        for suffix in (".png", ".jpg", ".tif"):
            files.write(tmp_path / f"a{suffix}", Picture(ramp(), big))
            assert files.read(tmp_path / f"a{suffix}").profile == big
