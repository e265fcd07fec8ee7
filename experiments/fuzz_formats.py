"""Changes to files that keep them parseable: whoever reads them gets past the header.

A file is split into the parts of its format (chunks, segments, entries, boxes, lines, members), one
or more parts are changed, and it is joined again with its lengths and sums put right.
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from fuzz_words import Random, archive, number, plain, text, tree

# where numbers lie in the chunks of a PNG, of a WebP
PNG = {
    b"IHDR": ((0, ">I"), (4, ">I"), (8, ">B"), (9, ">B"), (12, ">B")),
    b"acTL": ((0, ">I"), (4, ">I")),
    b"pHYs": ((0, ">I"), (4, ">I"), (8, ">B")),
    b"gAMA": ((0, ">I"),),
    b"fcTL": (
        *((k, ">I") for k in range(0, 20, 4)),
        (20, ">H"),
        (22, ">H"),
        (24, ">B"),
        (25, ">B"),
    ),
}
RIFF = {
    b"VP8X": ((0, "<B"), (4, "<I"), (7, "<I")),
    b"ANIM": ((4, "<H"),),
    b"ANMF": tuple((k, "<I") for k in (0, 3, 6, 9, 12, 20)),
    b"VP8 ": ((6, "<I"),),
    b"VP8L": ((1, "<I"),),
}


@dataclass
class Part:
    """A piece of a file: its name, if the format has names, what it holds, where numbers lie."""

    name: bytes
    body: bytes
    fields: tuple[tuple[int, str], ...] = ()


def mutate(data: bytes, other: bytes, rng: Random) -> bytes:
    """A changed file; `other` is one of the same reader, to splice with."""
    if rng.random() < 0.12:
        return plain(data, other, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        try:
            data = _structured(data, other, rng)
        except Exception:  # no longer of its format
            data = plain(data, other, rng)
    return data


def _structured(data: bytes, other: bytes, rng: Random) -> bytes:
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return tiff(data, rng)
    if data[:2] == b"PK":
        return archive(data, other, rng)
    if data[36:40] == b"acsp":
        return _icc(data, rng)
    for begins, (split, join) in FORMATS.items():
        if re.match(begins, data, re.DOTALL):
            mates = split(other) if re.match(begins, other, re.DOTALL) else []
            return join(_parts(split(data), mates, rng), rng)
    if data.lstrip(b"\xef\xbb\xbf \n")[:1] in (b"{", b"["):
        return tree(data, other, rng)
    if b"\0" not in data[:200]:
        return text(data, other, rng)
    return plain(data, other, rng)


def _parts(parts: list[Part], mates: list[Part], rng: Random) -> list[Part]:
    """One part changed, or one more, or one fewer, or in another place."""
    own, at = list(parts), rng.randrange(len(parts))
    one, how = own[at], rng.random()
    if how < 0.55:
        own[at] = Part(one.name, _body(one, rng), one.fields)
    elif how < 0.63:
        del own[at]
    elif how < 0.70:
        own[at:at] = [one] * rng.choice((1, 1, 2, 40))
    elif how < 0.77:
        to = rng.randrange(len(own))
        own[at], own[to] = own[to], own[at]
    elif how < 0.92 and mates:
        own[at : at + rng.randrange(2)] = [rng.choice(mates)]
    else:
        own[at] = Part(bytes(rng.sample(list(one.name), len(one.name))), one.body, one.fields)
    return own


def _body(part: Part, rng: Random) -> bytes:
    name, body = part.name, part.body
    if part.fields and rng.random() < 0.7:
        return number(body, rng, part.fields)
    packed = {b"IDAT": 0, b"fdAT": 4, b"iCCP": body.find(b"\0") + 2, b"zTXt": body.find(b"\0") + 2}
    if name in packed and rng.random() < 0.8:
        start = packed[name]
        inner = zlib.decompress(body[start:])
        inner = _icc(inner, rng) if name == b"iCCP" else plain(inner, inner, rng)
        return body[:start] + zlib.compress(inner)
    for prefix in (b"Exif\0\0", b"", b"ICC_PROFILE\0\1\1"):  # what lies within
        inner = body.removeprefix(prefix)
        if body.startswith(prefix) and inner[36:40] == b"acsp":
            return prefix + _icc(inner, rng)
        if body.startswith(prefix) and inner[:4] in (b"II*\0", b"MM\0*"):
            return prefix + tiff(inner, rng)
    return plain(body, body, rng)


# --- pictures ---------------------------------------------------------------------------------


def _split_png(data: bytes) -> list[Part]:
    parts, at = [], 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        parts.append(Part(name, data[at + 8 : at + 8 + length], PNG.get(name, ())))
        at += 12 + length
    return parts


def _join_png(parts: list[Part], rng: Random) -> bytes:
    made = [b"\x89PNG\r\n\x1a\n"]
    for part in parts:
        total = zlib.crc32(part.name + part.body) if rng.random() > 0.003 else 0
        made.append(struct.pack(">I", len(part.body)) + part.name + part.body)
        made.append(struct.pack(">I", total))
    return b"".join(made)


def _split_jpeg(data: bytes) -> list[Part]:
    parts, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at : at + 2], struct.unpack_from(">H", data, at + 2)[0]
        body, at = data[at + 4 : at + 2 + length], at + 2 + length
        frame = marker[1] in (0xC0, 0xC1, 0xC2)
        sizes = ((0, ">B"), (1, ">H"), (3, ">H"), (5, ">B"), (7, ">B")) if frame else ()
        if marker == b"\xff\xda":  # and the codes that follow it
            found = re.search(rb"\xff[^\x00\xd0-\xd7\xff]", data[at:])
            end = at + found.start() if found else len(data)
            parts.append(Part(b"scan", struct.pack(">H", length) + body + data[at:end]))
            at = end
            continue
        parts.append(Part(marker, body, sizes))
    return parts


def _join_jpeg(parts: list[Part], rng: Random) -> bytes:
    made = [b"\xff\xd8"]
    for part in parts:
        if part.name == b"scan":
            made.append(b"\xff\xda" + part.body)
        else:
            made.append(part.name[:2] + struct.pack(">H", min(len(part.body) + 2, 65_535)))
            made.append(part.body[:65_533])
    return b"".join([*made, b"\xff\xd9"])


def tiff(data: bytes, rng: Random) -> bytes:
    """A field of an entry of a directory, two entries exchanged, or bytes that they point to."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    size, wide, head = (20, "Q", 8) if big else (12, "L", 2)
    (start,) = struct.unpack_from(f"{order}{wide}", data, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)
    how = rng.random()
    if how < 0.15 or not 0 < count < 1000:
        return plain(data, data, rng)
    at = start + head + size * rng.randrange(count)
    value = at + (12 if big else 8)
    if how < 0.35:
        return number(data, rng, ((value, f"{order}H"), (value, f"{order}{wide}")))
    if how < 0.8:
        places = (at, f"{order}H"), (at + 2, f"{order}H"), (at + 4, f"{order}{wide}")
        return number(data, rng, (*places, (value, f"{order}{wide}")))
    if how < 0.9:  # what the entry points to
        (to,) = struct.unpack_from(f"{order}{wide}", data, value)
        return number(data, rng, ((min(to, len(data) - 1) + rng.randrange(24), f"{order}L"),))
    other = start + head + size * rng.randrange(count)
    own = bytearray(data)
    own[at : at + size] = data[other : other + size]
    own[other : other + size] = data[at : at + size]
    return bytes(own)


def _split_exr(data: bytes) -> list[Part]:
    parts, at = [Part(b"", data[:8], ((4, "<I"), (5, "<B")))], 8
    while data[at]:
        name = data[at : data.index(b"\0", at) + 1]
        kind = data[at + len(name) : data.index(b"\0", at + len(name)) + 1]
        at += len(name) + len(kind)
        (size,) = struct.unpack_from("<I", data, at)
        body = data[at + 4 : at + 4 + size]
        whole = kind[:-1] in (b"box2i", b"int", b"tiledesc", b"v2i")
        fields = tuple((k, "<I") for k in range(0, size - 3, 4)) if whole else ()
        parts.append(Part(name + kind, body, fields or ((0, "<B"),)))
        at += 4 + size
    return [*parts, Part(b"rest", data[at + 1 :], ((0, "<Q"), (8, "<Q")))]


def _join_exr(parts: list[Part], rng: Random) -> bytes:
    made, rest = [], b""
    for part in parts:
        if part.name in (b"", b"rest"):
            rest = rest + part.body if part.name else rest
            made += [] if part.name else [part.body]
        else:
            made.append(part.name + struct.pack("<I", len(part.body)) + part.body)
    return b"".join([*made, b"\0", rest])


def _split_riff(data: bytes) -> list[Part]:
    parts, at = [Part(b"", data[8:12])], 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        parts.append(Part(name, data[at + 8 : at + 8 + length], RIFF.get(name, ())))
        at += 8 + length + length % 2
    return parts


def _join_riff(parts: list[Part], rng: Random) -> bytes:
    made = b"".join(
        part.name + struct.pack("<I", len(part.body)) + part.body + bytes(len(part.body) % 2)
        if part.name else part.body for part in parts)  # fmt: skip
    return b"RIFF" + struct.pack("<I", len(made)) + made


def _split_gif(data: bytes) -> list[Part]:
    def blocks(at: int) -> int:
        while data[at]:
            at += 1 + data[at]
        return at + 1

    def table(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 128 else 0

    at = 13 + table(data[10])
    parts = [Part(b"", data[:at], ((6, "<H"), (8, "<H"), (10, "<B"), (11, "<B")))]
    while at < len(data) and data[at] in b"\x21\x2c":
        start = at
        image = data[at] == 0x2C
        at = blocks(at + 10 + table(data[at + 9]) + 1 if image else at + 2)
        fields = ((1, "<H"), (3, "<H"), (5, "<H"), (7, "<H"), (9, "<B"), (10, "<B"))
        parts.append(Part(b"", data[start:at], fields if image else ((3, "<B"), (4, "<H"))))
    return [*parts, Part(b"", data[at:] or b";")]


def _split_lines(data: bytes) -> list[Part]:
    """A Radiance file: lines to the size of the picture, then its rows."""
    found = re.search(rb"\n[-+][XY] .*?\n", data)
    end = found.end() if found else len(data)
    lines = data[:end].splitlines(keepends=True)
    return [*(Part(b"", line) for line in lines), Part(b"", data[end:])]


def _join_plain(parts: list[Part], rng: Random) -> bytes:
    return b"".join(part.name + part.body for part in parts)


def _split_boxes(data: bytes) -> list[Part]:
    """MP4 and QuickTime: a box of boxes is a part too, whose body is changed as they are."""
    parts, at = [], 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        length = length if length >= 8 else len(data) - at
        parts.append(Part(name, data[at + 8 : at + length]))
        at += length
    return parts


def _join_boxes(parts: list[Part], rng: Random) -> bytes:
    made = []
    for part in parts:
        inner = part.body
        nested = part.name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts")
        if nested and rng.random() < 0.8:
            inner = _join_boxes(_parts(_split_boxes(inner), [], rng) if rng.random() < 0.3
                                else _split_boxes(inner), rng)  # fmt: skip
        made.append(struct.pack(">I", len(inner) + 8) + part.name + inner)
    return b"".join(made)


def _icc(data: bytes, rng: Random) -> bytes:
    """A profile's header, its table of tags, or what a tag holds."""
    (count,) = struct.unpack_from(">I", data, 128)
    head = ((0, ">I"), (8, ">I"), (12, ">I"), (16, ">I"), (20, ">I"), (64, ">I"), (128, ">I"))
    tags = [(132 + 12 * k + 4 * j, ">I") for k in range(min(count, 40)) for j in range(3)]
    if rng.random() < 0.15:
        spaces = b"GRAY", b"CMYK", b"Lab ", b"XYZ ", b"RGB ", b"YCbr", b"\0\xff\n "
        return data[:16] + rng.choice(spaces) + data[20:]
    inside = [(rng.randrange(132 + 12 * count, len(data)), rng.choice((">I", ">H", ">B")))]
    return number(data, rng, tuple(rng.choice((head, tags, inside))))


FORMATS: dict[bytes, tuple[Callable, Callable]] = {
    rb"\x89PNG": (_split_png, _join_png),
    rb"\xff\xd8": (_split_jpeg, _join_jpeg),
    rb"v/1\x01": (_split_exr, _join_exr),
    rb"RIFF": (_split_riff, _join_riff),
    rb"GIF8": (_split_gif, _join_plain),
    rb"#\?": (_split_lines, _join_plain),
    rb"....ftyp": (_split_boxes, _join_boxes),
}
