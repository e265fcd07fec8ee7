"""A picture seen as rows of colour, with what each row weighs; checks; slicing into tiles."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxcolor.image.keys import KEYS, pack
from jaxcolor.maps import ColorMap

TILE = 1 << 16  # rows in one compiled call: one shape for every picture
BLOCK = 1 << 18  # rows in one NumPy call: in cache, and still few calls

T = TypeVar("T")


@dataclass(frozen=True)
class Distinct:
    """The distinct colours of an 8-bit picture, transparent ones included.

    Attributes:
        keys: (n,) their keys, ascending.
        place: (N,) int32, position in `keys` of every pixel's colour.
    """

    keys: np.ndarray
    place: np.ndarray


# over all keys: to touch them anew for each picture costs more than all else
_TABLES = threading.Lock()
_SEEN = np.zeros(KEYS, bool)
_INDEX = np.empty(KEYS, np.int32)


@dataclass(frozen=True, eq=False)
class Pixels:
    """The rows of a picture: views, no copies.

    Attributes:
        color: (N, 1) for grey, (N, 3) for RGB; uint8, uint16 or float, encoded, full scale or 1.
        alpha: (N,) of the same dtype, or None.
        mask: (N,) in any of those dtypes or bool, or None.
        bounded: values are integers, or floats all within [0, 1].
        shape: of the picture.
    """

    color: np.ndarray
    alpha: np.ndarray | None
    mask: np.ndarray | None
    bounded: bool
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.color)

    @property
    def grey(self) -> bool:
        return self.color.shape[1] == 1

    @property
    def dtype(self) -> np.dtype:
        """What the arithmetic runs in: float64 for float64 pictures where JAX has it enabled."""
        double = self.color.dtype == np.float64
        return np.dtype(jax.dtypes.canonicalize_dtype(np.float64 if double else np.float32))

    def rgb(self, rows: slice) -> np.ndarray:
        """Colours (m, 3) of some rows, in the picture's own dtype; grey is repeated."""
        return np.broadcast_to(self.color[rows], (len(self.color[rows]), 3))

    def values(self, rows: slice) -> np.ndarray:
        """Colours (m, 3) as floats, full scale = 1."""
        return to_float(self.rgb(rows), self.dtype)

    def weight(self, rows: slice) -> np.ndarray | None:
        """alpha * mask (m,) in [0, 1], or None where every row counts as one."""
        parts = [
            np.clip(to_float(part[rows], np.dtype(np.float32)), 0, 1)
            for part in (self.alpha, self.mask)
            if part is not None
        ]
        return np.prod(parts, axis=0) if parts else None

    def tiles(self, rows: int) -> list[slice]:
        return [slice(i, min(i + rows, len(self))) for i in range(0, len(self), rows)]

    @cached_property
    def distinct(self) -> Distinct:
        """Of an 8-bit picture; a fit and an apply share them."""
        place = np.empty(len(self), np.int32)
        packed = place.view("<u4")

        def mark(rows: slice) -> None:
            packed[rows] = pack(self.rgb(rows))
            _SEEN[packed[rows]] = True

        def look_up(rows: slice) -> None:
            place[rows] = np.take(_INDEX, packed[rows])

        with _TABLES:
            try:
                each(mark, self.tiles(BLOCK))
                keys = np.flatnonzero(_SEEN).astype(np.uint32)
            finally:
                _SEEN[:] = False
            _INDEX[keys] = np.arange(len(keys), dtype=np.int32)
            each(look_up, self.tiles(BLOCK))
        return Distinct(keys, place)


def view(
    image: "ArrayLike | Pixels", mask: ArrayLike | None = None, name: str = "picture"
) -> Pixels:
    """Check a picture, and its mask, and see them as rows; what was viewed before passes through.

    Args:
        image: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGB and straight
            alpha; uint8, uint16 or float.
        mask: (H, W), 0..full scale or bool.
        name: what messages call it.

    Raises:
        ValueError: another shape or dtype, no pixels, NaN or infinity, a mask of another size.

    Example:
        >>> len(view(np.zeros((2, 3, 4), np.uint8)))
        6
    """
    if isinstance(image, Pixels):
        if mask is not None:
            raise ValueError(f"{name}: it was viewed already; give the mask to that view")
        return image
    array = np.asarray(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 2 <= array.shape[2] <= 4):
        raise ValueError(
            f"{name}: expected an array (H, W), (H, W, 3) or (H, W, 4), got shape {array.shape}"
        )
    if array.size == 0:
        raise ValueError(f"{name}: has no pixels, shape {array.shape}")
    _check_dtype(array, name)
    channels = 1 if array.ndim == 2 else array.shape[2]
    rows = array.reshape(-1, channels)
    color, alpha = rows[:, : channels - (channels % 2 == 0)], None
    if channels % 2 == 0:
        alpha = rows[:, -1]
    flat_mask = None
    if mask is not None:
        flat_mask = np.asarray(mask)
        if flat_mask.shape != array.shape[:2]:
            raise ValueError(
                f"{name}: its mask must have the same size, {_size(array)}, got {_size(flat_mask)}"
            )
        if flat_mask.dtype != bool:
            _check_dtype(flat_mask, f"mask of the {name}")
        flat_mask = flat_mask.reshape(-1)
    bounded = True
    if np.issubdtype(array.dtype, np.floating):
        bounded = bool(color.min() >= 0 and color.max() <= 1)
    return Pixels(color, alpha, flat_mask, bounded, array.shape)


def _size(array: np.ndarray) -> str:
    return "x".join(str(n) for n in array.shape[1::-1] + array.shape[2:]) + " pixels"


def _check_dtype(array: np.ndarray, name: str) -> None:
    if array.dtype in (np.uint8, np.uint16):
        return
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name}: expected uint8, uint16 or float, got {array.dtype}")
    # min and max pass NaN and infinity on, without a copy of the picture
    if not (np.isfinite(array.min()) and np.isfinite(array.max())):
        raise ValueError(f"{name}: holds NaN or infinite values; replace them first")


def full_scale(dtype: np.dtype) -> float:
    """The value that stands for 1: 255, 65535 or 1."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def to_float(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Full scale = 1, in the float dtype given."""
    return values.astype(dtype) / dtype.type(full_scale(values.dtype))


def from_float(values: np.ndarray, dtype: np.dtype, clip: bool = True) -> np.ndarray:
    """Back to a picture's dtype; integers are rounded and clipped, floats clipped if asked."""
    if np.issubdtype(dtype, np.integer):
        scale = full_scale(dtype)
        return np.clip(np.rint(values * values.dtype.type(scale)), 0, scale).astype(dtype)
    return (np.clip(values, 0, 1) if clip else values).astype(dtype)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux: what this process may use
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def each(function: Callable[[slice], T], slices: Iterable[slice]) -> list[T]:
    """function over tiles on every core; NumPy and XLA both let go of the interpreter lock."""
    slices = list(slices)
    if len(slices) < 2:
        return [function(one) for one in slices]
    # a `with jax.enable_x64(True):` around the call holds for its own thread only
    double = jax.dtypes.canonicalize_dtype(np.float64) == np.float64

    def call(rows: slice) -> T:
        with jax.enable_x64(double):
            return function(rows)

    with ThreadPoolExecutor(_cores()) as pool:
        return list(pool.map(call, slices))


def as_pytree(color_map: ColorMap) -> ColorMap:
    """The map itself, or a plain function wrapped so that `jit` takes it as an argument."""
    is_plain = jax.tree_util.all_leaves([color_map])
    return jax.tree_util.Partial(color_map) if is_plain else color_map


@jax.jit
def _call(color_map: ColorMap, colors: jax.Array) -> jax.Array:
    return color_map(colors)


def evaluate(color_map: ColorMap, colors: np.ndarray) -> np.ndarray:
    """A map on colours (n, 3) of any number, through one compiled shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxcolor.maps import Affine
        >>> evaluate(Affine(jnp.eye(3), jnp.ones(3)), np.zeros((2, 3), np.float32))
        array([[1., 1., 1.],
               [1., 1., 1.]], dtype=float32)
    """
    color_map = as_pytree(color_map)
    result = np.empty_like(colors)

    def one(rows: slice) -> None:
        tile = colors[rows]
        padded = np.zeros((TILE, 3), colors.dtype)
        padded[: len(tile)] = tile
        result[rows] = np.asarray(_call(color_map, padded))[: len(tile)]

    each(one, [slice(i, i + TILE) for i in range(0, len(colors), TILE)])
    return result
