"""Shared by the tests of transport."""

from importlib.util import find_spec

import jax
import numpy as np
import pytest

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
