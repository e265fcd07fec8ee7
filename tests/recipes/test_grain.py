"""Grain of known strength and colour, measured, given and taken away."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jaxcolor.image.metrics import ssim
from jaxcolor.recipes.grain import grain, measure

KEY = jax.random.key(0)
MIX = np.linalg.cholesky(np.array([[1, 0.6, 0.3], [0.6, 1, 0.6], [0.3, 0.6, 1]])).T


def noise(levels, blur, seed, shape=(192, 256, 3)):
    """Of that standard deviation in 8-bit levels, in space like a blurred white one."""
    draw = np.random.default_rng(seed).normal(size=shape)
    if blur:
        draw = gaussian_filter(draw, (blur, blur, 0))
        draw /= draw.std()
    return levels / 255 * (draw @ MIX if shape[2] == 3 else draw)


def levels(x):
    return np.clip(np.rint(255 * x), 0, 255).astype(np.uint8)


def ramp(shape=(192, 256, 3)):
    return np.broadcast_to(np.linspace(0.15, 0.85, shape[1])[:, None], shape)


def spectrum(x, edges=(0.02, 0.08, 0.15, 0.25, 0.35, 0.5)):
    """Power between radial frequencies, mean of the channels."""
    power = (np.abs(np.fft.fft2(x - x.mean((0, 1)), axes=(0, 1))) ** 2).mean(-1) / x[..., 0].size
    radius = np.hypot(*np.ix_(*map(np.fft.fftfreq, x.shape[:2])))
    return np.array([power[(radius > a) & (radius <= b)].mean() for a, b in pairwise(edges)])


@pytest.fixture(scope="module")
def disks():
    """Something with edges, on grounds of several lightnesses."""
    y, x = np.mgrid[:192, :256]
    picture = np.tile([0.25, 0.35, 0.5], (192, 256, 1))
    for k in range(6):
        inside = (y - 40 - 50 * (k % 3)) ** 2 + (x - 50 - 40 * k) ** 2 < 18**2
        picture[inside] = [0.3 + 0.1 * k, 0.8 - 0.1 * k, 0.6]
    return picture


class TestMeasure:
    @pytest.mark.parametrize(("strength", "blur"), [(2, 0), (8, 0), (20, 0), (8, 0.7), (8, 1.2)])
    def test_strength(self, strength, blur):
        found = measure(levels(ramp() + noise(strength, blur, 0)))
        assert abs(found.level * 255 / strength - 1) < 0.1
        assert abs(found.curve[3:-3] * 255 / strength - 1).max() < 0.2

    def test_structure_is_not_grain(self, disks):
        assert measure(levels(disks)).level < 0.5 / 255
        assert abs(measure(levels(disks + noise(6, 0.7, 1))).level * 255 / 6 - 1) < 0.1

    def test_colors_of_grain(self):
        found = measure(levels(ramp() + noise(8, 0.7, 2))).spectrum
        total = found[:, 0] + 2 * found[:, 1:].sum(1)
        covariance = total.sum(0)
        scale = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(scale, scale)
        np.testing.assert_allclose(correlation, MIX.T @ MIX, atol=0.06)

    def test_curve_over_lightness(self):
        amplitude = 0.3 + ramp()
        curve = 255 * measure(levels(ramp() + amplitude * noise(10, 0, 3))).curve
        expected = 10 * (0.3 + np.linspace(0, 1, 17))
        assert np.abs(curve / expected - 1)[4:-4].max() < 0.15

    def test_flat_pictures_have_the_grain_of_rounding(self):
        found = measure(np.full((64, 64), 99, np.uint8))
        assert found.level * 255 < 0.3
        assert np.isfinite(found.curve).all()

    def test_small_pictures(self):
        with pytest.raises(ValueError, match="at least 48x48 pixels, got 90x47"):
            measure(np.zeros((47, 90, 3), np.uint8))


class TestGrain:
    @pytest.mark.parametrize(
        ("own", "wanted"),
        [((0, 0), (8, 1.0)), ((3, 0), (9, 0.7)), ((8, 0), (8, 0.0)), ((6, 0.7), (6, 0.0))],
        ids=["clean", "weak", "same", "coarse"],
    )
    def test_the_result_has_the_references(self, own, wanted):
        reference = 0.2 + 0.6 * ramp() + noise(*wanted, 5)
        result = grain(levels(ramp() + noise(*own, 4)), levels(reference), KEY)
        left = result / 255 - ramp()
        np.testing.assert_allclose(left.std((0, 1)) * 255, wanted[0], rtol=0.1)
        due = spectrum(noise(*wanted, 6))
        counted = due > 0.02 * due.max()
        octaves = np.log2(spectrum(left)[counted] / due[counted])
        # the longest waves of coarse grain are not told from the picture, and stay
        assert octaves.min() > -0.6
        assert octaves.max() < (1.1 if own[1] else 0.6)
        correlation = np.corrcoef(left.reshape(-1, 3).T)
        np.testing.assert_allclose(correlation, MIX.T @ MIX, atol=0.1)

    def test_a_clean_reference_takes_it_away_but_no_edges(self, disks):
        image = levels(disks + noise(8, 0.0, 7))
        result = grain(image, levels(ramp()), KEY)
        flat = np.s_[170:, 100:]
        assert (result[flat] / 255 - disks[flat]).std() < 0.2 * (
            image[flat] / 255 - disks[flat]
        ).std()
        assert ssim(levels(disks), result) > 0.95 > ssim(levels(disks), image) + 0.2

    def test_a_clean_picture_keeps_its_edges_under_new_grain(self, disks):
        reference = levels(ramp() + noise(6, 0.7, 8))
        result = grain(levels(disks), reference, KEY)
        off = result / 255 - disks
        flat, edges = np.s_[170:, 100:], np.hypot(*np.gradient(disks.sum(-1))) > 0.2
        assert off[edges].std() < 1.15 * off[flat].std()
        assert np.abs(gaussian_filter(off, (4, 4, 0))).max() < 0.03

    def test_same_grain_changes_little(self):
        image, reference = (levels(ramp() + noise(6, 0.7, seed)) for seed in (9, 10))
        off = grain(image, reference, KEY).astype(float) - image
        assert off.std() < 0.4 * 6

    def test_it_follows_lightness(self):
        reference = levels(ramp() + (1.6 - 1.5 * ramp()) * noise(8, 0, 11))
        left = grain(levels(ramp()), reference, KEY) / 255 - ramp()
        dark, light = left[:, 20:60].std(), left[:, -60:-20].std()
        assert abs(dark / light / (1.24 / 0.52) - 1) < 0.25

    def test_keys(self):
        image, reference = levels(ramp()), levels(ramp() + noise(6, 0, 12))
        first, again = (grain(image, reference, KEY) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        other = grain(image, reference, jax.random.key(1))
        left = [(one / 255 - ramp()).ravel() for one in (first, other)]
        assert abs(np.corrcoef(left)[0, 1]) < 0.1


class TestPictures:
    """What comes in comes out: dtype, channels, alpha."""

    @pytest.mark.parametrize("channels", [None, 2, 4])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_kinds(self, dtype, channels):
        shape = (64, 80) if channels is None else (64, 80, channels)
        scale = 1.0 if dtype == "float32" else np.iinfo(dtype).max
        image = np.full(shape, 0.5 * scale).astype(dtype)
        if channels:
            image[..., -1] = (np.linspace(0, 1, 80) * scale).astype(dtype)
        result = grain(image, levels(ramp() + noise(8, 0, 13)), KEY)
        assert result.dtype == image.dtype
        assert result.shape == image.shape
        if channels:
            np.testing.assert_array_equal(result[..., -1], image[..., -1])
        color = result[..., 0] if channels else result
        assert 5 / 255 < color.std() / scale < 9 / 255

    def test_a_grey_reference_gives_grey_grain(self):
        grey = levels(ramp() + noise(8, 0, 14, (192, 256, 1)))[..., 0]
        result = grain(np.full((64, 80, 3), 128, np.uint8), grey, KEY).astype(float)
        assert np.abs(result[..., 0] - result[..., 2]).mean() < 1
        assert abs(result.std() - 8) < 1.2

    def test_refusals(self):
        picture = np.full((64, 80, 3), 0.5, np.float32)
        with pytest.raises(ValueError, match="at least 48x48"):
            grain(picture, picture[:20], KEY)
        with pytest.raises(ValueError, match="reference: holds NaN"):
            grain(picture, picture * np.nan, KEY)
