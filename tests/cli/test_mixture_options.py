"""The method `mixture` on the command line."""

import json

import numpy as np
import pytest

import jaxcolor
from jaxcolor.recipes.look import CLOSENESS
from jaxcolor.transport import em


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (("--method", "mixture"), {}),
        pytest.param(("--components", "3"), {"components": 3}, marks=pytest.mark.long),
        pytest.param(
            ("--method", "mixture", "--components", "auto"),
            {"components": "auto"},
            marks=pytest.mark.long,
        ),
        pytest.param(
            ("--draw", "rand", "--components", "3"),
            {"components": 3, "draw": "rand"},
            marks=pytest.mark.long,
        ),
        (
            ("--components", "3", "--draw", "rand", "--smooth", "guided"),
            {"components": 3, "draw": "rand", "smooth": "guided"},
        ),
    ],
)
def test_the_same_as_in_python(done, pair, small, tmp_path, load, options, given):
    done("transfer", *pair, "-o", tmp_path / "out.png", *options)
    expected = jaxcolor.transfer(*small, method="mixture", **given)
    np.testing.assert_array_equal(load(tmp_path / "out.png"), expected)


def test_auto_leaves_the_number_to_the_criterion(done, pair, small, tmp_path, load, monkeypatch):
    """It is `em.select` that fits then: half a minute of compiling, for which another stands in."""
    fitted = []

    def select(mu, key, **how):
        fitted.append(how)
        return em.likeliest(mu, 3, key, 1, **how)

    monkeypatch.setattr(em, "select", select)
    done("transfer", *pair, "-o", tmp_path / "out.png", "--components", "auto")
    assert fitted == [CLOSENESS["mean"]] * 2
    monkeypatch.undo()
    expected = jaxcolor.transfer(*small, method="mixture", components=3)
    np.testing.assert_array_equal(load(tmp_path / "out.png"), expected)


def test_another_seed_draws_otherwise(done, pair, tmp_path, load):
    options = ("--components", "3", "--draw", "rand")
    for seed in "12":
        done("transfer", *pair, "-o", tmp_path / f"{seed}.png", *options, "--seed", seed)
    done("transfer", *pair, "-o", tmp_path / "again.png", *options, "--seed", "1")
    one, two, again = (load(tmp_path / f"{name}.png") for name in ("1", "2", "again"))
    np.testing.assert_array_equal(one, again)
    assert (one != two).any()


def test_a_set(done, pair, small, tmp_path, load):
    done("harmonize", *pair, "-o", tmp_path / "out", "--method", "mixture", "--components", "2")
    expected = jaxcolor.harmonize(small, method="mixture", components=2)
    for path, pixels in zip(pair, expected, strict=True):
        np.testing.assert_array_equal(load(tmp_path / "out" / path.name), pixels)


def test_a_sheet(done, only, pair, tmp_path):
    only("gaussian", "mixture")
    words = ("compare", *pair, "-o", tmp_path / "a.png", "--json")
    told = [json.loads(done(*words, "--overwrite", *more)) for more in ((), ("--components", "1"))]
    rows = [{one["method"]: one for one in answer["results"]} for answer in told]
    assert rows[0]["mixture"]["sw2"] < rows[1]["mixture"]["sw2"]
    assert rows[0]["gaussian"]["sw2"] == rows[1]["gaussian"]["sw2"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--components", "0"), "within 1..200, got '0'"),
        (("--components", "some"), "got 'some'"),
        (("--draw", "random"), "did you mean 'rand'"),
        (("--look", "natural", "--components", "3"), "sliced has no components"),
        (("--method", "gaussian", "--draw", "mean"), "gaussian has no components and no draw"),
    ],
)
@pytest.mark.parametrize("command", ["transfer", "harmonize"])
def test_usage(cli, pair, tmp_path, command, options, says):
    if command == "harmonize" and options[0] == "--look":
        options, says = ("--components", "3"), "sliced has no components"
    answer = cli(command, *pair, "-o", tmp_path / "out", *options)
    assert answer.code == 2
    assert says in answer.line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("{0}", "{1}", "--draw", "rand", "--lut", "a.cube"), "--lut takes no --draw rand"),
        (("{0}", "--equalize", "--components", "3"), "--equalize takes no --marginal"),
    ],
)
def test_what_does_not_go_together(cli, pair, tmp_path, words, says):
    answer = cli("transfer", *(word.format(*pair) for word in words), "-o", tmp_path / "out.png")
    assert answer.code == 2
    assert says in answer.line
