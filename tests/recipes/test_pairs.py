"""Many pairs: the same pixels as one by one, each picture read and reduced once."""

import threading
from functools import partial

import jax
import numpy as np
import pytest
from image.profiles import display_p3

import jaxcolor
from jaxcolor.image import files, pixels
from jaxcolor.recipes.pairs import Album, side_by_side, transfer_pairs

METHODS = ("gaussian", "sliced")


@pytest.fixture
def shots(photographs, tmp_path):
    """Four pictures of different sizes, numbers of colours and kinds, as files."""
    coffee, rocket = photographs
    kinds = {
        "coffee.png": files.Picture(coffee),
        "rocket.png": files.Picture(rocket[:60], display_p3()),
        "deep.png": files.Picture(coffee[:33, ::-1].astype(np.uint16) * 257),
        "grey.png": files.Picture(rocket[:, :41, 1].copy()),
    }
    for name, picture in kinds.items():
        files.write(tmp_path / name, picture)
    return [tmp_path / name for name in kinds]


def ordered_pairs(paths):
    return [(a, b) for a in paths for b in paths if a != b]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_as_one_by_one(shots, method):
    chosen = partial(jaxcolor.transfer, method=method)
    together = ordered_pairs(shots)[::2]  # each is a source, and a reference
    for (source, reference), result in zip(together, transfer_pairs(together, chosen), strict=True):
        assert isinstance(result, files.Picture)
        own = files.read(source)
        goal = files.convert(files.read(reference), own.profile)
        alone = jaxcolor.transfer(own.pixels, goal.pixels, method=method)
        assert result.profile == own.profile
        np.testing.assert_array_equal(result.pixels, alone)


def test_one_that_fails_leaves_the_others(shots, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    wrong = [(shots[0], tmp_path / "none.png"), (tmp_path / "text.png", shots[0])]
    missing, text, good = transfer_pairs([*wrong, (shots[0], shots[1])])
    assert isinstance(missing, FileNotFoundError)
    assert isinstance(text, ValueError)
    assert isinstance(good, files.Picture)


def counted(monkeypatch, place, name):
    """How often a function is called from now on, one entry each."""
    calls, function = [], getattr(place, name)
    monkeypatch.setattr(place, name, lambda *a, **k: calls.append(a) or function(*a, **k))
    return calls


def test_each_is_read_and_reduced_once(shots, monkeypatch):
    read, reduced = counted(monkeypatch, files, "read"), counted(monkeypatch, pixels, "Distinct")
    chosen = partial(jaxcolor.transfer, method="sliced")
    list(transfer_pairs(ordered_pairs(shots[:1] + shots[3:]) * 3, chosen))
    assert (len(read), len(reduced)) == (2, 2)


def test_the_album_keeps_the_last_used(shots, monkeypatch):
    sizes = [files.read(path).pixels[..., 0].size for path in shots[:3]]
    read = counted(monkeypatch, files, "read")
    album = Album(sum(sizes) - 1)  # any two of the three
    for k in (0, 1, 0, 2, 0, 1, 2):  # 2 takes the place of 1, 1 that of 2, 2 that of 0
        album.open(shots[k])
    assert [call[0] for call in read] == [shots[k] for k in (0, 1, 2, 1, 2)]


def test_one_picture_stays_however_large(shots):
    album = Album(1)
    assert album.open(shots[0]) is album.open(shots[0])


def test_a_picture_is_converted_once_for_each_profile(shots, monkeypatch):
    converted = counted(monkeypatch, files, "convert")
    album, profile = Album(), display_p3()
    assert album.convert(shots[1], profile) is album.open(shots[1])
    assert album.convert(shots[0], profile) is album.convert(shots[0], profile)
    assert album.convert(shots[0], profile).picture.profile == profile
    assert album.convert(shots[0], None) is album.open(shots[0])
    assert len(converted) == 1


# what padding a sample compiles for a number of colours (below its size) not met before
PADDING = {"jit(stage)"}


@pytest.mark.parametrize(("method", "besides"), [("gaussian", set()), ("sliced", PADDING)])
def test_the_programs_are_compiled_for_the_first_pair(photographs, tmp_path, method, besides):
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for k, path in enumerate(paths):
        files.write(path, files.Picture(photographs[k % 2][k:, : 60 + 9 * k].copy()))
    compiled = []

    def note(event, seconds, fun_name="", **rest):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(fun_name)

    chosen = partial(jaxcolor.transfer, method=method)
    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        list(transfer_pairs([(paths[0], paths[1])], chosen))
        assert {"gaussian": "jit(between)", "sliced": "jit(solve)"}[method] in compiled
        compiled.clear()
        list(transfer_pairs(ordered_pairs(paths), chosen))
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert set(compiled) <= besides


def test_side_by_side_keeps_the_order_and_runs_several_at_a_time():
    meet = threading.Barrier(2, timeout=20)  # broken, and an error, unless two are there at once

    def one(k):
        meet.wait()
        return k

    assert list(side_by_side(one, range(8), workers=2)) == list(range(8))


def test_side_by_side_is_never_far_ahead():
    begun = []
    results = side_by_side(begun.append, range(1000), workers=2)
    next(results)
    results.close()
    assert len(begun) <= 6


def test_an_error_ends_it():
    begun = []

    def one(k):
        begun.append(k)
        if k == 3:
            raise RuntimeError("three")

    with pytest.raises(RuntimeError, match="three"):
        list(side_by_side(one, range(1000), workers=2))
    assert len(begun) <= 10


def test_an_album_may_be_shared(shots, monkeypatch):
    album = Album()
    list(transfer_pairs([(shots[0], shots[1])], album=album))
    read = counted(monkeypatch, files, "read")
    list(transfer_pairs([(shots[1], shots[0])], album=album))
    assert read == []
