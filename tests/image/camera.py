"""A photograph as a camera stores it, for tests of what must survive."""

import struct
from fractions import Fraction

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

TURN = 6
THUMBNAIL = b"\xff\xd8 the old colours \xff\xd9"
TAGS = {271: "Maker", 272: "Model 1", 306: "2024:05:06 07:08:09", 33432: "(c) Somebody"}
CAMERA = {
    33434: IFDRational(1, 250),
    33437: IFDRational(28, 10),
    36867: "2024:05:06 07:08:09",
    37500: b"MAKER\0 notes \x01\x02",
    41986: 1,
}
PLACE = {1: "N", 2: (IFDRational(52), IFDRational(30), IFDRational(1234, 100)), 3: "E"}
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
    b'tiff:Orientation="6" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>'
)


def exif(turn: int = TURN) -> bytes:
    """A block ('Exif' and two zeros first) with a turn, a camera, a place and a thumbnail."""
    held = Image.Exif()
    held.update(TAGS)
    held[274] = turn
    held.get_ifd(34665).update(CAMERA)
    held.get_ifd(34853).update(PLACE)
    block = bytearray(held.tobytes()[6:])
    order = {b"II": "<", b"MM": ">"}[bytes(block[:2])]
    (start,) = struct.unpack_from(f"{order}L", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, start)
    struct.pack_into(f"{order}L", block, start + 2 + 12 * count, len(block))
    last = len(block) + 2 + 24 + 4
    block += struct.pack(f"{order}H", 2)
    block += struct.pack(f"{order}HHLL", 513, 4, 1, last)
    block += struct.pack(f"{order}HHLL", 514, 4, 1, len(THUMBNAIL)) + bytes(4) + THUMBNAIL
    return b"Exif\0\0" + bytes(block)


def told(path) -> dict:
    """Every tag of a file but those of its storage, as Pillow reads them."""
    with Image.open(path) as image:
        held = image.getexif()
        camera, place = dict(held.get_ifd(34665)), dict(held.get_ifd(34853))
        tags = {tag: held[tag] for tag in TAGS if tag in held} | {274: held.get(274, 1)}
        assert not held.get_ifd(1)  # nor a second directory, of a thumbnail
    return {"tags": tags, "camera": _plain(camera), "place": _plain(place)}


def _plain(values: dict) -> dict:
    def one(value):
        if isinstance(value, tuple):
            return tuple(map(one, value))
        rational = isinstance(value, IFDRational)
        return Fraction(int(value.numerator), int(value.denominator)) if rational else value

    return {tag: one(value) for tag, value in values.items()}


def expected() -> dict:
    """What `told` says of an upright picture of that camera."""
    return {"tags": {**TAGS, 274: 1}, "camera": _plain(CAMERA), "place": _plain(PLACE)}
