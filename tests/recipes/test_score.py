import numpy as np
import pytest

from jaxcolor.recipes.score import directions, score, sw2

RNG = np.random.default_rng(0)


def plain_sw2(a, b):
    """The definition, pixel by pixel."""
    t = (np.arange(4096) + 0.5) / 4096
    pa, pb = (x.reshape(-1, 3) @ directions().T for x in (a, b))
    return np.sqrt(np.mean((np.quantile(pa, t, axis=0) - np.quantile(pb, t, axis=0)) ** 2))


@pytest.mark.parametrize("top", [3, 40, 256])  # many repeated colours, and few
def test_sw2_is_the_pixelwise_definition(top):
    a = RNG.integers(0, top, (50, 70, 3)).astype(np.uint8)
    b = RNG.integers(0, 200, (31, 47, 3)).astype(np.uint8)
    assert sw2(a, b) == pytest.approx(plain_sw2(a / 255, b / 255), rel=1e-6)


def test_sw2_of_floats_and_deep_pictures():
    a, b = RNG.uniform(0, 1, (2, 30, 40, 3)).astype(np.float32)
    assert sw2(a, b) == pytest.approx(plain_sw2(a, b), rel=1e-5)
    deep = np.rint(a * 65535).astype(np.uint16)
    assert sw2(deep, b) == pytest.approx(plain_sw2(a, b), rel=1e-3)


def test_sw2_of_published_results(shared_data):
    house, plain, mkl, idt = (
        shared_data(f"scotland_{name}.png") for name in ("house", "plain", "MKL", "IDT")
    )
    assert sw2(house, plain) == pytest.approx(0.1310, abs=1e-4)
    assert sw2(mkl, plain) == pytest.approx(0.0706, abs=1e-4)
    assert sw2(idt, plain) == pytest.approx(0.0057, abs=1e-4)
    figures = score(house, plain, mkl)
    assert figures.ssim == pytest.approx(0.928, abs=1e-3)
    assert figures.tv == pytest.approx(0.973, abs=1e-3)


def test_alpha_is_ignored():
    a = RNG.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    b = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    assert sw2(a, b) == sw2(a[..., :3], b)
    grey = np.dstack([a[..., 0], a[..., 1]])
    assert sw2(grey, b) == sw2(a[..., 0], b)
