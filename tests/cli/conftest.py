"""What the tests of the command share: a caller, small pictures, a folder of them."""

import contextlib
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cli.corpus import COUNT, QUICK
from PIL import Image

from jaxcolor.cli import batch, harmonize
from jaxcolor.cli.group import Group
from jaxcolor.cli.main import build_parser, main
from jaxcolor.image import files
from jaxcolor.recipes import compare
from jaxcolor.recipes.styles import LOOKS


@pytest.fixture(autouse=True)
def _no_tracebacks(monkeypatch):
    monkeypatch.delenv("JAXCOLOR_DEBUG", raising=False)


@dataclass(frozen=True)
class Answer:
    """What a run of the command left."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on stderr of a failure."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert self.err.startswith("jaxcolor")
        assert self.out == ""
        return lines[0]


@pytest.fixture
def cli(capfd):
    """Run the command in this process; stderr also catches what C libraries write."""

    def run(*argv) -> Answer:
        capfd.readouterr()
        try:
            code = main([str(word) for word in argv])
        except SystemExit as end:
            code = end.code
        assert isinstance(code, int)
        return Answer(code, *capfd.readouterr())

    return run


@pytest.fixture
def done(cli):
    """Run it and insist on success, in silence on stderr."""

    def run(*argv) -> str:
        answer = cli(*argv)
        assert answer.code == 0, answer.err
        assert answer.err == ""
        return answer.out

    return run


@pytest.fixture
def only(monkeypatch):
    """Some looks and methods stand for all that `compare` tries: call it with their names."""

    def choose(*names: str) -> None:
        monkeypatch.setattr(compare, "LOOKS", {k: one for k, one in LOOKS.items() if k in names})
        monkeypatch.setattr(compare, "METHODS", [one for one in names if one not in LOOKS])

    return choose


def contents(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


@pytest.fixture
def refused(cli, tmp_path):
    """Run, and insist on a clean refusal; returns its line."""

    def run(*argv) -> str:
        before = contents(tmp_path)
        answer = cli(*argv)
        assert answer.code == 1, answer
        assert contents(tmp_path) == before
        return answer.line

    return run


@pytest.fixture
def process(tmp_path):
    """Run it as a person does."""

    def run(*argv, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "jaxcolor", *map(str, argv)],
            **{"capture_output": True, "text": True, "cwd": tmp_path, "env": os.environ, **options},
        )

    return run


@pytest.fixture(scope="session")
def small(photographs):
    """Two photographs, (40, 60, 3) and (40, 50, 3) uint8."""
    source, reference = photographs
    return source[::2, ::2].copy(), reference[::2, ::2][:, :50].copy()


@pytest.fixture(scope="session")
def pair(small, tmp_path_factory) -> list[Path]:
    """They as PNG: source, reference."""
    folder = tmp_path_factory.mktemp("pair")
    paths = [folder / "source.png", folder / "reference.png"]
    for path, pixels in zip(paths, small, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def save(tmp_path):
    """Write an array as a picture in the test's folder; returns the path."""

    def write(name: str, pixels: np.ndarray, profile: bytes | None = None) -> Path:
        files.write(tmp_path / name, files.Picture(pixels, profile))
        return tmp_path / name

    return write


@pytest.fixture
def load():
    return lambda path: files.read(path).pixels


# what takes a folder


@pytest.fixture
def folder(tmp_path, photographs):
    """Seven pictures in a folder and one below it, and things that are none."""
    rng = np.random.default_rng(0)
    place = tmp_path / "in"
    (place / "sub" / "deeper").mkdir(parents=True)
    for k in range(COUNT):
        rows, shift = 20 + 2 * k, rng.integers(0, 60, 3)
        pixels = photographs[k % 2][:rows, k : k + 30] // 2 + shift
        where = place / ("sub/deeper" if k % 3 == 2 else ".") / f"{k}.png"
        files.write(where, files.Picture(pixels.astype(np.uint8)))
    (place / "notes.txt").write_text("Dear reader,")
    (place / ".0.png").write_bytes(b"hidden")
    (place / ".git").mkdir()
    (place / ".git" / "1.png").write_bytes(b"hidden")
    return place


@pytest.fixture
def words(folder, pair, tmp_path):
    """The two commands, on that folder."""

    def line(name: str, out="out", *options) -> list[str]:
        extra = ["--reference", pair[1]] if name == "batch" else []
        return [str(one) for one in (name, "--images", folder, *extra, "-o", tmp_path / out,
                                     *QUICK, *options)]  # fmt: skip

    return line


@pytest.fixture
def together(monkeypatch):
    """Run a command in several processes, here threads; the errors, by their number."""
    local = threading.local()

    @contextlib.contextmanager
    def joined(args):
        yield getattr(local, "group", Group())

    for module in (batch, harmonize):
        monkeypatch.setattr(module, "joined", joined)

    def run(count: int, line: list[str]) -> dict[int, BaseException]:
        barrier, errors, met = threading.Barrier(count), {}, []

        def meet(group, place):
            met.append((group.index, place))
            barrier.wait(60)

        def one(index):
            local.group = Group(index, count)
            try:
                args = build_parser().parse_args(line)
                args.run(args)
            except threading.BrokenBarrierError:
                pass  # ended with another
            except BaseException as error:
                errors[index] = error
                barrier.abort()

        monkeypatch.setattr(Group, "meet", meet)
        threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(met) == len(set(met))  # no name twice
        return errors

    return run


@pytest.fixture
def read(monkeypatch):
    """How often each file is read, by name."""
    counted, usual = Counter(), files.read

    def once_more(path):
        counted[os.path.basename(path)] += 1
        return usual(path)

    monkeypatch.setattr(files, "read", once_more)
    return counted
