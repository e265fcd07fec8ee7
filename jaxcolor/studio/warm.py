"""Programs compiled before somebody waits for them."""

import contextlib
import threading

import jax
import numpy as np

from jaxcolor.image.pixels import view
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.styles import DEFAULT_LOOK, LOOKS, style
from jaxcolor.recipes.transfer import change
from jaxcolor.studio.preview import blend


def warm(done: threading.Event, over: threading.Event) -> None:
    """Fit every look once to small noise; programs have shapes that do not hang on a picture's.

    Args:
        done: set at the end.
        over: when set, nobody waits any more.
    """
    with contextlib.suppress(Exception):  # what is wrong, a fit that somebody asked for will say
        rng = np.random.default_rng(0)
        source, reference = (rng.integers(0, 256, (96, 128, 3)).astype(np.uint8) for _ in "ab")
        for name in sorted(LOOKS, key=lambda one: one != DEFAULT_LOOK):
            if over.is_set():
                return
            found = change(view(source), Look([reference]), style(name), key=jax.random.key(0))
            blend(found, None).at(0.5)
    done.set()
