"""Colour spaces as pytrees: encode from, and decode to, encoded RGB.

Every conversion is defined and invertible on all of R^3, so that colours out of gamut, and float
pictures beyond [0, 1], survive a round trip. Encoded RGB is read as sRGB whatever the profile.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.image.curve import delinearize, linearize
from jaxcolor.maps import HIGHEST, Space
from jaxcolor.tree import pytree, static

# sRGB's primaries and D65 (IEC 61966-2-1): columns x, y
_PRIMARIES = np.array([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]])
_D65 = np.array([0.3127, 0.3290])


def _rgb_to_xyz() -> np.ndarray:
    """Linear sRGB to CIE XYZ, from the primaries; white has Y = 1."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in _PRIMARIES]).T
    white = np.array([_D65[0] / _D65[1], 1, (1 - _D65.sum()) / _D65[1]])
    return columns * np.linalg.solve(columns, white)


RGB_TO_XYZ = _rgb_to_xyz()
WHITE = RGB_TO_XYZ.sum(1)

# Ottosson (2020), A perceptual color space for image processing: linear sRGB -> LMS, then
# cube roots -> Lab. Inverses are computed, not typed in.
_OKLAB_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

# Reinhard et al. (2001), eq. 4 (RGB -> LMS) and eq. 6 (log LMS -> l alpha beta)
_RUDERMAN_LMS = np.array(
    [[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]]
)
_RUDERMAN = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ [[1, 1, 1], [1, 1, -2], [1, -1, 0]]


def _mix(matrix: np.ndarray, x: Array) -> Array:
    """x (n, 3) times matrix^T, in x's dtype."""
    return jnp.matmul(x, jnp.asarray(matrix.T, x.dtype), precision=HIGHEST)


def luminance(rgb: Array) -> Array:
    """Encoded RGB (n, 3) to the encoded grey (n,) of the same luminance Y."""
    return delinearize(_mix(RGB_TO_XYZ[1:2], linearize(rgb))[:, 0])


@pytree
class Srgb:
    """Encoded RGB itself, [0, 1] in gamut."""

    def encode(self, rgb: Array) -> Array:
        return rgb

    def decode(self, coordinates: Array) -> Array:
        return coordinates


@pytree
class Linear:
    """Linear light, [0, 1] in gamut."""

    def encode(self, rgb: Array) -> Array:
        return linearize(rgb)

    def decode(self, coordinates: Array) -> Array:
        return delinearize(coordinates)


@pytree
class Lab:
    """CIELAB, D65: L in 0..100, a and b about -100..100.

    Example:
        >>> Lab().encode(jnp.array([[1.0, 0.0, 0.0]])).round().astype(int)
        Array([[53, 80, 67]], dtype=int32)
    """

    def encode(self, rgb: Array) -> Array:
        t = _mix(RGB_TO_XYZ / WHITE[:, None], linearize(rgb))
        delta = 6 / 29
        root = jnp.cbrt(jnp.maximum(t, delta**3))
        x, y, z = jnp.where(t > delta**3, root, t / (3 * delta**2) + 4 / 29).T
        return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)

    def decode(self, coordinates: Array) -> Array:
        lightness, a, b = coordinates.T
        y = (lightness + 16) / 116
        f = jnp.stack([y + a / 500, y, y - b / 200], 1)
        delta = 6 / 29
        t = jnp.where(f > delta, f**3, 3 * delta**2 * (f - 4 / 29))
        return delinearize(_mix(np.linalg.inv(RGB_TO_XYZ) * WHITE[None], t))


@pytree
class Oklab:
    """Oklab: L in 0..1, a and b about -.4...4.

    Example:
        >>> Oklab().encode(jnp.array([[1.0, 1.0, 1.0]])).round().astype(int)
        Array([[1, 0, 0]], dtype=int32)
    """

    def encode(self, rgb: Array) -> Array:
        return _mix(_OKLAB, _root3(_mix(_OKLAB_LMS, linearize(rgb))))

    def decode(self, coordinates: Array) -> Array:
        roots = _mix(np.linalg.inv(_OKLAB), coordinates)
        return delinearize(_mix(np.linalg.inv(_OKLAB_LMS), roots**3))


def _root3(x: Array) -> Array:
    """Signed cube root whose derivative at 0 is finite (black would make gradients NaN)."""
    zero = x == 0
    return jnp.where(zero, x, jnp.cbrt(jnp.where(zero, 1, x)))


_TOP = 6.0  # log10 of the light above which l alpha beta is linear


@pytree
class LAlphaBeta:
    """Ruderman's l alpha beta: decorrelated log-LMS.

    The logarithm (base 10) goes on below `floor` as its own tangent, so that black is finite and
    shadows keep their detail, and above a million times white likewise, so that no map overflows;
    in between the published formulas hold exactly.

    Attributes:
        floor: in units of LMS, where white is about 1.
        linear: take logarithms of linear light (True) or of encoded RGB, as the paper's readers
            mostly do (False).
    """

    floor: float | Array = 1 / 255
    linear: bool = static(default=True)

    def encode(self, rgb: Array) -> Array:
        lms = _mix(_RUDERMAN_LMS, linearize(rgb) if self.linear else rgb)
        floor = jnp.asarray(self.floor, lms.dtype)
        top = jnp.asarray(10.0**_TOP, lms.dtype)
        curve = jnp.log10(jnp.clip(lms, floor, top))
        below = jnp.minimum(lms - floor, 0) / (floor * np.log(10))
        above = jnp.maximum(lms - top, 0) / (top * np.log(10))
        return _mix(_RUDERMAN, curve + below + above)

    def decode(self, coordinates: Array) -> Array:
        logs = _mix(np.linalg.inv(_RUDERMAN), coordinates)
        floor = jnp.asarray(self.floor, logs.dtype)
        edge = jnp.log10(floor)
        below = jnp.minimum(logs - edge, 0) * floor * np.log(10)
        above = jnp.maximum(logs - _TOP, 0) * (10.0**_TOP * np.log(10))
        lms = 10 ** jnp.clip(logs, edge, _TOP) + below + above
        rgb = _mix(np.linalg.inv(_RUDERMAN_LMS), lms)
        return delinearize(rgb) if self.linear else rgb


SPACES: dict[str, Space] = {
    "srgb": Srgb(),
    "linear": Linear(),
    "lab": Lab(),
    "oklab": Oklab(),
    "lalphabeta": LAlphaBeta(),
}
