"""From a style and two looks to a map: which solver sees what of the pictures."""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor import maps
from jaxcolor.image import colors, spaces
from jaxcolor.lattice import Displacement
from jaxcolor.measure import Measure
from jaxcolor.recipes import COUPLED, DEFAULT_BLUR, DEFAULT_SPACE, LIGHTNESS, gridded, known
from jaxcolor.recipes.coupled import POINTS, couple
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.recipes.styles import Style
from jaxcolor.transport import gaussian, line, mixture_map, sliced
from jaxcolor.transport.coupling import Coupling, Entropic


def fitted(
    own: Look,
    goal: Look,
    asked: Style,
    key: Array | None,
    before: maps.ColorMap | None = None,
) -> maps.ColorMap:
    """The map of a style, at full strength, on encoded RGB.

    Args:
        own: one picture.
        goal: what it is to look like.
        asked: how.
        key: of the methods that draw; `jax.random.key(0)` by default.
        before: the map of a picture that was nearly the same, as the one before in a clip:
            'newton' and 'sinkhorn' begin where that ended.

    Errors as `transfer.fit`.
    """
    method, chosen = asked.method, _space(asked.space, asked.method)
    usual = DEFAULT_BLUR.get(method, 0.0)
    usual *= LIGHTNESS.get(str(asked.space or DEFAULT_SPACE[method]), 1)
    blur = asked.relaxation.blur or usual
    key = jax.random.key(0) if key is None else key
    if method == "reinhard":
        inner = by_moments(gaussian.diagonal, own, goal, chosen)
    elif method == "gaussian":
        inner = by_moments(gaussian.between, own, goal, chosen)
    elif method == "mixture":
        inner = _by_mixtures(own, goal, chosen, asked, key)
    elif method == "histogram":
        inner = line.solve(*_measures(own, goal, chosen, None))
    elif method == "grid":
        inner = _on_grid(own, goal, chosen, asked.relaxation, blur)
    elif method in COUPLED:
        both = _measures(own, goal, chosen, POINTS)
        inner = couple(method, *both, asked.relaxation, blur, _coupling(before))
    else:
        both = _measures(own, goal, chosen, colors.SAMPLE)
        inner = sliced.solve(*both, key, bases=asked.bases, blur=blur)
    return inner if isinstance(chosen, spaces.Srgb) else maps.InSpace(chosen, inner)


def _coupling(before: maps.ColorMap | None) -> Coupling | None:
    inner = before.inner if isinstance(before, maps.InSpace) else before
    return inner.coupling if isinstance(inner, Entropic) else None


def by_moments(solver, own: Look, goal: Look, space: maps.Space) -> maps.Affine:
    """The affine map of a solver that sees means and covariances."""
    [source] = own.pictures
    both = *own.moments(space), *goal.moments(space, source.grey)
    return solver(*(jnp.asarray(part, source.dtype) for part in both))


def _space(space: str | maps.Space | None, method: str) -> maps.Space:
    space = DEFAULT_SPACE[method] if space is None else space
    if isinstance(space, str):
        return spaces.SPACES[known(space, spaces.SPACES, "space")]
    return space


def _measures(
    own: Look, goal: Look, space: maps.Space, size: int | None
) -> tuple[Measure, Measure]:
    """Both sides' measures, in the coordinates of the space and the source's dtype."""
    [source] = own.pictures
    mu = own.measure(space, source.dtype, size=size)
    nu = goal.measure(space, source.dtype, size=size, neutral=source.grey)
    return mu, nu


def _on_grid(
    own: Look, goal: Look, space: maps.Space, relaxation: Relaxation, blur: float
) -> Displacement:
    mu, nu = _measures(own, goal, space, None)
    if relaxation.counts:
        mu, nu = (
            Measure(one.points, one.weights * look.pixels) for one, look in ((mu, own), (nu, goal))
        )
    return gridded.fit(mu, nu, space, relaxation, blur)


def _by_mixtures(
    own: Look, goal: Look, space: maps.Space, asked: Style, key: Array
) -> mixture_map.MixtureMap:
    [source] = own.pictures
    how = asked.components, asked.draw, key
    mu = own.mixture(space, source.dtype, *how)
    nu = goal.mixture(space, source.dtype, *how, neutral=source.grey)
    return mixture_map.solve(mu, nu, draw=asked.draw, key=key)
