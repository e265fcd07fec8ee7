"""PNG and TIFF of more than 8 bits a channel, by OpenImageIO: exact, profile and turn kept."""

import struct
import zlib
from pathlib import Path

import numpy as np
import OpenImageIO as oiio


def read(path: Path, profile: bytes | None) -> tuple[np.ndarray, bytes | None]:
    """Pixels, upright, with straight alpha, and the profile: the one given, else the file's."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        reason = oiio.geterror().splitlines()[:1]
        raise ValueError(f"{path}: not a picture that can be read ({''.join(reason)})")
    spec = source.spec()
    kind = {"uint8": "uint8", "uint16": "uint16"}.get(str(spec.format), "float")
    # grey or RGB, and a channel more only where the file says that it is alpha
    colors = 3 if spec.nchannels > 2 else 1
    has_alpha = spec.alpha_channel == colors
    pixels = source.read_image(0, 0, 0, colors + has_alpha, kind)
    message = source.geterror()
    source.close()
    if pixels is None or message:
        raise ValueError(f"{path}: damaged ({message.splitlines()[0] if message else 'no data'})")
    pixels = np.asarray(pixels).reshape(spec.height, spec.width, -1)
    if has_alpha and not spec.get_int_attribute("oiio:UnassociatedAlpha"):
        pixels = _straight(pixels)
    turn = _UPRIGHT.get(spec.get_int_attribute("Orientation", 1))
    if turn is not None:
        pixels = turn(pixels)
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    # OpenImageIO drops a profile that libpng finds unfit; Pillow, where it knows the file, does not
    block = spec.getattribute("ICCProfile")
    if profile is None and block is not None:
        profile = bytes(np.asarray(block, np.uint8))
    if profile is not None and profile[16:20] == b"CMYK":
        profile = None  # the pixels were made RGB on the way
    return np.ascontiguousarray(pixels), profile


def _straight(pixels: np.ndarray) -> np.ndarray:
    """Colours that were multiplied by alpha in the file, divided by it."""
    integer = np.issubdtype(pixels.dtype, np.integer)
    top = float(np.iinfo(pixels.dtype).max) if integer else 1.0
    alpha = pixels[..., -1:].astype(np.float64)
    color = pixels[..., :-1] * (top / np.where(alpha > 0, alpha, top))
    color = np.minimum(np.rint(color), top) if integer else color
    return np.concatenate([color.astype(pixels.dtype), pixels[..., -1:]], -1)


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


def write(path: Path, pixels: np.ndarray, profile: bytes | None, kind: str) -> str:
    """Write PNG or TIFF, uint16 or float32; returns why it could not be done, or nothing."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype != np.uint16:
        pixels = pixels.astype(np.float32)
    # a name that OpenImageIO does not know, such as NumPy's float32, means uint8 to it
    number = "uint16" if pixels.dtype == np.uint16 else "float"
    spec = oiio.ImageSpec(width, height, channels, number)
    spec.channelnames = tuple({1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[channels])
    spec.alpha_channel = channels - 1 if channels in (2, 4) else -1
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("compression", "zip")
    if profile is not None and kind == "PNG":
        # or OpenImageIO adds that the picture is sRGB, and programs take that for the truth
        spec.attribute("oiio:ColorSpace", "unknown")
    elif profile is not None:
        block = np.frombuffer(profile, np.uint8)
        spec.attribute("ICCProfile", oiio.TypeDesc(f"uint8[{len(block)}]"), block)
    out = oiio.ImageOutput.create(str(path))
    if out is None:
        return f"no writer for this type: {oiio.geterror()}"
    rows = np.ascontiguousarray(pixels).reshape(height, width, channels)
    if not (out.open(str(path), spec) and out.write_image(rows) and out.close()):
        return "".join(out.geterror().splitlines()[:1]) or "unknown reason"
    if profile is not None and kind == "PNG":
        _embed(path, profile)
    return ""


def _embed(path: Path, profile: bytes) -> None:
    """Add a profile to a PNG: libpng refuses the whole picture where one is padded, say."""
    data = path.read_bytes()
    body = b"iCCP" + b"ICC profile\0" + b"\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    # behind the signature (8 bytes) and the header chunk (25)
    path.write_bytes(data[:33] + chunk + data[33:])
