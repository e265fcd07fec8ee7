"""Optimal-transport maps between colour distributions, fitted and applied in JAX."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Affine",
    "Blend",
    "ColorMap",
    "InSpace",
    "Lut",
    "Measure",
    "Quantile",
    "apply",
    "bake",
    "equalizer",
    "fit",
    "pad",
    "point_cloud",
    "reinhard",
    "score",
    "transfer",
]

# the module that holds each name; loaded on first use, so that `jaxcolor --help` does not wait
# for jax
_HOME = {
    "jaxcolor.image.apply": ("apply",),
    "jaxcolor.image.lut": ("Lut", "bake"),
    "jaxcolor.maps": ("Affine", "Blend", "ColorMap", "InSpace", "Quantile"),
    "jaxcolor.measure": ("Measure", "pad", "point_cloud"),
    "jaxcolor.recipes.score": ("score",),
    "jaxcolor.recipes.transfer": ("equalizer", "fit", "reinhard", "transfer"),
}

if TYPE_CHECKING:
    from jaxcolor.image.apply import apply as apply
    from jaxcolor.image.lut import Lut as Lut
    from jaxcolor.image.lut import bake as bake
    from jaxcolor.maps import Affine as Affine
    from jaxcolor.maps import Blend as Blend
    from jaxcolor.maps import ColorMap as ColorMap
    from jaxcolor.maps import InSpace as InSpace
    from jaxcolor.maps import Quantile as Quantile
    from jaxcolor.measure import Measure as Measure
    from jaxcolor.measure import pad as pad
    from jaxcolor.measure import point_cloud as point_cloud
    from jaxcolor.recipes.score import score as score
    from jaxcolor.recipes.transfer import equalizer as equalizer
    from jaxcolor.recipes.transfer import fit as fit
    from jaxcolor.recipes.transfer import reinhard as reinhard
    from jaxcolor.recipes.transfer import transfer as transfer


def __getattr__(name: str):
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'jaxcolor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
