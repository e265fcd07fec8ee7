import numpy as np
import pytest
from skimage.color import rgb2lab
from skimage.metrics import structural_similarity

from jaxcolor.image import metrics

RNG = np.random.default_rng(0)


def lightness(image):
    return rgb2lab(metrics.as_rgb(image).astype(np.float64))[..., 0] / 100


@pytest.mark.parametrize("size", [(7, 7), (40, 90), (511, 530), (1030, 520)])
def test_ssim_is_scikit_images(size):
    a = RNG.integers(0, 256, (*size, 3)).astype(np.uint8)
    b = np.clip(a.astype(int) + RNG.integers(-40, 40, a.shape), 0, 255).astype(np.uint8)
    theirs = structural_similarity(lightness(a), lightness(b), data_range=1.0)
    assert metrics.ssim(a, b) == pytest.approx(theirs, abs=2e-5)


def test_ssim_on_photographs(photographs):
    source, _ = photographs
    darker = (source * 0.6).astype(np.uint8)
    theirs = structural_similarity(lightness(source), lightness(darker), data_range=1.0)
    assert metrics.ssim(source, darker) == pytest.approx(theirs, abs=2e-5)
    assert metrics.ssim(source, source) == pytest.approx(1, abs=1e-6)


def test_ssim_takes_any_channels_and_dtypes():
    grey = RNG.integers(0, 256, (20, 30)).astype(np.uint8)
    rgba = np.dstack([grey] * 3 + [np.zeros_like(grey)])
    deep = grey.astype(np.uint16) * 257
    for other in (rgba, deep, (grey / 255).astype(np.float32)):
        assert metrics.ssim(grey, other) == pytest.approx(1, abs=1e-5)


def test_ssim_compiles_once():
    metrics._ssim_tile.clear_cache()
    for size in ((9, 9), (30, 700), (600, 40)):
        image = RNG.integers(0, 256, (*size, 3)).astype(np.uint8)
        metrics.ssim(image, image)
    assert metrics._ssim_tile._cache_size() == 1


def test_ssim_limits():
    small = np.zeros((6, 50, 3), np.uint8)
    assert np.isnan(metrics.ssim(small, small))
    with pytest.raises(ValueError, match="sizes differ"):
        metrics.ssim(small, np.zeros((7, 50, 3), np.uint8))


@pytest.mark.parametrize("size", [(5, 9), (256, 20), (513, 31)])
def test_tv_ratio_is_its_definition(size):
    a, b = RNG.uniform(0, 1, (2, *size, 3)).astype(np.float32)

    def variation(x):
        return np.abs(np.diff(x, axis=0)).mean() + np.abs(np.diff(x, axis=1)).mean()

    assert metrics.tv_ratio(a, b) == pytest.approx(variation(b) / variation(a), rel=1e-5)


def test_tv_ratio_of_lines_and_points():
    assert metrics.tv_ratio(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)) == 0
    line = np.arange(0, 250, 10, dtype=np.uint8)[None]
    assert metrics.tv_ratio(line, line // 2) == pytest.approx(0.5)
