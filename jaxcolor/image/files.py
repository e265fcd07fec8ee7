"""Pictures on disk: read upright with profile and depth, write aside and rename.

Pillow serves 8-bit files. It would read 16-bit RGB as 8 bit without a word, so deep PNG and TIFF
go through OpenImageIO.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps

# what each format is written with: JPEG at 4:4:4, for colours are what this program is about
_OPTIONS = {
    "PNG": {"compress_level": 4},
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_lzw"},
}
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}


@dataclass(frozen=True)
class Picture:
    """What a file holds.

    Attributes:
        pixels: (H, W), (H, W, 2), (H, W, 3) or (H, W, 4), upright, straight alpha; uint8, uint16
            or float32.
        profile: the ICC profile's bytes, or None, which means sRGB.
    """

    pixels: np.ndarray
    profile: bytes | None = None


def read(path: str | PathLike) -> Picture:
    """Read a picture.

    Raises:
        ValueError: where the file is no picture, or a damaged one.
        OSError: where it cannot be opened.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, not a picture")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                deep = _is_deep(path, image)
                picture = None if deep else _read_pillow(image)
    except Image.UnidentifiedImageError:
        picture = None  # OpenImageIO knows formats, and float TIFFs, that Pillow does not
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: refused, too large: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: damaged or not a picture ({error})") from error
    return picture or _read_deep(path)


def _is_deep(path: Path, image: Image.Image) -> bool:
    """More than 8 bits a channel in the file, whatever mode Pillow would make of it."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "PNG":
        # signature, length, 'IHDR', width, height, then one byte: bits per channel
        with path.open("rb") as file:
            return file.read(25)[24] > 8
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        return max(np.atleast_1d(tags.get(258, 8))) > 8
    return False


def _read_pillow(image: Image.Image) -> Picture:
    profile = image.info.get("icc_profile") or None
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("L", "RGB", "LA", "RGBA"):
        if image.mode in ("L", "RGB") and "transparency" in image.info:
            image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode in ("1", "La"):
        image = image.convert("L" if image.mode == "1" else "LA")
    elif image.mode in ("P", "PA", "RGBa"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    else:  # CMYK, YCbCr, LAB, HSV: to sRGB, by its profile where it has one
        image, profile = _to_srgb(image, profile), None
    return Picture(np.asarray(image), profile)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is not None:
        with contextlib.suppress(ImageCms.PyCMSError):
            srgb = ImageCms.createProfile("sRGB")
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, opened, srgb, outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")


def _oiio():
    # most pictures need Pillow alone
    import OpenImageIO

    return OpenImageIO


def _read_deep(path: Path) -> Picture:
    oiio = _oiio()
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        reason = oiio.geterror().splitlines()[:1]
        raise ValueError(f"{path}: not a picture that can be read ({''.join(reason)})")
    spec = source.spec()
    kind = {"uint8": "uint8", "uint16": "uint16"}.get(str(spec.format), "float")
    pixels = source.read_image(0, 0, 0, min(spec.nchannels, 4), kind)
    message = source.geterror()
    source.close()
    if pixels is None or message:
        raise ValueError(f"{path}: damaged ({message.splitlines()[0] if message else 'no data'})")
    profile = spec.getattribute("ICCProfile")
    turn = _UPRIGHT.get(spec.get_int_attribute("Orientation", 1))
    pixels = np.asarray(pixels).reshape(spec.height, spec.width, -1)
    if turn is not None:
        pixels = turn(pixels)
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    pixels = np.ascontiguousarray(pixels)
    return Picture(pixels, None if profile is None else bytes(np.asarray(profile, np.uint8)))


# EXIF orientation: what makes the stored rows upright
_UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


def convert(picture: Picture, profile: bytes | None) -> Picture:
    """The picture's colours in another profile (None: sRGB), as a reference for a fit.

    Deep pictures come back in 8 bit, which is what the colour engine takes: enough for a
    distribution. A profile that the engine cannot use counts as sRGB, with a warning.
    """
    if picture.profile == profile:
        return picture
    pixels = picture.pixels
    if pixels.dtype != np.uint8:
        # only a fit reads the result, so half a level of rounding is below its noise
        scale = 65535.0 if pixels.dtype == np.uint16 else 1.0
        pixels = np.rint(np.clip(pixels / scale, 0, 1) * 255).astype(np.uint8)
    grey = pixels.ndim == 2 or pixels.shape[2] == 2
    color = pixels if pixels.ndim == 2 else pixels[..., : 1 if grey else 3]
    image = Image.fromarray(np.ascontiguousarray(color.squeeze()) if grey else color.copy())
    try:
        converted = ImageCms.profileToProfile(
            image, _opened(picture.profile, grey), _opened(profile, False), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError) as error:
        warnings.warn(f"colour profile not used ({error})", stacklevel=2)
        return Picture(pixels, profile)
    result = np.asarray(converted)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        result = np.concatenate([result, pixels[..., -1:]], -1)
    return Picture(result, profile)


def _opened(profile: bytes | None, grey: bool):
    if profile is None:
        return ImageCms.createProfile("sRGB")
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


@contextlib.contextmanager
def aside(path: str | PathLike) -> Iterator[Path]:
    """A path beside the wanted one to write to; renamed at the end, removed on any failure."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: str | PathLike, overwrite: bool, formats: dict | None = None) -> None:
    """Refuse, before any work, an output that could not be written.

    Raises:
        ValueError: on an unknown suffix, a folder, a missing or read-only folder around it, or an
            existing file without `overwrite`.
    """
    path = Path(path)
    formats = FORMATS if formats is None else formats
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file in it")
    if path.suffix.lower() not in formats:
        raise ValueError(f"{path}: unknown file type; use one of {', '.join(formats)}")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: the folder {path.parent} cannot be written to")
    if path.exists() and not overwrite:
        raise ValueError(f"{path}: exists already; --overwrite replaces it")


def write(path: str | PathLike, picture: Picture) -> None:
    """Write a picture, complete or not at all; the suffix decides the format.

    PNG: uint8 and uint16 exactly, floats as 16 bit. TIFF: every dtype exactly. JPEG: 8 bit,
    quality 95, 4:4:4.

    Raises:
        ValueError: an unknown suffix; transparency into JPEG.
        OSError: where the disk says no.
    """
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path}: unknown file type; use one of {', '.join(FORMATS)}")
    pixels = picture.pixels
    if kind == "JPEG":
        pixels = _opaque(path, _to_levels(pixels, np.uint8))
    elif kind == "PNG" and pixels.dtype not in (np.uint8, np.uint16):
        pixels = _to_levels(pixels, np.uint16)
    with aside(path) as temporary:
        if pixels.dtype == np.uint8:
            extra: dict[str, Any] = dict(_OPTIONS[kind])
            if picture.profile is not None:
                extra["icc_profile"] = picture.profile
            Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, kind, **extra)
        else:
            _write_deep(temporary, pixels, picture.profile)


def _to_levels(pixels: np.ndarray, dtype: type) -> np.ndarray:
    if pixels.dtype == dtype:
        return pixels
    top = float(np.iinfo(dtype).max)
    scale = np.float32(top / (65535.0 if pixels.dtype == np.uint16 else 1.0))
    return np.rint(np.clip(pixels * scale, 0, top)).astype(dtype)


def _opaque(path: Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2 or pixels.shape[2] in (1, 3):
        return pixels
    if pixels[..., -1].min() < 255:
        raise ValueError(f"{path}: JPEG cannot hold transparency; write PNG or TIFF")
    return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]


def _write_deep(path: Path, pixels: np.ndarray, profile: bytes | None) -> None:
    oiio = _oiio()
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    spec = oiio.ImageSpec(width, height, channels, str(pixels.dtype))
    names = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[channels]
    spec.channelnames = tuple(names)
    spec.alpha_channel = channels - 1 if channels in (2, 4) else -1
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("compression", "zip")
    if profile is not None:
        block = np.frombuffer(profile, np.uint8)
        spec.attribute("ICCProfile", oiio.TypeDesc(f"uint8[{len(block)}]"), block)
    out = oiio.ImageOutput.create(str(path))
    if out is None:
        raise OSError(f"{path.name}: no writer for this type ({oiio.geterror()})")
    rows = np.ascontiguousarray(pixels).reshape(height, width, channels)
    if not (out.open(str(path), spec) and out.write_image(rows) and out.close()):
        reason = out.geterror().splitlines()
        raise OSError(f"{path.name}: could not be written ({reason[0] if reason else 'unknown'})")
