"""Changes to words, JSON trees and archives of arrays; see `fuzz_formats`."""

import io
import json
import random
import re
import struct
import zipfile
from typing import Any

Random = random.Random
# sides, counts and lengths at which programs break
NUMBERS = (0, 1, 2, 3, 7, 8, 16, 255, 256, 4095, 16_384, 32_767, 32_768, 65_535, 65_536, 1 << 20,
           1 << 24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)  # fmt: skip
WORDS = ("", "0", "-1", "1", "2", "65535", "65536", "2147483648", "1e30", "1e39", "1e308", "1e999",
         "-1e308", "nan", "inf", "-inf", "0x10", "1_0", "1,5", "\u0661", "\u2028", "\ud800", "\0",
         "é", '"', "'", "#", "../a.png", "/a.png", "C:\\a.png", "a" * 5000, "9" * 5000,
         "true", "null", "[]", "{}", "LUT_3D_SIZE", "DOMAIN_MIN", "source")  # fmt: skip
VALUES: tuple[Any, ...] = (None, True, False, 0, 1, -1, 3, 1e-300, 1e30, 1e39, 1e308, -1e308,
                           float("nan"), float("inf"), 10**400, "", "#ff8000", "affine", [], {},
                           [0], [0, 0, 0], [[0]], {"hex": "#fff"}, {"op": "cube"})  # fmt: skip


def plain(data: bytes, other: bytes, rng: Random) -> bytes:
    """Flips, cuts, numbers anywhere: what a bad disk or download does."""
    own = bytearray(data or b"\0")
    how = rng.randrange(6)
    if how == 0:
        for _ in range(rng.choice((1, 2, 8, 32))):
            own[rng.randrange(len(own))] ^= 1 << rng.randrange(8)
    elif how == 1:
        del own[rng.randrange(len(own)) :]
    elif how == 2:
        own = bytearray(number(bytes(own), rng))
    elif how == 3:
        at, size = rng.randrange(len(own)), rng.choice((1, 4, 16, 200))
        own[at : at + size] = rng.choice((b"", bytes(size), rng.randbytes(size)))
    elif how == 4:
        own[rng.randrange(len(own)) :] = other[rng.randrange(len(other) + 1) :]
    else:
        own += own[: rng.randrange(len(own))]
    return bytes(own)


def number(data: bytes, rng: Random, fields: tuple[tuple[int, str], ...] = ()) -> bytes:
    """One number, at one of the fields or anywhere, becomes another."""
    kinds = "<B", "<H", ">H", "<I", ">I", "<Q", ">Q", "<f", ">f", "<d"
    at, kind = rng.choice(fields) if fields else (rng.randrange(len(data) or 1), rng.choice(kinds))
    if kind[-1] in "fd":
        packed = struct.pack(kind, rng.choice((0.0, -1.0, 1e30, 3e38, float("nan"), float("inf"))))
    else:
        width = struct.calcsize(kind)
        old = int.from_bytes(data[at : at + width], "big" if kind[0] == ">" else "little")
        near = rng.choice((*NUMBERS, old + 1, old - 1, 2 * old, old // 2, old ^ 1))
        packed = struct.pack(kind, near % (1 << 8 * width))
    return data[:at] + packed + data[at + len(packed) :]


def text(data: bytes, other: bytes, rng: Random) -> bytes:
    """Lines and words of `.cube` and CSV files; rarely another encoding."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    at, how = rng.randrange(len(lines)), rng.random()
    if how < 0.6:
        apart = "," if "," in lines[at] else " "
        words = lines[at].split(apart)
        place = rng.randrange(len(words))
        words[place] = rng.choice((*WORDS, words[place] + rng.choice(WORDS), rng.choice(words)))
        lines[at] = apart.join(words if rng.random() < 0.9 else [*words, *words * 40])
    elif how < 0.7:
        del lines[at]
    elif how < 0.8:
        lines[at:at] = [lines[at]] * rng.choice((1, 2, 50))
    elif how < 0.9:
        lines[at] = rng.choice(other.decode("utf-8", "surrogateescape").split("\n"))
    elif how < 0.95:
        lines[0], lines[at] = lines[at], lines[0]
    else:
        codec = rng.choice(("utf-16", "utf-8-sig", "latin-1", "utf-32"))
        return "\n".join(lines).encode(codec, "replace")
    return "\n".join(lines).encode("utf-8", "surrogatepass" if rng.random() < 0.5 else "replace")


def tree(data: bytes, other: bytes, rng: Random) -> bytes:
    whole = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(whole)
    node, key = rng.choice(places)
    how = rng.random()
    if how < 0.6:
        node[key] = rng.choice((*VALUES, *WORDS))
    elif how < 0.7:
        del node[key]
    elif how < 0.8:
        inside, there = rng.choice(places)
        node[key] = json.loads(json.dumps(inside.get(there) if isinstance(inside, dict) else 0))
    elif how < 0.9:
        depth = rng.choice((2, 40, 400, 5000, 50_000))
        words = json.dumps(whole)
        at = rng.randrange(1, len(words))
        return (words[:at] + rng.choice("[{") * depth + words[at:]).encode()
    elif isinstance(node, list):
        node[:] = node * rng.choice((2, 3, 30))
    return json.dumps(whole, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def archive(data: bytes, other: bytes, rng: Random) -> bytes:
    """A member's name, the head of its array, its numbers, or the archive around them."""
    with zipfile.ZipFile(io.BytesIO(data)) as held:
        members = [(info.filename, held.read(info)) for info in held.infolist()]
    at, how = rng.randrange(len(members)), rng.random()
    name, body = members[at]
    if how < 0.45:
        members[at] = name, array(body, rng)
    elif how < 0.6:
        members[at] = name, plain(body, body, rng)
    elif how < 0.7:
        members[at] = rng.choice((name[:-4], name + "\0", "", "../a", "x" * 300 + ".npy")), body
    elif how < 0.8:
        del members[at]
    elif how < 0.9 and other[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(other)) as held:
            members[at] = name, held.read(rng.choice(held.namelist()))
    else:
        return number(data, rng, ((data.rfind(b"PK\1\2") + rng.randrange(4, 46), "<I"),))
    made = io.BytesIO()
    members = list(dict(members).items())  # each name once
    with zipfile.ZipFile(made, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as out:
        for name, body in members:
            out.writestr(name, body)
    return made.getvalue()


def array(body: bytes, rng: Random) -> bytes:
    """Shape, type and order that an array's head tells."""
    (length,) = struct.unpack_from("<H", body, 8)
    text = body[10 : 10 + length].decode("latin-1")
    if rng.random() < 0.5:
        sides = ", ".join(str(rng.choice((0, 1, 3, 9, 65_535, 2**31, 2**40, -1)))
                          for _ in range(rng.randrange(5)))  # fmt: skip
        text = re.sub(r"\(.*?\)", f"({sides},)" if sides else "()", text)
    else:
        kind = rng.choice(("<f8", "<f4", "|u1", "<U9", "|O", "<c16", "<i8", "|V9", "<M8[s]", "|b1",
                           ">f4", "<f2", "|S0", "no", "<f4,<f4"))  # fmt: skip
        text = re.sub(r"'descr': '.*?'", f"'descr': '{kind}'", text)
    raw = text.encode("latin-1")
    return body[:8] + struct.pack("<H", len(raw)) + raw + body[10 + length :]


def npy_head(shape: tuple[int, ...], kind: str) -> bytes:
    """The head of an array of any shape and type, whatever follows."""
    told = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    told = told.ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(told)) + told
