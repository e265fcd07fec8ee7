"""What `jaxcolor doctor` and `--version` say is what is here."""

import importlib.metadata

import jax
import pytest

import jaxcolor
from jaxcolor.cli import doctor
from jaxcolor.cli.common import CACHE


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder with two compiled programs, 3,000 bytes, and a file of somebody else's."""
    monkeypatch.setenv(CACHE, str(tmp_path))
    for name in ("jit_a-1-cache", "jit_b-2-cache"):
        (tmp_path / name).write_bytes(bytes(1500))
    (tmp_path / "letter.txt").write_text("keep")
    return tmp_path


def test_it_tells_what_is_here(done, cache):
    said = done("doctor")
    assert f"jaxcolor {jaxcolor.__version__}" in said
    assert f"jax {jax.__version__}" in said
    assert f"{jax.device_count()} x cpu" in said
    assert f"av {importlib.metadata.version('av')} (clips)" in said
    assert "clips are written as h264" in said
    assert "newton: jax\n" in said
    assert f"{cache} (of {CACHE}): 2 files, 0.0 MB" in said
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
    assert done("doctor", "--clear-cache") == f"{cache}: 2 files deleted, 0.0 MB\n"
    assert [path.name for path in cache.iterdir()] == ["letter.txt"]
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
