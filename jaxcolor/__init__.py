"""Optimal-transport maps between colour distributions, fitted and applied in JAX."""

from importlib import import_module

__version__ = "0.1.0"

# every public name and the module that holds it; loaded on first use, so that `jaxcolor --help`
# does not wait for jax
_HOME = {
    "Affine": "jaxcolor.maps",
    "Blend": "jaxcolor.maps",
    "ColorMap": "jaxcolor.maps",
    "InSpace": "jaxcolor.maps",
    "Lut": "jaxcolor.image.lut",
    "Measure": "jaxcolor.measure",
    "Quantile": "jaxcolor.maps",
    "apply": "jaxcolor.image.apply",
    "bake": "jaxcolor.image.lut",
    "equalizer": "jaxcolor.recipes.transfer",
    "fit": "jaxcolor.recipes.transfer",
    "measure": "jaxcolor.measure",
    "pad": "jaxcolor.measure",
    "reinhard": "jaxcolor.recipes.transfer",
    "score": "jaxcolor.recipes.score",
    "transfer": "jaxcolor.recipes.transfer",
}

__all__ = [*sorted(_HOME)]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'jaxcolor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
