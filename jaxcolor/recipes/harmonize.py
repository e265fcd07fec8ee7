"""One look for many pictures: their barycenter, then one map for each onto it."""

from collections.abc import Callable, Sequence

import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor import maps
from jaxcolor.image.pixels import Pixels, view
from jaxcolor.recipes import HARMONIZING, HARMONY_BASES, known
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.styles import style
from jaxcolor.recipes.transfer import change, fit


def maps_to_common(
    pictures: Sequence[ArrayLike | Pixels],
    *,
    weights: Sequence[float] | None = None,
    method: str = "sliced",
    space: str | maps.Space | None = None,
    strength: float = 1.0,
    key: Array | None = None,
    components: int | str | None = None,
    draw: str | None = None,
    step: Callable[[int], None] = lambda done: None,
) -> list[maps.ColorMap]:
    """A map for each picture that carries its colours to the barycenter of them all.

    Args:
        pictures: as for `fit`, two or more, of any sizes.
        weights: how much each counts in the barycenter; equally by default.
        method: 'sliced', 'newton', 'gaussian' or 'mixture'.
        space, strength, key, components, draw: as for `fit`.
        step: called with the number of each picture before its fit.

    Raises:
        ValueError: fewer than two pictures, unknown names, weights that make no sense.

    Example:
        >>> dark, light = (np.full((4, 4, 3), v, np.uint8) for v in (50, 150))
        >>> one, other = maps_to_common([dark, light], method="gaussian", space="srgb")
        >>> (255 * one(np.full((1, 3), 50 / 255, np.float32))).round()
        Array([[100., 100., 100.]], dtype=float32)

    Reference:
        Rabin, Peyre, Delon, Bernot (2012), Wasserstein barycenter and its application to texture
        mixing; the use on sequences of pictures is Peyre's.
    """
    known(method, HARMONIZING, "method")
    seen, common = _common(pictures, weights)
    found = []
    for k, picture in enumerate(seen):
        step(k)
        found.append(
            fit(
                picture,
                common,
                method=method,
                space=space,
                strength=strength,
                key=key,
                bases=HARMONY_BASES,
                components=components,
                draw=draw,
            )
        )
    return found


def harmonize(
    pictures: Sequence[ArrayLike | Pixels],
    *,
    weights: Sequence[float] | None = None,
    method: str = "sliced",
    space: str | maps.Space | None = None,
    strength: float = 1.0,
    key: Array | None = None,
    components: int | str | None = None,
    draw: str | None = None,
    smooth: str | None = None,
    rounds: int | None = None,
    rematch: bool | None = None,
    gamut: str | None = None,
    dither: bool | None = None,
) -> list[np.ndarray]:
    """The pictures, all in their common look; each keeps its size, dtype and alpha.

    Arguments and errors as for `maps_to_common`, the last five as for `transfer`.

    Example:
        >>> dark, light = (np.full((4, 4, 3), v, np.uint8) for v in (50, 150))
        >>> [int(p[0, 0, 0]) for p in harmonize([dark, light])]
        [100, 100]
    """
    asked = style(
        method=known(method, HARMONIZING, "method"),
        space=space,
        bases=HARMONY_BASES,
        components=components,
        draw=draw,
        smooth=smooth,
        rounds=rounds,
        rematch=rematch,
        gamut=gamut,
        dither=dither,
    )
    seen, common = _common(pictures, weights)
    return [change(picture, common, asked, key=key).at(strength) for picture in seen]


def _common(
    pictures: Sequence[ArrayLike | Pixels], weights: Sequence[float] | None
) -> tuple[list[Pixels], Look]:
    """The pictures as rows, and the look in their middle."""
    if len(pictures) < 2:
        raise ValueError(f"harmonizing takes two pictures or more, got {len(pictures)}")
    seen = [view(picture, None, f"picture {k}") for k, picture in enumerate(pictures, 1)]
    return seen, Look(seen, weights)
