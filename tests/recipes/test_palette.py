"""Palettes: extracted, written, read, drawn, and as references."""

import json

import jax
import numpy as np
import pytest
from skimage.color import rgb2lab

import jaxcolor
from jaxcolor.image.pixels import view
from jaxcolor.recipes import METHODS
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.palette import Palette, extract, from_rgb, read, write
from jaxcolor.recipes.references import convert
from jaxcolor.recipes.score import sw2

SLOW = "mixture", "exact", "sinkhorn", "grid"
RED, BLACK, TEAL = (255, 0, 0), (0, 0, 0), (0, 128, 128)


@pytest.fixture(scope="module")
def own(photographs):
    """128 colours of a photograph."""
    return extract(photographs[1])


@pytest.fixture
def by_hand(tmp_path):
    """Write something as JSON; returns the path."""

    def write(value):
        text = value if isinstance(value, str) else json.dumps(value)
        (tmp_path / "hand.json").write_text(text)
        return tmp_path / "hand.json"

    return write


# extraction


def test_few_colours_come_back_as_they_are():
    picture = np.full((10, 10, 3), RED, np.uint8)
    picture[:3] = BLACK
    picture[3:4] = TEAL
    found = extract(picture, 8)
    assert found.codes == ["#ff0000", "#000000", "#008080"]
    np.testing.assert_allclose(found.weights, [0.6, 0.3, 0.1], atol=1e-6)
    assert found.points.dtype == found.weights.dtype == np.float32


def test_it_stands_for_the_picture(photographs, own):
    """Mass and mean are kept, the covariance with the spread; more colours are nearer."""
    assert len(own) == 128
    assert own.weights.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(own.weights) <= 0).all()
    mean, covariance = Look([photographs[1]]).moments(jaxcolor.recipes.palette.LAB)
    np.testing.assert_allclose(own.weights @ own.points, mean, atol=1e-3)
    few = extract(photographs[1], 8)
    total = np.trace(covariance)
    lost = [total - one.weights @ ((one.points - mean) ** 2).sum(1) for one in (own, few)]
    assert 0 < lost[0] < 0.15 * lost[1]
    assert lost[0] < 0.01 * total
    for one, rest in zip((own, few), lost, strict=True):
        assert one.weights @ one.spread**2 == pytest.approx(rest, rel=0.02)


def test_alpha_and_mask_count(photographs):
    picture = photographs[1]
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[:40] = 255
    half = extract(picture[:40], 16)
    for same in (
        extract(picture, 16, mask=mask),
        extract(np.dstack([picture, mask]), 16),
        extract(view(picture, mask), 16),
    ):
        np.testing.assert_allclose(same.points, half.points, atol=1e-3)
        np.testing.assert_allclose(same.weights, half.weights, atol=1e-6)
    with pytest.raises(ValueError, match="nothing to fit"):
        extract(picture, 16, mask=0 * mask)


def test_a_key_is_a_draw(photographs, own):
    again = extract(photographs[1], key=jax.random.key(0))
    other = extract(photographs[1], key=jax.random.key(1))
    assert np.array_equal(again.points, own.points)
    assert not np.array_equal(other.points, own.points)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_and_grey_pictures(photographs, dtype):
    grey = photographs[1][..., 0]
    deep = (grey / 255 * (65535 if dtype == np.uint16 else 1)).astype(dtype)
    found = extract(deep, 8)
    np.testing.assert_allclose(found.points, extract(grey, 8).points, atol=0.1)
    assert np.abs(found.points[:, 1:]).max() < 0.01


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (([[1, 2]],), r"\(k, 3\)"),
        ((np.zeros((0, 3)),), "n >= 1"),
        (([[1, 2, 3]], [1, 2]), "to match points"),
        (([[1, 2, 3]], [-1]), ">= 0"),
        (([[1, 2, 3], [1, 2, 3]], [0, 0]), "at least one positive"),
        (([[1, 2, np.nan]],), "finite"),
        (([[1, 2, 3]], None, [-1]), "spread must be 1 finite numbers >= 0"),
        (([[1, 2, 3]], None, [1, 2]), "spread must be 1"),
    ],
)
def test_what_is_no_palette(parts, says):
    with pytest.raises(ValueError, match=says):
        Palette(*parts)


def test_k_is_at_least_one(photographs):
    with pytest.raises(ValueError, match="k and steps"):
        extract(photographs[1], 0)


# files


def test_a_file_gives_back_every_bit(tmp_path, own):
    rng = np.random.default_rng(0)
    odd = Palette(
        rng.normal(0, 60, (40, 3)) * 10.0 ** rng.integers(-9, 1, (40, 1)),
        10.0 ** rng.uniform(-30, 6, 40),
        rng.uniform(0, 9, 40),
    )
    for palette in (own, odd):
        write(tmp_path / "p.json", palette)
        again = read(tmp_path / "p.json")
        assert np.array_equal(again.points, palette.points)
        assert np.array_equal(again.weights, palette.weights)
        assert np.array_equal(again.spread, palette.spread)
    assert own.spread.any()
    assert [one.name for one in tmp_path.iterdir()] == ["p.json"]


def test_the_file_is_for_people_too(tmp_path):
    write(tmp_path / "p.json", from_rgb(np.array([[1, 0.5, 0]]), [0.25]))
    assert (tmp_path / "p.json").read_text().splitlines()[:5] == [
        "{",
        '  "version": 1,',
        '  "space": "lab",',
        '  "white": "D65",',
        '  "colors": [',
    ]
    [one] = json.loads((tmp_path / "p.json").read_text())["colors"]
    assert one["hex"] == "#ff8000"
    assert one["weight"] == 0.25
    np.testing.assert_allclose(one["lab"], rgb2lab([1, 0.5, 0]), atol=0.05)


CODES = ["#264653", "#e9c46a", "#e76f51"]


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        (CODES, [1 / 3] * 3),
        ({"colors": CODES}, [1 / 3] * 3),
        ({"colors": CODES, "weights": [3, 1, 0]}, [3, 1, 0]),
        ([{"hex": code, "weight": 2} for code in CODES], [2, 2, 2]),
        # as a designers' site exports it
        ([{"name": "x", "hex": code[1:].upper(), "rgb": [1, 2, 3]} for code in CODES], [1 / 3] * 3),
        (f"\ufeff \n{json.dumps(CODES)}", [1 / 3] * 3),
    ],
)
def test_palettes_of_others(by_hand, value, weights):
    found = read(by_hand(value))
    assert found.codes == CODES
    np.testing.assert_allclose(found.weights, weights, rtol=1e-6)


def test_lab_alone_and_short_codes(by_hand):
    found = read(by_hand({"colors": [{"lab": [50, 0, 0]}, "#f80"]}))
    assert found.codes == ["#777777", "#ff8800"]
    assert found.points[0].tolist() == [50, 0, 0]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "it is no JSON"),
        ("{'colors': []}", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ([], "expected colours in a list"),
        (3, "expected colours in a list"),
        ({"colours": CODES}, "expected colours in a list"),
        ({"colors": "#264653"}, "expected colours in a list"),
        ({"version": 2, "colors": CODES}, '"version" is 2; only 1 can be read'),
        ({"space": "oklab", "colors": CODES}, '"space" is "oklab"; only "lab"'),
        ({"white": "D50", "colors": CODES}, '"white" is "D50"'),
        (["#264653", "#26465"], "colour 2: expected a colour like"),
        (["#264653", "teal"], "colour 2: expected a colour like"),
        (["#264653", 7], "colour 2: expected a colour like"),
        ([{"weight": 1}], 'colour 1 has neither "hex" nor "lab"'),
        ([{"lab": [50, 0]}], r'colour 1: "lab" must be \[L, a, b\]'),
        ([{"lab": [50, 0, "x"]}], "finite numbers, got 'x'"),
        ('[{"lab": [50, 0, NaN]}]', "finite numbers, got 'nan'"),
        ([{"lab": [50, 0, 10**400]}], "finite numbers"),
        ([{"hex": "#fff", "weight": True}], '"weight" takes finite numbers'),
        ([{"hex": "#fff", "weight": -1}], 'colour 1: "weight" must be >= 0, got -1'),
        ([{"hex": "#fff", "spread": -1}], 'colour 1: "spread" must be >= 0, got -1'),
        ([{"hex": "#fff", "weight": 0}], "at least one positive"),
        ([{"hex": "#fff", "weight": 1}, "#000"], "a weight with each colour"),
        ({"colors": CODES, "weights": [1, 2]}, "one for each of 3 colours"),
        ({"colors": CODES, "weights": [1, 2, -1]}, ">= 0"),
        ([{"hex": "#264653", "lab": [28, -10, -12]}], "two colours; leave one of them out"),
    ],
)
def test_what_cannot_be_read(by_hand, value, says):
    with pytest.raises(ValueError, match=says) as caught:
        read(by_hand(value))
    assert "hand.json" in str(caught.value)


# as a reference


@pytest.mark.parametrize(
    "asked",
    [
        {"look": "natural"},
        *({"method": method} for method in METHODS if method not in SLOW),
        pytest.param({"look": "faithful"}, marks=pytest.mark.slow),
        *(pytest.param({"method": method}, marks=pytest.mark.slow) for method in SLOW),
    ],
    ids=lambda asked: next(iter(asked.values())),
)
def test_it_does_as_its_picture_does(photographs, own, asked):
    """Measured: .0003 to .0025, mixture, whose fits differ, .012; the pictures are .31 apart."""
    source, reference = photographs
    by_picture = jaxcolor.transfer(source, reference, **asked)
    by_palette = jaxcolor.transfer(source, own, **asked)
    assert sw2(by_palette, by_picture) < (0.02 if asked == {"method": "mixture"} else 0.005)
    assert sw2(by_palette, reference) < sw2(by_picture, reference) + 0.002


def test_spread_keeps_a_gradient_smooth(photographs):
    """Between bare points it takes steps: 90 colours are left, where the picture leaves 749."""
    ramp = np.repeat(np.linspace(0.15, 0.8, 1024, dtype=np.float32)[None, :, None], 3, 2)
    found = extract(photographs[1], 16)
    bare = Palette(found.points, found.weights)
    results = [
        jaxcolor.transfer(ramp, one, method="sliced") for one in (photographs[1], found, bare)
    ]
    own, smooth, stepped = (len(np.unique((255 * one[0]).round(), axis=0)) for one in results)
    assert smooth > 0.9 * own
    assert stepped < 0.2 * own


@pytest.mark.parametrize("method", ["gaussian", "sliced"])
def test_weightless_colours_change_nothing(photographs, own, method):
    more = Palette(
        np.concatenate([own.points, [[90, 80, 70], [5, -60, 20]]]),
        np.concatenate([own.weights, [0, 0]]),
    )
    own = Palette(own.points, own.weights)
    one, other = (jaxcolor.transfer(photographs[0], p, method=method) for p in (own, more))
    np.testing.assert_array_equal(one, other)


def test_any_total_of_weights_will_do(photographs, own):
    heavy = Palette(own.points, own.weights * 4096, own.spread)
    one, other = (jaxcolor.transfer(photographs[0], p, method="gaussian") for p in (own, heavy))
    np.testing.assert_array_equal(one, other)


def test_between_a_picture_and_a_palette(photographs, own):
    source, reference = photographs
    other = source // 2 + 100
    ends, middle = (
        [jaxcolor.transfer(source, Look([other, own], w), method="gaussian") for w in weights]
        for weights in ([(1, 0), (0, 1)], [(1, 1)])
    )
    plain = jaxcolor.transfer(source, own, method="gaussian")
    np.testing.assert_allclose(ends[1].astype(int), plain, atol=1)
    assert sw2(middle[0], ends[0]) < 0.8 * sw2(*ends)
    assert sw2(middle[0], ends[1]) < 0.8 * sw2(*ends)
    listed = jaxcolor.transfer(source, [own, reference], method="gaussian")
    assert sw2(listed, plain) < 0.005


def test_a_grey_source_stays_grey(photographs, own):
    result = jaxcolor.transfer(photographs[0][..., 0], own, method="sliced")
    assert result.shape == photographs[0].shape[:2]


def test_what_needs_a_picture_says_so(photographs, own):
    source = photographs[0]
    with pytest.raises(ValueError, match="no pixels to count"):
        jaxcolor.fit(source, own, method="grid", counts=True, marginal="kl", reach=0.1)
    with pytest.raises(ValueError, match="takes no mask"):
        jaxcolor.fit(source, own, reference_mask=source[..., 0])


def test_solvers_take_its_measure(own, photographs):
    other = extract(photographs[0], 128)
    coupling = jaxcolor.solve(own.measure, other.measure, epsilon=100.0)
    jaxcolor.check(coupling.info)


def test_another_profile_is_another_encoding(own):
    from image.profiles import display_p3

    other = convert(own, display_p3())
    assert isinstance(other, Palette)
    red = from_rgb(np.array([[1.0, 0, 0]]))
    converted = convert(red, display_p3())
    assert isinstance(converted, Palette)
    np.testing.assert_allclose(255 * converted.rgb, [[234, 51, 35]], atol=2)  # red in Display P3
    assert convert(own, None) is own
    assert np.array_equal(other.weights, own.weights)
    assert np.array_equal(other.spread, own.spread)
