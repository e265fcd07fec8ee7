"""Small valid ICC profiles, packed by hand: nothing here comes from the code under test."""

import struct

# linear Display P3 to linear sRGB, both with a D65 white: from the chromaticities of each
P3_TO_SRGB = (
    (1.2249401, -0.2249402, 0.0),
    (-0.0420569, 1.0420571, 0.0),
    (-0.0196376, -0.0786507, 1.0982884),
)
D50 = (0.9642, 1.0, 0.8249)
# primaries of Display P3, adapted to D50 as the format asks
P3_PRIMARIES = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}


def display_p3() -> bytes:
    """RGB: the primaries of Display P3 and the curve of sRGB, as phones write it."""
    curve = _parametric(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {name: _xyz(*value) for name, value in P3_PRIMARIES.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"RGB ", "Display P3", tags)


def grey_gamma(gamma: float = 2.2) -> bytes:
    """Grey: one power curve."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))
    return _profile(b"GRAY", f"Grey gamma {gamma}", {b"kTRC": curve})


def _fixed(*values: float) -> bytes:
    """s15Fixed16 numbers."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(*value: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*value)


def _parametric(*numbers: float) -> bytes:
    """y = (a x + b)^g from d on, c x below: function type 3."""
    return b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(*numbers)


def _text(text: str) -> bytes:
    """multiLocalizedUnicode with one English record."""
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(encoded), 28) + encoded


def _profile(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    """Header, tag table, data; every tag starts on a multiple of 4."""
    tags = {b"desc": _text(name), b"cprt": _text("none"), b"wtpt": _xyz(*D50)} | tags
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s6H4s4sIII8sI12s4s16s28s",
        *(start + len(data), bytes(4), 0x04300000, b"mntr", space, b"XYZ "),
        *(2026, 1, 1, 0, 0, 0, b"acsp", bytes(4), 0, 0, 0, bytes(8), 0),
        *(_fixed(*D50), bytes(4), bytes(16), bytes(28)),
    )
    return head + table + data
