"""The curve of sRGB, IEC 61966-2-1, on arrays of NumPy (files are read before JAX is) or JAX."""

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from jax import Array

Values = TypeVar("Values", np.ndarray, "Array")


def linearize(values: Values) -> Values:
    """Encoded sRGB to linear light; odd in its argument, so defined below 0 and above 1.

    Example:
        >>> linearize(np.array([0.5, -0.5])).round(3)
        array([ 0.214, -0.214])
    """
    xp = values.__array_namespace__()
    size = xp.abs(values)
    light = ((xp.maximum(size, 0.04045) + 0.055) / 1.055) ** 2.4
    return xp.where(size <= 0.04045, values / 12.92, xp.sign(values) * light)


def delinearize(light: Values) -> Values:
    """Linear light to encoded sRGB: the inverse of `linearize`."""
    xp = light.__array_namespace__()
    size = xp.abs(light)
    values = 1.055 * xp.maximum(size, 0.0031308) ** (1 / 2.4) - 0.055
    return xp.where(size <= 0.0031308, light * 12.92, xp.sign(light) * values)
