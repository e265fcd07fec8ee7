"""What the tests of the command share: a caller, small pictures, a cache of their own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxcolor.cli.main import main
from jaxcolor.image import files

_JAX_OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """The command keeps compiled programs in the user's cache folder: not from here."""
    before = {name: getattr(jax.config, name) for name in _JAX_OPTIONS}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        patch.delenv("JAXCOLOR_DEBUG", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
    for name, value in before.items():
        jax.config.update(name, value)


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
