"""Pictures by Gaussian mixtures."""

import jax
import numpy as np
import pytest

import jaxcolor
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.score import score
from jaxcolor.recipes.styles import Style, style

KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def reds():
    """A flat picture, and one of two colours."""
    flat = np.full((30, 40, 3), 128, np.uint8)
    two = flat.copy()
    two[:, :20], two[:, 20:] = (200, 40, 40), (40, 40, 200)
    return flat, two


def test_a_draw_is_anew_for_each_pixel_and_by_colour_in_a_fit(photographs):
    source, reference = photographs
    source = source // 16 * 16  # few colours, many pixels of each
    given = {"method": "mixture", "components": 4, "draw": "rand", "key": KEY}
    by_pixel = jaxcolor.transfer(source, reference, **given)
    by_color = jaxcolor.apply(jaxcolor.fit(source, reference, **given), source)

    def images(result):
        return len(np.unique(np.concatenate([source, result], -1).reshape(-1, 6), axis=0))

    assert images(by_color) == len(np.unique(source.reshape(-1, 3), axis=0))
    assert images(by_pixel) > 3 * images(by_color)


def test_one_component_is_the_gaussian_map(photographs):
    """But for what each sees of a picture, all pixels or a sample, and the ridge."""
    given = {"space": "srgb"}
    one = jaxcolor.transfer(*photographs, method="mixture", components=1, **given)
    other = jaxcolor.transfer(*photographs, method="gaussian", **given)
    assert np.abs(one.astype(int) - other).max() <= 3


def test_a_draw_is_nearer_and_grainier_than_the_mean(photographs):
    given = {"method": "mixture", "components": 5, "key": KEY}
    mean, rand = (
        score(*photographs, jaxcolor.transfer(*photographs, draw=draw, **given))
        for draw in ("mean", "rand")
    )
    smooth = jaxcolor.transfer(*photographs, draw="rand", smooth="guided", **given)
    assert rand.sw2 < 0.5 * mean.sw2
    assert rand.ssim < mean.ssim < score(*photographs, smooth).ssim
    assert rand.tv > 1.3 * mean.tv


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_strength_0_is_the_source_whatever_was_drawn(photographs, dtype):
    scale = 257 if dtype == np.uint16 else np.float32(1 / 255)
    source, reference = ((one[::2, ::2] * dtype(1) * scale).astype(dtype) for one in photographs)
    given = {"method": "mixture", "components": 2, "draw": "rand"}
    np.testing.assert_array_equal(jaxcolor.transfer(source, reference, strength=0, **given), source)
    moved = jaxcolor.transfer(source, reference, **given)
    assert moved.dtype == dtype
    assert (moved != source).any()


def test_more_components_than_colours(reds):
    flat, two = reds
    for source, reference in ((flat, two), (two, flat), (flat, flat)):
        for draw in ("mean", "rand"):
            result = jaxcolor.transfer(source, reference, method="mixture", draw=draw)
            off = np.abs(
                result[..., None, :].astype(int) - np.unique(reference.reshape(-1, 3), axis=0)
            )
            middle = np.abs(result - reference.mean((0, 1)))
            assert min(off.sum(-1).min(-1).max(), middle.max()) <= 6


def test_a_look_fits_its_mixture_once(photographs, monkeypatch):
    from jaxcolor.transport import em

    calls = []
    fit = em.fit
    monkeypatch.setattr(em, "fit", lambda *args, **how: calls.append(1) or fit(*args, **how))
    goal = Look([photographs[1]])
    for _ in range(2):
        jaxcolor.fit(photographs[0], goal, method="mixture", components=2)
    assert len(calls) == 3  # the goal once, the source each time


def test_settings():
    assert style(components=3) == Style("mixture", components=3)
    assert style(draw="rand").fitting["draw"] == "rand"
    for given, says in (
        ({"method": "sliced", "components": 3}, "sliced has no components"),
        ({"look": "gentle", "draw": "mean"}, "gaussian has no components"),
        ({"components": 0}, "at least 1, or 'auto', got 0"),
        ({"components": "many"}, "at least 1, or 'auto', got 'many'"),
        ({"draw": "randm"}, "did you mean 'rand'"),
    ):
        with pytest.raises(ValueError, match=says):
            style(**given)


@pytest.mark.long
def test_published_figures(shared_data):
    """Scotland, medians of eight keys."""
    pair = shared_data("scotland_house.png"), shared_data("scotland_plain.png")

    def median(keys=8, **given):
        results = [
            score(*pair, jaxcolor.transfer(*pair, method="mixture", key=jax.random.key(k), **given))
            for k in range(keys)
        ]
        return [np.median([getattr(one, name) for one in results]) for name in ("sw2", "ssim")]

    mean, rand = median(), median(draw="rand")
    assert mean[0] <= 0.026
    assert mean[1] >= 0.82
    assert rand[0] <= 0.0045
    assert median(3, draw="rand", smooth="guided")[1] >= 0.85
