"""What the commands share: options, progress, the compilation cache, reading and writing."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from jaxcolor.recipes import (
    DEFAULT_BLUR,
    DEFAULT_METHOD,
    DEFAULT_SPACE,
    MARGINALS,
    METHODS,
    SPACES,
    known,
)
from jaxcolor.recipes.relaxation import Relaxation, suited_method

METHOD_HELP = (
    "how colours are matched. histogram: red, green and blue each by itself. reinhard: average and "
    "contrast. gaussian: average, contrast and colour balance together; gentle, no new grain. "
    "sliced: the whole palette; closest to the reference. newton, sinkhorn: optimal transport of "
    "the palette, smoothed by --blur; exact: the same unsmoothed. --marginal and --blur call for "
    "one of these by themselves (default: " + DEFAULT_METHOD + ")"
)


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)\n")


def one_of(names: Iterable[str], what: str):
    """An argparse type: the name, or a usage error with the nearest one."""

    def check(text: str) -> str:
        try:
            return known(text, names, what)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return check


def number(low: float, high: float, kind: type = float):
    """An argparse type: a number within bounds."""

    def check(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            word = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {word} within {low}..{high}, got {text!r}")
        return value

    return check


def add_matching(parser: argparse.ArgumentParser) -> None:
    """How the colours of one picture are matched to another's: what `matching` reads."""
    parser.add_argument("--method", type=one_of(METHODS, "method"), help=METHOD_HELP)
    defaults = ", ".join(f"{space} for {method}" for method, space in DEFAULT_SPACE.items())
    parser.add_argument(
        "--space",
        type=one_of(SPACES, "space"),
        help=f"colour space to match in: {', '.join(SPACES)}. Pictures are read as sRGB for this, "
        f"whatever their profile (default: {defaults}; reinhard has its own)",
    )
    add_strength(parser)
    parser.add_argument(
        "--bases",
        type=number(1, 1000, int),
        default=30,
        metavar="N",
        help="rounds of the sliced method; fewer are faster and rougher (default: 30)",
    )
    parser.add_argument(
        "--seed",
        type=number(0, 2**32 - 1, int),
        default=0,
        metavar="N",
        help="another draw of the sliced method",
    )
    add_coupling(parser)


def add_strength(parser: argparse.ArgumentParser) -> None:
    """How far to go."""
    parser.add_argument(
        "--strength",
        type=number(0, 1),
        default=1.0,
        metavar="0..1",
        help="how much of the change to make: 0 none, 1 all (default: 1)",
    )


def matching(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_matching`, but for the seed, as `fit` takes them.

    Those that do not go together are a usage error.
    """
    if args.method == "reinhard" and args.space is not None:
        args.parser.error("reinhard works in its own space: leave --space out")
    relaxed = relaxation(args, args.method)
    return {
        "method": args.method or suited_method(relaxed, DEFAULT_METHOD),
        "space": args.space,
        "strength": args.strength,
        "bases": args.bases,
        **asdict(relaxed),
    }


def add_coupling(parser: argparse.ArgumentParser) -> None:
    """What the optimal-transport methods take, in colour distances of the chosen space."""
    parser.add_argument(
        "--marginal",
        type=one_of(MARGINALS, "marginal"),
        default="balanced",
        help="must every colour find a partner? balanced: yes. kl: less and less beyond --reach; "
        "tv: all within --reach, none beyond; range: each counts for LO..HI times itself. Colours "
        "without a partner stay as they are (default: balanced)",
    )
    parser.add_argument(
        "--reach",
        type=number(1e-6, 1e6),
        metavar="R",
        help="for kl and tv: how far a partner may be, a colour distance in the space (from black "
        "to white: 1.7 in srgb, 1 in oklab, 100 in lab)",
    )
    parser.add_argument(
        "--range",
        dest="limits",
        nargs=2,
        type=number(0, 1e6),
        metavar=("LO", "HI"),
        help="for range: least and greatest share, around 1 (0.5 2: half to twice as much)",
    )
    parser.add_argument(
        "--blur",
        type=number(1e-6, 1e6),
        metavar="B",
        help="for newton and sinkhorn: colour distance to neglect; small is closer, large is "
        f"smoother (default: {DEFAULT_BLUR}, in lab {100 * DEFAULT_BLUR:g})",
    )


def relaxation(args: argparse.Namespace, method: str | None) -> Relaxation:
    """The options of `add_coupling`; one that does not go with the others is a usage error.

    `method` is the one asked for, if any was.
    """
    limits = None if args.limits is None else tuple(args.limits)
    asked = Relaxation(args.marginal, args.reach, limits, args.blur)
    try:
        asked.check(method or suited_method(asked, DEFAULT_METHOD))
    except ValueError as error:
        args.parser.error(str(error))
    return asked


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """The one option that every writing command has."""
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist already")


@contextlib.contextmanager
def progress(steps: int, title: str, unit: str = " step") -> Iterator[Callable[[str], None]]:
    """A bar on stderr for a person, nothing for a pipe; call it with the name of each step.

    What lasts more than two seconds also gets its rate and the time left.
    """
    from tqdm import tqdm

    # with its tail within 80 columns
    layout = "{desc:<28} {bar:10} {n_fmt}/{total_fmt} {elapsed}"
    with tqdm(
        total=steps,
        unit=unit,
        bar_format=layout,
        disable=not sys.stderr.isatty(),
        leave=False,
        file=sys.stderr,
    ) as bar:
        names = []

        def step(name: str) -> None:
            if bar.format_dict["elapsed"] > 2:
                bar.bar_format = layout + ", {remaining} left, {rate_fmt}"
            bar.update(bool(names))
            names.append(name)
            bar.set_description_str(f"{title}: {name}")

        yield step


def start_jax() -> None:
    """Keep compiled programs between runs, in the user's cache folder."""
    import jax
    from platformdirs import user_cache_dir

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = Path(user_cache_dir("jaxcolor")) / "xla"
        with contextlib.suppress(OSError):  # no home to write to: compile every time
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):  # or JAX warns at each program
                jax.config.update("jax_compilation_cache_dir", str(folder))
    # the defaults store only what took a second to compile: nothing of ours
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def read_mask(path: str | None, of, what: str):
    """A mask file as float32 (H, W) in [0, 1]: the luminance of any picture, times its alpha.

    `of` is the picture that it masks, `what` what a message calls that.
    """
    if path is None:
        return None
    import numpy as np

    from jaxcolor.image import files, pixels
    from jaxcolor.image.colors import Neutral

    size = of.pixels.shape[:2]
    picture = files.read(path).pixels
    if picture.shape[:2] != size:
        raise ValueError(
            f"{path}: a mask must have the size of its picture, {what}: "
            f"{size[1]}x{size[0]}, got {picture.shape[1]}x{picture.shape[0]}"
        )
    rows = pixels.view(picture, name=path)
    whole = slice(0, len(rows))
    grey = rows.values(whole)
    if not rows.grey:
        grey = pixels.evaluate(Neutral(), grey)
    weight = rows.weight(whole)
    mask = grey[:, 0] if weight is None else grey[:, 0] * weight
    return np.clip(mask, 0, 1).astype(np.float32).reshape(size)


def out_folder(path: str) -> Path:
    """Where results go, as a folder that there is or may be made."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; name a folder")
    return folder


@contextlib.contextmanager
def filled_folder(path: str) -> Iterator[Path]:
    """That folder, made where there was none; gone again if a failure leaves it empty."""
    folder = out_folder(path)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        if made and not any(folder.iterdir()):
            folder.rmdir()
        raise


def describe(error: Exception) -> str:
    """An error as one line for a person."""
    if isinstance(error, ValueError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory"
    text = " ".join(str(error).split())[:300]
    if isinstance(error, OSError):
        return text
    return f"{type(error).__name__}: {text} (JAXCOLOR_DEBUG=1 shows where)"
