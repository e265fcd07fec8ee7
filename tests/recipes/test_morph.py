import numpy as np
import pytest

import jaxcolor
from jaxcolor.recipes import morph
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.score import sw2
from jaxcolor.recipes.styles import style
from jaxcolor.recipes.transfer import change


@pytest.fixture
def pair(photographs):
    source, reference = photographs
    return source[::2, ::2].copy(), reference[::2, ::2].copy()


def test_a_look_goes_all_the_way_at_an_even_pace(pair):
    source, reference = pair
    whole = change(source, Look([reference]), style(method="sliced", bases=10))
    frames = list(morph.looks(whole, 5))
    np.testing.assert_array_equal(frames[0], source)
    end = jaxcolor.transfer(source, reference, method="sliced", bases=10)
    np.testing.assert_array_equal(frames[-1], end)
    left = [sw2(frame, reference) / sw2(source, reference) for frame in frames]
    np.testing.assert_allclose(left, [1, 0.75, 0.5, 0.25, 0], atol=0.08)


def disc(centre, radius, shape=(40, 60), ink=0, ground=255):
    rows, columns = np.indices(shape)
    inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    return np.where(inside, ink, ground).astype(np.uint8)


def ink(frame, ground=255):
    mass = np.abs(frame.astype(float) - ground)
    rows, columns = np.indices(frame.shape)
    return [float((mass * axis).sum() / mass.sum()) for axis in (rows, columns)], mass.sum()


def test_a_disc_is_moved():
    """By OT as a whole: the middle frame is the disc in the middle, as large and as dark."""
    first, second = disc((15, 15), 6), disc((25, 45), 6)
    frames = list(morph.shapes(first, second, 3, size=60))
    np.testing.assert_array_equal(frames[0], first)
    np.testing.assert_array_equal(frames[2], second)
    centre, mass = ink(frames[1])
    np.testing.assert_allclose(centre, [20, 30], atol=0.2)
    assert mass == pytest.approx(ink(first)[1], rel=0.03)
    want = disc((20, 30), 6)
    assert np.mean(np.abs(frames[1].astype(float) - want)) < 0.03 * 255


@pytest.mark.slow
def test_light_on_dark_and_other_sizes():
    first, second = disc((15, 15), 6, ink=255, ground=0), disc((30, 20), 9, (50, 40), 255, 0)
    frames = list(morph.shapes(first, second, 4, size=40))
    assert {frame.shape for frame in frames} == {(40, 40)}
    assert all(frame[0, 0] == 0 and frame.max() > 180 for frame in frames)


def test_colour_does_not_matter_and_transparency_is_ground():
    first = np.dstack([disc((15, 15), 6)] * 3)
    clear = np.dstack([np.zeros_like(first), 255 - first[..., :1]])
    a, b = (list(morph.shapes(one, disc((25, 45), 6), 3, size=60))[1] for one in (first, clear))
    np.testing.assert_allclose(a.astype(float), b.astype(float), atol=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: morph.looks(change(p, Look([p]), style(method="gaussian")), 1), "steps"),
        (lambda p: morph.shapes(p, p, 1), "steps"),
        (lambda p: morph.shapes(p, p, 2, size=7), "size"),
        (lambda p: morph.shapes(np.full_like(p, 255), p, 2), "one colour"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(disc((15, 15), 6))
