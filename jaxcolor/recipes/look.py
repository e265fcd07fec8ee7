"""The look of one picture, or the common one of several: what a fit aims at."""

import threading
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image import colors
from jaxcolor.image.pixels import Pixels, view
from jaxcolor.maps import Space
from jaxcolor.measure import Measure, stack
from jaxcolor.recipes.palette import Palette
from jaxcolor.transport import barycenter, em, gaussian
from jaxcolor.transport.mixture import GaussianMixture

# How closely mixtures are fitted. A mean of maps wants broad components, for narrow ones are mapped
# steeply: on scotland a fit that ends early leaves SW2 .026 and SSIM .82, one to the end .023 and
# .75. A draw wants the law itself: .0041, with the other settings .0055
CLOSENESS = {
    "mean": {"ridge": 7e-4, "tol": 1e-3, "steps": 100},
    "rand": {"ridge": 1e-6, "tol": 1e-5, "steps": 300},
}
STARTS = {"mean": 1, "rand": 2}
KEY = 0  # of the frames of a barycenter: the same pictures have the same look
FRAMES = 30
ROOM = 1 << 22  # points that all pictures of a barycenter may have together


def room(count: int) -> int:
    """How many points each of so many pictures may have, a power of two.

    Example:
        >>> room(12), room(2000), room(10**9)
        (262144, 2048, 64)
    """
    return 1 << max(ROOM // count, 64).bit_length() - 1


class Look:
    """One picture's colours, or the Wasserstein barycenter of several pictures'.

    What each method asks for (moments, or a measure in some space) is made once and kept: one look
    serves many fits. The barycenter is the sliced one, or, where moments are asked for, that of
    the Gaussians.

    Args:
        pictures: what to look like, arrays, views or palettes, at least one.
        weights: how much each counts, >= 0; equally by default.

    Raises:
        ValueError: without a picture, or for weights that are negative, all zero or too few.

    Example:
        >>> dark, light = (np.full((4, 4, 3), v, np.uint8) for v in (50, 150))
        >>> from jaxcolor.image.spaces import Srgb
        >>> mean, _ = Look([dark, light], [3, 1]).moments(Srgb())
        >>> (255 * mean).round()
        array([75., 75., 75.])
    """

    def __init__(
        self,
        pictures: Sequence[ArrayLike | Pixels | Palette],
        weights: Sequence[float] | None = None,
    ):
        if not len(pictures):
            raise ValueError("a look needs at least one picture")
        self.pictures = [
            one.pixels if isinstance(one, Palette) else view(one, None, "reference")
            for one in pictures
        ]
        self._counted = not any(isinstance(one, Palette) for one in pictures)
        self.weights = _weights(weights, len(self.pictures))
        self._made: dict = {}
        self._lock = threading.Lock()

    def moments(self, space: Space, neutral: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Mean (3,) and covariance (3, 3) in a space; `neutral` takes the greys alone."""
        return self._once((space, neutral), lambda: self._moments(space, neutral))

    def measure(
        self, space: Space, dtype, *, size: int | None = None, neutral: bool = False
    ) -> Measure:
        """Colours in the coordinates of a space, `size` of them (all of one 8-bit picture)."""
        key = (space, str(dtype), size, neutral)
        return self._once(key, lambda: self._measure(space, dtype, size, neutral))

    def mixture(
        self,
        space: Space,
        dtype,
        components: int | str,
        draw: str,
        key: Array,
        *,
        neutral: bool = False,
    ) -> GaussianMixture:
        """The colours as a Gaussian mixture, of so many components or of 'auto', for a draw."""
        drawn = jax.random.key_data(key).tobytes()
        name = ("mixture", space, str(dtype), components, draw, drawn, neutral)
        mu = self.measure(space, dtype, size=colors.SAMPLE, neutral=neutral)
        return self._once(name, lambda: _mixture(mu, components, draw, key))

    @property
    def pixels(self) -> float:
        """How many pixels count, transparent and masked ones by their share; of several pictures
        the mean.

        Raises:
            ValueError: for a palette, which has shares alone.
        """
        if not self._counted:
            raise ValueError("a palette has no pixels to count: leave counts out")
        return float(self.weights @ [colors.mass(one) for one in self.pictures])

    def _once(self, key, make):
        # a space or a function of one's own need not be hashable: then every fit makes its own
        try:
            hash(key)
        except TypeError:
            return make()
        with self._lock:  # of several threads one makes it, and the others wait
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def _moments(self, space: Space, neutral: bool) -> tuple[np.ndarray, np.ndarray]:
        each = [colors.moments(one, space, neutral=neutral) for one in self.pictures]
        if len(each) == 1:
            return each[0]
        means, covariances = (np.stack(part) for part in zip(*each, strict=True))
        found = gaussian.barycenter(
            *(jnp.asarray(part, jnp.result_type(float)) for part in (means, covariances)),
            jnp.asarray(self.weights),
        )
        return np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)

    def _measure(self, space: Space, dtype, size: int | None, neutral: bool) -> Measure:
        if len(self.pictures) == 1 and size is None:
            return in_space(space, colors.every_color(self.pictures[0], neutral=neutral), dtype)
        size = colors.SAMPLE if size is None else size
        points = min(size, room(len(self.pictures)))
        each = [colors.sample(one, neutral=neutral, size=points) for one in self.pictures]
        each = [in_space(space, mu, dtype) for mu in each]
        if len(each) == 1:
            return each[0]
        measures = stack(*each)
        found = barycenter.sliced(
            measures,
            jax.random.key(KEY),
            weights=jnp.asarray(self.weights, dtype),
            size=size,
            steps=FRAMES,
        )
        return found.measure


def _mixture(mu: Measure, components: int | str, draw: str, key: Array) -> GaussianMixture:
    if isinstance(components, str):
        return em.select(mu, key, **CLOSENESS[draw])
    return em.likeliest(mu, components, key, STARTS[draw], **CLOSENESS[draw])


def as_look(reference, mask=None) -> Look:
    """A `Look` as it is; a picture or palette, or a list of them, as a look."""
    if isinstance(reference, Look):
        if mask is not None:
            raise ValueError("a look has its masks already: give `view(picture, mask)` to it")
        return reference
    if isinstance(reference, (list, tuple)) and not _is_picture(reference):
        if mask is not None:
            raise ValueError("a mask is of one reference: give `view(picture, mask)` for each")
        return Look(reference)
    if isinstance(reference, Palette):
        if mask is not None:
            raise ValueError("a palette takes no mask: weights say what counts")
        return Look([reference])
    return Look([view(reference, mask, "reference")])


def _is_picture(rows: Sequence) -> bool:
    """Nested lists of numbers are a picture, a list of arrays, views or palettes is not."""
    return bool(rows) and np.ndim(rows[0]) < 2 and not isinstance(rows[0], (Pixels, Palette))


def in_space(space: Space, mu: Measure, dtype) -> Measure:
    """A measure of encoded RGB in the coordinates of a space."""
    return Measure(encode(space, mu.points.astype(dtype)), mu.weights.astype(dtype))


@jax.jit
def encode(space: Space, points: Array) -> Array:
    """Encoded RGB (n, 3) in the coordinates of a space, compiled once for each."""
    return space.encode(points)


def _weights(weights: Sequence[float] | None, count: int) -> np.ndarray:
    if weights is None:
        return np.full(count, 1 / count)
    array = np.asarray(weights, float)
    if array.shape != (count,):
        raise ValueError(f"one weight a picture: {count} pictures, {array.size} weights")
    if not np.isfinite(array).all() or (array < 0).any() or not array.sum() > 0:
        raise ValueError(f"weights must be >= 0 and not all 0, got {array.tolist()}")
    return array / array.sum()
