"""What people come for: measures, solver, map and pixels joined.

The names that a person may choose from stand here, where reading them costs no import of jax.
"""

import difflib
from collections.abc import Iterable

METHODS = (
    "histogram",
    "reinhard",
    "gaussian",
    "mixture",
    "sliced",
    "newton",
    "sinkhorn",
    "exact",
    "grid",
)
COUPLED = ("newton", "sinkhorn", "exact")  # those that couple colours one by one
HARMONIZING = ("sliced", "newton", "gaussian", "mixture")  # those that bring a set to one look
# frames of a sliced map onto the common look. On twelve photographs seven lower the mean pairwise
# SW2 by 94 % and keep a median SSIM of .864 (with other keys .84); thirty 96 % and .842
HARMONY_BASES = 7
DRAWS = ("mean", "rand")  # what a mixture's map does with a colour of several components
PALETTE = 128  # colours of a palette, unless told otherwise
CUT = 10.0  # how much of what is seen changes, 0..100, where a clip's next shot begins
LABELS = ("raw", "normalised", "argmax")  # how carried labels are read
MARGINALS = ("balanced", "kl", "tv", "range", "mixed")
SPACES = ("srgb", "linear", "lab", "oklab", "lalphabeta")
# the space each method acts in unless told otherwise; reinhard's is part of its definition
DEFAULT_SPACE = {
    "histogram": "srgb",
    "reinhard": "lalphabeta",
    "gaussian": "oklab",
    "mixture": "srgb",
    "sliced": "srgb",
    "newton": "srgb",
    "sinkhorn": "srgb",
    "exact": "srgb",
    "grid": "srgb",
}
# colour distance below which differences do not count, where channels end at 1. On photographs a
# sliced map is as near with .01 as with none and less steep; an entropic one at .06 fits in a LUT
DEFAULT_BLUR = {"sliced": 0.01, "newton": 0.06, "sinkhorn": 0.06, "grid": 0.03}
# spaces with a lightness, and the lightness of white
LIGHTNESS = {"lab": 100.0, "oklab": 1.0}


def known(name: str, names: Iterable[str], what: str) -> str:
    """The name, or a ValueError that suggests the nearest.

    Example:
        >>> known("slicd", METHODS, "method")
        Traceback (most recent call last):
        ValueError: unknown method 'slicd': did you mean 'sliced'? One of histogram, reinhard, ...
    """
    names = tuple(names)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 1, 0.4)
    hint = f"did you mean {near[0]!r}? One" if near else "one"
    raise ValueError(f"unknown {what} {name!r}: {hint} of {', '.join(names)}")
