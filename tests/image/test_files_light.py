"""OpenEXR, HDR and floats in TIFF: every value comes back, and every channel."""

import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from image.profiles import display_p3
from image.samples import SHAPES, noise, ramp, same

from jaxcolor.image import files
from jaxcolor.image.curve import delinearize, linearize
from jaxcolor.image.files import Picture


def light(shape, seed=0, half=False):
    """-0.5 .. 8, the ends included; alpha 0 over light in one corner."""
    values = np.random.default_rng(seed).uniform(-0.5, 8, shape).astype(np.float32)
    values.flat[:2] = -0.5, 8
    if len(shape) == 3 and shape[2] in (2, 4):
        values[..., -1] = np.linspace(0, 1, shape[1])
    return values.astype(np.float16).astype(np.float32) if half else values


def store(path, channels, **attributes):
    """An EXR file of named channels (H, W), by OpenImageIO alone; half, float or uint each."""
    planes = list(channels.values())
    names = {"float16": "half", "float32": "float", "uint32": "uint"}
    kinds = [names[str(plane.dtype)] for plane in planes]
    spec = oiio.ImageSpec(planes[0].shape[1], planes[0].shape[0], len(planes), kinds[0])
    spec.channelnames = tuple(channels)
    if len(set(kinds)) > 1:
        spec.channelformats = tuple(map(oiio.TypeDesc, kinds))
    for name, value in attributes.items():
        spec.attribute(name, *value) if isinstance(value, tuple) else spec.attribute(name, value)
    rows = [one / (2**32 - 1) if one.dtype == np.uint32 else one.astype(float) for one in planes]
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(np.ascontiguousarray(np.dstack(rows))), out.geterror()
    out.close()


def stored(path):
    """Channels by name, each in its own type, and the header."""
    source = oiio.ImageInput.open(str(path))
    spec = source.spec()
    kinds = spec.channelformats or [spec.format] * spec.nchannels
    found = {
        name: np.array(source.read_image(0, 0, k, k + 1, kinds[k]))[..., 0]
        for k, name in enumerate(spec.channelnames)
    }
    source.close()
    return found, spec


class TestExact:
    @pytest.mark.parametrize("half", [False, True])
    @pytest.mark.parametrize("kind", SHAPES)
    def test_values(self, tmp_path, kind, half):
        path, pixels = tmp_path / "a.exr", light(SHAPES[kind], half=half)
        if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
            pixels[..., -1] = np.where(np.arange(pixels.shape[1]) % 2, 1, 0)
        files.write(path, Picture(pixels, linear=True, half=half))
        back = files.read(path)
        assert same(back.pixels, pixels)
        assert (back.linear, back.half) == (True, half)
        found, _ = stored(path)
        assert {str(one.dtype) for one in found.values()} == {"float16" if half else "float32"}

    @pytest.mark.parametrize("kind", ["float16", "float32"])
    def test_associated_alpha(self, tmp_path, kind):
        """Straight to whoever sees the pixels; as it was, to the bit, in the file."""
        values = light((9, 11, 4))
        values[..., :3] *= values[..., 3:]
        values[:, 0, :3] = 0.75  # light without substance
        channels = {name: values[..., k].astype(kind) for k, name in enumerate("RGBA")}
        store(tmp_path / "a.exr", channels)
        picture = files.read(tmp_path / "a.exr")
        alpha = channels["A"].astype(np.float64)
        wanted = channels["R"] / np.where(alpha > 0, alpha, 1)
        assert np.allclose(picture.pixels[..., 0], wanted, rtol=1e-6)
        files.write(tmp_path / "b.exr", picture.recolored(picture.encoded))
        found, _ = stored(tmp_path / "b.exr")
        for name, plane in channels.items():
            assert same(found[name], plane)
        darker = picture.recolored(picture.encoded * np.float32([0.5, 0.5, 0.5, 1]))
        files.write(tmp_path / "c.exr", darker)
        straight = files.read(tmp_path / "c.exr").encoded
        assert np.allclose(straight[..., :3], picture.encoded[..., :3] / 2, atol=3e-3)
        assert (stored(tmp_path / "c.exr")[0]["R"][:, 0] > 0.1).all()

    def test_other_channels_and_header(self, tmp_path):
        """Depth, normals, identities, layers: names, types and values; and how frames run."""
        rng = np.random.default_rng(0)
        plain = {
            "R": light((9, 11), 1, half=True).astype(np.float16),
            "G": light((9, 11), 2, half=True).astype(np.float16),
            "B": light((9, 11), 3, half=True).astype(np.float16),
            "A": np.ones((9, 11), np.float16),
            "Z": rng.uniform(0, 1e6, (9, 11)).astype(np.float32),
            "diffuse.R": light((9, 11), 4),
            "N.x": rng.uniform(-1, 1, (9, 11)).astype(np.float16),
            "id": rng.integers(0, 1 << 20, (9, 11)).astype(np.uint32),
        }
        plain["Z"][0, 0] = np.inf  # where there is nothing
        white = (0.7, 0.3, 0.2, 0.7, 0.1, 0.05, 0.3127, 0.329)
        store(
            tmp_path / "a.exr",
            plain,
            compression="piz",
            PixelAspectRatio=2.0,
            chromaticities=(oiio.TypeDesc("float[8]"), white),
            FramesPerSecond=(oiio.TypeDesc("rational"), (24000, 1001)),
        )
        picture = files.read(tmp_path / "a.exr")
        assert picture.half
        files.write(
            tmp_path / "b.exr", picture.recolored(picture.encoded * np.float32([0.5, 0.5, 0.5, 1]))
        )
        found, spec = stored(tmp_path / "b.exr")
        assert set(found) == set(plain)
        for name, plane in plain.items():
            assert found[name].dtype == plane.dtype
            assert np.array_equal(found[name], plane) != (name in "RGB"), name
        assert np.allclose(spec.getattribute("chromaticities"), white)
        assert spec.getattribute("FramesPerSecond") == (24000, 1001)
        assert spec.getattribute("PixelAspectRatio") == 2
        assert spec.getattribute("compression") == "piz"

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_tiff(self, tmp_path, dtype):
        pixels = light((9, 11, 3)).astype(dtype)
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
        picture = files.read(tmp_path / "a.tif")
        assert np.array_equal(picture.pixels, pixels)
        assert not picture.linear
        files.write(tmp_path / "b.tif", picture)
        assert str(stored(tmp_path / "b.tif")[0]["R"].dtype) == dtype
        assert np.array_equal(files.read(tmp_path / "b.tif").pixels, pixels)

    def test_radiance(self, tmp_path):
        """Eight bits and a common exponent: within a part in 128, and then no further."""
        pixels = np.abs(light((9, 11, 3)))
        files.write(tmp_path / "a.hdr", Picture(pixels, linear=True))
        back = files.read(tmp_path / "a.hdr")
        assert back.linear
        assert (np.abs(back.pixels - pixels) <= pixels.max(-1, keepdims=True) / 128).all()
        files.write(tmp_path / "b.hdr", back)
        assert same(files.read(tmp_path / "b.hdr").pixels, back.pixels)


class TestEncoding:
    def test_curve(self):
        """Its own inverse to rounding, odd, and the standard's where that is defined."""
        values = np.linspace(-100, 1000, 40_001, dtype=np.float32)
        assert np.allclose(linearize(delinearize(values)), values, rtol=2e-6, atol=1e-9)
        assert np.array_equal(delinearize(-values), -delinearize(values))
        # IEC 61966-2-1: mid grey and the end of the straight part
        assert abs(delinearize(np.float32(0.21404114)) - 0.5) < 1e-6
        assert abs(linearize(np.float32(0.04045)) - 0.0031308) < 1e-7

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_from_and_to_encoded_files(self, tmp_path, dtype):
        """A picture becomes light in an EXR file and comes back from it."""
        pixels = ramp(dtype=dtype)
        files.write(tmp_path / "a.exr", Picture(pixels))
        opened = files.read(tmp_path / "a.exr")
        top = np.iinfo(dtype).max
        assert np.allclose(opened.pixels, linearize(pixels / np.float32(top)), atol=1e-6)
        files.write(tmp_path / "b.png", opened)
        back = files.read(tmp_path / "b.png").pixels
        assert np.abs(back / 65535 - pixels / top).max() < 1e-5

    def test_floats_keep_their_bits_where_nothing_changed(self):
        picture = Picture(light((9, 11, 4)), linear=True)
        other = picture.encoded.copy()
        other[0] += 1
        result = picture.recolored(other).pixels
        assert same(result[1:], picture.pixels[1:])
        assert (result[0, :, :3] > picture.pixels[0, :, :3]).all()


class TestLost:
    def test_what_a_format_cannot_hold_is_said(self, tmp_path):
        deep = {name: light((9, 11)) for name in ("R", "G", "B", "Z", "diffuse.R")}
        store(tmp_path / "a.exr", deep)
        picture = files.read(tmp_path / "a.exr")
        with pytest.warns(UserWarning, match=r"a\.tif: without channels Z, diffuse.R: that takes"):
            files.write(tmp_path / "a.tif", picture)
        with pytest.warns(UserWarning, match="values below 0 become 0"):
            files.write(tmp_path / "a.hdr", Picture(picture.pixels, linear=True))
        with pytest.warns(UserWarning, match=r"b\.exr: this format holds no colour profile"):
            files.write(tmp_path / "b.exr", Picture(ramp(), display_p3()))
        with pytest.raises(ValueError, match="HDR cannot hold transparency"):
            files.write(tmp_path / "b.hdr", Picture(noise(SHAPES["RGBA"])))

    def test_halves_do_not_become_infinite(self, tmp_path):
        files.write(tmp_path / "a.exr", Picture(np.full((2, 2, 3), 1e9), linear=True, half=True))
        assert files.read(tmp_path / "a.exr").pixels.max() == 65504

    def test_no_colours(self, tmp_path):
        store(tmp_path / "a.exr", {"Z": light((9, 11)), "N.x": light((9, 11))})
        with pytest.raises(ValueError, match=r"a\.exr: needs channels R, G, B, or Y.*has N.x, Z|Z"):
            files.read(tmp_path / "a.exr")

    def test_layers_alone(self, tmp_path):
        """As Blender writes them: the first with colours is the picture, the others stay."""
        names = ["View.Combined.A", "View.Combined.B", "View.Combined.G", "View.Combined.R",
                 "View.Depth.Z", "View.Diffuse.B", "View.Diffuse.G", "View.Diffuse.R"]  # fmt: skip
        planes = {name: light((9, 11), k) for k, name in enumerate(names)}
        planes["View.Combined.A"][:] = 1
        store(tmp_path / "a.exr", planes)
        with pytest.warns(UserWarning, match=r"a\.exr: of its layers, View.Combined is read"):
            picture = files.read(tmp_path / "a.exr")
        wanted = [planes[f"View.Combined.{one}"] for one in "RGBA"]
        assert same(picture.pixels, np.dstack(wanted))
        darker = picture.recolored(picture.encoded * np.float32([0.5, 0.5, 0.5, 1]))
        files.write(tmp_path / "b.exr", darker)
        found, _ = stored(tmp_path / "b.exr")
        for name, plane in planes.items():
            assert same(found[name], plane) != name.endswith(("Combined.R", "d.G", "d.B")), name

    def test_a_truncated_file(self, tmp_path, capfd):
        files.write(tmp_path / "a.exr", Picture(light((60, 50, 3)), linear=True))
        data = (tmp_path / "a.exr").read_bytes()
        for share in (0.02, 0.5, 0.9):
            (tmp_path / "a.exr").write_bytes(data[: int(share * len(data))])
            with pytest.raises(ValueError, match=r"a\.exr: (damaged|not a picture)"):
                files.read(tmp_path / "a.exr")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_more_channels_of_a_tiff(self, tmp_path, dtype):
        """Red, green and blue are the picture; the others come along unchanged."""
        rng = np.random.default_rng(0)
        bands = (rng.random((9, 11, 6)) * 200).astype(dtype)
        tifffile.imwrite(tmp_path / "a.tif", bands, photometric="minisblack", planarconfig="contig")
        picture = files.read(tmp_path / "a.tif")
        assert same(picture.pixels, bands[..., :3])
        files.write(tmp_path / "b.tif", picture.recolored(picture.pixels // 2))
        back = files.read(tmp_path / "b.tif")
        assert same(back.pixels, bands[..., :3] // 2)
        found, _ = stored(tmp_path / "b.tif")
        for k, plane in enumerate(list(found.values())[3:], 3):
            assert same(plane, bands[..., k])
