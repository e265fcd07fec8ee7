"""Pictures on disk, checked against other readers and writers."""

import io

import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from image.profiles import P3_TO_SRGB, display_p3, grey_gamma
from PIL import Image, ImageCms
from PIL.JpegImagePlugin import get_sampling

from jaxcolor.image import files
from jaxcolor.image.files import Picture

SHAPES = {"grey": (9, 11), "grey+alpha": (9, 11, 2), "RGB": (9, 11, 3), "RGBA": (9, 11, 4)}
INTEGERS = ("uint8", "uint16")


def noise(shape, dtype="uint8", seed=0):
    """Every level is likely, the colours under alpha 0 too."""
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        pixels = (rng.random(shape) * 4 - 1.5).astype(np.float32)
    else:
        pixels = rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    if len(shape) == 3 and shape[2] in (2, 4):
        pixels[..., -1] = np.linspace(0, 1, shape[1]) * (1 if dtype == "float32" else 200)
        pixels[::2, :3, -1] = 0
    return pixels


def ramp(shape=(24, 40, 3), dtype="uint8"):
    """Smooth, so that JPEG keeps it, and different from all its turned copies."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    top = np.iinfo(dtype).max
    color = np.stack([x / shape[1], y / shape[0], 0.3 + 0.3 * x / shape[1]], -1) * top
    return np.rint(color).astype(dtype)


def other_reader(path):
    """The stored numbers and the profile, as OpenImageIO alone sees them."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), config)
    assert source is not None, oiio.geterror()
    spec = source.spec()
    pixels = np.array(source.read_image(spec.format)).reshape(spec.height, spec.width, -1)
    profile = spec.getattribute("ICCProfile")
    source.close()
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return pixels, None if profile is None else bytes(np.asarray(profile, np.uint8))


def png_chunks(path):
    data, at, names = path.read_bytes(), 8, []
    while at < len(data):
        names.append(data[at + 4 : at + 8].decode())
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return names


def same(a, b):
    return a.dtype == b.dtype and np.array_equal(a, b)


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

    def test_float64_is_written_as_float32(self, tmp_path):
        files.write(tmp_path / "a.tif", Picture(np.full((2, 2, 3), 1 / 3)))
        assert same(files.read(tmp_path / "a.tif").pixels, np.full((2, 2, 3), 1 / 3, np.float32))

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
        tifffile.imwrite(tmp_path / "planes.tif", deep.transpose(2, 0, 1), planarconfig="separate")
        tifffile.imwrite(tmp_path / "float.tif", deep.astype(np.float32) / 999)
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
    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
    @pytest.mark.parametrize("kind", SHAPES)
    def test_bytes_are_kept(self, tmp_path, dtype, suffix, kind):
        if suffix == ".jpg" and "A" in kind + kind[-5:].upper():
            pytest.skip("JPEG has no alpha")
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
        assert np.abs(back[:, :4, :3] / top - color / top).max() < 0.01
        assert not back[:, 4].any()

    def test_a_fourth_channel_that_is_no_alpha(self, tmp_path):
        for dtype in INTEGERS:
            pixels = noise(SHAPES["RGBA"], dtype)
            kind = {"photometric": "rgb", "extrasamples": ["unspecified"]}
            tifffile.imwrite(tmp_path / "a.tif", pixels, **kind)
            assert same(files.read(tmp_path / "a.tif").pixels, pixels[..., :3])


def srgb_curve(v):
    return np.where(v <= 0.0031308, 12.92 * v, 1.055 * np.abs(v) ** (1 / 2.4) - 0.055)


def srgb_inverse(v):
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


class TestConvert:
    @pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
    def test_p3_to_srgb(self, dtype):
        rng = np.random.default_rng(0)
        colors = rng.uniform(0.25, 0.75, (20, 30, 3))
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
        assert result.shape == (*SHAPES[kind][:2], *((2,) if "A" in kind or "+" in kind else ()))
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


class TestAside:
    def test_success_replaces(self, tmp_path):
        path = tmp_path / "a.txt"
        path.write_text("old")
        with files.aside(path) as temporary:
            assert temporary.parent == tmp_path
            temporary.write_text("new")
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
    def test_failure_leaves_all_as_it_was(self, tmp_path, error):
        path = tmp_path / "a.txt"
        path.write_text("old")

        def fail():
            with files.aside(path) as temporary:
                temporary.write_text("half")
                raise error("stop")

        with pytest.raises(error, match="stop"):
            fail()
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
    @pytest.mark.parametrize("there", [True, False])
    def test_write_that_fails(self, tmp_path, monkeypatch, dtype, there):
        """The rename fails, when the new file is complete: the worst moment."""
        path = tmp_path / "a.tif"
        if there:
            path.write_bytes(b"old")

        def refuse(source, target):
            raise PermissionError(13, "Permission denied", str(source))

        monkeypatch.setattr("jaxcolor.image.files.os.replace", refuse)
        with pytest.raises(PermissionError) as caught:
            files.write(path, Picture(noise(SHAPES["RGB"], dtype)))
        assert caught.value.filename == str(path)  # not the temporary name
        assert [one.name for one in tmp_path.iterdir()] == (["a.tif"] if there else [])
        assert not there or path.read_bytes() == b"old"

    def test_a_full_disk(self, tmp_path, monkeypatch):
        def full(self, to, *args, **kwargs):
            to.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Image.Image, "save", full)
        with pytest.raises(OSError, match="No space"):
            files.write(tmp_path / "a.png", Picture(ramp()))
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("dtype", INTEGERS)
    def test_a_folder_that_is_not_there(self, tmp_path, dtype):
        with pytest.raises(OSError, match="nowhere"):
            files.write(tmp_path / "nowhere" / "a.tif", Picture(ramp(dtype=dtype)))


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "dtype"),
        [("a.jpg", "uint8"), ("a.png", "uint8"), ("a.png", "uint16"), ("a.tif", "uint16")],
    )
    @pytest.mark.parametrize("share", [0.003, 0.02, 0.4, 0.9])
    def test_truncated(self, tmp_path, capfd, name, dtype, share):
        """Also on stderr's file descriptor: the C libraries behind write there."""
        path = tmp_path / name
        pixels = noise((60, 50, 3), dtype)
        files.write(path, Picture(pixels, display_p3()))
        data = path.read_bytes()
        path.write_bytes(data[: max(3, int(share * len(data)))])
        with pytest.raises(ValueError, match=r"a\.\w+: (damaged|not a picture)") as caught:
            files.read(path)
        assert "\n" not in str(caught.value)
        assert capfd.readouterr() == ("", "")

    def test_no_picture_at_all(self, tmp_path):
        path = tmp_path / "a.png"
        with pytest.raises(FileNotFoundError):
            files.read(path)
        path.write_bytes(b"")
        with pytest.raises(ValueError, match=r"a\.png: is empty"):
            files.read(path)
        path.write_text("Dear reader,\n" * 20)
        with pytest.raises(ValueError, match=r"a\.png: not a picture that can be read"):
            files.read(path)
        with pytest.raises(ValueError, match="is a folder, not a picture"):
            files.read(tmp_path)

    def test_a_file_that_may_not_be_read(self, tmp_path, monkeypatch):
        files.write(tmp_path / "a.png", Picture(ramp()))

        def refuse(*args, **kwargs):
            raise PermissionError(13, "Permission denied", str(tmp_path / "a.png"))

        monkeypatch.setattr(Image, "open", refuse)
        with pytest.raises(PermissionError):
            files.read(tmp_path / "a.png")

    def test_too_many_pixels(self, tmp_path, monkeypatch):
        files.write(tmp_path / "a.png", Picture(ramp()))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(ValueError, match="refused, too large"):
            files.read(tmp_path / "a.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # Pillow would warn of these
        assert same(files.read(tmp_path / "a.png").pixels, ramp())

    def test_outputs(self, tmp_path, monkeypatch):
        files.check_output(tmp_path / "a.png", False)
        (tmp_path / "a.png").write_bytes(b"old")
        files.check_output(tmp_path / "a.png", True)
        for path, message in (
            (tmp_path / "a.png", "exists already; --overwrite replaces it"),
            (tmp_path / "a.gif", r"unknown file type; use one of \.png, \.jpg"),
            (tmp_path / "a", "unknown file type"),
            (tmp_path, "is a folder; name a file in it"),
            (tmp_path / "nowhere" / "a.png", "nowhere does not exist"),
        ):
            with pytest.raises(ValueError, match=message):
                files.check_output(path, False)
        monkeypatch.setattr("jaxcolor.image.files.os.access", lambda *args: False)
        with pytest.raises(ValueError, match="cannot be written to"):
            files.check_output(tmp_path / "b.png", False)

    def test_unknown_suffix_on_write(self, tmp_path):
        with pytest.raises(ValueError, match="unknown file type"):
            files.write(tmp_path / "a.gif", Picture(ramp()))
