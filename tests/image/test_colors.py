import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcolor.image import colors, keys, pixels
from jaxcolor.image.spaces import SPACES, luminance

RNG = np.random.default_rng(0)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=50))
def test_keys_are_one_to_one(rows):
    rgb = np.array(rows, np.uint8)
    np.testing.assert_array_equal(keys.unpack(keys.pack(rgb)), rgb)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=50))
def test_morton_order_is_that_of_interleaved_bits(rows):
    rgb = np.array(rows, np.uint8)

    def interleaved(color):
        return [(int(c) >> bit) & 1 for bit in range(7, -1, -1) for c in color]

    ordered = [interleaved(color) for color in rgb[keys.morton_order(rgb)]]
    assert ordered == sorted(ordered)


def test_counts_agree_with_numpy():
    image = RNG.integers(0, 7, (1201, 900, 3)).astype(np.uint8)  # more rows than one block
    view = pixels.view(image)
    expected, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
    np.testing.assert_array_equal(keys.unpack(view.distinct.keys), expected)
    np.testing.assert_array_equal(colors.tally(view), counts)


def test_alpha_and_mask_multiply():
    image = np.zeros((2, 2, 4), np.uint8)
    image[..., 3] = [[255, 51], [255, 0]]
    view = pixels.view(image, np.array([[1.0, 1.0], [0.5, 1.0]]))
    np.testing.assert_allclose(colors.tally(view), [1 + 0.2 + 0.5 + 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("space", ["srgb", "lab"])
def test_moments_agree_with_numpy(dtype, space):
    levels = RNG.integers(0, 256, (70, 90, 3)) // 2 + 60
    image = pixels.from_float((levels / 255).astype(np.float64), np.dtype(dtype))
    mask = RNG.uniform(0, 1, (70, 90))
    mean, cov = colors.moments(pixels.view(image, mask), SPACES[space])
    encoded = np.asarray(
        SPACES[space].encode(jnp.asarray(levels.reshape(-1, 3) / 255, jnp.float32))
    )
    np.testing.assert_allclose(mean, np.average(encoded, 0, mask.ravel()), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        cov, np.cov(encoded.T, aweights=mask.ravel(), ddof=0), rtol=1e-3, atol=1e-4
    )


def test_moments_of_a_flat_picture_have_no_spread():
    for value in (np.uint8(77), np.float64(0.1), np.float32(0.3)):
        _, cov = colors.moments(pixels.view(np.full((30, 40, 3), value)), SPACES["lab"])
        np.testing.assert_array_equal(cov, 0)


def test_few_colors_are_all_kept_with_their_mass():
    image = np.repeat(np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8), [1, 2, 5], 1)
    mu = colors.sample(pixels.view(image), size=16)
    inside = np.asarray(mu.weights) > 0
    assert mu.points.shape == (16, 3)
    np.testing.assert_allclose(np.sort(np.asarray(mu.weights)[inside]), [1 / 8, 2 / 8, 5 / 8])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_sample_stands_for_the_picture(dtype):
    smooth = np.cumsum(RNG.normal(size=(200, 200, 3)), 0)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    image = pixels.from_float(smooth.astype(np.float32), np.dtype(dtype))
    mu = colors.sample(pixels.view(image), size=4096)
    np.testing.assert_allclose(mu.weights, 1 / 4096, rtol=1e-5)
    flat = smooth.reshape(-1, 3)
    np.testing.assert_allclose(mu.points.mean(0), flat.mean(0), atol=2e-3)
    np.testing.assert_allclose(np.cov(mu.points.T), np.cov(flat.T), atol=1e-3)
    for q in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(
            np.quantile(mu.points, q, axis=0), np.quantile(flat, q, axis=0), atol=1e-2
        )


def test_sample_beats_chance():
    """Stratified along the Morton curve: errors of means well below those of random draws."""
    ours = []
    for _ in range(8):
        image = RNG.integers(0, 256, (200, 200, 3)).astype(np.uint8)
        flat = image.reshape(-1, 3) / 255
        points = colors.sample(pixels.view(image), size=1024).points
        ours.append(np.asarray(points.mean(0)) - flat.mean(0))
    chance = 12**-0.5 / np.sqrt(1024)
    assert np.std(ours) < chance / 3


def test_deep_pictures_of_many_pixels_are_subsampled(monkeypatch):
    monkeypatch.setattr(colors, "DEEP_ROWS", 5000)
    image = RNG.uniform(0, 1, (200, 300, 3)).astype(np.float32)
    mu = colors.every_color(pixels.view(image))
    assert (np.asarray(mu.weights) > 0).sum() == 5000
    np.testing.assert_allclose(np.average(mu.points, 0, mu.weights), 0.5, atol=0.02)
    mask = np.zeros((200, 300))
    mask[77, 88:90] = 1
    few = colors.every_color(pixels.view(image, mask))
    np.testing.assert_allclose(few.points[:2].sum(0), image[77, 88:90].sum(0), rtol=1e-6)
    assert (np.asarray(few.weights) > 0).sum() == 2


def test_neutral_takes_the_luminance():
    image = RNG.integers(0, 256, (20, 20, 3)).astype(np.uint8)
    mu = colors.sample(pixels.view(image), neutral=True)
    inside = np.asarray(mu.weights) > 0
    points = np.asarray(mu.points)[inside]
    np.testing.assert_allclose(points, points[:, :1] * np.ones((1, 3)))
    expected = np.asarray(luminance(jnp.asarray(image.reshape(-1, 3) / np.float32(255))))
    np.testing.assert_allclose(np.sort(points[:, 0]), np.sort(expected), atol=1e-6)


def test_nothing_to_fit_is_said():
    image = np.zeros((4, 4, 4), np.uint8)
    for make in (colors.sample, colors.every_color, lambda v: colors.moments(v, SPACES["srgb"])):
        with pytest.raises(ValueError, match="transparent or masked"):
            make(pixels.view(image))


def test_one_compiled_shape_for_all_pictures():
    pixels._call.clear_cache()
    for size in ((3, 5), (400, 301), (1, 70000)):
        image = RNG.integers(0, 256, (*size, 3)).astype(np.uint8)
        colors.moments(pixels.view(image), SPACES["lab"])
    assert pixels._call._cache_size() == 1
    assert jax.config.jax_enable_x64 is False
