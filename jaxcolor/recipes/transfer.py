"""Colour transfer: fit a map that gives one picture the colours of another, and apply it."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor import maps
from jaxcolor.image import colors, spaces
from jaxcolor.image.pixels import Pixels, view
from jaxcolor.measure import Measure
from jaxcolor.recipes import LIGHTNESS, known
from jaxcolor.recipes.finish import Change, blend
from jaxcolor.recipes.fitting import by_moments, fitted
from jaxcolor.recipes.look import Look, as_look, encode
from jaxcolor.recipes.palette import Palette
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.recipes.styles import Style, style
from jaxcolor.transport import gaussian, line

Reference = ArrayLike | Pixels | Palette | Look | Sequence[ArrayLike | Pixels | Palette]


def fit(
    source: ArrayLike | Pixels | Look,
    reference: Reference,
    *,
    look: str | None = None,
    method: str | None = None,
    space: str | maps.Space | None = None,
    strength: float = 1.0,
    mask: ArrayLike | None = None,
    reference_mask: ArrayLike | None = None,
    key: Array | None = None,
    bases: int | None = None,
    components: int | str | None = None,
    draw: str | None = None,
    marginal: str = "balanced",
    reach: float | None = None,
    limits: tuple[float, float] | None = None,
    blur: float | None = None,
    counts: bool = False,
) -> maps.ColorMap:
    """The map T that carries the colours of `source` to those of `reference`.

    T is a function on encoded RGB (n, 3) in [0, 1], defined everywhere and unclipped: apply it to
    this picture, to others, to frames, or bake it into a LUT.

    Args:
        source, reference: (H, W), (H, W, 3) or (H, W, 4), of any two sizes; uint8, uint16 or
            float; or views of them (`image.pixels.view`, mask included), which a fit and an apply
            can share. Alpha weights the fit. A source that is fitted to many references may be
            a `Look` of one picture, which keeps what it made. As reference also a `Palette`, or
            several pictures or palettes, equally or as a `Look` with weights: their barycenter.
        look: 'natural' (where no method is given), 'faithful' or 'gentle': the map of that look;
            `transfer` also smooths the picture.
        method: 'histogram', each channel by itself; 'reinhard', mean and deviation in l alpha
            beta; 'gaussian', mean and covariance; 'mixture', those of each part
            of a Gaussian mixture; 'sliced', the whole distribution; 'newton',
            'sinkhorn', entropic and 'exact' optimal transport, colour by colour; 'grid', entropic
            transport of histograms on 64^3 nodes.
        space: 'srgb', 'linear', 'lab', 'oklab' or 'lalphabeta', where the method acts; or any
            pytree with `encode` and `decode`.
        strength: 0 (the identity) .. 1.
        mask, reference_mask: (H, W), 0..full scale: what counts in the fit.
        key: PRNG key of 'sliced' and 'mixture'; `jax.random.key(0)` by default.
        bases: frames of 'sliced', 30 by default.
        components: of 'mixture', each picture's number of Gaussians, 10 by default; or 'auto', by
            the Bayesian information criterion.
        draw: of 'mixture', 'mean' (the default), smooth, where a colour of several components goes
            to the mean of their images; or 'rand', to one of them by chance: nearer to the
            reference and grainy, to be smoothed. A fit draws by colour, `transfer` by pixel.
        marginal: 'balanced', 'kl', 'tv', 'mixed' or 'range' for 'sinkhorn' and 'grid', the first
            two for 'newton': whether all colours must find a partner; those that find none stay as
            they are.
        reach: for 'kl', 'tv' and 'mixed', the colour distance beyond which a partner is too far.
        limits: for 'range', how little and how much of itself each colour may count for.
        blur: for 'sliced', 'newton', 'sinkhorn' and 'grid', the colour distance that may be
            neglected: small is closer to the reference, large is smoother. Distances are those of
            the space; by default .01 for 'sliced', .03 for 'grid' and .06 for the others, in lab a
            hundred times that.
        counts: for 'grid', whether colours weigh their pixels rather than their share.

    Raises:
        ValueError: unknown names, `space` with 'reinhard', wrong shapes, nothing to fit, an option
            of another method.
        RuntimeError: where a coupling did not converge.

    Example:
        >>> source = np.random.default_rng(0).integers(0, 99, (20, 30, 3)).astype(np.uint8)
        >>> T = fit(source, source + 100, method="gaussian", space="srgb")
        >>> (255 * T(jnp.full((1, 3), 55 / 255))).round()
        Array([[155., 155., 155.]], dtype=float32)
    """
    own, goal = _as_source(source, mask), as_look(reference, reference_mask)
    asked = style(
        look,
        method,
        Relaxation(marginal, reach, limits, blur, counts),
        space=space,
        bases=bases,
        components=components,
        draw=draw,
    )
    return blend(fitted(own, goal, asked, key), strength)


def _as_source(source: ArrayLike | Pixels | Look, mask: ArrayLike | None) -> Look:
    # once: fit and apply share what the view finds
    return source if isinstance(source, Look) else Look([view(source, mask, "source")])


def reinhard(
    source: ArrayLike | Pixels,
    reference: Reference,
    *,
    floor: float = 1 / 255,
    linear: bool = True,
    mask: ArrayLike | None = None,
    reference_mask: ArrayLike | None = None,
) -> maps.ColorMap:
    """Mean and standard deviation matched in l alpha beta, channel by channel.

    z'_c = m1_c + (sd1_c / sd0_c)(z_c - m0_c). The result hangs on what is done about log 0, so
    that is spelled out.

    Args:
        source, reference, mask, reference_mask: as `fit`.
        floor: below this LMS value the logarithm goes on as its tangent; white is about 1.
        linear: logarithms of linear light, rather than of encoded RGB.

    Reference:
        Reinhard, Ashikhmin, Gooch, Shirley (2001), Color transfer between images, eq. 10-11.

    Example:
        >>> source = np.random.default_rng(0).integers(9, 99, (20, 30, 3)).astype(np.uint8)
        >>> T = reinhard(source, source, floor=1e-3)
        >>> bool(jnp.allclose(T(jnp.full((1, 3), 0.2)), 0.2, atol=1e-4))
        True
    """
    if not floor > 0:
        raise ValueError(f"floor must be above 0, got {floor}")
    space = spaces.LAlphaBeta(floor, linear)
    own, goal = Look([view(source, mask, "source")]), as_look(reference, reference_mask)
    return maps.InSpace(space, by_moments(gaussian.diagonal, own, goal, space))


def transfer(
    source: ArrayLike | Pixels | Look,
    reference: Reference,
    *,
    look: str | None = None,
    method: str | None = None,
    space: str | maps.Space | None = None,
    strength: float = 1.0,
    mask: ArrayLike | None = None,
    reference_mask: ArrayLike | None = None,
    key: Array | None = None,
    bases: int | None = None,
    components: int | str | None = None,
    draw: str | None = None,
    marginal: str = "balanced",
    reach: float | None = None,
    limits: tuple[float, float] | None = None,
    blur: float | None = None,
    counts: bool = False,
    smooth: str | None = None,
    rounds: int | None = None,
    rematch: bool | None = None,
    gamut: str | None = None,
    dither: bool | None = None,
) -> np.ndarray:
    """`source` with the colours of `reference`; the source's dtype, shape and alpha.

    `apply(fit(...), source, mask=mask)` and what a look, or the last five options, add to that: the
    mask weights the fit, and outside it the picture stays as it was.

    Args:
        look: 'natural' (where no method is given): the reference's colours as far as the source's
            structure lets them come; 'faithful': its whole palette; 'gentle': its mood.
        smooth: filter of the change, which else adds grain and bands: 'guided', 'yaroslavsky',
            'regrain' or 'none'.
        rounds: how often to smooth, matching the colours to the reference's in between.
        rematch: match them once more after that.
        gamut: what becomes of colours beyond [0, 1]: 'clip', or 'fade' towards grey.
        dither: round to 8 bits by a pattern.

    The others, and errors, as for `fit`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> source = rng.integers(0, 99, (20, 30, 3)).astype(np.uint8)
        >>> result = transfer(source, source[:9] + 100)
        >>> result.shape, result.dtype, bool(abs(result.mean() - source.mean() - 100) < 3)
        ((20, 30, 3), dtype('uint8'), True)
    """
    asked = style(
        look,
        method,
        Relaxation(marginal, reach, limits, blur, counts),
        space=space,
        bases=bases,
        components=components,
        draw=draw,
        smooth=smooth,
        rounds=rounds,
        rematch=rematch,
        gamut=gamut,
        dither=dither,
    )
    goal = as_look(reference, reference_mask)
    return change(_as_source(source, mask), goal, asked, key=key).at(strength)


def change(
    source: ArrayLike | Pixels | Look, goal: Look, asked: Style, *, key: Array | None = None
) -> Change:
    """What `transfer` does to a picture, at a strength to be named yet.

    Args:
        source: as for `fit`; its mask is in the view.
        goal: the look of the reference.
        asked: how, of `styles.style`.
        key: as for `fit`.

    Errors as for `fit`.

    Example:
        >>> dark, light = (np.full((4, 4, 3), v, np.uint8) for v in (50, 150))
        >>> change(dark, Look([light]), style("natural")).at(0.5)[0, 0]
        array([100, 100, 100], dtype=uint8)
    """
    own = _as_source(source, None)
    color_map = fitted(own, goal, asked, key)

    def again(now: Pixels) -> maps.ColorMap:
        # as many frames as the look has: the same program
        return fitted(Look([now]), goal, Style("sliced", bases=asked.bases), key)

    return Change(color_map, own.pictures[0], asked.finish, again, spread=asked.draw == "rand")


def equalizer(
    source: ArrayLike | Pixels,
    *,
    space: str = "lab",
    strength: float = 1.0,
    mask: ArrayLike | None = None,
) -> maps.ColorMap:
    """The map that makes the lightness of `source` uniform and keeps a and b.

    Args:
        source, mask, strength: as `fit`.
        space: 'lab' or 'oklab', whose lightness is meant.

    Example:
        >>> dark = np.random.default_rng(0).integers(0, 60, (40, 50, 3)).astype(np.uint8)
        >>> bool(equalizer(dark)(jnp.full((1, 3), 0.2)).max() > 0.8)
        True
    """
    top = LIGHTNESS[known(space, LIGHTNESS, "space for equalization")]
    chosen = spaces.SPACES[space]
    pixels = view(source, mask, "source")
    mu = colors.every_color(pixels)
    lightness = encode(chosen, mu.points)[:, :1]
    # as many levels as `line.solve` has knots: fewer would leave a comb
    levels = jnp.linspace(0, top, 4096, dtype=lightness.dtype)[:, None]
    uniform = Measure(levels, jnp.full(4096, 1 / 4096, lightness.dtype))
    one = line.solve(Measure(lightness, mu.weights), uniform)
    return blend(maps.InSpace(chosen, _first_axis(one)), strength)


def _first_axis(one: maps.Quantile) -> maps.Quantile:
    """A 1-D map as a map on R^3 that leaves the other two axes alone."""
    still = jnp.zeros_like(one.shift)
    return maps.Quantile(
        jnp.eye(3, dtype=one.low.dtype)[None],
        jnp.repeat(one.low, 3, 1),
        jnp.repeat(one.step, 3, 1),
        jnp.concatenate([one.shift, still, still], 1),
    )
