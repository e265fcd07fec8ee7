"""Looks: what each is made of, and that they keep what they promise."""

import jax
import numpy as np
import pytest

import jaxcolor
from jaxcolor.image.pixels import from_float, full_scale
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.recipes.score import score, sw2
from jaxcolor.recipes.styles import DEFAULT_LOOK, LOOKS, Finish, Style, style

RNG = np.random.default_rng(0)
every_look = pytest.mark.parametrize("look", LOOKS)
# three frames take a third of the time; what follows the map does not know
QUICK = {"bases": 3}


@pytest.fixture(scope="module")
def pair(photographs):
    """(60, 80, 3) and (33, 57, 3) uint8."""
    return photographs[0][:60, :80].copy(), photographs[1][:33, :57].copy()


def as_kind(picture, kind, dtype):
    """A picture with other channels, and values that need all of its dtype's digits."""
    floats = picture / 255
    if kind.startswith("grey"):
        floats = floats[..., 1:2]
    if np.issubdtype(dtype, np.floating):
        floats = np.clip(floats + np.random.default_rng(3).uniform(0, 1e-3, floats.shape), 0, 1)
    if kind in ("rgba", "grey and alpha"):
        alpha = np.ones((*picture.shape[:2], 1))
        alpha[: len(picture) // 3] = 0.5
        floats = np.concatenate([floats, alpha], 2)
    array = from_float(floats, np.dtype(dtype))
    return array[..., 0] if kind == "grey" else array


KINDS = [
    ("rgb", np.uint8),
    ("rgba", np.uint8),
    ("grey", np.uint8),
    ("rgb", np.uint16),
    ("grey and alpha", np.uint16),
    ("rgb", np.float32),
    ("rgba", np.float64),
]
# of what all looks share, one on every kind and the others on one
in_turn = pytest.mark.parametrize(
    ("look", "kind", "dtype"),
    [("gentle", *one) for one in KINDS] + [(look, *KINDS[0]) for look in LOOKS if look != "gentle"],
)


@pytest.mark.parametrize(
    ("look", "kind", "dtype"),
    [
        pytest.param(look, *one, marks=() if look == "faithful" or one in few else pytest.mark.long)
        for few in [(KINDS[0], KINDS[4])]
        for look in LOOKS
        for one in KINDS
    ],
)
def test_every_kind_of_picture(pair, look, kind, dtype):
    source, reference = (as_kind(picture, kind, dtype) for picture in pair)
    before = source.copy()
    result = jaxcolor.transfer(source, reference, look=look, **QUICK)
    np.testing.assert_array_equal(source, before)
    assert (result.dtype, result.shape) == (source.dtype, source.shape)
    assert np.isfinite(result).all()
    assert 0 <= result.min() <= result.max() <= full_scale(result.dtype)
    if kind in ("rgba", "grey and alpha"):
        np.testing.assert_array_equal(result[..., -1], source[..., -1])
    assert sw2(result, reference) < 0.5 * sw2(source, reference)


@in_turn
def test_where_the_mask_is_black_no_bit_changes(pair, look, kind, dtype):
    source, reference = (as_kind(picture, kind, dtype) for picture in pair)
    mask = np.zeros(source.shape[:2], np.uint8)
    mask[:, 40:], mask[:, 38:40] = 255, 100
    result = jaxcolor.transfer(source, reference, look=look, mask=mask, **QUICK)
    np.testing.assert_array_equal(result[:, :38], source[:, :38])
    inside = sw2(result[:, 40:], reference) / sw2(source[:, 40:], reference)
    assert inside < 0.5


@in_turn
def test_strength_0_is_the_source(pair, look, kind, dtype):
    source, reference = (as_kind(picture, kind, dtype) for picture in pair)
    result = jaxcolor.transfer(source, reference, look=look, strength=0, **QUICK)
    np.testing.assert_array_equal(result, source)


@every_look
def test_half_the_strength_lies_between(pair, look):
    source, reference = pair
    half, full = (
        jaxcolor.transfer(source, reference, look=look, strength=s, **QUICK) for s in (0.5, 1)
    )
    assert sw2(full, reference) < sw2(half, reference) < sw2(source, reference)
    low, high = np.minimum(source, full).astype(int), np.maximum(source, full).astype(int)
    # what fades into the gamut takes another way
    assert np.mean((half >= low - 1) & (half <= high + 1)) > 0.95
    middle = (source.astype(float) + full) / 2
    assert np.median(np.abs(half - middle)) <= 1


@pytest.fixture(scope="module")
def scores(photographs):
    """Of every look, and of the bare methods two of them build on."""
    source, reference = photographs
    ways = {look: {"look": look} for look in LOOKS}
    ways |= {method: {"method": method} for method in ("sliced", "gaussian")}
    return {
        name: score(source, reference, jaxcolor.transfer(source, reference, **how))
        for name, how in ways.items()
    }


def test_faithful_is_nearer_than_any_map_and_less_altered(scores):
    faithful, sliced = scores["faithful"], scores["sliced"]
    assert faithful.sw2 < 0.8 * sliced.sw2
    assert abs(np.log(faithful.tv)) < abs(np.log(sliced.tv))
    assert faithful.ssim > sliced.ssim


def test_natural_keeps_more_of_the_source(scores):
    assert scores["natural"].ssim > scores["sliced"].ssim + 0.05
    assert scores["faithful"].sw2 < scores["natural"].sw2 < 0.5 * scores["gaussian"].sw2


def test_gentle_keeps_most(scores):
    assert scores["gentle"].ssim == max(one.ssim for one in scores.values())
    assert scores["gentle"].sw2 < 1.1 * scores["gaussian"].sw2


@every_look
@pytest.mark.parametrize("size", [(1, 1), (1, 50)])
def test_small_pictures(pair, look, size):
    source = RNG.integers(0, 256, (*size, 3)).astype(np.uint8)
    assert jaxcolor.transfer(source, pair[1], look=look, **QUICK).shape == source.shape
    # and one of them as the reference
    assert jaxcolor.transfer(pair[0], source, look=look, **QUICK).shape == pair[0].shape


@every_look
def test_unbounded_pictures_are_not_clipped(look):
    source = RNG.uniform(0, 4, (60, 80, 3)).astype(np.float32)
    reference = (3 * RNG.uniform(0, 1, (60, 80, 3)) ** 2 - 0.5).astype(np.float32)
    result = jaxcolor.transfer(source, reference, look=look, **QUICK)
    assert np.isfinite(result).all()
    assert result.min() < 0
    assert result.max() > 2
    np.testing.assert_allclose(result.mean((0, 1)), reference.mean((0, 1)), atol=0.15)
    black = np.zeros(source.shape[:2], bool)
    black[:, 40:] = True
    masked = jaxcolor.transfer(source, reference, look=look, mask=black, **QUICK)
    np.testing.assert_array_equal(masked[:, :40], source[:, :40])


@pytest.mark.parametrize("value", [(0, 100, 30), (255, 255, 255)])
def test_a_flat_reference(pair, value):
    flat = np.full((5, 6, 3), value, np.uint8)
    plain = jaxcolor.transfer(pair[0], flat, method="sliced").astype(int)
    assert np.abs(plain - value).max() <= 3
    # matched last, its palette is the reference's
    faithful = jaxcolor.transfer(pair[0], flat, look="faithful", **QUICK).astype(int)
    assert np.abs(faithful - value).max() <= 3


def test_the_same_twice(pair):
    one, two = (jaxcolor.transfer(*pair, look="natural", **QUICK) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    other = jaxcolor.transfer(*pair, look="natural", key=jax.random.key(1), **QUICK)
    assert (other != one).any()


def test_transfer_without_a_word_is_natural(pair):
    np.testing.assert_array_equal(
        jaxcolor.transfer(*pair), jaxcolor.transfer(*pair, look=DEFAULT_LOOK)
    )


def test_fit_gives_the_map_of_a_look(pair):
    """Before anything is smoothed: `apply` of it is the transfer without the finish."""
    fitted = jaxcolor.fit(*pair, look="gentle")
    bare = jaxcolor.transfer(*pair, look="gentle", smooth="none", gamut="clip", dither=False)
    np.testing.assert_array_equal(jaxcolor.apply(fitted, pair[0]), bare)


# style


def test_every_look_is_what_style_gives():
    for name, whole in LOOKS.items():
        assert style(name) == whole
        whole.finish.check()
        whole.relaxation.check(whole.method)


def test_what_is_taken_where_nothing_is_said():
    assert style() == LOOKS["natural"]
    assert style(method="sliced") == Style("sliced")
    assert style(method="sliced").finish == Finish()
    assert style(relaxation=Relaxation(blur=0.05)) == Style(
        "sliced",
        bases=10,
        relaxation=Relaxation(blur=0.05),
        finish=LOOKS["natural"].finish,
    )
    assert style(relaxation=Relaxation("kl", reach=0.1)).method == "newton"
    assert style(relaxation=Relaxation("tv", reach=0.1)).method == "sinkhorn"
    assert style(relaxation=Relaxation("tv", reach=0.1)).finish == Finish()


def test_what_is_given_replaces_the_looks():
    given = {"smooth": "regrain", "rounds": 3, "rematch": False, "gamut": "clip", "dither": False}
    asked = style("faithful", bases=7, space="oklab", **given)
    assert asked.finish == Finish(**given)
    assert (asked.method, asked.bases, asked.space) == ("sliced", 7, "oklab")
    kept = style("faithful", smooth=None, rounds=None, space=None, bases=None)
    assert kept == LOOKS["faithful"]
    blurred = style("faithful", relaxation=Relaxation(blur=0.01))
    assert (blurred.relaxation.blur, blurred.finish) == (0.01, LOOKS["faithful"].finish)
    finished = style(method="gaussian", smooth="guided", dither=True)
    assert finished.finish == Finish("guided", dither=True)


@pytest.mark.parametrize(("space", "factor"), [("lab", 100), ("oklab", 1), ("srgb", 1)])
def test_blur_is_a_distance_of_the_space(space, factor):
    usual = LOOKS["natural"].relaxation.blur
    assert style("natural", space=space).relaxation.blur == pytest.approx(factor * usual)
    own = Relaxation(blur=3.0)
    assert style("natural", relaxation=own, space=space).relaxation.blur == 3.0
    assert style("gentle", space=space).relaxation.blur is None


def test_in_lab_a_look_is_about_the_same(pair):
    source, reference = pair
    left = [
        sw2(jaxcolor.transfer(source, reference, look="natural", space=space), reference)
        for space in ("srgb", "lab")
    ]
    assert left[1] < 2 * left[0]


@pytest.mark.parametrize(
    ("words", "options", "says"),
    [
        (("natural", "sliced"), {}, "look 'natural' or method 'sliced'"),
        (("natrual",), {}, "did you mean 'natural'"),
        ((None, "slicd"), {}, "did you mean 'sliced'"),
        ((), {"smooth": "guide"}, "unknown smoothing 'guide': did you mean 'guided'"),
        ((), {"gamut": "fad"}, "unknown gamut mapping 'fad': did you mean 'fade'"),
        ((), {"rounds": 0}, "at least 1"),
        ((None, "sliced"), {"rounds": 2}, "choose a smooth"),
        ((None, "sliced"), {"rematch": True}, "choose a smooth"),
        (("faithful",), {"smooth": "none"}, "choose a smooth"),
        ((None, "reinhard"), {"space": "lab"}, "own space"),
        (("gentle",), {"relaxation": Relaxation(blur=0.1)}, "gaussian has no blur"),
        (("natural",), {"relaxation": Relaxation("kl", reach=0.1)}, "sliced knows no marginal"),
        ((), {"relaxation": Relaxation(blur=-1.0)}, "above 0"),
    ],
)
def test_what_does_not_go_together_is_said(words, options, says):
    with pytest.raises(ValueError, match=says):
        style(*words, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"look": "natural", "method": "sliced"}, "look 'natural' or method 'sliced'"),
        ({"method": "gaussian", "rounds": 2}, "choose a smooth"),
        ({"smooth": "median"}, "unknown smoothing"),
        ({"look": "gentle", "blur": 0.1}, "no blur"),
        ({"look": "natural", "strength": 1.1}, "0..1"),
        ({"look": "natural", "strength": float("nan")}, "0..1"),
        ({"look": "natural", "space": "hsv"}, "unknown space"),
    ],
)
def test_transfer_says_it_too(pair, options, says):
    with pytest.raises(ValueError, match=says):
        jaxcolor.transfer(*pair, **options)
