"""What `jaxcolor doctor` and `--version` say is what is here."""

import importlib.metadata
import os

import jax
import pytest

import jaxcolor
from jaxcolor.cli import doctor
from jaxcolor.cli.common import CACHE


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder with two compiled programs, 3 MB, and things of somebody else's."""
    monkeypatch.setenv(CACHE, str(tmp_path))
    for digit in "ab":
        (tmp_path / f"jit_f-{64 * digit}-cache").write_bytes(bytes(1_500_000))
    (tmp_path / "notes-cache").write_text("keep")
    (tmp_path / f"jit_f-{64 * 'c'}-cache").mkdir()
    return tmp_path


def test_it_tells_what_is_here(done, cache):
    said = done("doctor")
    assert f"jaxcolor {jaxcolor.__version__}" in said
    assert f"jax {jax.__version__}" in said
    assert f"{jax.device_count()} x cpu" in said
    assert f"av {importlib.metadata.version('av')} (clips)" in said
    assert "clips are written as h264" in said
    assert "newton: jax\n" in said
    assert f"{cache} (of {CACHE}): 2 files, 3.0 MB" in said
    assert said.splitlines()[-1].endswith("fine")


def test_what_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(doctor, "release", lambda package: None)
    lines = doctor._extras()
    assert lines[0] == "av not installed: pip install 'jaxcolor[video]' (clips)"
    assert len(lines) == len(doctor.EXTRAS)


def test_extras_are_the_package_s():
    offered = importlib.metadata.metadata("jaxcolor").get_all("Provides-Extra") or []
    assert {extra for extra, _ in doctor.EXTRAS.values()} <= set(offered)


def test_the_cache_is_cleared_of_programs_alone(done, cache):
    assert done("doctor", "--clear-cache") == f"{cache}: 2 files deleted, 3.0 MB\n"
    assert len(list(cache.iterdir())) == 2
    assert (cache / "notes-cache").read_text() == "keep"
    assert done("doctor", "--clear-cache") == f"{cache}: 0 files deleted, 0.0 MB\n"


def test_a_transfer_that_goes_wrong_fails(cli, cache, monkeypatch):
    from jaxcolor.recipes import transfer

    monkeypatch.setattr(transfer, "transfer", lambda source, *_, **__: source)
    answer = cli("doctor")
    assert answer.code == 1
    assert "please report it" in answer.err


def test_the_version_names_jax_and_the_device(done):
    said = done("--version")
    count = jax.device_count()
    assert said == f"jaxcolor {jaxcolor.__version__}, jax {jax.__version__}, {count} x cpu\n"


def test_it_speaks_where_jax_finds_no_device(process):
    """What it is for: a section that fails says so, and the others are told."""
    env = os.environ | {"JAX_PLATFORMS": "cuda"}
    asked = process("doctor", env=env)
    assert asked.returncode == 1
    assert f"jaxcolor {jaxcolor.__version__}" in asked.stdout
    assert "no device (JAX_PLATFORMS='cuda'" in asked.stdout
    assert "compiled programs" in asked.stdout
    assert "Traceback" not in asked.stderr
    named = process("--version", env=env)
    assert named.returncode == 0
    assert f"jax {jax.__version__}, no device" in named.stdout
