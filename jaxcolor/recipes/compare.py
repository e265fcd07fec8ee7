"""Every method on one pair of pictures, scored, side by side."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from jaxcolor.recipes import DEFAULT_SPACE, METHODS
from jaxcolor.recipes.relaxation import MARGINALS_OF, Relaxation
from jaxcolor.recipes.score import Score, score
from jaxcolor.recipes.sheet import Cell, sheet
from jaxcolor.recipes.transfer import transfer


@dataclass(frozen=True)
class Result:
    """One method's picture, its score, and the seconds of a second, compiled, run."""

    method: str
    space: str
    pixels: np.ndarray
    score: Score
    seconds: float

    def as_dict(self) -> dict:
        figures = {"method": self.method, "space": self.space, "seconds": round(self.seconds, 4)}
        # SSIM of a picture smaller than its window is NaN, which JSON does not have
        return figures | {k: None if v != v else v for k, v in asdict(self.score).items()}


def compare(
    source: ArrayLike,
    reference: ArrayLike,
    step: Callable[[str], None] = lambda name: None,
    relaxation: Relaxation | None = None,
) -> list[Result]:
    """Run and score all methods with their defaults.

    Args:
        source, reference: as `fit`.
        step: called with the name of each method as it starts.
        relaxation: for the optimal-transport methods; those that cannot have it are left out.

    Example:
        >>> picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
        >>> [one.method for one in compare(picture, picture)]
        ['histogram', 'reinhard', 'gaussian', 'sliced', 'newton', 'sinkhorn', 'exact']
    """
    results = []
    for method, options in plans(relaxation or Relaxation()).items():
        step(method)
        transfer(source, reference, method=method, **options)
        start = time.perf_counter()
        pixels = transfer(source, reference, method=method, **options)
        seconds = time.perf_counter() - start
        figures = score(source, reference, pixels)
        results.append(Result(method, DEFAULT_SPACE[method], pixels, figures, seconds))
    return results


def plans(relaxation: Relaxation) -> dict[str, dict]:
    """The methods to compare, each with its options.

    Raises:
        ValueError: where the relaxation makes no sense for any method.

    Example:
        >>> list(plans(Relaxation("tv", reach=0.2)))
        ['histogram', 'reinhard', 'gaussian', 'sliced', 'sinkhorn']
    """
    relaxation.check("sinkhorn")
    chosen = {}
    for method in METHODS:
        if method not in MARGINALS_OF:
            chosen[method] = {}
        elif relaxation.marginal in MARGINALS_OF[method]:
            chosen[method] = asdict(relaxation)
    if "exact" in chosen:
        chosen["exact"]["blur"] = None
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
