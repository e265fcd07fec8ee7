"""A map of colours on the codes of 8-bit frames: Y'CbCr in, Y'CbCr out, no RGB picture between."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.image.encoding import Encoding
from jaxcolor.image.keys import KEYS
from jaxcolor.image.pixels import TILE
from jaxcolor.maps import HIGHEST, ColorMap

FEW = 1 << 12  # codes, for which a full tile would be too much
# an answer: 6 bits of age, 8 of luma, and by what chroma changes, twice 9 bits
SHIFT, AGES = 26, 63
HAIR = 1 / 512  # from black or white: half a level
# codes are worked out by blocks of 4 x 4 x 4: the first code of each, and the way to the others
_LEVELS = np.indices((64, 64, 64), np.uint32)
_BLOCKS = _LEVELS[0] << 18 | _LEVELS[1] << 10 | _LEVELS[2] << 2
_INSIDE = _BLOCKS[:4, :4, :4].ravel() >> 2
_AROUND = np.indices((3, 3, 3)).reshape(3, -1).T - 1


class CodeMap:
    """A map of colours on frames; a code is worked out when it first occurs, and then known.

    Exact to rounding: no look-up table stands between. The table of all 2^24 codes holds results
    and, in the bits left, which map they are of, so that another map begins at once.

    Args:
        before, after: encodings of the frames that come in and go out.

    Example:
        >>> from jaxcolor.image.encoding import BT709
        >>> from jaxcolor.maps import Affine
        >>> code = CodeMap(Encoding(BT709), Encoding(BT709))
        >>> code.use(Affine(jnp.eye(3) / 4, jnp.zeros(3)))
        >>> y, u, v = code(*(np.full((2, 2), c, np.uint8) for c in (235, 128, 128)), halve=False)
        >>> y[0, 0], u[0, 0]  # a quarter of white
        (np.uint8(71), np.uint8(128))
    """

    def __init__(self, before: Encoding, after: Encoding):
        self.before, self.after = before, after
        self._table = jnp.zeros(KEYS, jnp.uint32)
        self._seen = np.zeros(KEYS, bool)
        self._age = 0
        self._map: ColorMap | None = None
        encode, offset = after.affine
        decode, zero = before.affine
        way = np.linalg.inv(decode), zero, encode, offset
        self._way = tuple(part.astype(np.float32) for part in way)

    def use(self, color_map: ColorMap, *, lasting: bool = True) -> None:
        """Go on with this map of encoded RGB; `lasting` if it is for many frames."""
        self._map, self._lasting = color_map, lasting
        self._age += 1
        if self._age > AGES:
            self._table, self._age = jnp.zeros(KEYS, jnp.uint32), 1

    def __call__(
        self, y: np.ndarray, u: np.ndarray, v: np.ndarray, *, halve: bool
    ) -> tuple[np.ndarray, ...]:
        """A frame's planes, mapped.

        Chroma (h, w) at half the resolution comes back so: what changes is found at every pixel
        and halved, so that a map that changes nothing changes no code.

        Args:
            y: (H, W) uint8.
            u, v: the same, or of half the size, rounded up.
            halve: whether chroma of the full size is to come back at half.
        """
        size, halved = y.shape, u.shape != y.shape
        planes = y, u, v
        if halved or halve:
            planes = tuple(_pairs(_even(one)) if one.shape == size else one for one in planes)
        words = self._words(planes)
        if not (halved or halve):
            return tuple(np.asarray(one) for one in _whole(words, *planes))
        pairs, u, v = (_changed if halved else _halved)(words, *planes)
        luma = np.asarray(pairs).view(np.uint8).reshape(-1, 2 * pairs.shape[2])
        return luma[: size[0], : size[1]], np.asarray(u), np.asarray(v)

    def _words(self, planes: tuple[np.ndarray, ...]) -> list[Array]:
        """The table's answers (h, w), by the places in blocks of 2 x 2, or for all at once."""
        age = np.uint32(self._age)
        words = _read(self._table, *planes)
        unknown = np.asarray(_unknown(words, age))
        if unknown.sum() > FEW:
            self._learn(np.asarray(_asked(words, *planes, age)).ravel())
            return _read(self._table, *planes)
        if not unknown.any():
            return words
        asked, places = [], []
        for phase, counts in enumerate(unknown):
            rows = np.flatnonzero(counts)
            missing = np.asarray(words[phase])[rows] >> SHIFT != age
            asked.append(_keys(planes, phase, rows)[missing])
            row, column = np.nonzero(missing)
            places.append((rows[row] * missing.shape[1] + column).astype(np.int32))
        self._learn(np.concatenate(asked))
        return [
            _patched(one, self._table, _filled(keys), _filled(where)) if len(keys) else one
            for one, keys, where in zip(words, asked, places, strict=True)
        ]

    def _learn(self, keys: np.ndarray) -> None:
        """Fill in codes that the map has not been asked for.

        Grain brings new codes with every frame, next to those that were there: a map that lasts
        learns whole blocks, and those around, at once.
        """
        if self._lasting:
            seen = np.zeros((64, 64, 64), bool)
            seen[keys >> 18, keys >> 10 & 63, keys >> 2 & 63] = True
            around = np.argwhere(seen)[:, None] + _AROUND
            seen[tuple(around.clip(0, 63).reshape(-1, 3).T)] = True
            found = (_BLOCKS[seen][:, None] + _INSIDE).ravel()
        else:
            self._seen[keys] = True  # five times faster than np.unique
            found = np.flatnonzero(self._seen).astype(np.uint32)
            self._seen[found] = False
        rows = TILE if len(found) > FEW else FEW
        for start in range(0, len(found), rows):
            part = _filled(found[start : start + rows], rows)
            self._table = _fill(self._table, self._map, part, self._way, np.uint32(self._age))


def _filled(values: np.ndarray, length: int = FEW) -> np.ndarray:
    """The last value repeated to a length, of which few are compiled for."""
    return np.pad(values, (0, length - len(values)), "edge")


def _even(plane: np.ndarray) -> np.ndarray:
    """Its last row and column once more, where their number is odd."""
    odd = [(0, side % 2) for side in plane.shape]
    return np.pad(plane, odd, "edge") if any(more for _, more in odd) else plane


def _pairs(plane: np.ndarray) -> np.ndarray:
    """(H, W / 2) uint16: neighbours in a row as one number, the left one in the low bits."""
    return np.ascontiguousarray(plane).view("<u2")


def _is_pairs(plane) -> bool:
    return plane.dtype == np.uint16


@jax.jit
def _read(table: Array, y: Array, u: Array, v: Array) -> list[Array]:
    """Answers for a frame's codes, (h, w) for each place in blocks of 2 x 2, or one (H, W)."""
    return [table.at[key].get(mode="promise_in_bounds") for key in _codes(y, u, v)]


def _codes(y: Array, u: Array, v: Array) -> list[Array]:
    if not _is_pairs(y):
        phases = [[plane.astype(jnp.uint32)] for plane in (y, u, v)]
    else:
        phases = [_apart(one) if _is_pairs(one) else _raised(one) for one in (y, u, v)]
    return [a << 16 | b << 8 | c for a, b, c in zip(*phases, strict=True)]


def _apart(pairs: Array) -> list[Array]:
    """The four (h, w) of pairs (2 h, w): strided access to bytes costs XLA three times as much."""
    rows = pairs[0::2].astype(jnp.uint32), pairs[1::2].astype(jnp.uint32)
    return [part for row in rows for part in (row & 255, row >> 8)]


def _raised(chroma: Array) -> list[Array]:
    """Chroma (h, w) at the four places of each block, linearly."""
    c = chroma.astype(jnp.uint32)
    above = jnp.concatenate([c[:1], c[:-1]])
    below = jnp.concatenate([c[1:], c[-1:]])
    return [*_row(c, above), *_row(c, below)]


def _row(chroma, near):
    """Chroma in even and in odd columns, of a row next to others: NumPy's or JAX's.

    It lies on even columns, half way between two rows.
    """
    xp = chroma.__array_namespace__()
    row = 3 * chroma + near
    right = xp.concatenate([row[:, 1:], row[:, -1:]], 1)
    return (row + 2) >> 2, (row + right + 4) >> 3


def _keys(planes: tuple[np.ndarray, ...], phase: int, rows: np.ndarray) -> np.ndarray:
    """What `_codes` makes of some rows, on the host."""
    down, right = divmod(phase, 2)
    parts = []
    for plane in planes:
        if _is_pairs(plane):
            parts.append(plane[2 * rows + down] >> (8 * right) & 255)
        elif not _is_pairs(planes[0]):
            parts.append(plane[rows])
        else:
            near = np.clip(rows + (1 if down else -1), 0, len(plane) - 1)
            both = (plane[at].astype(np.uint32) for at in (rows, near))
            parts.append(_row(*both)[right])
    a, b, c = (part.astype(np.uint32) for part in parts)
    return a << 16 | b << 8 | c


@jax.jit
def _unknown(words: list[Array], age: Array) -> Array:
    """How many answers in each row are not of this age."""
    return jnp.stack([(one >> SHIFT != age).sum(1, dtype=jnp.int32) for one in words])


@jax.jit
def _asked(words: list[Array], y: Array, u: Array, v: Array, age: Array) -> Array:
    """Codes without an answer of this age, in any place; 0 for the others."""
    both = zip(words, _codes(y, u, v), strict=True)
    return jnp.stack([jnp.where(word >> SHIFT != age, code, 0) for word, code in both])


@partial(jax.jit, donate_argnums=0)
def _patched(words: Array, table: Array, keys: Array, places: Array) -> Array:
    """Answers with some given anew."""
    found = table.at[keys].get(mode="promise_in_bounds")
    return words.ravel().at[places].set(found, mode="promise_in_bounds").reshape(words.shape)


@partial(jax.jit, donate_argnums=0)
def _fill(
    table: Array, color_map: ColorMap, keys: Array, way: tuple[Array, ...], age: Array
) -> Array:
    """The table with the map's answers for some keys."""
    decode, zero, encode, offset = way
    codes = jnp.stack([keys >> 16, keys >> 8 & 255, keys & 255], 1).astype(jnp.float32)
    every = jnp.matmul(codes - zero, decode.T, precision=HIGHEST)
    shown = jnp.clip(every, 0, 1)
    mapped = jnp.clip(color_map(shown), 0, 1)
    mapped = mapped + unseen(every, shown, mapped)
    result = jnp.matmul(mapped, encode.T, precision=HIGHEST) + offset
    y, u, v = jnp.clip(jnp.rint(result), 0, 255).astype(jnp.uint32).T
    u, v = u + 256 - (keys >> 8 & 255), v + 256 - (keys & 255)
    return table.at[keys].set(age << SHIFT | y << 18 | u << 9 | v, mode="promise_in_bounds")


def unseen(every: Array, shown: Array, mapped: Array) -> Array:
    """How far colours are beyond black and white: what no screen shows stays so far beyond as long
    as the map takes it to where no screen shows it."""
    beyond = every - shown
    stays = jnp.where(beyond < 0, mapped < HAIR, mapped > 1 - HAIR)
    return jnp.where(stays, beyond, 0)


def _luma(words: list[Array]) -> Array:
    """(h, 2, w) pairs."""
    luma = [one >> 18 & 255 for one in words]
    return jnp.stack([luma[k] | luma[k + 1] << 8 for k in (0, 2)], 1).astype(jnp.uint16)


def _moves(word: Array) -> list[Array]:
    """What chroma changes by."""
    return [(word >> shift & 511).astype(jnp.int32) - 256 for shift in (9, 0)]


def _half(phases: list[Array]) -> Array:
    """Eight times the values (h, w) at half the resolution, of those at four places."""
    column, right = phases[0] + phases[2], phases[1] + phases[3]
    first = 2 * column[:, :1] + 2 * right[:, :1]  # what is beyond the edge is as on it
    rest = 2 * column[:, 1:] + right[:, 1:] + right[:, :-1]
    return jnp.concatenate([first, rest], 1)


def _bytes(values: Array) -> Array:
    return jnp.clip(values, 0, 255).astype(jnp.uint8)


@jax.jit
def _changed(words: list[Array], y: Array, u: Array, v: Array) -> tuple[Array, ...]:
    """Luma as pairs; chroma at half the resolution, with the halved change of it."""
    # both at once, in the halves of a word
    total = _half([one & 511 | (one >> 9 & 511) << 16 for one in words])
    halves = total >> 16, total & 0xFFFF
    chroma = (
        _bytes(base.astype(jnp.int32) + ((eight.astype(jnp.int32) - 8 * 256 + 4) >> 3))
        for base, eight in zip((u, v), halves, strict=True)
    )
    return _luma(words), *chroma


@jax.jit
def _halved(words: list[Array], y: Array, u: Array, v: Array) -> tuple[Array, ...]:
    """Luma as pairs; chroma of the full resolution, halved."""
    moves = zip(*(_moves(one) for one in words), strict=True)
    chroma = []
    for base, by in zip((u, v), moves, strict=True):
        new = [a.astype(jnp.int32) + b for a, b in zip(_apart(base), by, strict=True)]
        chroma.append(_bytes((_half(new) + 4) >> 3))
    return _luma(words), *chroma


@jax.jit
def _whole(words: list[Array], y: Array, u: Array, v: Array) -> tuple[Array, ...]:
    """All planes of the full resolution."""
    [word] = words
    moves = zip((u, v), _moves(word), strict=True)
    return (word >> 18 & 255).astype(jnp.uint8), *(
        _bytes(a.astype(jnp.int32) + b) for a, b in moves
    )
