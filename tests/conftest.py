"""Shared by all tests: both precisions, strict promotion, the shared pictures."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxcolor.cli.common import start_jax

QUICKLY = "--xla_backend_optimization_level=1"
HASTY = f"{QUICKLY} --xla_cpu_use_fusion_emitters=false"


def _understood(flags: str) -> bool:
    """XLA ends the process at a flag that it does not know, and each version knows others."""
    start = subprocess.run(
        [sys.executable, "-c", "import jax; jax.devices()"],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
    )
    return start.returncode == 0


def _is_hasty(config) -> bool:
    return not config.option.markexpr.startswith(("slow", "long"))


def pytest_configure(config):
    """Compiled programs are kept, as the command keeps its own: the next run is twice as fast.

    They are also compiled with less care, in half the time, those of subprocesses too: small
    problems do not need fast programs. The slow tests run them as users get them.
    """
    worker = "PYTEST_XDIST_WORKER" in os.environ  # it has the flags of the process that started it
    if _is_hasty(config) and not worker:
        os.environ["XLA_FLAGS"] = HASTY if _understood(HASTY) else QUICKLY
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    os.environ["XDG_CACHE_HOME"] = str(config.rootpath / ".pytest_cache" / "home")
    start_jax()
    jax.config.update("jax_num_cpu_devices", 8)  # for what is sharded; all else lives on the first


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests by one worker: two would compile the same programs."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(params=["float32", pytest.param("float64", marks=pytest.mark.float64)])
def dtype(request):
    """The numerics tests run in both precisions, with no promotion left to chance.

    In float64 they are marked so; what needs its digits says so and is not (`double`, `x64`).
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


@pytest.fixture(scope="module", autouse=True)
def _hardly_compiled(request):
    """The solvers' small problems run for no time at all: the least care will do for them.

    Not in a module that says `COMPILED_WITH_CARE = True`: there it would round beyond a bound.
    """
    careless = _is_hasty(request.config) and request.path.parent.name in ("tests", "transport")
    careless = careless and not getattr(request.module, "COMPILED_WITH_CARE", False)
    if jax.config.read("jax_disable_most_optimizations") != careless:
        jax.clear_caches()  # what was compiled stays as it was, and bits may differ
        jax.config.update("jax_disable_most_optimizations", careless)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def load(monkeypatch):
    """An experiment as a module; they import one another by name."""
    for name in ("matplotlib", "skimage"):
        pytest.importorskip(name)
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "experiments")
    return importlib.import_module


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


@pytest.fixture
def interruptible():
    """Programs that a test starts hear Ctrl-C, and that their terminal is closed.

    Where tests run in the background such signals are ignored, and children inherit that.
    """
    heard = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {one: signal.signal(one, handler) for one, handler in heard.items()}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)
