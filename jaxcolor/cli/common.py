"""What the commands share: options, progress, the compilation cache, reading and writing."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from jaxcolor.cli.batch_list import replaced
from jaxcolor.cli.batch_manifest import alone
from jaxcolor.recipes import known

LONGEST = 1000  # letters of a message
MAPS = 10_000  # memory maps of a process: those of 170 compiled programs or so
CACHE = "JAX_COMPILATION_CACHE_DIR"


class Help(argparse.HelpFormatter):
    """Help whose epilog, a text of several lines, stays as it is written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def __init__(self, **how):
        super().__init__(**{"formatter_class": Help, **how})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)\n")


@dataclass(frozen=True, eq=False)  # argparse hashes it
class OneOf:
    """An argparse type: one of these names, or a usage error with the nearest one."""

    names: Iterable[str]
    what: str

    def __call__(self, text: str) -> str:
        try:
            return known(text, self.names, self.what)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error


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


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """The one option that every writing command has."""
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist already")


def add_seed(parser: argparse._ActionsContainer, what: str) -> None:
    """Where chance begins; another number, another `what`."""
    parser.add_argument(
        "--seed",
        type=number(0, 2**32 - 1, int),
        default=0,
        metavar="N",
        help=f"another number, another {what} (default: 0)",
    )


def add_weights(parser: argparse._ActionsContainer, what: str) -> None:
    """How much each of several counts; `what` one of them is called."""
    parser.add_argument(
        "--weights",
        nargs="+",
        type=number(0, 1e6),
        metavar="W",
        help=f"how much each {what} counts, in their order (default: all the same)",
    )


def check_weights(args: argparse.Namespace, count: int, what: str) -> None:
    """Weights that are too many, too few or nothing: exit 2."""
    if args.weights is not None and len(args.weights) != count:
        args.parser.error(f"{count} {what}, but {len(args.weights)} weights")
    if args.weights is not None and not any(args.weights):
        args.parser.error("all weights are 0")


def numbered(folder: str, first: Path, suffix: str, count: int) -> list[Path]:
    """Names for results in a row, after the first picture.

    Example:
        >>> [str(path) for path in numbered("out", Path("in/a.png"), ".jpg", 2)]
        ['out/a_01.jpg', 'out/a_02.jpg']
    """
    digits = max(2, len(str(count)))
    return [Path(folder) / f"{first.stem}_{k:0{digits}d}{suffix}" for k in range(1, count + 1)]


@contextlib.contextmanager
def progress(steps: int | None, title: str, unit: str = " step") -> Iterator[Callable[[str], None]]:
    """A bar on stderr for a person, nothing for a pipe; call it with the name of each step.

    What lasts more than two seconds also gets its rate and the time left. `steps` may be unknown.
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


def cache_folder() -> Path:
    """Where compiled programs are kept between runs: JAX's own variable, or the user's folder."""
    from platformdirs import user_cache_dir

    named = os.environ.get(CACHE)
    return Path(named) if named else Path(user_cache_dir("jaxcolor")) / "xla"


def start_jax() -> None:
    """Keep compiled programs between runs, in the user's cache folder."""
    import jax

    if CACHE not in os.environ:
        folder = cache_folder()
        with contextlib.suppress(OSError):  # no home to write to: compile every time
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):  # or JAX warns at each program
                jax.config.update("jax_compilation_cache_dir", str(folder))
    # the defaults store only what took a second to compile: nothing of ours
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    make_room()


def make_room() -> None:
    """Forget compiled programs where there are very many, in what serves for long.

    Each holds some 5 MB and 50 memory maps, of which Linux lets a process have 65,530, and ends it
    in the middle of a compilation when it asks for more.
    """
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MAPS:
        import jax

        jax.clear_caches()


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
    picture = files.read(path).encoded
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


def check_files(args: argparse.Namespace, read: Iterable, written: Iterable) -> None:
    """Refuse results that would replace what is read, by whatever name: exit 2. Also remove what
    a run that was killed left beside them."""
    from jaxcolor.image.aside import sweep

    inputs, outputs = ([Path(one) for one in some if one] for some in (read, written))
    lost = replaced(inputs, outputs)
    if lost is not None:
        args.parser.error(f"{lost} would be replaced by a result: name another file")
    sweep(outputs, spare=inputs)


def out_folder(path: str) -> Path:
    """Where results go, as a folder that there is or may be made."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; name a folder")
    if folder.is_symlink() and not folder.exists():
        raise ValueError(f"{folder}: is a link that leads nowhere; name a folder")
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


@contextlib.contextmanager
def own_folder(path: str) -> Iterator[Path]:
    """As `filled_folder`; no other run is at work there."""
    with filled_folder(path) as folder, alone(folder):
        yield folder


def in_a_line(message: object) -> str:
    """What can be shown of a message: files may put anything into one.

    Example:
        >>> in_a_line("no \\x1b[31m channel\\n" + 9000 * "a")[-20:]
        'aaaaaaaaaaaaaaaa ...'
    """
    words = "".join(one if one.isprintable() or one.isspace() else "?" for one in str(message))
    line = " ".join(words.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


def describe(error: Exception) -> str:
    """An error as one line for a person."""
    if isinstance(error, ValueError):
        return in_a_line(error)
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory"
    text = in_a_line(error)
    if isinstance(error, OSError):
        return text
    return f"{type(error).__name__}: {text} (JAXCOLOR_DEBUG=1 shows where)"
