"""Files made by hand to hurt whoever reads them: bombs, lying headers, endless things."""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
from fuzz_formats import FORMATS
from fuzz_seeds import oiio_file, profile, seeds
from fuzz_words import npy_head
from PIL import Image

from jaxcolor.cli.batch_manifest import HEADER

SIDES = ((65_535, 65_535), (65_535, 1), (1, 65_535), (0, 0), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1),
         (13_000, 13_000), (40_000, 40_000))  # fmt: skip
NEVER = random.Random(0)  # joining draws from one; here nothing is left to chance
Trap = tuple[str, str, bytes]  # kind, suffix, bytes


def _png(width: int, height: int, packed: bytes, bits: int = 8, color: int = 2, *extra) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", packed), (b"IEND", b"")]
    made = (struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


@cache
def _zeros(count: int) -> bytes:
    """So many zeros, deflated."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count & (1 << 20) - 1)), packer.flush()])


def _pngs() -> Iterator[bytes]:
    for width, height in SIDES:
        for bits, color in ((8, 2), (16, 6), (1, 0), (8, 3)):
            yield _png(width, height, zlib.compress(bytes(100)), bits, color)
    yield _png(65_535, 3, _zeros(3 * (65_535 * 3 + 1)))
    yield _png(3, 65_535, _zeros(65_535 * 10))
    yield _png(4, 4, _zeros(64 << 20))  # much more than there are pixels
    bomb = _zeros(256 << 20)
    for name, head in ((b"iCCP", b"x\0\0"), (b"zTXt", b"x\0\0"), (b"iTXt", b"x\0\1\0\0\0")):
        yield _png(4, 4, zlib.compress(bytes(52)), 8, 2, (name, head + bomb))
    yield _png(4, 4, zlib.compress(bytes(52)), 8, 2, *[(b"tEXt", b"a\0b")] * 50_000)
    yield _png(4, 4, zlib.compress(bytes(52)), 8, 2, *[(b"IDAT", b"")] * 50_000)
    # an animation of 2^31 frames, of which one is there
    yield _png(4, 4, zlib.compress(bytes(52)), 8, 2, (b"acTL", struct.pack(">II", 2**31 - 1, 0)))


def _jpegs() -> Iterator[bytes]:
    [_, progressive, plain, *_] = (data for _, data in seeds()["jpeg"])
    for width, height in SIDES:
        for data in (plain, progressive):
            own = bytearray(data)
            at = max(own.find(b"\xff\xc0"), own.find(b"\xff\xc2"))
            struct.pack_into(">HH", own, at + 5, height & 65_535, width & 65_535)
            yield bytes(own)


def scans(width: int, height: int, count: int) -> bytes:
    """A progressive JPEG, each of whose scans says that nothing changes anywhere."""
    head = b"\xff\xd8\xff\xdb\0\x43\0" + bytes([1]) * 64
    head += struct.pack(">2sHBHHBBBB", b"\xff\xc2", 11, 8, height, width, 1, 1, 0x11, 0)
    # one code: a run of 2^14 blocks without anything, and 14 bits that lengthen it
    head += b"\xff\xc4\0\x14\x10\1" + bytes(15) + b"\xe0"
    blocks = -(-width // 8) * -(-height // 8)
    bits = ("0" + "0" * 14) * (blocks // (1 << 14) + 1)
    bits += "1" * (-len(bits) % 8)
    codes = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return head + (b"\xff\xda\0\x08\1\1\0\1\x3f\0" + codes) * count + b"\xff\xd9"


def ifd(entries: list[tuple[int, int, int, int]], after: bytes = b"", following: int = 0) -> bytes:
    """A TIFF file: entries of tag, type, count, value; then whatever the values point to."""
    made = b"".join(struct.pack("<HHLL", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + made + struct.pack(
        "<L", following) + after  # fmt: skip


def strip(
    width: int, height: int, count: int = 1, bits: int = 8, packing: int = 1, length: int = 64
):
    """Entries of a picture of one strip, which begins at byte 4,000."""
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, packing),
            (262, 3, 1, 1), (273, 4, 1, 4000), (277, 3, 1, count), (278, 4, 1, height),
            (279, 4, 1, length)]  # fmt: skip


def _tiffs() -> Iterator[bytes]:
    def padded(entries, body: bytes = bytes(64), following: int = 0) -> bytes:
        head = ifd(entries, b"", following)
        return head + bytes(4000 - len(head)) + body

    for width, height in SIDES:
        for bits, packing in ((8, 1), (16, 8), (32, 5)):
            yield padded(strip(width, height, 1, bits, packing))
    yield padded(strip(8, 8), following=8)  # the directory that follows is itself
    for tag in (34665, 34853, 330, 40965):
        yield padded([*strip(8, 8), (tag, 4, 1, 8)])  # and the one within
    for tag in (273, 279, 258, 270, 338, 700, 34675, 33550, 42113):
        kept = [entry for entry in strip(8, 8) if entry[0] != tag]
        for kind, number in ((1, 2**32 - 1), (12, 2**29), (2, 0), (3, 60_000), (13, 3), (99, 1)):
            yield padded([*kept, (tag, kind, number, 100)])
    for count in (0, 5, 1000, 65_535):
        yield padded(strip(8, 8, count))
    for size in (0, 1, 16, 65_520, 2**31):
        tiles = [(322, 4, 1, size), (323, 4, 1, size), (324, 4, 1, 4000), (325, 4, 1, 64)]
        yield padded([*strip(64, 64)[:5], (277, 3, 1, 1), *tiles])
    side = 13_000
    body = _zeros(side * side)
    yield padded(strip(side, side, 1, 8, 8, len(body)), body)
    deep = _zeros(2 * side * side)
    yield padded(strip(side, side, 1, 16, 8, len(deep)), deep)
    yield b"MM\0+\0\x08\0\0" + struct.pack(">Q", 16) + struct.pack(">Q", 2**63) + bytes(64)


def _exrs() -> Iterator[bytes]:
    split, join = FORMATS[rb"v/1\x01"]
    flat, tiled = seeds()["exr"][2][1], seeds()["exr"][9][1]
    windows = [(0, 0, w - 1, h - 1) for w, h in SIDES] + [(-(2**31), 0, 2**31 - 1, 9), (9, 9, 0, 0)]
    for window in windows:
        for data in (flat, tiled):
            parts = split(data)
            for part in parts:
                if b"Window\0box2i" in part.name:
                    part.body = struct.pack("<4I", *(one % 2**32 for one in window))
            yield join(parts, NEVER)
    for size in (0, 1, 2**31, 2**32 - 1):
        parts = split(tiled)
        for part in parts:
            if part.name.startswith(b"tiles\0"):
                part.body = struct.pack("<II", size, size) + part.body[8:]
        yield join(parts, NEVER)


def _lengths() -> Iterator[Trap]:
    """Everything that says how large it is in a few bytes."""
    for width, height in SIDES:
        rows = f"-Y {height} +X {width}\n".encode()
        yield "hdr", ".hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + rows + bytes(64)
        for magic in (b"P4", b"P5", b"P6"):
            yield "other", ".ppm", b"%s %d %d 255\n" % (magic, width, height) + bytes(64)
        gif = b"GIF89a" + struct.pack("<HHBBB", width & 65_535, height & 65_535, 0x80, 0, 0)
        frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
        yield "gif", ".gif", gif + bytes(6) + frame + b";"
        yield "animation", ".gif", gif + bytes(6) + frame * 500 + b";"
        canvas = struct.pack("<II", 16, (width - 1) & 0xFFFFFF)[:7] + struct.pack("<I", (height - 1)
                             & 0xFFFFFF)[:3]  # fmt: skip
        body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([2]) + canvas[1:]
        yield "webp", ".webp", b"RIFF" + struct.pack("<I", len(body)) + body
        bmp = struct.pack("<IiiHHIIiiII", 40, min(width, 2**31 - 1), min(height, 2**31 - 1), 1, 24,
                          0, 0, 0, 0, 0, 0)  # fmt: skip
        yield "other", ".bmp", b"BM" + struct.pack("<III", 118, 0, 54) + bmp + bytes(64)
    many = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    yield "animation", ".gif", b"GIF89a\2\0\2\0\x80\0\0" + bytes(6) + many * 5000 + b";"


def _flat_webp() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (13_000, 13_000)).save(out, "WEBP", lossless=True, method=0, quality=0)
    return out.getvalue()


def npz(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as held:
        for name, body in members.items():
            held.writestr(f"{name}.npy", body)
    return out.getvalue()


def _npzs() -> Iterator[Trap]:
    names = {"measures": ("pixels", "weight", "profile"), "checkpoint": ("record", "leaf0"),
             "network": ("shape",), "pool": ("points", "weights", "made")}  # fmt: skip
    for kind, wanted in names.items():
        for shape in ((2**40,), (2**33,), (65_535, 65_535, 3), (2**62, 2**62), (-1,), (0,)):
            yield kind, ".npz", npz(**dict.fromkeys(wanted, npy_head(shape, "<f4") + bytes(64)))
        yield kind, ".npz", npz(**dict.fromkeys(wanted, npy_head((1,), "|O") + b"cos\nsystem\n."))
        bomb = npy_head((1 << 30,), "|u1") + bytes(1 << 30)
        yield kind, ".npz", npz(**{wanted[0]: bomb})
        yield kind, ".npz", npz()
        yield kind, ".npz", npy_head((2**40,), "<f8") + bytes(64)  # an array, no archive
        yield kind, ".npz", b"\x80\4cos\nsystem\n."  # a pickle


def _words() -> Iterator[Trap]:
    for kind in ("palette", "map"):
        for depth in (900, 3000, 100_000):
            deep = "[" * depth + "]" * depth
            yield kind, ".json", deep.encode()
            yield kind, ".json", ('{"a":' * depth + "1" + "}" * depth).encode()
            for head in ('{"version": ', '{"colors": ', '{"colors": [{"hex": ', '{"steps": '):
                tail = "}" if head.count("{") == 1 else "}]}"
                yield kind, ".json", (head + deep + tail).encode()
        blend = '{"op":"blend","strength":0.5,"steps":['
        for depth in (100, 5000):
            head = '{"format":"jaxcolor-map","version":1,"steps":['
            yield kind, ".json", (head + blend * depth + "]}" * depth + "]}").encode()
        yield kind, ".json", b"[" + b"9" * 100_000 + b"]"
        yield kind, ".json", json.dumps(["#" + "f" * 5_000_000]).encode()
        yield (
            kind,
            ".json",
            json.dumps({"version": list(range(50_000)), "colors": ["#fff"]}).encode(),
        )
        yield kind, ".json", json.dumps({"colors": [{"lab": [1e29, 1e29, 1e29]}]}).encode()
        yield kind, ".json", json.dumps({"colors": ["#fff"], "weights": [1e29]}).encode()
        yield kind, ".json", json.dumps(["#fff"] * 100_000).encode()
        for codec in ("utf-16", "utf-32", "utf-8-sig"):
            yield kind, ".json", '["#ffffff"]'.encode(codec)
        yield kind, ".json", b'["\xff\xfe\xed\xa0\x80"]'
    two = "LUT_1D_SIZE 2\n"
    for head in (
        "LUT_3D_SIZE 256",
        "LUT_3D_SIZE 9" + "9" * 5000,
        "LUT_1D_SIZE 65536",
        "LUT_3D_SIZE",
        "LUT_3D_SIZE -2",
        "LUT_3D_SIZE 2\0",
        two + "1e39 0 0\n0 0 0",
        two + "DOMAIN_MAX 1e39 1e39 1e39\n0 0 0\n1 1 1",
        two + "DOMAIN_MAX 1e-46 1 1\n0 0 0\n1 1 1",
        two + "0 " * 3_000_000,
        two + "0 0 0\n" * 500_000,
        "x" * 10_000_000,
        "\n" * 1_000_000,
    ):
        yield "cube", ".cube", head.encode()
    yield "cube", ".cube", "LUT_1D_SIZE 2\n0 0 0\n1 1 1".encode("utf-16")
    head = b"source,reference\n"
    for body in (
        b"a" * 10_000_000 + b",b",
        b'"' + b"a,b\n" * 100_000,
        b"a," * 100_000,
        b"a\0,b",
        b"a,b\r",
        b"a,b\n" * 30_000,
        b",,,,\n\n",
        b"\xff,\xfe",
        b"a,b,c,d\n",
        b'"a\nb",c\n',
        b"../../" * 5000 + b"a.png,b\n",
        b". , .\n",
    ):
        yield "list", ".csv", head + body
    yield "list", ".csv", (b"source," * 50_000) + b"reference\n"
    yield "list", ".csv", "source,reference\na,b\n".encode("utf-16")
    own = ",".join(HEADER).encode() + b"\n"
    rest = b"," * 9 + b"\n"
    torn = b"1,a,b,c,done,,,,,\r2,a,b,d,done,,,,,\n"
    for body in (b"x" * 200_000, b'"' + b"x\n" * 100_000, b"\r", b"a\0b", torn, b"\xff" * 40):
        yield "manifest", ".csv", own + body + rest


def _programs() -> Iterator[Trap]:
    """What would start another program, or be made up from nothing."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n"
    bits = b"#define a_width 65535\n#define a_height 65535\nstatic char a_bits[] = {\n0x00};"
    layers = b"8BPS\0\1" + bytes(6) + b"\0\3" + b"\0\0\xff\xff" * 2 + b"\0\x08\0\3" + bytes(20)
    heads = {
        ".eps": eps,
        ".null": b"anything",
        ".svg": b"<svg/>",
        ".pdf": b"%PDF-1.4\n",
        ".fpx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        ".wmf": b"\xd7\xcd\xc6\x9a" + bytes(40),
        ".h5": b"\x89HDF\r\n\x1a\n",
        ".xpm": b"/* XPM */\n",
        ".xbm": bits,
        ".psd": layers,
        ".dds": b"DDS " + bytes(124),
        ".ico": b"\0\0\1\0\1\0" + bytes(16),
        ".png": b"\0",
        ".jpg": b"\xff\xd8\xff",
        ".tif": b"II*\0\xff\xff\xff\xff",
        ".exr": b"v/1\1\2\0\0\0",
        ".webp": b"RIFF\0\0\0\0WEBP",
        ".gif": b"GIF89a",
    }
    for suffix, data in heads.items():
        yield "other", suffix, data


def _profiles() -> Iterator[bytes]:
    for size in (0, 1, 127, 128, 132, 200):
        yield profile()[:size]
    for space in (b"GRAY", b"CMYK", b"Lab ", b"\0\0\0\0", b"\xff\n\xff "):
        yield profile()[:16] + space + profile()[20:]
    for count in (0, 2**32 - 1, 65_535):
        yield profile()[:128] + struct.pack(">I", count) + profile()[132:]


def light() -> Iterator[Trap]:
    """Those that cost a good reader nothing."""
    yield from (("jpeg", ".jpg", data) for data in _jpegs())
    yield from (("exr", ".exr", data) for data in _exrs())
    yield from _programs()
    for block in _profiles():
        chunk = b"iCCP", b"x\0\0" + zlib.compress(block)
        yield "profile", ".png", _png(4, 4, zlib.compress(bytes(52)), 8, 2, chunk)


def traps() -> Iterator[Trap]:
    """All of them."""
    yield from light()
    for data in _pngs():
        yield "png", ".png", data
        yield "animation", ".png", data
    for data in _tiffs():
        yield "tiff", ".tif", data
        yield "raster", ".tif", data
    yield from _lengths()
    yield from _npzs()
    yield from _words()
    yield "webp", ".webp", _flat_webp()
    for side, count in ((2000, 2000), (12_000, 300)):
        yield "jpeg", ".jpg", scans(side, side, count)
    rows = np.zeros((6000, 6000, 4), np.float32)
    yield "exr", *oiio_file(".exr", rows, "float", compression="zip", channelnames=tuple("RGBA"))
    del rows
    yield "hald", ".png", _png(4096, 4096, _zeros(4096 * (4096 * 3 + 1)))
