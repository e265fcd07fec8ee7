"""The optimal-transport methods on the command line: marginals, reach, range, blur."""

import numpy as np
import pytest

from jaxcolor.recipes import compare
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.recipes.score import score
from jaxcolor.recipes.styles import LOOKS

MARGINALS = {
    "balanced": (),
    "kl": ("--reach", "0.15"),
    "tv": ("--reach", "0.3"),
    "range": ("--range", "0.5", "2"),
    "mixed": ("--reach", "0.4"),
}


def some(*names: str) -> list:
    """These marginals slow, the others long."""
    marks = {name: pytest.mark.slow if name in names else pytest.mark.long for name in MARGINALS}
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


@pytest.mark.parametrize("marginal", some("kl", "range"))
def test_every_marginal_gives_a_picture_that_is_nearer(done, pair, small, tmp_path, load, marginal):
    out = tmp_path / "out.png"
    # no method named: the options call for one
    blur = () if marginal != "balanced" else ("--blur", "0.05")
    done("transfer", *pair, "-o", out, "--marginal", marginal, *MARGINALS[marginal], *blur)
    before, after = score(*small, small[0]), score(*small, load(out))
    assert after.sw2 < 0.97 * before.sw2


@pytest.mark.parametrize("marginal", some("kl"))
def test_the_grid_takes_every_marginal(done, pair, small, tmp_path, load, marginal):
    out = tmp_path / "out.png"
    counts = () if marginal == "balanced" else ("--counts",)
    words = ("--method", "grid", "--marginal", marginal, *MARGINALS[marginal], *counts)
    done("transfer", *pair, "-o", out, *words)
    before, after = score(*small, small[0]), score(*small, load(out))
    assert after.sw2 < 0.97 * before.sw2


def two_tone(save):
    """A source half dark grey, half pure red; a reference that is all slightly lighter grey."""
    rng = np.random.default_rng(0)
    source = np.zeros((40, 60, 3), np.uint8)
    source[:, :30] = 60
    source[:, 30:, 0] = 230
    noise = rng.integers(0, 6, source.shape).astype(np.uint8)
    reference = np.full((30, 30, 3), 90, np.uint8) + noise[:30, :30]
    return save("source.png", source + noise), save("reference.png", reference), source + noise


@pytest.mark.parametrize(("marginal", "reach"), [("kl", 0.1), ("tv", 0.3)])
def test_colours_without_a_partner_stay_as_they_are(done, save, tmp_path, load, marginal, reach):
    source, reference, pixels = two_tone(save)
    out = tmp_path / "out.png"
    done("transfer", source, reference, "-o", out, "--marginal", marginal, "--reach", reach)
    moved = np.abs(load(out).astype(int) - pixels).max(-1)
    assert moved[:, 30:].max() <= 2  # nothing near red
    assert np.median(moved[:, :30]) > 15  # grey has gone to its neighbour
    # whereas a balanced plan knows no distance
    done("transfer", source, reference, "-o", out, "--method", "newton", "--overwrite")
    assert np.abs(load(out).astype(int) - pixels).max(-1)[:, 30:].min() > 100


def test_a_range_that_may_lose_everything_keeps_what_is_far(done, save, tmp_path, load):
    source, reference, pixels = two_tone(save)
    out = tmp_path / "out.png"
    limits = ("--marginal", "range", "--range", "0", "2")
    done("transfer", source, reference, "-o", out, *limits)
    assert np.abs(load(out).astype(int) - pixels).max() <= 2  # nothing has to move at all


def test_less_blur_is_closer(done, pair, small, tmp_path, load):
    left = []
    for blur in ("0.01", "0.2"):
        out = tmp_path / f"{blur}.png"
        done("transfer", *pair, "-o", out, "--method", "newton", "--blur", blur)
        left.append(score(*small, load(out)).sw2)
    assert left[0] < 0.5 * left[1]


@pytest.mark.slow
def test_exact_in_lab_with_a_table(cli, pair, small, tmp_path, load):
    out, cube = tmp_path / "out.png", tmp_path / "look.cube"
    words = ("-o", out, "--method", "exact", "--space", "lab", "--lut", cube)
    answer = cli("transfer", *pair, *words)
    assert answer.code == 0
    assert "dB from the map" in answer.out
    assert "too steep" in answer.err  # nothing bakes worse than a map without smoothing
    assert score(*small, load(out)).sw2 < 0.2 * score(*small, small[0]).sw2


def test_compare_leaves_out_what_cannot_have_the_marginal(done, pair, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(compare, "compare", lambda *given: asked.update(given[-1]) or [])
    done("compare", *pair, "-o", tmp_path / "sheet.png", "--marginal", "tv", "--reach", "0.2")
    named = ["histogram", "reinhard", "gaussian", "mixture", "sliced", "sinkhorn", "grid"]
    assert list(asked) == [*LOOKS, *named]
    for name in ("sinkhorn", "grid"):
        assert asked[name].relaxation == Relaxation("tv", reach=0.2)
