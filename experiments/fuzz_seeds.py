"""Small files of every kind that is read, in every depth and with every option; and traps."""

import functools
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import jax
import jax.numpy as jnp
import numpy as np
import OpenImageIO as oiio
from PIL import Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from jaxcolor import maps
from jaxcolor.amortize import model, store
from jaxcolor.cli.batch_manifest import HEADER
from jaxcolor.image import cube, files, raster, spaces
from jaxcolor.recipes import portable, reduced
from jaxcolor.recipes.palette import Palette

SHAPE = 12, 16
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
Files = dict[str, list[tuple[str, bytes]]]  # of each kind: suffix and bytes


def noise(channels: int = 3, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    """(12, 16) or (12, 16, c): smooth, so that codecs do something."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    waves = np.stack([np.sin(rows / (k + 2 + seed)) * np.cos(columns / 3) for k in range(channels)])
    unit = np.moveaxis(waves, 0, -1) / 2 + 0.5
    pixels = unit * np.iinfo(dtype).max if np.dtype(dtype).kind in "ui" else unit * 3
    pixels = pixels.astype(dtype)
    return pixels[..., 0] if channels == 1 else pixels


def small_network() -> model.Network:
    """One with few weights."""
    shape: dict[str, Any] = {"hidden": 4, "inner": 3, "local": 2, "depth": 1, "looks": (0.5,)}
    like = jax.eval_shape(lambda: model.initial(jax.random.key(0), nodes=(2, 2, 2), **shape))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda one: rng.normal(size=one.shape).astype(np.float32), like)


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[274], exif[271], exif[306] = 6, "maker", "2020:01:01 00:00:00"
    exif.get_ifd(34665)[36867] = "2020:01:01 00:00:00"
    return exif.tobytes()


def _saved(pixels: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(out, kind, **options)
    return out.getvalue()


def _written(suffix: str, write: Callable[[Path], object]) -> tuple[str, bytes]:
    """What something writes into a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"seed{suffix}")
        write(path)
        return suffix, path.read_bytes()


def oiio_file(suffix: str, pixels: np.ndarray, number: str, **attributes) -> tuple[str, bytes]:
    def write(path: Path) -> None:
        shape = np.atleast_3d(pixels).shape
        spec = oiio.ImageSpec(shape[1], shape[0], shape[2], oiio.TypeDesc(number))
        for name, value in attributes.items():
            if name in ("tile_width", "tile_height", "channelnames"):
                setattr(spec, name, value)
            else:
                spec.attribute(name.replace("__", ":"), value)
        out: Any = oiio.ImageOutput.create(str(path))
        done = out.open(str(path), spec) and out.write_image(np.ascontiguousarray(pixels))
        if not (done and out.close()):
            raise OSError(out.geterror())

    return _written(suffix, write)


def _pngs() -> Iterator[bytes]:
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a word")
    text.add_text("Comment", "packed", zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    yield _saved(noise(), "PNG", icc_profile=profile(), exif=_exif(), pnginfo=text, dpi=(72, 72))
    for channels in (1, 2, 4):
        yield _saved(noise(channels), "PNG")
    yield _saved(Image.fromarray(noise(1)).convert("1"), "PNG")
    indexed = Image.fromarray(noise()).quantize(7)
    for bits in (1, 4, 8):
        yield _saved(indexed, "PNG", bits=bits, transparency=bytes([0, 128, 255]))
    yield _saved(noise(), "PNG", transparency=(255, 255, 255))
    for channels in (1, 3, 4):
        deep = files.Picture(noise(channels, "uint16"), profile(), exif=_exif()[6:], xmp=XMP)
        yield _written(".png", functools.partial(files.write, picture=deep))[1]


def _jpegs() -> Iterator[bytes]:
    yield _saved(noise(), "JPEG", exif=_exif(), icc_profile=profile(), xmp=XMP, comment=b"a word")
    yield _saved(noise(), "JPEG", progressive=True, subsampling=2, dpi=(300, 300))
    yield _saved(noise(1), "JPEG", restart_marker_blocks=1)
    for mode in ("CMYK", "YCbCr"):
        yield _saved(Image.fromarray(noise()).convert(mode), "JPEG", icc_profile=profile())


def _tiffs() -> Iterator[bytes]:
    told = ImageFileDirectory_v2()
    told[270], told[274], told[305], told[33432] = "picture", 6, "program", "nobody"
    for packing in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield _saved(noise(), "TIFF", compression=packing, tiffinfo=told, icc_profile=profile())
    for mode in ("1", "L", "LA", "P", "RGBA", "CMYK"):
        yield _saved(Image.fromarray(noise()).convert("L").convert(mode), "TIFF")
    srgb, lab = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    turned = ImageCms.profileToProfile(Image.fromarray(noise()), srgb, lab, outputMode="LAB")
    if turned is not None:
        yield _saved(turned, "TIFF")
    yield _saved(noise(1, "uint16"), "TIFF")
    yield _saved(noise(), "TIFF", big_tiff=True, exif=_exif()[6:])
    yield _saved(noise(), "TIFF", save_all=True, append_images=[Image.fromarray(noise(1))])
    for number in ("uint16", "half", "float", "double", "uint32"):
        pixels = noise(4, "uint32") if number == "uint32" else noise(4, "float32")
        yield oiio_file(".tif", pixels, number, compression="zip", tiff__half=1)[1]
    tiles = {"tile_width": 16, "tile_height": 16}
    yield oiio_file(".tif", noise(3, "uint16"), "uint16", compression="lzw", **tiles)[1]
    yield oiio_file(".tif", noise(3), "uint8", planarconfig="separate", compression="none")[1]
    yield oiio_file(".tif", noise(5), "uint8", compression="zip")[1]


def _exrs() -> Iterator[bytes]:
    for packing in ("none", "rle", "zip", "zips", "piz", "pxr24", "b44", "dwaa"):
        yield oiio_file(".exr", noise(3, "float32"), "half", compression=packing)[1]
    yield oiio_file(".exr", noise(4, "float32"), "float", compression="zip", Orientation=6)[1]
    tiles = {"tile_width": 8, "tile_height": 8}
    yield oiio_file(".exr", noise(3, "float32"), "float", compression="zip", **tiles)[1]
    names = ("R", "G", "B", "A", "Z")
    yield oiio_file(".exr", noise(5, "float32"), "float", channelnames=names)[1]
    yield oiio_file(".exr", noise(1, "float32"), "half", channelnames=("Y",))[1]


def _webps() -> Iterator[bytes]:
    yield _saved(noise(), "WEBP", lossless=True, exif=_exif(), icc_profile=profile(), xmp=XMP)
    yield _saved(noise(4), "WEBP", quality=50)
    yield _saved(noise(), "WEBP", quality=50)
    yield _animated("WEBP", lossless=True)


def _animated(kind: str, channels: int = 4, **options) -> bytes:
    own = [Image.fromarray(noise(channels, seed=k)) for k in range(3)]
    return _saved(own[0], kind, save_all=True, append_images=own[1:], duration=50, **options)


def _gifs() -> Iterator[bytes]:
    yield _saved(Image.fromarray(noise()).quantize(16), "GIF", comment=b"a word")
    yield _saved(Image.fromarray(noise(1)), "GIF", transparency=3, interlace=True)
    yield _animated("GIF", loop=0, disposal=2)


def clip_file(suffix: str, codec: str, layout: str) -> tuple[str, bytes]:
    def write(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(codec, rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = 32, 24, layout
            for k in range(4):
                pixels = np.tile(noise(3, seed=k), (2, 2, 1))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))

    return _written(suffix, write)


def _cubes() -> Iterator[bytes]:
    three = cube.Table(np.random.default_rng(0).random((3, 3, 3, 3)), cube.UNIT)
    one = cube.Table(np.random.default_rng(0).random((4, 3)), cube.UNIT)
    wide = cube.Table(one.values, np.array([[-0.5, 0, 0], [1, 2, 4]]))
    for tables in ([three], [one], [one, three], [wide]):
        yield cube.dump(tables, "a title").encode()
    yield b"\xef\xbb\xbf# words\r\nLUT_1D_SIZE 2\r\nLUT_1D_INPUT_RANGE 0 2\r\n0 0 0\r\n1 1 1\r\n"


def _palettes() -> Iterator[bytes]:
    own = Palette([[50, 20, 30], [70, -20, 5]], [3, 1], [0.5, 0])
    from jaxcolor.recipes import palette

    yield _written(".json", lambda path: palette.write(path, own))[1]
    yield b'["#264653", "e9c46a", "#fa0"]'
    yield b'{"colors": [{"lab": [50, 1, 2]}, {"hex": "#123456"}], "weights": [1, 2], "more": {}}'


def _maps() -> Iterator[bytes]:
    affine = maps.Affine(jnp.eye(3) / 2, jnp.ones(3) / 9)
    eye = [np.eye(3).tolist()] * 2
    mixture = {"op": "mixture", "weights": [0.4, 0.6], "means": [[0, 0, 0], [1, 1, 1]],
               "covariances": eye, "matrices": eye, "offsets": [[0, 0, 0]] * 2}  # fmt: skip
    for one in (affine, maps.Blend(jnp.float32(0.5), affine), *(
            maps.InSpace(space, affine) for space in (spaces.Lab(), spaces.Oklab()))):  # fmt: skip
        yield _written(".json", functools.partial(portable.save, color_map=one))[1]
    yield json.dumps(portable.HEADER | {"steps": [mixture]}).encode()


def _lists() -> Iterator[bytes]:
    yield b"source,reference,output\na.png,b.png,c.png\nd.jpg,e.jpg,\n"
    yield '\ufeffReference, source\n"b, c.png","a""b.png"\nd.json,é.exr\n'.encode()


def _manifests() -> Iterator[bytes]:
    rows = (
        "1,a.png,b.png,c.png,done,,0123456789abcdef,00,11,x",
        '2,a,b,d.png,failed,"no, ""it""",,,,',
    )
    yield "\n".join([",".join(HEADER), *rows, ""]).encode()


def _rasters() -> Iterator[bytes]:
    tags = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    for tag, kind, value in ((33550, 12, (1.0, 1.0, 0.0)), (33922, 12, (0.0,) * 6), (42113, 2, "0"),
                             (34735, 3, (1, 1, 0, 1, 1024, 0, 1, 1))):  # fmt: skip
        tags.tagtype[tag] = kind
        tags[tag] = value
    exif = b"II*\0\x08\0\0\0" + tags.tobytes(8)
    for channels, dtype in (
        (1, "uint16"),
        (4, "uint8"),
        (7, "float32"),
        (2, "int16"),
        (3, "float64"),
    ):
        bands = np.atleast_3d(noise(channels, dtype))
        own = raster.Raster(bands, {262: (3, 1), 338: (3, (0,) * (channels - 1))}, exif, XMP)
        yield _written(".tif", functools.partial(raster.write, raster=own))[1]


def _npzs() -> Iterator[tuple[str, bytes]]:
    for pixels in (noise(3), noise(1, "float32")):
        own = reduced.reduced(files.Picture(pixels, profile()), 64)
        yield "measures", _written(".npz", functools.partial(reduced.save, one=own))[1]
    with tempfile.TemporaryDirectory() as folder:
        store.checkpoint(Path(folder), small_network(), {"steps": [1], "loss": [0.5]})
        yield "checkpoint", Path(folder, "state.npz").read_bytes()
    yield "network", _written(".npz", lambda path: store.save_network(path, small_network()))[1]
    out = io.BytesIO()
    points = np.random.default_rng(0).random((3, 4, 3)).astype(np.float32)
    np.savez(out, points=points, weights=np.ones((3, 4), np.float32), made=2)
    yield "pool", out.getvalue()


def _halds() -> Iterator[tuple[str, bytes]]:
    from jaxcolor.image import hald
    from jaxcolor.image.bake import bake

    own = bake(lambda colors: colors / 2, 4)
    for suffix in (".png", ".tif"):
        yield _written(suffix, lambda path: hald.save(path, own))
        rows = np.full((8, 8, 3), 90, np.uint8)
        yield suffix, _saved(rows, {".png": "PNG", ".tif": "TIFF"}[suffix])


def seeds() -> Files:
    """Of each kind, what its reader reads."""
    found: Files = {
        "png": [(".png", one) for one in _pngs()],
        "jpeg": [(".jpg", one) for one in _jpegs()],
        "tiff": [(".tif", one) for one in _tiffs()],
        "webp": [(".webp", one) for one in _webps()],
        "gif": [(".gif", one) for one in _gifs()],
        "exr": [(".exr", one) for one in _exrs()],
        "hdr": [oiio_file(".hdr", noise(3, "float32"), "float")],
        "profile": [(".png", _saved(noise(k), "PNG", icc_profile=profile())) for k in (1, 3)],
        "other": [(f".{kind.lower()}", _saved(noise(), kind))
                  for kind in ("BMP", "PPM", "TGA", "JPEG2000", "AVIF")],
        "animation": [(".gif", _animated("GIF", loop=2)), (".png", _animated("PNG")),
                      (".webp", _animated("WEBP", exif=_exif(), xmp=XMP))],
        "raster": [(".tif", one) for one in _rasters()],
        "clip": [clip_file(".mp4", "libx264", "yuv420p"), clip_file(".mkv", "libx264", "yuv444p"),
                 clip_file(".mov", "mpeg4", "yuv420p"), clip_file(".avi", "mjpeg", "yuvj420p")],
        "cube": [(".cube", one) for one in _cubes()],
        "hald": list(_halds()),
        "palette": [(".json", one) for one in _palettes()],
        "map": [(".json", one) for one in _maps()],
        "list": [(".csv", one) for one in _lists()],
        "manifest": [(".csv", one) for one in _manifests()],
    }  # fmt: skip
    for kind, data in _npzs():
        found.setdefault(kind, []).append((".npz", data))
    return found
