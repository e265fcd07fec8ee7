"""Affine and mixture maps as a small JSON file, which a dozen lines of NumPy evaluate.

    {"format": "jaxcolor-map", "version": 1, "steps": [...]}

The steps act in turn on colours x (n, 3), at first encoded RGB, full scale = 1:

- `affine`: x <- x matrix' + offset.
- `srgb_to_linear`, `linear_to_srgb`, `cbrt`, `cube`, `log10`, `exp10`: that function of every
  number, the first four odd. With a `range` [low, high] it goes on beyond it as a straight line of
  the `slopes` [a, b]: x <- f(c) + slope (x - c), c = x clipped to the range.
- `mixture`: each row k of `weights`, `means`, `covariances` is a Gaussian, and that of `matrices`,
  `offsets` an affine map; x goes to the mean of their images, each weighted by the probability
  that x is of that Gaussian.
- `blend`: x <- x + strength (y - x), y what its own `steps` make of x.

The last colours are encoded RGB, not clipped.
"""

import json
import math
import re
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor import maps
from jaxcolor.image import spaces
from jaxcolor.image.files import aside
from jaxcolor.transport.mixture import GaussianMixture
from jaxcolor.transport.mixture_map import MixtureMap
from jaxcolor.tree import pytree, static

HEADER = {"format": "jaxcolor-map", "version": 1}
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "srgb_to_linear": spaces.linearize,
    "linear_to_srgb": spaces.delinearize,
    "cbrt": jnp.cbrt,
    "cube": lambda x: x**3,
    "log10": jnp.log10,
    "exp10": lambda x: 10**x,
}


@pytree
class Curve:
    """One function on every number, and straight lines beyond a range.

    Attributes:
        name: a key of FUNCTIONS (static).
        range: (2,) its ends, or None for all numbers.
        slopes: (2,) of the lines below and above, or None.
    """

    name: str = static()
    range: Array | None = None
    slopes: Array | None = None

    def __call__(self, colors: Array) -> Array:
        function = FUNCTIONS[self.name]
        if self.range is None or self.slopes is None:
            return function(colors)
        (low, high), (below, above) = (
            jnp.asarray(part, colors.dtype) for part in (self.range, self.slopes)
        )
        inside = jnp.clip(colors, low, high)
        slope = jnp.where(colors < inside, below, above)
        return function(inside) + slope * (colors - inside)


@pytree
class Chain:
    """Maps one after another.

    Attributes:
        parts: the first acts first.
    """

    parts: tuple[maps.ColorMap, ...]

    def __call__(self, colors: Array) -> Array:
        for part in self.parts:
            colors = part(colors)
        return colors


def steps(color_map: maps.ColorMap) -> list[dict[str, Any]]:
    """A map as the steps of a file.

    Raises:
        ValueError: where it is no affine map, mixture map, or blend of these, in a colour space of
            this package.

    Example:
        >>> steps(maps.InSpace(spaces.Linear(), maps.Affine(jnp.eye(3), jnp.zeros(3))))[1]["op"]
        'affine'
    """
    if isinstance(color_map, Chain):
        return [step for part in color_map.parts for step in steps(part)]
    if isinstance(color_map, maps.InSpace):
        there, back = _ways(color_map.space)
        return [*steps(there), *steps(color_map.inner), *steps(back)]
    if isinstance(color_map, maps.Affine):
        return [_affine(color_map.matrix, color_map.offset)]
    if isinstance(color_map, maps.Blend):
        strength, inner = _numbers(color_map.strength), steps(color_map.inner)
        return [{"op": "blend", "strength": strength, "steps": inner}]
    if isinstance(color_map, Curve):
        ends = {"range": color_map.range, "slopes": color_map.slopes}
        given = {name: _numbers(end) for name, end in ends.items() if end is not None}
        return [{"op": color_map.name} | given]
    if isinstance(color_map, MixtureMap) and color_map.draw == "mean":
        return [_mixture(color_map)]
    raise ValueError(
        f"{_told(color_map)} is not made of affine maps, and no JSON holds it: write a LUT"
    )


def _told(color_map: maps.ColorMap) -> str:
    drawn = isinstance(color_map, MixtureMap)
    return "a mixture map that draws" if drawn else f"a map of type {type(color_map).__name__}"


def _numbers(values) -> Any:
    """Nested lists; of float32 nine digits, which tell each from its neighbours."""
    array = np.asarray(values)
    if array.dtype != np.float64:
        array = np.array([float(f"{v:.9g}") for v in array.ravel()]).reshape(array.shape)
    return array.tolist()


def _affine(matrix, offset) -> dict[str, Any]:
    return {"op": "affine", "matrix": _numbers(matrix), "offset": _numbers(offset)}


def _mixture(color_map: MixtureMap) -> dict[str, Any]:
    """The maps of all pairs that begin at one component are one affine map of it."""
    source, rows = color_map.source, np.asarray(color_map.rows)
    used = np.asarray(source.weights) > 0  # a component without weight is padding
    share = (rows == np.arange(len(used))[:, None]) * np.asarray(color_map.shares, np.float64)
    dtype = np.asarray(color_map.offsets).dtype
    merged = {
        name: np.tensordot(share, np.asarray(part, np.float64), 1).astype(dtype)
        for name, part in (("matrices", color_map.matrices), ("offsets", color_map.offsets))
    }
    law = {"weights": source.weights, "means": source.means, "covariances": source.covariances}
    numbers = {name: _numbers(np.asarray(part)[used]) for name, part in (law | merged).items()}
    return {"op": "mixture"} | numbers


def _linear_map(matrix: np.ndarray, offset: tuple[float, ...] = (0.0, 0.0, 0.0)) -> maps.Affine:
    return maps.Affine(*_exactly(matrix, offset))


def _curve(name: str, low: float, high: float, slopes: tuple[float, float]) -> Curve:
    return Curve(name, *_exactly((low, high), slopes))


def _exactly(*numbers) -> list[Any]:
    """Leaves that keep all their digits where JAX has no float64; maps cast them when called."""
    return [np.asarray(one, np.float64) for one in numbers]


def _ways(space: maps.Space) -> tuple[Chain, Chain]:
    """A colour space's encoding and decoding, in parts that `steps` knows."""
    light, rgb = Curve("srgb_to_linear"), Curve("linear_to_srgb")
    if type(space) is spaces.Srgb:
        return Chain(()), Chain(())
    if type(space) is spaces.Linear:
        return Chain((light,)), Chain((rgb,))
    if type(space) is spaces.Lab:
        return _lab(light, rgb)
    if type(space) is spaces.Oklab:
        to_lms, to_lab = _linear_map(spaces._OKLAB_LMS), _linear_map(spaces._OKLAB)
        back = _linear_map(np.linalg.inv(spaces._OKLAB_LMS))
        from_lab = _linear_map(np.linalg.inv(spaces._OKLAB))
        return (
            Chain((light, to_lms, Curve("cbrt"), to_lab)),
            Chain((from_lab, Curve("cube"), back, rgb)),
        )
    if type(space) is spaces.LAlphaBeta:
        return _lalphabeta(space, light, rgb)
    raise ValueError(f"no JSON holds a map in the space {type(space).__name__}: write a LUT")


def _lab(light: Curve, rgb: Curve) -> tuple[Chain, Chain]:
    """CIELAB's f is the cube root, which goes on as its tangent below delta^3."""
    top, delta = 1e9, 6 / 29
    matrix = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]])
    offset = np.array([-16.0, 0, 0])
    back = np.linalg.inv(matrix)
    root = _curve("cbrt", delta**3, top, (1 / (3 * delta**2), 0))
    cube = _curve("cube", delta, math.cbrt(top), (3 * delta**2, 0))
    to_xyz = _linear_map(spaces.RGB_TO_XYZ / spaces.WHITE[:, None])
    from_xyz = _linear_map(np.linalg.inv(spaces.RGB_TO_XYZ) * spaces.WHITE)
    return (
        Chain((light, to_xyz, root, _linear_map(matrix, tuple(offset)))),
        Chain((_linear_map(back, tuple(-back @ offset)), cube, from_xyz, rgb)),
    )


def _lalphabeta(space: spaces.LAlphaBeta, light: Curve, rgb: Curve) -> tuple[Chain, Chain]:
    floor, top = float(space.floor), spaces._TOP
    unit = math.log(10)
    log = _curve("log10", floor, 10**top, (1 / (floor * unit), 1 / (10**top * unit)))
    power = _curve("exp10", math.log10(floor), top, (floor * unit, 10**top * unit))
    to_lms, to_lab = _linear_map(spaces._RUDERMAN_LMS), _linear_map(spaces._RUDERMAN)
    back = _linear_map(np.linalg.inv(spaces._RUDERMAN_LMS))
    from_lab = _linear_map(np.linalg.inv(spaces._RUDERMAN))
    there, here = ((light,), (rgb,)) if space.linear else ((), ())
    return Chain((*there, to_lms, log, to_lab)), Chain((from_lab, power, back, *here))


def save(path: str | PathLike, color_map: maps.ColorMap) -> None:
    """Write a map as JSON, complete or not at all.

    Raises:
        ValueError: as `steps`; where a number is NaN or infinite.
        OSError: where the disk says no.
    """
    try:
        text = json.dumps(HEADER | {"steps": steps(color_map)}, indent=1, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    # a row on each line, not a number
    text = re.sub(r"\[([^][{]*)\]", lambda row: f"[{' '.join(row[1].split())}]", text)
    with aside(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load(path: str | PathLike) -> maps.ColorMap:
    """Read what `save` wrote: the same steps, so the same colours but for rounding.

    Raises:
        ValueError: where it is no such file; the message names the step.
        OSError: where it cannot be read.
    """
    try:
        held = json.loads(Path(path).read_bytes())
        if not isinstance(held, dict) or held.get("format") != HEADER["format"]:
            raise ValueError(f'expected {{"format": "{HEADER["format"]}", ...}}')
        if held.get("version") != HEADER["version"]:
            told = f"{held.get('version')!r:.40}"
            raise ValueError(f"version {told}; only {HEADER['version']} is read")
        return _chain(held.get("steps"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a map that can be read ({error})") from error


def _chain(listed: Any) -> Chain:
    if not isinstance(listed, list):
        raise ValueError('"steps" must be a list')
    parts = []
    for number, step in enumerate(listed, 1):
        try:
            parts.append(_part(step))
        except (ValueError, TypeError, KeyError) as error:
            told = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"step {number}: {told}") from error
    return Chain(tuple(parts))


def _part(step: dict[str, Any]) -> maps.ColorMap:
    op = step["op"]
    if op == "affine":
        return maps.Affine(_array(step, "matrix", 3, 3), _array(step, "offset", 3))
    if op == "blend":
        return maps.Blend(_array(step, "strength"), _chain(step["steps"]))
    if op in FUNCTIONS:
        if "range" not in step and "slopes" not in step:
            return Curve(op)
        return Curve(op, _array(step, "range", 2), _array(step, "slopes", 2))
    if op != "mixture":
        raise ValueError(f"unknown op {op!r:.40}")
    k = len(step["weights"])
    law = _array(step, "weights", k), _array(step, "means", k, 3)
    source = GaussianMixture(*law, _array(step, "covariances", k, 3, 3))
    images = _array(step, "matrices", k, 3, 3), _array(step, "offsets", k, 3)
    [shares] = _exactly(np.ones(k))
    return MixtureMap(source, jnp.arange(k), shares, *images, jax.random.key(0), "mean")


def _array(step: dict[str, Any], name: str, *shape: int) -> Any:
    array = np.asarray(step[name])
    # maps compute in float32
    known = array.dtype.kind in "if" and (np.abs(array) <= np.finfo(np.float32).max).all()
    if array.shape != shape or not known:
        raise ValueError(f'"{name}" must be finite numbers of the shape {shape}')
    return _exactly(array)[0]
