"""Palettes as pictures: every colour there, as large as it weighs."""

import numpy as np
import pytest

from jaxcolor.image.keys import pack
from jaxcolor.recipes.palette import Palette, extract, from_rgb
from jaxcolor.recipes.swatch import card, swatch

COLORS = (255, 0, 0), (0, 128, 128), (0, 0, 0), (255, 255, 255)


@pytest.fixture(scope="module")
def own(photographs):
    """128 colours of a photograph."""
    return extract(photographs[1])


def areas(picture: np.ndarray) -> dict[bytes, float]:
    """The share of the pixels that each colour has."""
    keys, counts = np.unique(pack(picture.reshape(-1, 3)), return_counts=True)
    return {one.tobytes(): share for one, share in zip(keys, counts / counts.sum(), strict=True)}


def shares(picture: np.ndarray, palette: Palette) -> list[float]:
    found = areas(picture)
    return [found.get(one.tobytes(), 0.0) for one in pack(palette.levels)]


def test_areas_are_weights(own):
    picture = swatch(own)
    assert picture.shape == (800, 1200, 3)
    assert len(set(own.codes)) == len(own)
    np.testing.assert_allclose(shares(picture, own), own.weights, atol=5e-4)
    assert sum(shares(picture, own)) == pytest.approx(1)


def test_areas_of_a_few():
    palette = from_rgb(np.array(COLORS) / 255, [5, 3, 2, 0])
    np.testing.assert_allclose(shares(swatch(palette), palette), [0.5, 0.3, 0.2, 0], atol=1e-3)
    page = card(palette)
    assert page.shape[0] == 816
    on_paper = np.array(shares(page, palette)[:3])
    np.testing.assert_allclose(on_paper / on_paper.sum(), [0.5, 0.3, 0.2], atol=0.01)


def test_columns_go_from_light_to_dark(own):
    lightness = swatch(own).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness, axis=0) < 12).all()
    assert len(np.unique(lightness[400])) > 5


@pytest.mark.parametrize("k", [1, 2, 3, 700])
def test_any_number_of_colours(k):
    rgb = np.random.default_rng(k).uniform(size=(k, 3))
    palette = from_rgb(rgb)
    assert swatch(palette).shape == (800, 1200, 3)
    assert card(palette).shape[0] == 816
