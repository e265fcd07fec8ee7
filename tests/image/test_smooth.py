import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from jaxcolor.image import filters
from jaxcolor.image import smooth as module
from jaxcolor.image.regrain import regrain
from jaxcolor.image.smooth import (
    Average,
    Bilateral,
    Guided,
    Yaroslavsky,
    displacement,
    smooth,
)

RNG = np.random.default_rng(0)
# narrow windows of pixels, and wide ones of cells
KERNELS = [
    Average(2),
    Average(12),
    Guided(9, 1e-4),
    Guided(30),
    Yaroslavsky(3, 0.1, 2),
    Yaroslavsky(11, 0.06, 3),
    Bilateral(4, 0.1),
    Bilateral(17, 0.06),
]


def scene(height, width, channels=3, grain=0.03, noise=0.05):
    """Two smooth parts with an edge between them, 8 bits; a field that differs across it."""
    y, x = np.mgrid[:height, :width]
    side = (x + 0.3 * y > 0.6 * width)[..., None]
    wave = 0.1 * np.sin(x / 9)[..., None] * np.cos(y / 7)[..., None]
    u = 0.3 + 0.4 * side + wave + RNG.normal(0, grain, (height, width, channels))
    v = 0.2 * side - 0.1 + 0.5 * wave + RNG.normal(0, noise, u.shape)
    return np.rint(255 * u.clip(0, 1)).astype(np.uint8), v.astype(np.float32)


def box(x, radius):
    """SciPy's, over the pixels inside."""
    size = (2 * radius + 1, 2 * radius + 1, 1)
    inside = uniform_filter(np.ones_like(x), size, mode="constant")
    return uniform_filter(x, size, mode="constant") / inside


def guided(u, v, radius, epsilon):
    mean_u, mean_v = box(u, radius), box(v, radius)
    a = (box(u * v, radius) - mean_u * mean_v) / (box(u * u, radius) - mean_u**2 + epsilon)
    return box(a, radius) * u + box(mean_v - a * mean_u, radius)


def ranged(u, v, radius, sigma, nearness=0.0):
    """By the formula, pixel by pixel."""
    result = np.empty_like(v)
    for i, j in np.ndindex(*u.shape[:2]):
        top, left = max(i - radius, 0), max(j - radius, 0)
        window = np.s_[top : i + radius + 1, left : j + radius + 1]
        y, x = np.indices(u[window].shape[:2])
        away = ((y + top - i) ** 2 + (x + left - j) ** 2) / radius**2
        distance = ((u[window] - u[i, j]) ** 2).sum(-1) / sigma**2
        weight = np.exp(-distance - nearness * away)[..., None]
        result[i, j] = (weight * v[window]).sum((0, 1)) / weight.sum()
    return result


@pytest.mark.parametrize("channels", [1, 3])
def test_narrow_windows_are_their_formulas(channels):
    u, v = scene(20, 33, channels)
    x, w = u / 255, v.astype(float)
    want = {
        Average(4): box(w, 4),
        Guided(7, 1e-4): guided(x, w, 7, 1e-4),
        Guided(1, 1e-2): guided(x, w, 1, 1e-2),
        Yaroslavsky(3, 0.1, 1): ranged(x, w, 3, 0.1),
        Yaroslavsky(2, 0.1, 2): ranged(x, ranged(x, w, 2, 0.1), 2, 0.1),
        Bilateral(4, 0.1): ranged(x, w, 4, 0.1, nearness=2),
    }
    for kernel, oracle in want.items():
        np.testing.assert_allclose(displacement(kernel, u, v), oracle, atol=2e-6, err_msg=kernel)


def test_tiles_leave_no_trace():
    u, v = scene(150, 300, 1)
    x, w = u / 255, v.astype(float)
    np.testing.assert_allclose(displacement(Guided(12), u, v), guided(x, w, 12, 1e-3), atol=3e-6)
    np.testing.assert_allclose(displacement(Average(5), u, v), box(w, 5), atol=1e-6)
    crop = np.s_[80:130, 150:250]  # across borders at 96 and 192
    np.testing.assert_allclose(
        displacement(Yaroslavsky(3, 0.1, 1), u, v)[crop][3:-3, 3:-3],
        ranged(x[crop], w[crop], 3, 0.1)[3:-3, 3:-3],
        atol=2e-6,
    )


def test_cells_change_little():
    """In levels of 255, against the sum over pixels; the last cells are not whole here."""
    u, v = scene(91, 128, grain=0.01)
    x, w = u / 255, v.astype(float)

    def difference(kernel, oracle):
        return 255 * np.sqrt(np.mean((displacement(kernel, u, v) - oracle) ** 2))

    assert difference(Guided(20), guided(x, w, 20, 1e-3)) < 0.05
    assert difference(Average(20), box(w, 20)) < 0.2
    by_pixel = ranged(x, w, 8, 0.1)
    assert difference(Yaroslavsky(8, 0.1, 1), by_pixel) < 0.6
    assert 255 * np.sqrt(np.mean((w - by_pixel) ** 2)) > 10  # what there was to smooth


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_linear_in_the_field_and_true_to_constants(kernel):
    u, v = scene(70, 110)
    w = RNG.normal(0, 0.1, v.shape).astype(np.float32)
    mixed = displacement(kernel, u, 2 * v - 3 * w)
    apart = 2 * displacement(kernel, u, v) - 3 * displacement(kernel, u, w)
    np.testing.assert_allclose(mixed, apart, atol=1e-6)
    constant = np.full_like(v, 0.3)
    np.testing.assert_allclose(displacement(kernel, u, constant), constant, atol=1e-6)
    assert not displacement(kernel, u, np.zeros_like(v)).any()


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (400, 2)])
def test_any_size(kernel, size):
    u, v = scene(*size, channels=1)
    result = displacement(kernel, u, v)
    assert result.shape == v.shape
    assert v.min() - 0.2 < result.min() <= result.max() < v.max() + 0.2


def test_edges_stay():
    """The field jumps where the guide does: only the average blurs it."""
    u, v = scene(100, 160, grain=0, noise=0)
    far = {
        name: np.abs(np.diff(displacement(module.KERNELS[name](1024), u, v)[50, :, 0])).max()
        for name in ("average", "guided", "yaroslavsky", "bilateral")
    }
    assert far["average"] < 0.02
    assert min(far[name] for name in ("guided", "yaroslavsky", "bilateral")) > 0.12


def test_a_lone_colour_keeps_its_own_displacement():
    """Where no cell is like a pixel, its own value is all there is to average."""
    u, v = np.zeros((60, 60, 3), np.uint8), np.zeros((60, 60, 3), np.float32)
    u[30, 30], v[30, 30] = 255, 1
    result = displacement(Yaroslavsky(20, 0.06, 1), u, v)
    assert result[30, 30] == pytest.approx([1, 1, 1], abs=1e-4)
    assert result[30, 31] == pytest.approx([0, 0, 0], abs=0.01)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_the_door_adds_the_source(dtype):
    u, v = scene(40, 70)
    source = {"uint8": u, "uint16": u.astype(np.uint16) * 257}.get(dtype, (u / 255).astype(dtype))
    result = smooth(source, u / 255 + v, "guided")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, u / 255 + displacement(Guided(1), u, v), atol=2e-6)


def test_the_names():
    u, v = scene(60, 80)
    moved = (u / np.float32(255) + v).astype(np.float32)
    assert np.array_equal(smooth(u, moved, "none"), moved)
    assert np.array_equal(smooth(u, moved, "regrain", scale=0.5), regrain(u, moved, 0.5))
    for name, kernel in module.KERNELS.items():
        result = smooth(u, moved, name, scale=3)
        np.testing.assert_allclose(
            result - u / 255, displacement(kernel(240), u, v), atol=1e-6, err_msg=name
        )
    for name in ("", "guide"):
        with pytest.raises(ValueError, match=r"unknown smoothing .* guided, yaroslavsky"):
            smooth(u, moved, name)


def test_windows_grow_with_the_picture():
    assert module.KERNELS["guided"](1024) == Guided(20)
    assert module.KERNELS["yaroslavsky"](1024).radius == 20
    assert {make(1).radius for make in module.KERNELS.values()} == {1}


def test_one_program_for_all_sizes():
    programs = filters._coefficients, filters._affine, filters._range_mean
    for program in programs:
        program.clear_cache()
    for size, radius in (((9, 9), 1), ((30, 300), 9), ((1, 900), 40)):
        u, v = scene(*size)
        for kernel in (Guided(radius), Yaroslavsky(radius, 0.1, 2), Bilateral(radius, 0.1)):
            displacement(kernel, u, v)
        displacement(Average(radius), u, v)
    assert [program._cache_size() for program in programs] == [1, 1, 1]


@pytest.mark.parametrize("kernel", KERNELS[::2], ids=str)
def test_strict_promotion(kernel, dtype):
    u, v = scene(20, 30)
    assert displacement(kernel, (u / 255).astype(dtype), v.astype(dtype)).dtype == np.float32


def test_a_noisy_transfer_gets_quieter(photographs):
    """The displacement's noise goes, the source's detail does not."""
    u, _ = photographs
    source = u / np.float32(255)
    clean = 0.8 * source + 0.1
    noisy = clean + RNG.normal(0, 0.05, u.shape).astype(np.float32)
    for name in ("guided", "yaroslavsky", "bilateral"):
        error = np.sqrt(np.mean((smooth(u, noisy, name, scale=3) - clean) ** 2))
        assert error < 0.03, name


def test_what_makes_no_sense():
    u, v = scene(4, 5)
    for guide, field in ((u, v[:3]), (u[..., 0], v[..., 0]), (u[..., :2], v[..., :2])):
        with pytest.raises(ValueError, match="two arrays"):
            displacement(Average(1), guide, field)
    with pytest.raises(ValueError, match="at least 1 pixel, got 0"):
        displacement(Guided(0), u, v)
