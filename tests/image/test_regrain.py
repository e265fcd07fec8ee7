import numpy as np
import pytest

from jaxcolor.image import regrain as module
from jaxcolor.image.regrain import regrain, resized

RNG = np.random.default_rng(0)


def jacobi(u, g, steps, smoothness, level):
    """The scheme as it is written down: whole picture, float64, replicated edges."""

    def around(x):
        padded = np.pad(x, [(1, 1), (1, 1)] + [(0, 0)] * (x.ndim - 2), "edge")
        return padded[2:, 1:-1], padded[:-2, 1:-1], padded[1:-1, 2:], padded[1:-1, :-2]

    below, above, right, left = around(u)
    slope = np.sqrt(((below - above) ** 2 + (right - left) ** 2).sum(-1, keepdims=True))
    psi = np.minimum(256 * slope / 5, 1)
    phi = 30 * 2.0**-level / (1 + 10 * slope / smoothness)
    weights = [(phi + near) / 2 for near in around(phi)]
    j = u.copy()
    for _ in range(steps):
        pull = sum(w * (a - b + u) for w, a, b in zip(weights, around(j), around(u), strict=True))
        j = 0.8 * (psi * g + pull) / (psi + sum(weights)) + 0.2 * j
    return j


@pytest.mark.parametrize("size", [(1, 1), (3, 30), (25, 40)])
@pytest.mark.parametrize("smoothness", [1.0, 0.3])
def test_one_scale_is_the_scheme(size, smoothness):
    u, g = RNG.uniform(0, 1, (2, *size, 3)).astype(np.float32)
    want = jacobi(u.astype(float), g.astype(float), 4, smoothness, 0)
    np.testing.assert_allclose(regrain(u, g, smoothness), want, atol=2e-6)


def test_tiles_and_rounds_leave_no_trace(monkeypatch):
    u, g = RNG.uniform(0, 1, (2, 300, 470, 1)).astype(np.float32)
    want = jacobi(u.astype(float), g.astype(float), 40, 1.0, 0)
    monkeypatch.setattr(module, "SWEEPS", (40,))
    np.testing.assert_allclose(regrain(u, g), want, atol=2e-6)


def test_the_published_picture(shared_data):
    house, moved, published = (
        shared_data(f"scotland_{name}.png") for name in ("house", "IDT", "IDT_regrain")
    )
    result = regrain(house, moved / np.float32(255))
    error = np.rint(255 * np.clip(result, 0, 1)) - published
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 63.5
    assert np.abs(error).max() <= 1


def test_it_takes_away_what_a_transfer_added():
    u = np.tile(np.linspace(0.2, 0.8, 90, dtype=np.float32), (60, 1))[..., None]
    g = u + 0.1 + RNG.normal(0, 0.05, u.shape).astype(np.float32)
    result = regrain(u, g) - u
    assert result.std() < 0.01
    assert 0.01 < result.mean() < 0.1


def test_integers_are_their_floats():
    u = RNG.integers(0, 256, (50, 60, 3)).astype(np.uint8)
    g = RNG.uniform(-0.2, 1.2, u.shape)
    want = regrain(u / np.float32(255), g)
    np.testing.assert_allclose(regrain(u, g), want, atol=1e-6)
    np.testing.assert_allclose(regrain(u.astype(np.uint16) * 257, g), want, atol=1e-6)


@pytest.mark.parametrize("sizes", [((40, 60), (20, 30)), ((41, 7), (21, 4)), ((9, 5), (17, 10))])
def test_resizing_is_pillows(sizes):
    """Pillow's triangle filter is the same but for what it does at the borders."""
    from PIL import Image

    old, new = sizes
    image = RNG.uniform(0, 1, (*old, 1)).astype(np.float32)
    pillow = Image.fromarray(image[..., 0]).resize(new[::-1], Image.Resampling.BILINEAR)
    inner = slice(1, -1), slice(1, -1)
    np.testing.assert_allclose(
        resized(image, *new)[..., 0][inner], np.asarray(pillow)[inner], atol=1e-6
    )


def test_one_program_for_all_sizes_and_scales():
    module._relaxed.clear_cache()
    for size in ((1, 1), (50, 90), (1, 3000)):
        u = RNG.uniform(0, 1, (*size, 3)).astype(np.float32)
        assert regrain(u, 1 - u).shape == u.shape
    assert module._relaxed._cache_size() == 1


def test_strict_promotion(dtype):
    u = RNG.uniform(0, 1, (50, 45, 3)).astype(dtype)
    assert regrain(u, 1 - u).dtype == np.float32


def test_what_makes_no_sense():
    u = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="two arrays"):
        regrain(u, np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match="smoothness must be positive"):
        regrain(u, np.zeros(u.shape), smoothness=0)
