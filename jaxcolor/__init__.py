"""Optimal-transport maps between colour distributions, fitted and applied in JAX."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "CAPABILITIES",
    "KL",
    "TV",
    "Affine",
    "Balanced",
    "Blend",
    "Cloud",
    "ColorMap",
    "Cost",
    "Coupling",
    "Dense",
    "Entropic",
    "Euclidean",
    "GaussianMixture",
    "Grid",
    "GridKernel",
    "InSpace",
    "Info",
    "Look",
    "Lp",
    "Lut",
    "Measure",
    "Mixed",
    "MixtureMap",
    "Nearest",
    "Palette",
    "Quantile",
    "Range",
    "Sharded",
    "SparseCoupling",
    "SpotNoise",
    "SqEuclidean",
    "Start",
    "Status",
    "apply",
    "average",
    "bake",
    "check",
    "coarse_to_fine",
    "compress",
    "confidence",
    "epsilon_from_blur",
    "equalizer",
    "fit",
    "grain",
    "harmonize",
    "mix",
    "mixes",
    "pad",
    "plan",
    "point_cloud",
    "potential",
    "quantize",
    "reinhard",
    "report",
    "rho_from_reach",
    "score",
    "shard",
    "solve",
    "solve_batch",
    "stack",
    "synth",
    "transfer",
]

# the module that holds each name; loaded on first use, so that `jaxcolor --help` does not wait
# for jax
_HOME = {
    "jaxcolor.image.apply": ("apply",),
    "jaxcolor.image.bake": ("bake",),
    "jaxcolor.image.lut": ("Lut",),
    "jaxcolor.iterate": ("Info", "Status", "check"),
    "jaxcolor.maps": ("Affine", "Blend", "ColorMap", "InSpace", "Quantile"),
    "jaxcolor.measure": ("Grid", "Measure", "pad", "point_cloud", "stack"),
    "jaxcolor.recipes.grain": ("grain",),
    "jaxcolor.recipes.harmonize": ("harmonize",),
    "jaxcolor.recipes.look": ("Look",),
    "jaxcolor.recipes.palette": ("Palette",),
    "jaxcolor.recipes.score": ("report", "score"),
    "jaxcolor.recipes.texture": ("mix", "mixes", "synth"),
    "jaxcolor.recipes.transfer": ("equalizer", "fit", "reinhard", "transfer"),
    "jaxcolor.sharding": ("shard",),
    "jaxcolor.transport.backends": ("CAPABILITIES",),
    "jaxcolor.transport.costs": ("Cost", "Euclidean", "Lp", "SqEuclidean"),
    "jaxcolor.transport.coupling": (
        "Coupling",
        "Entropic",
        "Start",
        "average",
        "confidence",
        "plan",
        "potential",
    ),
    "jaxcolor.transport.grid": ("GridKernel",),
    "jaxcolor.transport.kernels": ("Cloud", "Dense"),
    "jaxcolor.transport.marginals": ("KL", "TV", "Balanced", "Mixed", "Range"),
    "jaxcolor.transport.mixture": ("GaussianMixture",),
    "jaxcolor.transport.mixture_map": ("MixtureMap",),
    "jaxcolor.transport.quantize": ("compress", "quantize"),
    "jaxcolor.transport.sharded": ("Sharded",),
    "jaxcolor.transport.solvers": (
        "coarse_to_fine",
        "epsilon_from_blur",
        "rho_from_reach",
        "solve",
        "solve_batch",
    ),
    "jaxcolor.transport.spotnoise": ("SpotNoise",),
    "jaxcolor.transport.sparse": ("Nearest", "SparseCoupling"),
}

if TYPE_CHECKING:
    from jaxcolor.image.apply import apply as apply
    from jaxcolor.image.bake import bake as bake
    from jaxcolor.image.lut import Lut as Lut
    from jaxcolor.iterate import Info as Info
    from jaxcolor.iterate import Status as Status
    from jaxcolor.iterate import check as check
    from jaxcolor.maps import Affine as Affine
    from jaxcolor.maps import Blend as Blend
    from jaxcolor.maps import ColorMap as ColorMap
    from jaxcolor.maps import InSpace as InSpace
    from jaxcolor.maps import Quantile as Quantile
    from jaxcolor.measure import Grid as Grid
    from jaxcolor.measure import Measure as Measure
    from jaxcolor.measure import pad as pad
    from jaxcolor.measure import point_cloud as point_cloud
    from jaxcolor.measure import stack as stack
    from jaxcolor.recipes.grain import grain as grain
    from jaxcolor.recipes.harmonize import harmonize as harmonize
    from jaxcolor.recipes.look import Look as Look
    from jaxcolor.recipes.palette import Palette as Palette
    from jaxcolor.recipes.score import report as report
    from jaxcolor.recipes.score import score as score
    from jaxcolor.recipes.texture import mix as mix
    from jaxcolor.recipes.texture import mixes as mixes
    from jaxcolor.recipes.texture import synth as synth
    from jaxcolor.recipes.transfer import equalizer as equalizer
    from jaxcolor.recipes.transfer import fit as fit
    from jaxcolor.recipes.transfer import reinhard as reinhard
    from jaxcolor.recipes.transfer import transfer as transfer
    from jaxcolor.sharding import shard as shard
    from jaxcolor.transport.backends import CAPABILITIES as CAPABILITIES
    from jaxcolor.transport.costs import Cost as Cost
    from jaxcolor.transport.costs import Euclidean as Euclidean
    from jaxcolor.transport.costs import Lp as Lp
    from jaxcolor.transport.costs import SqEuclidean as SqEuclidean
    from jaxcolor.transport.coupling import Coupling as Coupling
    from jaxcolor.transport.coupling import Entropic as Entropic
    from jaxcolor.transport.coupling import Start as Start
    from jaxcolor.transport.coupling import average as average
    from jaxcolor.transport.coupling import confidence as confidence
    from jaxcolor.transport.coupling import plan as plan
    from jaxcolor.transport.coupling import potential as potential
    from jaxcolor.transport.grid import GridKernel as GridKernel
    from jaxcolor.transport.kernels import Cloud as Cloud
    from jaxcolor.transport.kernels import Dense as Dense
    from jaxcolor.transport.marginals import KL as KL
    from jaxcolor.transport.marginals import TV as TV
    from jaxcolor.transport.marginals import Balanced as Balanced
    from jaxcolor.transport.marginals import Mixed as Mixed
    from jaxcolor.transport.marginals import Range as Range
    from jaxcolor.transport.mixture import GaussianMixture as GaussianMixture
    from jaxcolor.transport.mixture_map import MixtureMap as MixtureMap
    from jaxcolor.transport.quantize import compress as compress
    from jaxcolor.transport.quantize import quantize as quantize
    from jaxcolor.transport.sharded import Sharded as Sharded
    from jaxcolor.transport.solvers import coarse_to_fine as coarse_to_fine
    from jaxcolor.transport.solvers import epsilon_from_blur as epsilon_from_blur
    from jaxcolor.transport.solvers import rho_from_reach as rho_from_reach
    from jaxcolor.transport.solvers import solve as solve
    from jaxcolor.transport.solvers import solve_batch as solve_batch
    from jaxcolor.transport.sparse import Nearest as Nearest
    from jaxcolor.transport.sparse import SparseCoupling as SparseCoupling
    from jaxcolor.transport.spotnoise import SpotNoise as SpotNoise


def __getattr__(name: str):
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'jaxcolor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
