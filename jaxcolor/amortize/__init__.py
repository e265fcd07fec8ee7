"""Learned warm starts for palettes: a network's guess of the dual potential."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxcolor.amortize.warm import start as start

__all__ = ["start"]


def __getattr__(name: str):
    if name == "start":  # lazily: the weights are read on first use
        return import_module("jaxcolor.amortize.warm").start
    raise AttributeError(f"module 'jaxcolor.amortize' has no attribute {name!r}")
