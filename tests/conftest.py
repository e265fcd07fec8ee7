"""Shared by all tests: both precisions, strict promotion, the shared pictures."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxcolor.cli.common import start_jax


def pytest_configure(config):
    """Compiled programs are kept, as the command keeps its own: the next run is twice as fast.

    The quick tests' are also compiled with less care, in two thirds of the time, those of
    subprocesses too: small problems do not need fast programs. The slow tests run them as users
    get them.
    """
    if config.option.markexpr.startswith("not slow"):
        os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=1"
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    os.environ["XDG_CACHE_HOME"] = str(config.rootpath / ".pytest_cache" / "home")
    start_jax()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests by one worker: two would compile the same programs."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(params=["float32", pytest.param("float64", marks=pytest.mark.slow)])
def dtype(request):
    """The numerics tests run in both precisions, with no promotion left to chance.

    In float64 they are slow tests; what needs its digits says so and is not (`double`, `x64`).
    """
    with jax.enable_x64(request.param == "float64"), jax.numpy_dtype_promotion("strict"):
        yield np.dtype(request.param)


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Every compiled program holds memory maps, of which a process may have 65,530: a worker that
    keeps those of all modules dies in the middle of a compilation."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def shared_folder():
    """Pictures and palettes of the literature, which may not be in the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("JAXCOLOR_DATA", beside))
    if not folder.is_dir():
        pytest.skip("needs the shared pictures (JAXCOLOR_DATA)")
    return folder


@pytest.fixture(scope="session")
def shared_data(shared_folder):
    return lambda name: np.asarray(Image.open(shared_folder / name).convert("RGB"))


@pytest.fixture(scope="session")
def photographs():
    """Two small photographs that come with scikit-image, (80, 120, 3) uint8."""
    from skimage import data

    def small(picture):
        return np.asarray(Image.fromarray(picture).resize((120, 80), Image.Resampling.LANCZOS))

    return small(data.coffee()), small(data.rocket())
