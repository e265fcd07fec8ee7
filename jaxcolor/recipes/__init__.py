"""What people come for: measures, solver, map and pixels joined.

The names that a person may choose from stand here, where reading them costs no import of jax.
"""

import difflib
from collections.abc import Iterable

METHODS = ("histogram", "reinhard", "gaussian", "sliced", "newton", "sinkhorn", "exact")
COUPLED = ("newton", "sinkhorn", "exact")  # those that couple colours one by one
HARMONIZING = ("sliced", "newton", "gaussian")  # those that bring a set to one look
MARGINALS = ("balanced", "kl", "tv", "range")
SPACES = ("srgb", "linear", "lab", "oklab", "lalphabeta")
DEFAULT_METHOD = "gaussian"
# the space each method acts in unless told otherwise; reinhard's is part of its definition
DEFAULT_SPACE = {
    "histogram": "srgb",
    "reinhard": "lalphabeta",
    "gaussian": "oklab",
    "sliced": "srgb",
    "newton": "srgb",
    "sinkhorn": "srgb",
    "exact": "srgb",
}
# colour distance below which entropic couplings see no difference, where channels end at 1
DEFAULT_BLUR = 0.03
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
