"""Learned warm starts for palettes: a network's guess of the dual potential."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxcolor.amortize.warm import Guess

    start: Guess

__all__ = ["start"]


def __getattr__(name: str):
    if name == "start":  # lazily: its weights are read on first use
        globals()["start"] = found = import_module("jaxcolor.amortize.warm").shipped()
        return found
    raise AttributeError(f"module 'jaxcolor.amortize' has no attribute {name!r}")
