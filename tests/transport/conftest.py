"""Shared by the tests of transport."""

from importlib.util import find_spec

import jax
import numpy as np
import pytest

from jaxcolor.transport import fused, mosaic
from jaxcolor.transport.backends import import_pot


@pytest.fixture
def double():
    """float64 with strict promotion, as `dtype` does it: what one compiled serves the other."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        yield np.dtype("float64")


@pytest.fixture
def single():
    with jax.numpy_dtype_promotion("strict"):
        yield np.dtype("float32")


@pytest.fixture(scope="session")
def ot():
    """POT, as an oracle."""
    if not find_spec("ot"):
        pytest.skip("needs POT")
    return import_pot()


@pytest.fixture
def traced_anew(monkeypatch):
    """The switch of the GPU kernel, unset, is no part of what `jit` looks at."""
    monkeypatch.delenv(mosaic.SWITCH, raising=False)
    fused.proven.cache_clear()
    jax.clear_caches()
    with jax.numpy_dtype_promotion("strict"):
        yield
    jax.clear_caches()
    fused.proven.cache_clear()


@pytest.fixture
def use(traced_anew, monkeypatch):
    """Switch the GPU kernel: "xla", "mosaic" or "interpret"."""

    def switch(how):
        monkeypatch.setenv(mosaic.SWITCH, how)
        jax.clear_caches()

    return switch
