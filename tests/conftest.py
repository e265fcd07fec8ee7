"""Shared by all tests: both precisions, strict promotion, the shared pictures."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """The numerics tests run in both precisions, with no promotion left to chance."""
    with jax.enable_x64(request.param == "float64"), jax.numpy_dtype_promotion("strict"):
        yield np.dtype(request.param)


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Every compiled program holds memory maps, of which a process may have 65,530: a worker that
    keeps those of all modules dies in the middle of a compilation."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def shared_data():
    """The pictures of the literature, which may not be in the repository: $JAXCOLOR_DATA."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("JAXCOLOR_DATA", beside))
    if not folder.is_dir():
        pytest.skip("needs the shared pictures (JAXCOLOR_DATA)")

    def load(name: str) -> np.ndarray:
        return np.asarray(Image.open(folder / name).convert("RGB"))

    return load


@pytest.fixture(scope="session")
def photographs():
    """Two small photographs that come with scikit-image, (80, 120, 3) uint8."""
    from skimage import data

    def small(picture):
        return np.asarray(Image.fromarray(picture).resize((120, 80), Image.Resampling.LANCZOS))

    return small(data.coffee()), small(data.rocket())
