"""Files of more than 8 bits or more than four channels, by OpenImageIO: PNG, TIFF, OpenEXR, HDR."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from jaxcolor.image import limits
from jaxcolor.image.metadata import UPRIGHT, into_png, is_tiff
from jaxcolor.image.picture import HALF, Beside, Picture

LIGHT = {"openexr": "EXR", "hdr": "HDR"}  # of linear light, by OpenImageIO's names
_NUMBERS = {"uint8": "uint8", "uint16": "uint16", "double": "double"}
_UNUSUAL = ("int8", "int16", "int", "int32", "uint", "uint32")  # in pictures
_EXR = b"v/1\x01"  # how such a file begins
_ROWS = 64
_LEAST = 1e-6  # alpha below which a colour is not divided by it
_WHOLE = 2**32 - 1  # of the whole numbers that OpenEXR has for identities


def read(path: Path, profile: bytes | None = None) -> Picture:
    """The picture, upright, with straight alpha; with the profile given, else the file's.

    Raises:
        ValueError: where the file is no picture that can be read, or claims more than `limits`
            allow.
    """
    try:
        return _read(path, profile)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: damaged (its names are no text)") from error


def said(speaker) -> str:
    """The first line of OpenImageIO's complaint, the module's or a file's; it may quote bytes."""
    try:
        return "".join(speaker.geterror().splitlines()[:1])
    except UnicodeDecodeError:
        return "for a reason that is no text"


def check(path: Path, spec) -> None:
    """Refuse what takes more memory than a file of its size can have need of.

    Raises:
        ValueError: then.
    """
    limits.check_bytes(path, max(spec.image_bytes(True), spec.tile_bytes(True)))
    if spec.depth > 1:
        raise ValueError(f"{path}: holds a volume, no picture")


def _read(path: Path, profile: bytes | None) -> Picture:
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), config)
    if source is None or source.format_name() == "null":  # which makes pictures up
        reason = said(oiio)
        with path.open("rb") as file:
            head = file.read(4)
        known = is_tiff(head) or head == _EXR
        fault = "damaged" if known else "not a picture that can be read"
        raise ValueError(f"{path}: {fault} ({reason})")
    spec, form = source.spec(), source.format_name()
    limits.check_pixels(path, spec.width, spec.height)
    check(path, spec)
    places = _places(path, spec, form == "openexr")
    channels = _channels(path, source, spec)
    if spec.get_int_attribute("oiio:subimages", 1) > 1:
        parts = spec.get_int_attribute("oiio:subimages")
        warnings.warn(f"{path}: has {parts} parts, of which the first is read", stacklevel=3)
    source.close()
    turn = UPRIGHT.get(spec.get_int_attribute("Orientation", 1), lambda rows: rows)
    return _picture(turn(channels), places, spec, form, profile)


def _places(path: Path, spec, named: bool) -> tuple[int, ...]:
    """Where the colours are, and then alpha; in OpenEXR by their names."""
    if not named:
        # grey or RGB, and a channel more only where the file says that it is alpha
        colors = 3 if spec.nchannels > 2 else 1
        return tuple(range(colors + (spec.alpha_channel == colors)))
    names = [name.lower() for name in spec.channelnames]
    layers = dict.fromkeys(["", *(name[: name.rfind(".") + 1] for name in names)])
    for layer in layers:
        for wanted in ("rgb", "y")[: 1 if layer else 2]:
            channels = [layer + one for one in wanted]
            if set(channels) <= set(names):
                if layer:
                    title = spec.channelnames[names.index(channels[0])][: len(layer) - 1]
                    warnings.warn(f"{path}: of its layers, {title} is read", stacklevel=4)
                alpha = [layer + "a"] if layer + "a" in names else []
                return tuple(names.index(name) for name in channels + alpha)
    held = ", ".join(spec.channelnames[:8])
    raise ValueError(f"{path}: needs channels R, G, B, or Y, to recolour; it has {held}")


def _channels(path: Path, source, spec) -> np.ndarray:
    """(H, W, n) all channels, in a type that holds each of them exactly."""
    kinds = _kinds(spec)
    mixed = "uint" in kinds and len(set(kinds)) > 1
    if not mixed:
        if kinds[0] in _UNUSUAL:
            warnings.warn(f"{path}: its {kinds[0]} numbers become floats, 1 = full", stacklevel=4)
        channels = _block(path, source, 0, spec.nchannels, _NUMBERS.get(kinds[0], "float"))
        if spec.get_int_attribute("tiff:PhotometricInterpretation", 1) == 0:  # 0 is white
            top = np.iinfo(channels.dtype).max if channels.dtype.kind == "u" else 1
            channels = channels.dtype.type(top) - channels
        return channels
    channels = np.empty((spec.height, spec.width, spec.nchannels), np.float64)
    for k, kind in enumerate(kinds):
        channels[..., k : k + 1] = _block(path, source, k, k + 1, kind.replace("half", "float"))
    return channels


def _block(path: Path, source, first: int, last: int, number: str) -> np.ndarray:
    block, spec = source.read_image(0, 0, first, last, number), source.spec()
    message = said(source)
    if block is None or message:
        raise ValueError(f"{path}: damaged ({message or 'no data'})")
    return np.asarray(block).reshape(spec.height, spec.width, -1)


def _kinds(spec) -> list[str]:
    """The type of each channel."""
    return [str(one) for one in spec.channelformats] or [str(spec.format)] * spec.nchannels


def _picture(channels: np.ndarray, places: tuple, spec, form: str, profile) -> Picture:
    kinds, size = _kinds(spec), channels.shape[:2]
    rest = {
        k: channels[..., k].astype(np.uint32 if kinds[k] == "uint" else channels.dtype)
        for k in range(spec.nchannels)
        if k not in places
    }
    pixels = channels[..., list(places)] if rest else channels
    if form == "openexr":
        pixels = pixels.astype(np.float32, copy=False)
        rest = {k: one if one.dtype == np.uint32 else one.astype(np.float32)
                for k, one in rest.items()}  # fmt: skip
    has_alpha = len(places) in (2, 4)
    stored = None
    if has_alpha and not spec.get_int_attribute("oiio:UnassociatedAlpha"):
        alpha = pixels[..., -1]
        if form == "openexr" and ((alpha != 0) & (alpha != 1)).any():
            stored = np.ascontiguousarray(pixels[..., :-1])
        pixels = _straight(pixels)
    # OpenImageIO drops a profile that libpng finds unfit; Pillow, where it knows the file, does not
    block = spec.getattribute("ICCProfile")
    if profile is None and block is not None:
        profile = bytes(np.asarray(block, np.uint8))
    if profile is not None and profile[16:20] == b"CMYK":
        profile = None  # the pixels were made RGB on the way
    kind = {"openexr": "EXR", "tiff": "TIFF"}.get(form)
    beside = None
    if kind == "EXR" or (kind == "TIFF" and rest):
        header = oiio.ImageSpec(spec)
        if size != (spec.height, spec.width):  # turned: its windows are no more
            header.height, header.width = header.full_height, header.full_width = size
            header.x = header.y = header.full_x = header.full_y = 0
        beside = Beside(kind, header, places, rest, stored)
    return Picture(
        np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels),
        profile,
        dpi=_dpi(spec),
        linear=form in LIGHT,
        half=all(kinds[k] == "half" for k in places),
        beside=beside,
    )


def _dpi(spec) -> tuple[float, float] | None:
    across, down = (spec.get_float_attribute(f"{axis}Resolution") for axis in "XY")
    unit = {"in": 1.0, "inch": 1.0, "cm": 2.54}.get(spec.get_string_attribute("ResolutionUnit"))
    return (across * unit, down * unit) if unit and across > 0 and down > 0 else None


def _straight(pixels: np.ndarray) -> np.ndarray:
    """Colours that were multiplied by alpha in the file, divided by it, in place; where it is 0, as
    they are (light without substance is legal in OpenEXR)."""
    integer = np.issubdtype(pixels.dtype, np.integer)
    top = float(np.iinfo(pixels.dtype).max) if integer else 1.0
    pixels = pixels if pixels.flags.writeable else pixels.copy()
    with np.errstate(over="ignore", invalid="ignore"):  # no fit takes what is infinite or NaN
        for first in range(0, len(pixels), _ROWS):  # some at a time, for they take twice the room
            part = pixels[first : first + _ROWS]
            alpha = part[..., -1:].astype(np.float64)
            color = part[..., :-1] * (top / np.where(alpha > _LEAST, alpha, top))
            part[..., :-1] = np.minimum(np.rint(color), top) if integer else color
    return pixels


def _associated(pixels: np.ndarray, stored: np.ndarray | None) -> np.ndarray:
    """The inverse of `_straight`; exactly, where a colour is what `stored` was read as."""
    color, alpha = pixels[..., :-1], pixels[..., -1:]
    result = color * np.where(alpha > _LEAST, alpha, np.float32(1))
    if stored is not None and stored.shape == result.shape:
        same = color == _straight(np.concatenate([stored, alpha], -1))[..., :-1]
        result = np.where(same, stored, result)
    return np.concatenate([result, alpha], -1)


def write(path: Path, picture: Picture, kind: str) -> str:
    """Write PNG, TIFF, OpenEXR or HDR; returns why it could not be done, or nothing."""
    pixels = np.atleast_3d(picture.pixels)
    if not np.issubdtype(pixels.dtype, np.integer) and pixels.dtype != np.float64:
        pixels = pixels.astype(np.float32)
    beside = fitting(picture, kind)
    if kind == "EXR" and pixels.shape[2] in (2, 4):
        pixels = _associated(pixels, beside.stored if beside else None)
    if picture.half:
        pixels = np.clip(pixels, -HALF, HALF)
    spec = _spec(picture, pixels, kind, beside)
    rows = _rows(pixels, beside, kind)
    out = oiio.ImageOutput.create(str(path))
    if out is None:
        return f"no writer for this type: {oiio.geterror()}"
    if not (out.open(str(path), spec) and out.write_image(rows) and out.close()):
        return "".join(out.geterror().splitlines()[:1]) or "unknown reason"
    if kind == "PNG":
        _embed(path, picture)
    return ""


def fitting(picture: Picture, kind: str) -> Beside | None:
    """What the source's file held beside, where a file of this kind and size can take it."""
    beside, shape = picture.beside, picture.pixels.shape
    if beside is None or beside.kind != kind or shape[:2] != (
        beside.header.height, beside.header.width
    ) or np.atleast_3d(picture.pixels).shape[2] != len(beside.places):  # fmt: skip
        return None
    return beside


def _spec(picture: Picture, pixels: np.ndarray, kind: str, beside: Beside | None):
    """What OpenImageIO is to write."""
    height, width, channels = pixels.shape
    if kind == "EXR" and beside:
        spec = oiio.ImageSpec(beside.header)
        for name in ("oiio:subimages", "oiio:subimagename", "Orientation"):
            spec.erase_attribute(name)
        return spec
    # a name that OpenImageIO does not know, such as NumPy's float32, means uint8 to it
    number = {"f8": "double", "f4": "float", "u2": "uint16", "u1": "uint8"}[pixels.dtype.str[1:]]
    if kind in LIGHT.values() and number == "double":
        number = "float"
    spec = oiio.ImageSpec(width, height, channels, "half" if picture.half else number)
    names = list({1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[channels])
    if beside:
        spec.nchannels = channels + len(beside.planes)
        names = list(beside.header.channelnames)
    spec.channelnames = tuple(names)
    spec.alpha_channel = channels - 1 if channels in (2, 4) else -1
    spec.attribute("oiio:UnassociatedAlpha", int(kind != "EXR"))
    spec.attribute("compression", "zip")
    spec.attribute("tiff:half", 1)
    if picture.dpi is not None:
        spec.attribute("XResolution", float(picture.dpi[0]))
        spec.attribute("YResolution", float(picture.dpi[1]))
        spec.attribute("ResolutionUnit", "in")
        # or both become the first
        spec.attribute("PixelAspectRatio", float(picture.dpi[1] / picture.dpi[0]))
    profile = picture.profile
    if profile is not None and kind == "PNG":
        # or OpenImageIO adds that the picture is sRGB, and programs take that for the truth
        spec.attribute("oiio:ColorSpace", "unknown")
    elif profile is not None and kind == "TIFF":
        block = np.frombuffer(profile, np.uint8)
        spec.attribute("ICCProfile", oiio.TypeDesc(f"uint8[{len(block)}]"), block)
    return spec


def _rows(pixels: np.ndarray, beside: Beside | None, kind: str) -> np.ndarray:
    """All channels of the file, in its order."""
    if beside is None or not beside.planes:
        order = np.argsort(beside.places) if beside else slice(None)
        return np.ascontiguousarray(pixels[..., order])
    count = len(beside.places) + len(beside.planes)
    whole = any(plane.dtype == np.uint32 for plane in beside.planes.values())
    rows = np.empty((*pixels.shape[:2], count), np.float64 if whole else pixels.dtype)
    rows[..., list(beside.places)] = pixels
    for place, plane in beside.planes.items():
        rows[..., place] = plane / _WHOLE if plane.dtype == np.uint32 else plane
        if plane.dtype == np.uint32 and plane.max() >= 1 << 22:
            # on their way through OpenImageIO they are floats
            name = beside.header.channelnames[place]
            warnings.warn(f"numbers of channel {name} from 4194304 up are rounded", stacklevel=4)
    return rows


def _embed(path: Path, picture: Picture) -> None:
    """Add profile, EXIF, XMP and text to a PNG: libpng refuses the whole picture where a profile is
    padded, say, and OpenImageIO rewrites the others."""
    added = []
    if picture.profile is not None:
        added.append((b"iCCP", b"ICC profile\0" + b"\0" + zlib.compress(picture.profile)))
    added += [chunk[:2] for chunk in into_png(picture.xmp, picture.text).chunks]
    if picture.exif is not None:
        added.append((b"eXIf", picture.exif))
    data = path.read_bytes()
    chunks = list(_chunks(data))
    kept = [chunk for chunk in chunks if chunk[4:8] not in (b"eXIf", b"iTXt", b"tIME")]
    if added or kept != chunks:
        own = [_chunk(name, content) for name, content in added]
        path.write_bytes(b"".join([data[:8], kept[0], *own, *kept[1:]]))  # behind the header


def _chunks(data: bytes) -> Iterator[bytes]:
    at = 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at:end]
        at = end


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
