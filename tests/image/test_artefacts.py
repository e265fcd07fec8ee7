from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from jaxcolor.image import artefacts, metrics

MEASURES = [artefacts.noise, artefacts.banding, artefacts.blockiness, artefacts.clipped]
NEUTRAL = [1, 0, 0, 0]


def levels(image):
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def sky(sigma=0.0, size=(120, 200)):
    """A clear evening, as floats; grain in 8-bit levels."""
    y, x = (n / 200 for n in np.mgrid[: size[0], : size[1]])
    smooth = np.stack([0.3 + 0.2 * y + 0.1 * x, 0.5 + 0.15 * y, 0.8 - 0.1 * y + 0.1 * x], -1)
    return smooth + np.random.default_rng(0).normal(0, sigma / 255, smooth.shape)


def stretched(image, gain):
    return (image - 0.5) * gain + 0.5


def jpeg(picture, quality):
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize(("measure", "neutral"), list(zip(MEASURES, NEUTRAL, strict=True)))
def test_untouched_pictures_have_none(measure, neutral, photographs):
    for picture in (*photographs, levels(sky(1)), sky(), np.full((40, 50), 7, np.uint8)):
        assert measure(picture, picture) == neutral


@pytest.mark.parametrize("measure", MEASURES)
def test_any_channels_and_dtypes(measure, photographs):
    a, _ = photographs
    b = levels(stretched(a / 255, 1.5))
    known = measure(a, b)
    alpha = np.arange(b[..., 0].size, dtype=np.uint8).reshape(b.shape[:2])
    deep = a.astype(np.uint16) * 257, b.astype(np.uint16) * 257
    for pair in ((a, np.dstack([b, alpha])), deep, (a / 255, (b / 255).astype(np.float32))):
        assert measure(*pair) == pytest.approx(known, rel=1e-4)
    grey = b[..., 0]
    known = measure(a, np.dstack([grey] * 3))
    for other in (grey, np.dstack([grey, alpha])):
        assert measure(a, other) == pytest.approx(known, rel=1e-4)


@pytest.mark.parametrize("measure", MEASURES)
def test_strips_change_nothing(measure, monkeypatch):
    a = levels(sky(0.5))
    b = levels(np.round(stretched(a / 255, 2) * 40) / 40)
    whole = measure(a, b)
    monkeypatch.setattr(metrics, "BLOCK", 1)  # strips of 56 rows
    monkeypatch.setattr(artefacts, "BLOCK", 1000)
    assert measure(a, b) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
def test_sizes(measure):
    for size in [(1, 1), (1, 9), (7, 7), (8, 3), (9, 8), (9, 9), (33, 2), (3, 40)]:
        picture = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
        figure = measure(picture, 255 - picture)
        assert np.isnan(figure) or figure == pytest.approx(measure(picture, picture), abs=0.1)
    with pytest.raises(ValueError, match="sizes differ"):
        measure(picture, picture[:2])


def test_what_is_undefined():
    small = np.zeros((8, 8, 3), np.uint8)
    assert np.isnan(artefacts.noise(small, small))
    assert np.isnan(artefacts.blockiness(small, small))
    assert np.isnan(artefacts.banding(small[:7, :7], small[:7, :7]))
    rough = np.random.default_rng(0).random((2, 40, 40))
    assert artefacts.banding(*rough) == 0  # nothing was smooth


@pytest.mark.parametrize("sigma", [2, 4, 8])
def test_noise_is_the_ratio_of_deviations(sigma):
    grain = np.random.default_rng(1).normal(0, sigma / 255, (300, 300, 3))
    assert artefacts.noise(0.5 + grain, 0.5 + 3 * grain) == pytest.approx(3, rel=1e-3)
    more = np.random.default_rng(2).normal(0, sigma / 255, grain.shape)
    assert artefacts.noise(0.5 + grain, 0.5 + grain + more) == pytest.approx(2**0.5, rel=0.05)
    # of a flat source: relative to what rounding gives
    found = artefacts.noise(np.full_like(grain, 0.5), 0.5 + grain)
    assert found == pytest.approx(sigma * 12**0.5, rel=0.02)


def test_noise_knows_no_slopes():
    assert artefacts.noise(sky(), stretched(sky(), 2.5)) == 1
    half = sky(2)
    half[:, 100:] = np.random.default_rng(0).random(half[:, 100:].shape)  # not where it is rough
    result = half.copy()
    result[:, 100:] /= 2
    assert artefacts.noise(half, result) == pytest.approx(1, rel=0.02)
    assert artefacts.noise(half, gaussian_filter(half, (1, 1, 0))) < 0.5


@pytest.mark.parametrize("turned", [False, True])
def test_banding_is_high_where_a_ramp_became_stairs(turned):
    ramp = np.tile(np.linspace(0.1, 0.9, 800), (9, 1))
    ramp = ramp.T if turned else ramp
    for steps in (16, 32, 64, 128):
        assert artefacts.banding(ramp, np.round(ramp * steps) / steps) > 0.95
        assert artefacts.banding(levels(ramp), levels(np.round(ramp * steps) / steps)) > 0.95
    assert artefacts.banding(levels(ramp), levels(stretched(levels(ramp) / 255, 3))) > 0.8


def test_banding_is_low_for_what_is_smooth_or_dithered():
    ramp = np.tile(np.linspace(0.1, 0.9, 800), (60, 1))
    rounding = np.random.default_rng(0).uniform(-0.5, 0.5, ramp.shape)
    for image in (ramp, levels(ramp), stretched(ramp, 1.2), ramp**1.3, levels(ramp) // 2):
        assert abs(artefacts.banding(levels(ramp), image)) < 0.01
    assert artefacts.banding(ramp, np.round(ramp * 32 + rounding) / 32) < 0.2
    dithered = levels(stretched(ramp, 3) + 3 * rounding / 255)
    assert abs(artefacts.banding(levels(ramp), dithered)) < 0.01


def test_banding_grows_with_the_steps_and_is_hidden_by_grain():
    def posterised(sigma, steps):
        picture = levels(sky(sigma))
        return artefacts.banding(picture, levels(np.round(picture / 255 * steps) / steps))

    assert posterised(0.5, 32) > posterised(0.5, 128) + 0.2 > posterised(0.5, 255) + 0.2
    assert posterised(0.25, 32) > posterised(1, 32) > posterised(3, 32)


def test_banding_leaves_edges_alone():
    cartoon = np.kron(np.random.default_rng(0).random((9, 9)), np.ones((20, 20)))
    assert artefacts.banding(levels(cartoon), levels(stretched(cartoon, 1.5))) == 0


def test_blockiness_of_a_jpeg(photographs):
    for picture in photographs:
        shown = [artefacts.blockiness(picture, jpeg(picture, q)) for q in (20, 60, 95)]
        assert shown[0] > 0.004
        assert shown[0] > shown[1] > shown[2]
        assert abs(artefacts.blockiness(picture, levels(stretched(picture / 255, 1.3)))) < 1e-3
        # a steep map makes the blocks of its source taller
        faint = levels(stretched(jpeg(picture, 20) / 255, 0.4))
        assert artefacts.blockiness(faint, levels(stretched(faint / 255, 2.4))) > 0.004


@pytest.mark.parametrize("width", [9, 24, 25])
def test_blockiness_is_its_definition(width):
    image = np.random.default_rng(0).random((5, width))
    steps = np.abs(np.diff(image, axis=1)).mean(0)
    edges = np.arange(1, width) % 8 == 0
    known = steps[edges].mean() - steps[~edges].mean()
    flat = np.zeros_like(image)
    assert artefacts.blockiness(flat, image) == pytest.approx(known, rel=1e-5)


def test_clipped_counts_pixels_that_came_to_an_end():
    source = np.array([[[0, 9, 9], [9, 9, 9], [0, 255, 9], [8, 8, 8]]], np.uint8)
    result = np.array([[[0, 9, 9], [0, 9, 255], [0, 255, 9], [1, 254, 9]]], np.uint8)
    assert artefacts.clipped(source, result) == 0.25
    assert artefacts.clipped(source / 255, result) == 0.25
    assert artefacts.clipped(source, (result / 255).astype(np.float32)) == 0.25
    assert artefacts.clipped(source[..., 1], source) == 0.25  # a grey source's red was not at 0


def test_clipped_counts_what_floats_have_beyond_the_scale():
    source = np.full((1, 4, 3), 0.5)
    result = source.copy()
    result[0, 0, 0], result[0, 1, 2], result[0, 2, 1] = 1.2, -0.1, 1 + 1e-7
    assert artefacts.clipped(source, result) == 0.75  # the last at the end, if not beyond
    assert artefacts.clipped(result, result) == 0.5


def test_out_of_gamut_is_a_share_of_mass():
    colors = np.array([[0, 0.5, 1], [0.5, -0.1, 0.5], [0.5, 0.5, 1 + 1e-6], [2, 2, 2]], np.float32)
    assert artefacts.out_of_gamut(colors) == 0.5
    assert artefacts.out_of_gamut(colors, [1, 2, 3, 4]) == pytest.approx(0.6)
    assert np.isnan(artefacts.out_of_gamut(colors[:0]))
    assert np.isnan(artefacts.out_of_gamut(colors, np.zeros(4)))
