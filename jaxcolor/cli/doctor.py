"""`jaxcolor doctor`: what is installed, on which device, and whether it works."""

import argparse
import os
import platform
import re
import shutil
import time
from pathlib import Path

import jaxcolor
from jaxcolor.cli.common import CACHE, cache_folder, describe, in_a_line, start_jax

PROGRAM = re.compile(r".+-[0-9a-f]{64}-(cache|atime)")  # what JAX calls a compiled program
NEEDED = ("jax", "jaxlib", "numpy", "optax", "scipy", "pillow", "openimageio")
EXTRAS = {  # package: extra, what it brings
    "av": ("video", "clips"),
    "uvicorn": ("studio", "the page"),
    "scikit-image": ("demo", "the demo's photographs"),
    "ott-jax": ("ott", "backend 'ott'"),
    "POT": ("pot", "backend 'pot'"),
}


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="tell what is installed, on which device, and whether it works",
        description="Tell what is installed, which devices and backends there are, where compiled "
        "programs are kept, and whether a small transfer gives the right colours: what a report "
        "of a fault should begin with. Exit 1 if that fails.",
    )
    parser.add_argument(
        "--clear-cache",
        action="store_true",
        help="delete the compiled programs; they are compiled again when needed",
    )
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> None:
    if args.clear_cache:
        return print(_clear())
    start_jax()
    for title, section in (
        ("installed", _installed),
        ("extras", _extras),
        ("devices", _devices),
        ("solvers", _solvers),
        ("compiled programs", _cache),
    ):
        try:
            lines = section()
        except Exception as error:  # what is broken is what it was asked for
            lines = [f"fails: {describe(error)}"]
        print("\n".join([title, *(f"  {line}" for line in lines)]), flush=True)
    print(f"check\n  {_check()}")


def release(package: str) -> str | None:
    """The version of a package, None where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _installed() -> list[str]:
    ours = f"jaxcolor {jaxcolor.__version__}, Python {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return [f"{ours}, {system}", ", ".join(f"{one} {release(one) or 'missing'}" for one in NEEDED)]


def _extras() -> list[str]:
    lines = []
    for package, (extra, what) in EXTRAS.items():
        found = release(package)
        state = found or f"not installed: pip install 'jaxcolor[{extra}]'"
        lines.append(f"{package} {state} ({what})")
    if release("av"):
        from av.codec import codecs_available

        from jaxcolor.image import CODECS

        written = [name for name, codec in CODECS.items() if codec.encoder in codecs_available]
        lines.append(f"clips are written as {', '.join(written)}")
    return lines


def device() -> str:
    """Where JAX computes, and on how many devices; or why it cannot."""
    import jax

    try:
        jax.devices()
    except Exception as error:  # a platform that is asked for and not there: of several types
        asked = os.environ.get("JAX_PLATFORMS", "")
        return f"no device (JAX_PLATFORMS={asked!r}; {in_a_line(error) or type(error).__name__})"
    kind, platform = jax.devices()[0].device_kind, jax.default_backend()
    named = platform if kind == platform else f"{kind} ({platform})"
    return f"{len(jax.devices())} x {named}"


def _devices() -> list[str]:
    import jax
    import jax.numpy as jnp

    lines = [device()]
    if lines[0].startswith("no device"):
        return lines
    if jax.default_backend() == "cpu" and shutil.which("nvidia-smi"):
        lines.append('an NVIDIA card is here that JAX does not use: pip install "jax[cuda13]"')
    return [*lines, f"numbers are {jnp.result_type(float)} by default"]


def _solvers() -> list[str]:
    from importlib.util import find_spec

    from jaxcolor.transport import fused, mosaic
    from jaxcolor.transport.backends import CAPABILITIES, PACKAGES

    lines = []
    for method in dict.fromkeys(method for method, _ in CAPABILITIES):
        offered = [backend for each, backend in CAPABILITIES if each == method]
        there = [backend for backend in offered if find_spec(PACKAGES[backend])]
        lines.append(f"{method}: {', '.join(there)}")
    serves = mosaic.mode() if mosaic.mode() != "auto" else "mosaic" if fused.available() else "xla"
    return [*lines, f"kernel of clouds: {serves} (JAXCOLOR_KERNEL)"]


def _cache() -> list[str]:
    folder = cache_folder()
    sizes = [size for _, size in _kept(folder)]
    named = f" (of {CACHE})" if os.environ.get(CACHE) else ""
    lines = [f"{folder}{named}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"]
    return [*lines, "jaxcolor doctor --clear-cache deletes them"]


def _kept(folder: Path) -> list[tuple[Path, int]]:
    """The programs that JAX keeps there, and their bytes; other people's files are not ours."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            if PROGRAM.fullmatch(path.name) and path.is_file():
                found.append((path, path.stat().st_size))
        except OSError:  # another command has just replaced it
            continue
    return found


def _clear() -> str:
    folder = cache_folder()
    kept = _kept(folder)
    for path, _ in kept:
        path.unlink(missing_ok=True)
    return f"{folder}: {len(kept)} files deleted, {sum(size for _, size in kept) / 1e6:.1f} MB"


def _check() -> str:
    """Two made-up pictures, one matched to the other: means and deviations must come out.

    Raises:
        ValueError: where they do not.
    """
    import numpy as np

    from jaxcolor.recipes.score import sw2
    from jaxcolor.recipes.transfer import transfer

    start = time.perf_counter()
    rng = np.random.default_rng(0)
    source = rng.integers(20, 120, (60, 80, 3)).astype(np.uint8)
    reference = (rng.integers(60, 130, (50, 70, 3)) * (1.0, 1.4, 1.8)).astype(np.uint8)
    before = sw2(source, reference)
    after = sw2(transfer(source, reference, method="newton"), reference)
    seconds = time.perf_counter() - start
    if not after < 0.2 * before:
        raise ValueError(f"a small transfer left SW2 {after:.3f} of {before:.3f}: please report it")
    return f"a small transfer took {seconds:.1f} s and left SW2 {after:.3f} of {before:.3f}: fine"
