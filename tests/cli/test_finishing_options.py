"""Looks and what follows the map, as options of the commands: the pixels are the API's."""

import numpy as np
import pytest

import jaxcolor
from jaxcolor.image import SMOOTHINGS, lut
from jaxcolor.image.output import InGamut
from jaxcolor.image.pixels import view
from jaxcolor.recipes.finish import Change
from jaxcolor.recipes.styles import LOOKS, Finish

QUICK = ("--look", "natural", "--bases", "3")
GENTLE = ("--method", "gaussian")


@pytest.fixture
def transferred(done, pair, tmp_path, load):
    """The pixels that `jaxcolor transfer` writes."""

    def run(*options):
        out = tmp_path / "out.png"
        assert done("transfer", *pair, "-o", out, "--overwrite", *options) == f"{out}: 60x40\n"
        return load(out)

    return run


# transfer


@pytest.mark.parametrize("look", LOOKS)
def test_every_look(transferred, small, look):
    expected = jaxcolor.transfer(*small, look=look, bases=3)
    np.testing.assert_array_equal(transferred("--look", look, "--bases", "3"), expected)


def test_without_a_word_the_look_is_natural(transferred, small):
    result = transferred()
    np.testing.assert_array_equal(result, jaxcolor.transfer(*small))
    np.testing.assert_array_equal(result, jaxcolor.transfer(*small, look="natural"))


def test_every_smoothing(transferred, small):
    seen = set()
    for smooth in SMOOTHINGS:
        result = transferred(*GENTLE, "--smooth", smooth)
        expected = jaxcolor.transfer(*small, method="gaussian", smooth=smooth)
        np.testing.assert_array_equal(result, expected)
        seen.add(result.tobytes())
    assert len(seen) == len(SMOOTHINGS)
    np.testing.assert_array_equal(result, transferred(*GENTLE))  # the last is none


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (("--rounds", "2", "--rematch"), {"rounds": 2, "rematch": True}),
        (("--rematch",), {"rematch": True}),
        (("--no-rematch",), {"rematch": False}),
        (("--no-dither",), {"dither": False}),
        (("--gamut", "clip"), {"gamut": "clip"}),
        (("--smooth", "guided", "--strength", "0.4"), {"smooth": "guided", "strength": 0.4}),
        (("--blur", "0.05"), {"blur": 0.05}),
    ],
)
def test_options_replace_the_looks(transferred, small, options, given):
    result = transferred(*QUICK, *options)
    usual = jaxcolor.transfer(*small, look="natural", bases=3)
    expected = jaxcolor.transfer(*small, look="natural", bases=3, **given)
    np.testing.assert_array_equal(result, expected)
    assert (expected == usual).all() == (given == {"rematch": False})


def test_a_method_takes_them_too(transferred, small):
    given = {"smooth": "yaroslavsky", "rounds": 2, "gamut": "fade", "dither": True}
    result = transferred(
        *GENTLE, "--smooth", "yaroslavsky", "--rounds", "2", "--gamut", "fade", "--dither"
    )
    np.testing.assert_array_equal(result, jaxcolor.transfer(*small, method="gaussian", **given))


def test_no_strength_is_the_source(transferred, small):
    np.testing.assert_array_equal(transferred(*QUICK, "--strength", "0"), small[0])


def test_both_ways(done, pair, small, tmp_path, load):
    there, back = tmp_path / "there.png", tmp_path / "back.png"
    done("transfer", *pair, "-o", there, "--both", back, *QUICK)
    for path, (source, reference) in ((there, small), (back, small[::-1])):
        expected = jaxcolor.transfer(source, reference, look="natural", bases=3)
        np.testing.assert_array_equal(load(path), expected)


def test_equalize_can_be_smoothed(done, pair, tmp_path, load):
    for name, options in (("a", ()), ("b", ("--smooth", "guided"))):
        done("transfer", pair[0], "-o", tmp_path / f"{name}.png", "--equalize", *options)
    assert np.abs(load(tmp_path / "a.png").astype(int) - load(tmp_path / "b.png")).max() > 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--look", "natural", "--method", "sliced"), "look 'natural' or method 'sliced'"),
        (("--look", "natrual"), "did you mean 'natural'"),
        (("--smooth", "guide"), "did you mean 'guided'"),
        (("--gamut", "fad"), "did you mean 'fade'"),
        (("--rounds", "0"), "within 1..10"),
        (("--rounds", "two"), "a whole number"),
        (("--method", "sliced", "--rounds", "2"), "choose a smooth"),
        (("--method", "sliced", "--rematch"), "choose a smooth"),
        (("--look", "faithful", "--smooth", "none"), "choose a smooth"),
        (("--method", "reinhard", "--space", "lab"), "own space"),
        (("--look", "gentle", "--blur", "0.1"), "gaussian has no blur"),
        (("--look", "natural", "--marginal", "kl", "--reach", "0.1"), "sliced knows no marginal"),
    ],
)
@pytest.mark.parametrize("command", ["transfer", "batch", "morph"])
def test_usage(cli, pair, tmp_path, command, options, says):
    places = ["pairs.csv"] if command == "batch" else pair
    answer = cli(command, *places, "-o", tmp_path / "out", *options)
    assert answer.code == 2
    assert says in answer.line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--look", "gentle"), "leave --method and --look out"),
        (("--smooth", "guided", "--rounds", "2"), "nothing to match again"),
        (("--smooth", "guided", "--rematch"), "nothing to match again"),
    ],
)
def test_usage_of_equalize(cli, pair, tmp_path, options, says):
    answer = cli("transfer", pair[0], "-o", tmp_path / "out.png", "--equalize", *options)
    assert answer.code == 2
    assert says in answer.line


# tables


def test_a_table_says_that_smoothing_is_not_in_it(done, pair, tmp_path):
    cube, size = tmp_path / "a.cube", ("--lut-size", "17", "--overwrite")
    lut_of = ("transfer", *pair, "-o", tmp_path / "a.png", "--lut", cube)
    told = done(*lut_of, *size, "--look", "gentle").splitlines()
    assert len(told) == 3
    assert told[1].startswith(f"{cube}: 17x17x17, ")
    assert told[2] == f"{cube}: the map of colours alone; smoothing (--smooth) is not in it"
    smoothed = cube.read_bytes()
    assert len(done(*lut_of, *size, *GENTLE, "--gamut", "fade").splitlines()) == 2
    # and it is not: the same map, the same table
    assert cube.read_bytes() == smoothed
    # but the gamut mapping is
    done(*lut_of, *size, *GENTLE)
    assert cube.read_bytes() != smoothed


@pytest.mark.filterwarnings("default")
def test_a_table_far_from_its_map_warns(cli, pair, tmp_path):
    cube = tmp_path / "a.cube"
    answer = cli(
        *("transfer", *pair, "-o", tmp_path / "a.png", "--lut", cube, "--lut-size", "5"),
        *("--method", "sliced"),
    )
    assert answer.code == 0
    [warning] = answer.err.splitlines()
    assert warning.startswith(f"jaxcolor: warning: {cube}: ")
    assert "40 would be safe" in warning
    assert float(warning.split(": ")[3].split(" dB")[0]) < 40
    assert cube.is_file()


def test_a_table_is_fitted_to_the_picture(done, pair, small, tmp_path):
    """Closer than its map sampled on the grid, by the figure that is told."""
    cube = tmp_path / "a.cube"
    told = done(
        *("transfer", *pair, "-o", tmp_path / "a.png", "--lut", cube, "--lut-size", "17"),
        *("--look", "natural"),
    ).splitlines()[1]
    fitted = InGamut(jaxcolor.fit(*small))
    sampled, *_ = jaxcolor.image.bake.bake_error(jaxcolor.bake(fitted, 17), fitted, small[0])
    saved, *_ = jaxcolor.image.bake.bake_error(lut.load(cube), fitted, small[0])
    assert float(told.split(", ")[1].split(" dB")[0]) == pytest.approx(saved, abs=0.06)
    assert saved > sampled + 3


@pytest.fixture
def cube(tmp_path):
    """A table that makes grain: neighbours on its grid differ."""
    table = np.random.default_rng(0).uniform(-0.2, 1.2, (9, 9, 9, 3)).astype(np.float32)
    lut.Lut(table, np.array([[0.0] * 3, [1.0] * 3], np.float32)).save(tmp_path / "grain.cube")
    return tmp_path / "grain.cube"


@pytest.mark.parametrize(
    ("options", "how"),
    [
        (("--smooth", "guided"), Finish("guided")),
        (("--smooth", "yaroslavsky", "--dither"), Finish("yaroslavsky", dither=True)),
        (("--gamut", "fade"), Finish(gamut="fade")),
        (("--smooth", "none"), Finish()),
    ],
)
def test_lut_apply_smooths(done, pair, small, cube, tmp_path, load, options, how):
    out = tmp_path / "out.png"
    assert done("lut", "apply", pair[0], cube, "-o", out, *options) == f"{out}: 60x40\n"
    expected = Change(lut.load(cube), view(small[0]), how).at()
    np.testing.assert_array_equal(load(out), expected)
    done("lut", "apply", pair[0], cube, "-o", tmp_path / "plain.png")
    assert (load(tmp_path / "plain.png") == expected).all() == (how == Finish())


@pytest.mark.parametrize("option", [("--rounds", "2"), ("--rematch",), ("--look", "gentle")])
def test_lut_apply_has_nothing_to_match(cli, pair, cube, tmp_path, option):
    answer = cli("lut", "apply", pair[0], cube, "-o", tmp_path / "out.png", *option)
    assert answer.code == 2
    assert option[0] in answer.line


# the other commands


def test_harmonize_smooths(done, pair, small, tmp_path, load):
    done("harmonize", *pair, "-o", tmp_path / "out", *GENTLE, "--smooth", "guided", "--rematch")
    expected = jaxcolor.harmonize(small, method="gaussian", smooth="guided", rematch=True)
    for path, pixels in zip(pair, expected, strict=True):
        np.testing.assert_array_equal(load(tmp_path / "out" / path.name), pixels)
    plain = jaxcolor.harmonize(small, method="gaussian")
    assert (plain[0] != expected[0]).any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--rounds", "2"), "choose a smooth"),
        (("--smooth", "guide"), "did you mean 'guided'"),
        (("--look", "gentle"), "--look"),
    ],
)
def test_usage_of_harmonize(cli, pair, tmp_path, options, says):
    answer = cli("harmonize", *pair, "-o", tmp_path / "out", *options)
    assert answer.code == 2
    assert says in answer.line
    assert not (tmp_path / "out").exists()


def test_morph_in_a_look(done, pair, small, tmp_path, load):
    done("morph", *pair, "-o", tmp_path / "out", "--steps", "3", "--bases", "3")
    first, middle, last = (load(tmp_path / "out" / f"source_0{k}.png") for k in (1, 2, 3))
    np.testing.assert_array_equal(first, small[0])
    np.testing.assert_array_equal(last, jaxcolor.transfer(*small, bases=3))
    np.testing.assert_array_equal(middle, jaxcolor.transfer(*small, bases=3, strength=0.5))


def test_shapes_take_none_of_it(cli, pair, tmp_path):
    for option in (("--look", "gentle"), ("--smooth", "guided"), ("--no-dither",)):
        answer = cli("morph", *pair, "-o", tmp_path / "out", "--shapes", *option)
        assert answer.code == 2
        assert "moves ink" in answer.line


def test_a_batch_remembers_how_it_was_finished(cli, pair, small, tmp_path, load):
    (tmp_path / "pairs.csv").write_text(f"source,reference,output\n{pair[0]},{pair[1]},a.png\n")
    out = tmp_path / "out"

    def batch(*options):
        return cli("batch", tmp_path / "pairs.csv", "-o", out, "--look", "gentle", *options)

    def held():
        return {path.name: path.read_bytes() for path in out.iterdir()}

    assert batch().code == 0
    before = held()
    np.testing.assert_array_equal(load(out / "a.png"), jaxcolor.transfer(*small, look="gentle"))
    again = batch()
    assert (again.code, again.out.splitlines()[0]) == (0, "resumed: 1 of 1 done already")
    # saying what the look says anyway changes nothing
    assert batch("--smooth", LOOKS["gentle"].finish.smooth).code == 0
    assert held() == before
    for other in (("--smooth", "guided"), ("--no-dither",), ("--gamut", "clip"), ("--rounds", "2")):
        refused = batch(*other)
        assert refused.code == 1
        assert "other settings" in refused.line
        assert "--overwrite" in refused.line
        assert held() == before
    assert batch("--smooth", "guided", "--overwrite").code == 0
    expected = jaxcolor.transfer(*small, look="gentle", smooth="guided")
    np.testing.assert_array_equal(load(out / "a.png"), expected)


def test_a_look_with_all_of_its_finish_replaced(transferred, small):
    result = transferred(
        *("--look", "gentle", "--smooth", "guided", "--rounds", "2", "--rematch", "--no-dither")
    )
    given = {"smooth": "guided", "rounds": 2, "rematch": True, "dither": False}
    np.testing.assert_array_equal(result, jaxcolor.transfer(*small, look="gentle", **given))


def test_a_result_further_than_its_source_warns(cli, pair, tmp_path, monkeypatch):
    from jaxcolor.recipes import score

    words = ("transfer", *pair, "-o", tmp_path / "a.png", "--overwrite", "--method", "gaussian")
    assert cli(*words).err == ""
    monkeypatch.setattr(score, "further", lambda *pictures: True)
    answer = cli(*words)
    assert answer.code == 0
    assert "is further from the colours of its reference" in answer.err
    monkeypatch.setattr(score, "further", lambda *pictures: 1 / 0)  # not asked with a mask
    assert cli(*words, "--mask", pair[0]).code == 0
