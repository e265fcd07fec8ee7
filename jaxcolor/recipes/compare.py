"""Every look and method on one pair of pictures, scored, side by side."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from jaxcolor.image.pixels import view
from jaxcolor.recipes import DEFAULT_SPACE, METHODS
from jaxcolor.recipes.look import as_look
from jaxcolor.recipes.palette import Palette
from jaxcolor.recipes.relaxation import BLURRED, MARGINALS_OF, Relaxation
from jaxcolor.recipes.score import Report, report, score
from jaxcolor.recipes.sheet import Cell, sheet
from jaxcolor.recipes.styles import HARD, LOOKS, Style, style
from jaxcolor.recipes.swatch import swatch
from jaxcolor.recipes.transfer import change


@dataclass(frozen=True)
class Result:
    """One picture, its figures, and the seconds of a second, compiled, run.

    Attributes:
        method: a look, a method, or the name of another program's picture.
        space: where the method acted, or ''.
    """

    method: str
    space: str
    pixels: np.ndarray
    score: Report
    seconds: float

    def as_dict(self) -> dict:
        # what was not timed has NaN, which JSON does not have
        seconds = None if self.seconds != self.seconds else round(self.seconds, 4)
        named = {"method": self.method, "space": self.space, "seconds": seconds}
        return named | self.score.as_dict()


def compare(
    source: ArrayLike,
    reference: ArrayLike | Palette,
    step: Callable[[str], None] = lambda name: None,
    asked: dict[str, Style] | None = None,
) -> list[Result]:
    """Run and score all looks and methods.

    Args:
        source, reference: as `fit`; a palette is scored by its swatch.
        step: called with the name of each as it starts.
        asked: what to run, by name; by default `plans()`, all with their defaults.

    Example:
        >>> picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
        >>> some = {name: plans()[name] for name in ("gentle", "histogram")}
        >>> [one.method for one in compare(picture, picture, asked=some)]
        ['gentle', 'histogram']
    """
    seen, goal, results = view(source), as_look(reference), []
    matched = swatch(reference) if isinstance(reference, Palette) else reference
    for name, one in (plans() if asked is None else asked).items():
        step(name)
        change(seen, goal, one).at()
        start = time.perf_counter()
        pixels = change(view(source), as_look(reference), one).at()
        seconds = time.perf_counter() - start
        figures = report(source, matched, pixels)
        space = one.space or DEFAULT_SPACE[one.method]
        results.append(Result(name, space, pixels, figures, seconds))
    return results


def plans(
    relaxation: Relaxation = HARD, components: int | str | None = None, draw: str | None = None
) -> dict[str, Style]:
    """The looks and methods to compare.

    Args:
        relaxation: of the optimal-transport methods; those that cannot have it are left out.
        components, draw: of 'mixture', as for `fit`.

    Raises:
        ValueError: where the relaxation makes no sense for any method.

    Example:
        >>> list(plans(Relaxation("tv", reach=0.2)))[3:]
        ['histogram', 'reinhard', 'gaussian', 'mixture', 'sliced', 'sinkhorn', 'grid']
    """
    relaxation.check("sinkhorn")
    chosen = dict(LOOKS)
    for method in METHODS:
        if method == "mixture":
            chosen[method] = style(method=method, components=components, draw=draw)
        elif method not in MARGINALS_OF:
            chosen[method] = style(method=method)
        elif relaxation.marginal in MARGINALS_OF[method]:
            own = relaxation if method in BLURRED else replace(relaxation, blur=None)
            chosen[method] = style(method=method, relaxation=own)
    return chosen


def as_sheet(source: ArrayLike, reference: ArrayLike, results: list[Result]) -> np.ndarray:
    """A labelled contact sheet of source, reference and results, (H, W, 3) uint8.

    Example:
        >>> picture = np.zeros((20, 30, 3), np.uint8)
        >>> as_sheet(picture, picture, []).ndim
        3
    """
    untouched = score(source, reference, source)
    cells = [
        Cell(np.asarray(source), "source", f"SW2 {untouched.sw2:.4f} to the reference"),
        Cell(np.asarray(reference), "reference", "what the others should look like"),
    ]
    for one in results:
        note = f"SW2 {one.score.sw2:.4f}   SSIM {one.score.ssim:.3f}   {one.seconds:.2f} s"
        cells.append(Cell(one.pixels, f"{one.method} ({one.space})", note))
    return sheet(cells)
