"""Pictures on disk: read upright with profile and depth, write aside and rename.

Pillow serves 8-bit files. It would read 16-bit RGB as 8 bit without a word, so deep PNG and TIFF
go through `deep`.
"""

import contextlib
import io
import os
import struct
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
_PNG = b"\x89PNG"
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
    head = _head(path)
    picture = profile = None
    try:
        with warnings.catch_warnings():
            # Pillow's remarks: harmless ones on good files, and a line before each error
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if _is_deep(head, image):
                    profile = image.info.get("icc_profile") or None
                    if image.format == "PNG":
                        image.verify()  # libpng would print its complaint on stderr
                else:
                    picture = _read_pillow(image)
    except Image.UnidentifiedImageError as error:
        # OpenImageIO knows formats, and float TIFFs, that Pillow does not
        if head.startswith(_PNG):
            raise ValueError(f"{path}: damaged (its PNG header is broken)") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path}: refused, too large: {error}") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's word, not the decoder's
        raise ValueError(f"{path}: damaged or not a picture ({error})") from error
    return picture or Picture(*_deep().read(path, profile))


def _deep():
    # most pictures need Pillow alone
    from jaxcolor.image import deep

    return deep


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(25)


def _is_deep(head: bytes, image: Image.Image) -> bool:
    """More than 8 bits a channel in the file, whatever mode Pillow would make of it."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "PNG":
        # signature, length, 'IHDR', width, height, then one byte: bits per channel
        return head[24] > 8
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        return max(np.atleast_1d(tags.get(258, 8))) > 8
    return False


def _read_pillow(image: Image.Image) -> Picture:
    profile = image.info.get("icc_profile") or None
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("1", "L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    elif image.mode in ("1", "La"):
        image = image.convert("L" if image.mode == "1" else "LA")
    elif image.mode in ("L", "RGB", "LA", "RGBA"):
        pass
    elif image.mode in ("P", "PA", "RGBa"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    else:  # CMYK, YCbCr, LAB, HSV: to sRGB, by its profile where it has one
        image, profile = _to_srgb(image, profile), None
    return Picture(np.asarray(image), profile)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is not None:
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            srgb = ImageCms.createProfile("sRGB")
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, opened, srgb, outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")


def convert(picture: Picture, profile: bytes | None) -> Picture:
    """The picture's colours in another profile (None: sRGB), as a reference for a fit.

    Deep pictures come back in 8 bit, which is what the colour engine takes: enough for a
    distribution. Into a grey profile, they come back grey. A profile that the engine cannot use
    leaves the pixels as they are, with a warning.
    """
    pixels = picture.pixels
    if picture.profile == profile or not np.isfinite([pixels.min(), pixels.max()]).all():
        return picture  # what a fit refuses for its NaN is not to become black here
    # only a fit reads the result, so half a level of rounding is below its noise
    levels = _to_levels(pixels, np.uint8)
    has_alpha = levels.ndim == 3 and levels.shape[2] in (2, 4)
    color = levels[..., :-1] if has_alpha else levels
    grey = color.ndim == 2 or color.shape[2] == 1
    color = color.reshape(levels.shape[:2]) if grey else color
    image = Image.fromarray(np.ascontiguousarray(color))
    try:
        (before, mode), (after, new_mode) = _opened(picture.profile), _opened(profile)
        if mode == "L" and not grey:
            raise ImageCms.PyCMSError("a grey profile on a colour picture")
        result = ImageCms.profileToProfile(image.convert(mode), before, after, outputMode=new_mode)
    except (ImageCms.PyCMSError, OSError) as error:
        warnings.warn(f"colour profile not used ({error})", stacklevel=2)
        return Picture(pixels, profile)
    result = np.asarray(result)
    if has_alpha:
        result = np.dstack([result, levels[..., -1]])
    return Picture(result, profile)


def _opened(profile: bytes | None) -> tuple[ImageCms.ImageCmsProfile, str]:
    """The engine's handle on a profile, and the mode of the pixels it speaks of."""
    if profile is None:
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), "RGB"
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = ImageCms.core.profile_frombytes(profile).xcolor_space.strip()
    if space not in ("RGB", "GRAY"):
        raise ImageCms.PyCMSError(f"it is for {space}, not RGB or grey")
    return opened, "L" if space == "GRAY" else "RGB"


@contextlib.contextmanager
def aside(path: str | PathLike) -> Iterator[Path]:
    """A path beside the wanted one to write to; renamed at the end, removed on any failure."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)  # the name that the person gave
        raise
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


def check_alpha(path: str | PathLike, picture: Picture) -> None:
    """Refuse, before any work, a format that would lose the picture's transparency.

    Raises:
        ValueError: where a JPEG is to hold alpha below full.
    """
    pixels = picture.pixels
    if FORMATS.get(Path(path).suffix.lower()) != "JPEG" or pixels.ndim == 2:
        return
    if pixels.shape[2] in (2, 4) and _to_levels(pixels[..., -1], np.uint8).min() < 255:
        raise ValueError(f"{path}: JPEG cannot hold transparency; write PNG or TIFF")


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
        check_alpha(path, picture)
        pixels = _to_levels(pixels, np.uint8)
        if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
            pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    elif kind == "PNG" and pixels.dtype not in (np.uint8, np.uint16):
        pixels = _to_levels(pixels, np.uint16)
    with aside(path) as temporary:
        if pixels.dtype == np.uint8:
            extra: dict[str, Any] = dict(_OPTIONS[kind])
            if picture.profile is not None:
                extra["icc_profile"] = picture.profile
            Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, kind, **extra)
        else:
            reason = _deep().write(temporary, pixels, picture.profile, kind)
            if reason:
                raise OSError(f"{path}: could not be written ({reason})")


def _to_levels(pixels: np.ndarray, dtype: type) -> np.ndarray:
    if pixels.dtype == dtype:
        return pixels
    top = float(np.iinfo(dtype).max)
    scale = np.float32(top / (65535.0 if pixels.dtype == np.uint16 else 1.0))
    return np.rint(np.clip(pixels * scale, 0, top)).astype(dtype)
