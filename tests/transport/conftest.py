"""Shared by the tests of transport."""

import jax
import numpy as np
import pytest


@pytest.fixture
def double():
    """float64 with strict promotion, as `dtype` does it: what one compiled serves the other."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        yield np.dtype("float64")


@pytest.fixture
def single():
    with jax.numpy_dtype_promotion("strict"):
        yield np.dtype("float32")
