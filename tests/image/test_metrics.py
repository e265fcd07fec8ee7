import jax.numpy as jnp
import numpy as np
import pytest
from coloraide import Color
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.filters import sobel_h, sobel_v
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


def test_strips_cover_a_picture_once(monkeypatch):
    monkeypatch.setattr(metrics, "BLOCK", 56 * 40)  # strips of 56 rows
    picture = RNG.random((130, 40)).astype(np.float32)
    down, across = metrics.down_and_across(lambda x: x[..., 0], picture, margin=3)
    assert [len(strip) for strip in down] == [59, 59, 18]
    np.testing.assert_array_equal(np.concatenate([s[:56] for s in down]), picture)
    np.testing.assert_array_equal(np.concatenate(across), picture.T)
    with pytest.raises(ValueError, match=r"sizes differ, \(130, 40\) and \(7, 40\)"):
        metrics.by_strips(np.shape, picture, picture, picture[:7])
    with pytest.raises(ValueError, match="no pixels"):
        metrics.by_strips(np.shape, picture[:0])


def edges(image):
    luma = metrics.as_rgb(image).astype(np.float64) @ [0.2126, 0.7152, 0.0722]
    return [sobel(luma)[1:-1, 1:-1].ravel() for sobel in (sobel_h, sobel_v)]


@pytest.mark.parametrize("size", [(3, 3), (5, 200), (400, 900)])
def test_gradient_is_the_correlation_of_scikit_images_sobel(size):
    a = RNG.integers(0, 256, (*size, 3)).astype(np.uint8)
    b = np.clip(a * 0.7 + RNG.integers(0, 60, a.shape), 0, 255).astype(np.uint8)
    pairs = zip(edges(a), edges(b), strict=True)
    theirs = np.mean([x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in pairs])
    assert metrics.gradient(a, b) == pytest.approx(theirs, abs=2e-5)


def test_gradient_of_published_results(shared_data):
    house = shared_data("scotland_house.png")
    for name, known in [("MKL", 0.942), ("IDT", 0.823), ("IDT_regrain", 0.984)]:
        found = metrics.gradient(house, shared_data(f"scotland_{name}.png"))
        assert found == pytest.approx(known, abs=6e-4)


def test_gradient_limits():
    ramp = np.tile(np.linspace(0, 1, 20), (9, 1))
    assert metrics.gradient(ramp, 0.3 + ramp / 2) == pytest.approx(1)  # one axis varies
    assert np.isnan(metrics.gradient(ramp, ramp.T[:9].repeat(3, 1)[:, :20]))  # never the same one
    assert np.isnan(metrics.gradient(ramp, np.full_like(ramp, 0.3)))
    assert np.isnan(metrics.gradient(ramp[:2], ramp[:2]))


# Sharma, Wu, Dalal (2005), table 1: what implementations get wrong
SHARMA = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425        50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.02 50 0 -82.7485 3.4412          50 -1.3802 -84.2814 50 0 -82.7485 1
50 -1.1848 -84.8006 50 0 -82.7485 1            50 -0.9009 -85.5211 50 0 -82.7485 1
50 0 0 50 -1 2 2.3669                          50 -1 2 50 0 0 2.3669
50 2.49 -0.001 50 -2.49 0.0009 7.1792          50 2.49 -0.001 50 -2.49 0.0011 7.2195
50 2.49 -0.001 50 -2.49 0.0012 7.2195          50 -0.001 2.49 50 0.0009 -2.49 4.8045
50 -0.001 2.49 50 0.0011 -2.49 4.7461          50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492                     50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.9030                     50 2.5 0 58 24 15 19.4535
50 2.5 0 50 3.1736 0.5854 1                    50 2.5 0 50 3.2972 0 1
50 2.5 0 50 1.8634 0.5757 1                    50 2.5 0 50 3.2592 0.335 1
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.248 -4.962 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.694 23.0331 14.973 -42.5619 2.0373
36.4612 47.858 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.441 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.135 0.9033 -0.0636 -0.5514 0.9082
"""


def test_ciede2000_is_the_published_table(dtype):
    table = np.array(SHARMA.split(), float).reshape(-1, 7)
    ours = metrics.ciede2000(*(jnp.asarray(table[:, k], dtype) for k in (np.s_[:3], np.s_[3:6])))
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, table[:, 6], atol=1e-4)


def test_ciede2000_is_scikit_images_and_coloraides(x64):
    low, high = [0, -100, -100], [100, 100, 100]
    a, b = RNG.uniform(low, high, (2, 3000, 3))
    b[1000:2000] = a[1000:2000] + RNG.normal(0, 2, (1000, 3))
    b[2000:, 1:] = -a[2000:, 1:] * RNG.random((1000, 1))  # opposite hues
    a[:50, 1:] = 0
    ours = np.asarray(metrics.ciede2000(jnp.asarray(a), jnp.asarray(b)))
    steady = np.r_[0:2000]  # opposite hues meet either way round: rounding decides
    np.testing.assert_allclose(ours[steady], deltaE_ciede2000(a, b)[steady], atol=1e-9)
    near = np.minimum(*(abs(ours - deltaE_ciede2000(*pair)) for pair in [(a, b), (a + 1e-9, b)]))
    assert np.mean(near < 1e-5) > 0.95
    for k in range(0, 2000, 40):
        theirs = Color("lab-d65", a[k]).delta_e(Color("lab-d65", b[k]), method="2000")
        assert ours[k] == pytest.approx(theirs, abs=1e-9)


def test_ciede2000_is_symmetric_and_zero_for_equal_colors():
    a, b = (jnp.asarray(x, jnp.float32) for x in RNG.uniform(-90, 90, (2, 500, 3)))
    np.testing.assert_allclose(metrics.ciede2000(a, b), metrics.ciede2000(b, a), rtol=1e-5)
    assert not np.any(metrics.ciede2000(a, a))


@pytest.mark.parametrize("size", [(1, 1), (13, 17), (300, 500)])  # the last: three tiles
def test_delta_e_is_scikit_images_mean(size):
    a, b = RNG.integers(0, 256, (2, *size, 3)).astype(np.uint8)
    theirs = deltaE_ciede2000(rgb2lab(a), rgb2lab(b)).mean()
    # scikit-image's white is rounded to five digits
    assert metrics.delta_e(a, b) == pytest.approx(theirs, rel=3e-4)
    assert metrics.delta_e(a, a) == 0


def test_delta_e_is_coloraides():
    a, b = RNG.random((2, 20, 1, 3))
    pairs = zip(a[:, 0], b[:, 0], strict=True)
    theirs = [Color("srgb", x).delta_e(Color("srgb", y), method="2000") for x, y in pairs]
    assert metrics.delta_e(a, b) == pytest.approx(np.mean(theirs), rel=1e-5)


def test_flicker_is_its_definition():
    s, r = RNG.random((2, 4, 60, 50, 3)).astype(np.float32)
    change = np.diff(r.astype(float), axis=0) - np.diff(s.astype(float), axis=0)
    assert metrics.flicker(s, r) == pytest.approx(np.abs(change).mean(), rel=1e-5)


def test_flicker_streams_and_survives_reused_buffers():
    buffer = np.empty((5, 6), np.uint8)

    def frames(levels):
        for level in levels:
            buffer[:] = level
            yield buffer

    still = [np.zeros((5, 6, 4), np.uint16)] * 3
    assert metrics.flicker(still, frames([0, 51, 0])) == pytest.approx(0.2)
    assert metrics.flicker(still, [still[0] + 9] * 3) == 0
    assert np.isnan(metrics.flicker([still[0]], [still[0]]))
    with pytest.raises(ValueError, match="shorter"):
        metrics.flicker(still, still[:2])
    with pytest.raises(ValueError, match="sizes differ"):
        metrics.flicker(still, [still[0][:4]] * 3)


@pytest.mark.parametrize("measure", [metrics.gradient, metrics.delta_e, metrics.tv_ratio])
def test_any_channels_and_dtypes(measure):
    a, b = RNG.integers(0, 256, (2, 30, 40, 3)).astype(np.uint8)
    known = measure(a, b)
    alpha = RNG.integers(0, 256, (30, 40, 1)).astype(np.uint8)
    for other in (np.dstack([b, alpha]), b.astype(np.uint16) * 257, b / 255):
        assert measure(a, other) == pytest.approx(known, rel=1e-5)
    grey = b[..., 0]
    known = measure(a, np.dstack([grey] * 3))
    for other in (grey, np.dstack([grey, alpha])):
        assert measure(a, other) == pytest.approx(known, rel=1e-6)
