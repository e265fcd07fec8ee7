"""EXIF and XMP: made to speak of an upright picture, read from TIFF files and written to them."""

import io
import re
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ORIENTATION, _XMP, _INTEROP, _NODATA = 274, 700, 40965, 42113
_THUMBNAIL = (513, 514)  # where it is, how long it is
_GROUPS = (34665, 34853)  # of a camera, of a place: directories within the directory
# the tags of a TIFF that do not describe how its pixels are stored
DESCRIPTIVE = (
    *(269, 270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 33723),
    *(40091, 40092, 40093, 40094, 40095, *_GROUPS),
    # GeoTIFF: scale, tie points, transformation, keys; GDAL's own, nodata; RPC of satellites
    *(33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50844),
)
# those that say what its numbers mean: photometric interpretation, orientation, resolution and its
# unit, inks (set, names, number), extra samples, ICC profile
MEANING = (262, _ORIENTATION, 282, 283, 296, 332, 333, 334, 338, 34675)
# texts of a PNG that are no words: what they hold is read as what it is
_NO_TEXT = (
    "XML:com.adobe.xmp",
    *(f"Raw profile type {one}" for one in ("exif", "APP1", "xmp", "icc", "icm")),
)
# EXIF orientation: what makes stored rows upright
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def described(path: Path, head: bytes, info: dict, told: list[str]) -> tuple[dict, int]:
    """EXIF, XMP and text of a file, as `Picture` has them, and the turn that they ask for.

    What is broken is left out, and said so in `told`.
    """
    exif, xmp, turn = info.get("exif"), info.get("xmp"), 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if is_tiff(head[:4]):
                # whoever reads its pixels turns them
                exif, xmp = from_tiff(path)
            elif "Raw profile type exif" in info:  # as ImageMagick writes PNG
                exif = bytes.fromhex("".join(info["Raw profile type exif"].split("\n")[3:]))
            exif = (exif or b"").removeprefix(b"Exif\0\0")
            if exif:
                exif, turn = upright(exif)
        except Exception:  # no fault in a description may cost the picture
            told.append("its EXIF data are broken, and left out")
            exif = None
    xmp = xmp if isinstance(xmp, bytes) else None
    if xmp is not None:
        xmp, other = upright_xmp(xmp)
        turn = other if turn == 1 and not is_tiff(head[:4]) else turn
    return {"exif": exif or None, "xmp": xmp or None, "text": _text(head, info)}, turn


def profile(info: dict) -> bytes | None:
    """The ICC profile among what Pillow tells of a file, which in a broken one may be a number."""
    found = info.get("icc_profile")
    return found if isinstance(found, bytes) and found else None


def _text(head: bytes, info: dict) -> dict[str, str]:
    if head.startswith(b"\x89PNG"):  # all else that Pillow tells of these is no string
        return {key: value for key, value in info.items()
                if isinstance(value, str) and key not in _NO_TEXT}  # fmt: skip
    comment = info.get("comment")
    if not isinstance(comment, bytes) or not comment:
        return {}
    return {"Comment": comment.decode(errors="surrogateescape")}


def upright(block: bytes, as_it_is: bool = False) -> tuple[bytes, int]:
    """An EXIF block that says the picture is upright, without its thumbnail; what it said before.
    `as_it_is`: with the orientation that it has.

    All else keeps its place and bytes, for makers' notes point into the block.

    Raises:
        ValueError: where it is broken.
    """
    data = bytearray(block)
    try:
        order = _ORDERS[bytes(data[:4])]
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        turn, end = _turned(data, order, start, as_it_is)
        (following,) = struct.unpack_from(f"{order}L", data, end)
        struct.pack_into(f"{order}L", data, end, 0)
        _blank_thumbnail(data, order, following)
    except (KeyError, struct.error) as error:
        raise ValueError("its EXIF data are broken") from error
    return bytes(data), turn


def _entries(data: bytearray, order: str, start: int):
    """(position, tag, type, count) of every entry of a directory."""
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        yield at, *struct.unpack_from(f"{order}HHL", data, at)


def _turned(data: bytearray, order: str, start: int, as_it_is: bool) -> tuple[int, int]:
    """Set the orientation to 1 or not; it as it was, and where the directory ends."""
    turn, at = 1, start - 10
    for at, tag, kind, count in _entries(data, order, start):
        size = _SIZES.get(kind, 0) * count
        if size > 4:
            (offset,) = struct.unpack_from(f"{order}L", data, at + 8)
            struct.unpack_from(f"{size}x", data, offset)  # an error where it lies outside
        if tag == _ORIENTATION:
            turn = struct.unpack_from(f"{order}{'L' if kind == 4 else 'H'}", data, at + 8)[0]
            if not as_it_is:
                struct.pack_into(f"{order}HLHH", data, at + 2, 3, 1, 1, 0)
    return turn, at + 12


def _blank_thumbnail(data: bytearray, order: str, start: int) -> None:
    """It would show the old colours."""
    if start == 0 or start + 2 > len(data):
        return
    found = {tag: struct.unpack_from(f"{order}L", data, at + 8)[0]
             for at, tag, _, _ in _entries(data, order, start) if tag in _THUMBNAIL}  # fmt: skip
    if len(found) < 2:
        return
    first, length = (found[tag] for tag in _THUMBNAIL)
    if first + length >= len(data):
        del data[max(first, start) :]  # the last thing in the block, as cameras have it
    else:
        data[first : first + length] = bytes(length)


def upright_xmp(packet: bytes) -> tuple[bytes, int]:
    """An XMP packet that says the picture is upright; what it said before."""
    pattern = rb"(tiff:Orientation(?:=[\"']|>)\s*)(\d)"
    found = re.search(pattern, packet)
    return re.sub(pattern, rb"\g<1>1", packet), int(found[2]) if found else 1


def is_tiff(head: bytes) -> bool:
    """By its first four bytes; BigTIFF too."""
    return head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def nodata(path: Path) -> float | None:
    """The value that stands for nothing, by GDAL's tag of a TIFF file."""
    with path.open("rb") as file:
        text = _directory(file)[0].get(_NODATA)
    try:
        return None if text is None else float(str(text).strip(" \0"))
    except ValueError:
        return None


def meaning(path: Path) -> dict[int, tuple[int, Any]]:
    """What a TIFF file says of its numbers: tag to type and value.

    Raises:
        ValueError: of bits that are not whole bytes.
    """
    with path.open("rb") as file:
        whole = _directory(file)[0]
    bits = {int(one) for one in np.atleast_1d(whole.get(258, 1))}
    if not bits <= {8, 16, 32, 64}:
        raise ValueError(f"{path}: has {max(bits)} bits a number; convert it to 8, 16 or 32")
    return {tag: (whole.tagtype[tag], whole[tag]) for tag in MEANING if tag in whole}


def _directory(file: BinaryIO) -> tuple[ImageFileDirectory_v2, bytes]:
    """The first of a TIFF file, and the file's head.

    Raises:
        ValueError: where it is broken.
    """
    head = file.read(8)
    head += file.read(8) if head[2:4] in (b"+\0", b"\0+") else b""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = ImageFileDirectory_v2(head)
            file.seek(whole.next)
            whole.load(file)
            dict(whole)  # values are understood when they are asked for
    except Exception as error:  # of several types
        raise ValueError(f"{file.name}: damaged (its directory is broken: {error})") from error
    return whole, head


def from_tiff(path: Path) -> tuple[bytes | None, bytes | None]:
    """What a TIFF file says of its picture, as an EXIF block and an XMP packet.

    Errors are those of a broken file, of several types.
    """
    with path.open("rb") as file:
        whole, head = _directory(file)
        kept = _descriptive(whole, file, head)
    packet = whole.get(_XMP)
    # not one byte is an XMP packet; what Pillow took for numbers is not either
    xmp = packet if isinstance(packet, bytes) and len(packet) > 1 else None
    return (b"II*\0\x08\0\0\0" + kept.tobytes(8) if kept else None), xmp


def _descriptive(whole, file: BinaryIO, head: bytes) -> ImageFileDirectory_v2:
    """Of a directory what may go into another file, directories within it included."""
    kept = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    for tag in DESCRIPTIVE:
        if tag not in whole:
            continue
        if tag in _GROUPS:
            kept.tagtype[tag] = 4
            kept[tag] = _group(whole[tag], tag, file, head)
        else:
            kept.tagtype[tag] = whole.tagtype[tag]
            kept[tag] = whole[tag]
    return kept


def _group(offset: int, tag: int, file: BinaryIO, head: bytes) -> dict:
    inner = ImageFileDirectory_v2(head, group=tag)
    file.seek(offset)
    inner.load(file)
    found = dict(inner)
    if isinstance(found.get(_INTEROP), int):
        found[_INTEROP] = _group(found[_INTEROP], _INTEROP, file, head)
    return found


def into_tiff(
    path: Path,
    exif: bytes | None,
    xmp: bytes | None,
    told: dict[int, tuple[int, Any]] | None = None,
) -> None:
    """Add to a TIFF file, complete and little-endian, what `from_tiff` would read; and `told`,
    what `meaning` would, in place of all that is there.

    Its directory is written anew behind everything else, so that no other byte has to move.

    Raises:
        ValueError: where that cannot be done.
    """
    kept = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    if exif is not None:
        block = io.BytesIO(exif)
        whole = ImageFileDirectory_v2(exif[:8])
        block.seek(whole.next)
        whole.load(block)
        kept = _descriptive(whole, block, exif[:8])
    if xmp is not None:
        kept.tagtype[_XMP] = 1
        kept[_XMP] = xmp
    for tag, (kind, value) in (told or {}).items():
        kept.tagtype[tag] = kind
        kept[tag] = value
    with path.open("r+b") as file:
        head = file.read(8)
        if head[:4] != b"II*\0":
            raise ValueError("a TIFF file of this kind takes no EXIF data")
        file.seek(struct.unpack_from("<L", head, 4)[0])
        (count,) = struct.unpack("<H", file.read(2))
        stored = _split(file.read(12 * count))
        # OpenImageIO describes what it writes: with the hour, and in words of its own
        anew = (*DESCRIPTIVE, _XMP, *(MEANING if told else ()))
        entries = {tag: one for tag, one in stored.items() if tag not in anew}
        if not kept and entries == stored:
            return
        end = file.seek(0, 2)
        file.write(bytes(end % 2))
        end += end % 2
        # laid out for where it will stand, its entries hold in any directory of the file
        added = kept.tobytes(end)
        file.write(added)
        entries |= _split(added[2 : 2 + 12 * len(kept)])
        at = file.tell()
        file.write(bytes(at % 2))
        at += at % 2
        file.write(struct.pack("<H", len(entries)))
        file.write(b"".join(entries[tag] for tag in sorted(entries)) + bytes(4))
        file.seek(4)
        file.write(struct.pack("<L", at))


def into_png(xmp: bytes | None, text: dict[str, str]) -> PngInfo:
    """What Pillow is to write into a PNG beside its EXIF data."""
    told = PngInfo()
    if xmp is not None:
        told.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    for name, value in text.items():
        try:
            told.add_text(name, value)
        except UnicodeError:  # a JPEG's comment, in no encoding that is known
            told.add_text(name, value.encode(errors="surrogateescape"))
    return told


def _split(entries: bytes) -> dict[int, bytes]:
    """The 12 bytes of each entry of a directory, by its tag."""
    parts = [entries[at : at + 12] for at in range(0, len(entries), 12)]
    return {struct.unpack("<H", part[:2])[0]: part for part in parts}
