"""Small copies of pictures, changed by any strength at once, and as bytes for a browser."""

import io
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from PIL import Image

from jaxcolor.image.files import Picture
from jaxcolor.image.output import LUMA
from jaxcolor.image.pixels import TILE, Pixels, each, full_scale, to_float
from jaxcolor.image.profiles import to_levels
from jaxcolor.recipes.finish import Change

SIDE = 1024  # pixels: the longest side of a preview
TINY = 1e-9  # of a channel, next to which no gamut ends


def shrunk(picture: Picture, side: int = SIDE) -> Picture:
    """A picture reduced to a longest side, with its profile; what has more than 8 bits as floats.

    Example:
        >>> shrunk(Picture(np.full((30, 60), 7, np.uint8)), 20).pixels.shape
        (10, 20)
    """
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    share = min(1, side / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    if pixels.dtype == np.uint8:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        # in two steps, the first by a whole number, which is quick
        small = np.asarray(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=1.01))
    else:
        values = pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))
        planes = values.reshape(height, width, -1)
        small = np.dstack([
            np.asarray(Image.fromarray(planes[..., k]).resize(size, Image.Resampling.BOX))
            for k in range(planes.shape[2])
        ])  # fmt: skip
        small = small.reshape(*size[::-1], *pixels.shape[2:])
    return Picture(small, picture.profile, linear=picture.linear)


def as_file(pixels: np.ndarray, profile: bytes | None) -> tuple[bytes, str]:
    """Encoded pixels as a browser shows them, and their media type.

    Example:
        >>> data, kind = as_file(np.zeros((4, 4, 3), np.uint8), None)
        >>> data[:2], kind
        (b'\\xff\\xd8', 'image/jpeg')
    """
    image, file = Image.fromarray(np.ascontiguousarray(to_levels(pixels, np.uint8))), io.BytesIO()
    if "A" in image.mode:
        image.convert("RGBA").save(file, "WEBP", quality=90, method=0, icc_profile=profile)
        return file.getvalue(), "image/webp"
    image.save(file, "JPEG", quality=90, subsampling=0, icc_profile=profile)
    return file.getvalue(), "image/jpeg"


@dataclass(frozen=True, eq=False)
class Blend:
    """A change of a small picture, ready for any strength; `finish.Change` without the dither.

    A slider asks for it many times a second, so all arithmetic is one compiled program.

    Attributes:
        before, after: tiles (TILE, 3) of encoded RGB, unchanged and wholly changed.
        picture: the small picture.
        profile: of what is shown.
        fade: whether colours that no screen shows lose saturation; or else each channel is cut.
    """

    before: list[Array]
    after: list[Array]
    picture: Pixels
    profile: bytes | None
    fade: bool

    @property
    def held(self) -> int:
        """About how many bytes it holds in memory."""
        return 2 * len(self.before) * TILE * 12 + 8 * len(self.picture)

    def at(self, strength: float) -> np.ndarray:
        """The small picture, changed by a share of it all: (H, W, 3), or (H, W, 4) with alpha."""
        share, height, width = np.float32(strength), *self.picture.shape[:2]
        rows = np.empty((len(self.picture), 3), np.uint8)

        def one(tile: slice) -> None:
            part = rows[tile]
            before, after = (tiles[tile.start // TILE] for tiles in (self.before, self.after))
            part[:] = np.asarray(_mixed(before, after, share, fade=self.fade))[: len(part)]

        each(one, self.picture.tiles(TILE))
        result = rows.reshape(height, width, 3)
        if self.picture.alpha is None:
            return result
        return np.dstack([result, to_levels(self.picture.alpha, np.uint8).reshape(height, width)])


def blend(change: Change, profile: bytes | None) -> Blend:
    """A change, worked out to the full.

    Example:
        >>> from jaxcolor.image.pixels import view
        >>> from jaxcolor.maps import Affine
        >>> half = Affine(jnp.eye(3) / 2, jnp.zeros(3))
        >>> blend(Change(half, view(np.full((2, 2, 3), 80, np.uint8))), None).at(0.5)[0, 0]
        array([60, 60, 60], dtype=uint8)
    """
    picture = change.picture
    before = to_float(picture.color, np.dtype(np.float32))
    after = change.after.reshape(before.shape)
    fade = change.how.gamut == "fade" and picture.bounded
    return Blend(_tiles(before), _tiles(after), picture, profile, fade)


def _tiles(rows: np.ndarray) -> list[Array]:
    """Rows (n, 1) or (n, 3) in tiles of one shape, so that every picture shares the program."""
    found = []
    for top in range(0, len(rows), TILE):
        part = rows[top : top + TILE]
        tile = np.zeros((TILE, 3), np.float32)
        tile[: len(part)] = part
        found.append(jnp.asarray(tile))
    return found


@partial(jax.jit, static_argnames="fade")
def _mixed(before: Array, after: Array, share: Array, *, fade: bool) -> Array:
    """(TILE, 3) uint8; `output.into_gamut` channel by channel, for a fifth of its time."""
    channels = [u + share * (v - u) for u, v in zip(before.T, after.T, strict=True)]
    if fade:
        light = sum(float(part) * one for part, one in zip(LUMA, channels, strict=True))
        grey = jnp.clip(light, 0, 1)
        kept = jnp.ones_like(grey)
        for one in channels:
            room = jnp.where(one > grey, 1 - grey, grey)
            kept = jnp.minimum(kept, room / jnp.maximum(jnp.abs(one - grey), TINY))
        channels = [jnp.where(kept < 1, grey + kept * (one - grey), one) for one in channels]
    mixed = jnp.clip(jnp.stack(channels, 1), 0, 1)
    return jnp.rint(mixed * 255).astype(jnp.uint8)
