"""Pictures on disk: read upright with profile and depth, write aside and rename.

Pillow serves 8-bit files. It would read 16-bit RGB as 8 bit without a word, so deep PNG and TIFF,
OpenEXR and HDR go through `deep`.
"""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxcolor.damage import is_of_machine
from jaxcolor.image import limits, metadata
from jaxcolor.image.aside import aside as aside
from jaxcolor.image.picture import Picture
from jaxcolor.image.profiles import convert as convert
from jaxcolor.image.profiles import to_levels, to_srgb

# Pillow says in what it raises what is wrong; unheard, its log would be printed as well
logging.getLogger("PIL").addHandler(logging.NullHandler())
# what each format is written with: JPEG at 4:4:4, for colours are what this program is about
_OPTIONS = {
    "PNG": {"compress_level": 4},
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True, "exact": True},
}
_PNG = b"\x89PNG"
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".exr": "EXR",
    ".hdr": "HDR",
}
_LIGHT = ("EXR", "HDR")  # of linear light
_OPAQUE = {"JPEG": "JPEG", "HDR": "Radiance HDR"}  # without transparency
# what a segment of a JPEG has room for
_ROOM = {"exif": 65_527, "xmp": 65_504}
_COMMENT = 65_533


def read(path: str | PathLike) -> Picture:
    """Read a picture.

    Of an animation, or of several pages, the first, with a warning.

    Raises:
        ValueError: where the file is no picture, a damaged one, or one that claims more than
            `limits` allow.
        OSError: where it cannot be opened.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, not a picture")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: is empty (0 bytes)")
    head = _head(path)
    picture, profile, told = None, None, []
    try:
        with warnings.catch_warnings():
            # Pillow's remarks: harmless ones on good files, and a line before each error
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.format == "EPS":  # Pillow would have Ghostscript run it
                    raise ValueError("PostScript is a program: convert it first")
                if _is_deep(head, image):
                    profile = metadata.profile(image.info)
                    if image.format == "PNG":
                        image.verify()  # libpng would print its complaint on stderr
                else:
                    told += _pages(image)
                    picture = _read_pillow(path, image)
                kept, turn = metadata.described(path, head, image.info, told)
    except Image.UnidentifiedImageError as error:
        # OpenImageIO knows formats, and float TIFFs, that Pillow does not
        if head.startswith(_PNG):
            raise ValueError(f"{path}: damaged (its PNG header is broken)") from error
        kept, turn = metadata.described(path, head, {}, told)
    except Image.DecompressionBombError as error:
        raise limits.too_large(path, error) from error
    except limits.TooLarge:
        raise
    except Exception as error:  # there is hardly a type that no decoder raises
        if is_of_machine(error, path):
            raise
        raise ValueError(f"{path}: damaged or not a picture ({error})") from error
    if picture is None:
        picture = replace(_deep().read(path, profile), **kept)
    else:
        picture = _turned(replace(picture, **kept), turn)
    for line in told:
        warnings.warn(f"{path}: {line}", stacklevel=2)
    return picture


def _deep():
    # most pictures need Pillow alone
    from jaxcolor.image import deep

    return deep


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(25)


def _is_deep(head: bytes, image: Image.Image) -> bool:
    """More than 8 bits a channel in the file, whatever mode Pillow would make of it; or channels
    that Pillow passes over."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "PNG":
        # signature, length, 'IHDR', width, height, then one byte: bits per channel
        return head[24] > 8
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        unknown = 0 in np.atleast_1d(tags.get(338, 1))  # ExtraSamples: one that is no alpha
        return unknown or max(np.atleast_1d(tags.get(258, 8))) > 8
    return False


def _pages(image: Image.Image) -> list[str]:
    count = getattr(image, "n_frames", 1)
    if count < 2 or image.format not in ("GIF", "PNG", "WEBP", "AVIF", "TIFF"):
        return []  # what else has several holds the same picture in other sizes
    what = "pages" if image.format == "TIFF" else "frames"
    return [f"has {count} {what}, of which the first is read"]


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    if 282 not in getattr(image, "tag_v2", {282}):
        return None  # Pillow would say 1
    try:
        across, down = (float(one) for one in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < np.inf and 0 < down < np.inf else None


def _turned(picture: Picture, turn: int) -> Picture:
    if turn not in metadata.UPRIGHT:
        return picture
    dpi = picture.dpi[::-1] if picture.dpi and turn > 4 else picture.dpi
    rows = np.ascontiguousarray(metadata.UPRIGHT[turn](picture.pixels))
    return replace(picture, pixels=rows, dpi=dpi)


def _read_pillow(path: Path, image: Image.Image) -> Picture:
    profile, dpi = metadata.profile(image.info), _dpi(image)
    if image.format in ("JPEG", "MPO"):
        limits.check_scans(path, *image.size)
    image.load()
    if image.mode in ("1", "L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    elif image.mode in ("1", "La"):
        image = image.convert("L" if image.mode == "1" else "LA")
    elif image.mode in ("L", "RGB", "LA", "RGBA"):
        pass
    elif image.mode in ("P", "PA", "RGBa"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    else:  # CMYK, YCbCr, LAB, HSV: to sRGB, by its profile where it has one
        image, profile = to_srgb(image, profile), None
    return Picture(np.asarray(image), profile, dpi=dpi)


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
    if os.path.lexists(path) and not overwrite:  # a link that leads nowhere, too
        raise ValueError(f"{path}: exists already; --overwrite replaces it")


def check_alpha(path: str | PathLike, picture: Picture) -> None:
    """Refuse, before any work, a format that would lose the picture's transparency.

    Raises:
        ValueError: where a JPEG or HDR file is to hold alpha below full.
    """
    pixels = picture.pixels
    kind = _OPAQUE.get(FORMATS.get(Path(path).suffix.lower(), ""))
    if kind is None or pixels.ndim == 2:
        return
    if pixels.shape[2] in (2, 4) and to_levels(pixels[..., -1], np.uint8).min() < 255:
        raise ValueError(f"{path}: {kind} cannot hold transparency; write PNG or TIFF")


def write(path: str | PathLike, picture: Picture, *, name: str | PathLike = "") -> None:
    """Write a picture, complete or not at all; the suffix decides the format.

    PNG: uint8 and uint16 exactly, floats as 16 bit. TIFF: every dtype exactly. WebP: 8 bit,
    exactly. JPEG: 8 bit, quality 95, 4:4:4. OpenEXR and HDR: floats, in linear light. What the
    format has no room for (a profile in OpenEXR, say) is named in a warning.

    Args:
        path: where to.
        picture: what.
        name: what messages call it, where that is not its path.

    Raises:
        ValueError: an unknown suffix; transparency into JPEG or HDR.
        OSError: where the disk says no.
    """
    path, name = Path(path), name or path
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{name}: unknown file type; use one of {', '.join(FORMATS)}")
    check_alpha(name, picture)
    for line in _lost(picture, kind):
        warnings.warn(f"{name}: {line}", stacklevel=2)
    picture = _fitted(picture, kind)
    pixels = picture.pixels
    shallow = pixels.dtype == np.uint8 and not (kind == "TIFF" and picture.beside)
    with aside(path) as temporary:
        if shallow:
            image = Image.fromarray(np.ascontiguousarray(pixels))
            save(image, temporary, kind, **_saving(picture, kind))
        else:
            reason = _deep().write(temporary, picture, kind)
            if reason:
                raise OSError(f"{name}: could not be written ({reason})")
        if kind == "TIFF":
            try:
                metadata.into_tiff(temporary, picture.exif, picture.xmp)
            except Exception as error:  # no fault in a description may cost the picture
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                warnings.warn(f"{name}: without its EXIF data ({error})", stacklevel=2)


def save(image: Image.Image, path: Path, kind: str, **options) -> None:
    """As Pillow does, by way of memory.

    On a disk that is nearly full its own encoders write a part and do not see it.
    """
    memory = io.BytesIO()
    image.save(memory, kind, **options)
    path.write_bytes(memory.getbuffer())


def _lost(picture: Picture, kind: str) -> Iterator[str]:
    """What a file of this kind cannot take over."""
    names = {"resolution": picture.dpi} if kind in ("WEBP", "HDR") else {}
    if kind in _LIGHT:
        names |= {"colour profile": picture.profile, "EXIF data": picture.exif or picture.xmp}
    held = [name for name, value in names.items() if value is not None]
    if held:
        yield f"this format holds no {' and no '.join(held)}"
    words = [name for name in picture.text if name not in _words(picture, kind)]
    if words:
        yield f"without its text ({', '.join(words[:8])}): that takes PNG"
    if kind == "JPEG":
        for name, room in _ROOM.items():
            if len(getattr(picture, name) or b"") > room:
                yield f"without its {name.upper()} data, too large for JPEG"
    beside = picture.beside
    if beside and beside.planes and not (kind == beside.kind and _deep().fitting(picture, kind)):
        yield f"without channels {', '.join(beside.names[:8])}: that takes {beside.kind}"
    if kind == "HDR" and picture.linear and picture.pixels.min() < 0:
        yield "values below 0 become 0 in this format; OpenEXR keeps them"


def _words(picture: Picture, kind: str) -> dict[str, str]:
    """What of its text a file of this kind takes over."""
    if kind == "PNG":
        return picture.text
    comment = picture.text.get("Comment", "")
    fits = 0 < len(comment.encode(errors="surrogateescape")) <= _COMMENT
    return {"Comment": comment} if kind == "JPEG" and fits else {}


def _fitted(picture: Picture, kind: str) -> Picture:
    """It with pixels that a file of this kind can hold."""
    picture = picture.as_linear(kind in _LIGHT)
    pixels = picture.pixels
    if kind in ("JPEG", "WEBP"):
        pixels = to_levels(pixels, np.uint8)
    elif kind == "PNG" and pixels.dtype not in (np.uint8, np.uint16):
        pixels = to_levels(pixels, np.uint16)
    if kind in _OPAQUE and pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    if kind == "HDR" and pixels.ndim == 2:
        pixels = np.dstack([pixels] * 3)
    floats = np.issubdtype(pixels.dtype, np.floating)
    return replace(picture, pixels=pixels, half=picture.half and floats)


def _saving(picture: Picture, kind: str) -> dict[str, Any]:
    """What Pillow is told beside the pixels; `into_tiff` describes a TIFF."""
    extra: dict[str, Any] = dict(_OPTIONS[kind])
    if picture.profile is not None:
        extra["icc_profile"] = picture.profile
    if picture.dpi is not None and kind != "WEBP":
        extra["dpi"] = picture.dpi
    fits = {name: kind != "JPEG" or len(getattr(picture, name) or b"") <= room
            for name, room in _ROOM.items()}  # fmt: skip
    if picture.exif is not None and kind != "TIFF" and fits["exif"]:
        extra["exif"] = b"Exif\0\0" + picture.exif
    words = _words(picture, kind)
    if kind == "PNG":
        extra["pnginfo"] = metadata.into_png(picture.xmp, words)
    elif words:
        extra["comment"] = words["Comment"].encode(errors="surrogateescape")
    if picture.xmp is not None and kind not in ("PNG", "TIFF") and fits["xmp"]:
        extra["xmp"] = picture.xmp
    return extra
