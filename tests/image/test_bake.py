import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.image import INTERPOLATIONS, lut
from jaxcolor.image.bake import STAY, bake, bake_curves, bake_error, covering, entries
from jaxcolor.image.pixels import from_float, view
from jaxcolor.image.spaces import Lab
from jaxcolor.lattice import corners
from jaxcolor.maps import Affine, InSpace

RNG = np.random.default_rng(0)
CURVED = InSpace(Lab(), Affine(jnp.diag(jnp.array([0.9, -1.0, 0.5])), jnp.array([5.0, 0, 0])))
# far beyond [0, 1], where a table is clipped and its fit is not
HARSH = InSpace(Lab(), Affine(jnp.diag(jnp.array([2.5, 3.0, 3.0])), jnp.array([-70.0, 10, -40])))
SHEAR = Affine(
    jnp.array([[1.2, 0.1, 0.0], [0.0, 0.8, 0.1], [0.3, 0.0, 0.7]]), jnp.array([-0.1, 0.05, 0.0])
)


def steep(colors):
    return 2 * jnp.tanh(40 * (colors - 0.4))


@pytest.fixture(scope="module")
def picture(photographs):
    """(60, 80, 3) uint8."""
    return photographs[0][:60, :80].copy()


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [2, 5, 33])
def test_affine_maps_are_baked_exactly(size, interpolation):
    matrix = jnp.asarray(RNG.normal(size=(3, 3)), jnp.float32)
    fine = Affine(matrix, jnp.array([0.1, 0.2, 0.3]))
    baked = bake(fine, size)
    baked = lut.Lut(baked.table, baked.domain, interpolation)
    x = jnp.asarray(RNG.uniform(0, 1, (200, 3)), jnp.float32)
    np.testing.assert_allclose(baked(x), fine(x), atol=2e-6)


def test_error_falls_with_the_square_of_the_grid():
    x = RNG.uniform(0.3, 0.7, (60, 80, 3)).astype(np.float32)
    smooth = InSpace(Lab(), Affine(1.1 * jnp.eye(3), jnp.zeros(3)))
    decibels = [bake_error(bake(smooth, n), smooth, x).decibels for n in (9, 17, 33, 65)]
    # twice the grid, a quarter of the error: 12 dB
    assert all(8 < step < 16 for step in np.diff(decibels)), decibels


def test_bake_error_is_the_pictures():
    image = RNG.integers(0, 256, (50, 40, 3)).astype(np.uint8)
    baked = bake(CURVED, 9)
    decibels, worst, _ = bake_error(baked, CURVED, image)
    x = jnp.asarray(image.reshape(-1, 3) / np.float32(255))
    gap = np.clip(baked(x), 0, 1) - np.clip(CURVED(x), 0, 1)
    np.testing.assert_allclose(decibels, -10 * np.log10(np.mean(gap**2)), atol=1e-3)
    np.testing.assert_allclose(worst, np.abs(gap).max(), rtol=1e-4)


def test_sizes_out_of_range_are_refused(picture):
    for size in (1, 130):
        with pytest.raises(ValueError, match="129"):
            bake(CURVED, size)
        with pytest.raises(ValueError, match="129"):
            bake(CURVED, size, picture=picture)


# on the colours of a picture


@pytest.mark.parametrize("color_map", [CURVED, HARSH, SHEAR, steep], ids=lambda m: str(m)[:12])
@pytest.mark.parametrize("size", [3, 9])
def test_never_worse_on_the_pictures_own_colours(picture, color_map, size):
    sampled, fitted = bake(color_map, size), bake(color_map, size, picture=picture)
    before, after = (bake_error(one, color_map, picture)[0] for one in (sampled, fitted))
    # what is exact but for rounding stays that
    assert after >= before or after > 130


@pytest.mark.parametrize("size", [9, 17])
def test_much_better_for_a_curved_map(picture, size):
    sampled, fitted = (
        bake_error(one, CURVED, picture)[0]
        for one in (bake(CURVED, size), bake(CURVED, size, picture=picture))
    )
    assert fitted >= sampled + 3


def test_it_is_the_least_squares_solution(picture):
    """By NumPy, over the table's 27 entries, each held to its sampled value by STAY."""
    x = jnp.asarray(picture.reshape(-1, 3) / np.float32(255))
    design = np.zeros((len(x), 27))
    for place, weight in corners(x, 3):
        np.add.at(design, (np.arange(len(x)), np.asarray(place)), np.asarray(weight))
    sampled, fitted = (
        np.asarray(bake(CURVED, 3, picture=p).table, float).reshape(27, 3) for p in (None, picture)
    )
    share = 27 / len(x)
    off = np.asarray(CURVED(x), float) - design @ sampled
    normal = share * design.T @ design + STAY * np.eye(27)
    expected = np.linalg.solve(normal, share * design.T @ off)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(fitted - sampled, expected, atol=2e-3)


def test_what_the_picture_is_far_from_keeps_the_maps_values(picture):
    dark = picture // 3  # up to 85: in the first three of eight cells
    sampled, fitted = (np.asarray(bake(CURVED, 9, picture=p).table) for p in (None, dark))
    far = np.ones((9, 9, 9), bool)
    far[:4, :4, :4] = False
    np.testing.assert_allclose(fitted[far], sampled[far], atol=1e-3)
    assert np.abs(fitted - sampled)[~far].max() > 1e-2


def test_what_the_picture_is_near_to_is_hardly_worse(picture):
    """The next frame's colours: a table that meets these alone is far off between them."""
    off = np.random.default_rng(1).integers(-20, 21, picture.shape)
    near = np.clip(picture + off, 0, 255).astype(np.uint8)
    sampled, fitted = (
        bake_error(bake(CURVED, 17, picture=p), CURVED, near)[0] for p in (None, picture)
    )
    assert fitted > sampled - 0.5


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_depth_does_not_matter(picture, dtype):
    deep = from_float(picture / 255, np.dtype(dtype))
    eight, other = (bake(CURVED, 9, picture=p).table for p in (picture, deep))
    np.testing.assert_allclose(other, eight, atol=1e-4)


def test_grey_pictures(picture):
    grey = picture[..., 1]
    sampled, fitted = (
        bake_error(bake(CURVED, 9, picture=p), CURVED, grey)[0] for p in (None, grey)
    )
    assert fitted > sampled + 1
    np.testing.assert_allclose(
        bake(CURVED, 9, picture=grey).table,
        bake(CURVED, 9, picture=np.repeat(grey[..., None], 3, 2)).table,
        atol=1e-6,
    )


def test_transparent_and_masked_pixels_do_not_count(picture):
    shown = np.zeros(picture.shape[:2], np.uint8)
    shown[:, :30] = 255
    junk = np.where(shown[..., None] > 0, picture, 255 - picture[::-1])
    alone = bake(CURVED, 9, picture=picture[:, :30]).table
    for one in (np.dstack([junk, shown]), view(junk, shown)):
        np.testing.assert_allclose(bake(CURVED, 9, picture=one).table, alone, atol=1e-6)
    assert jnp.abs(bake(CURVED, 9, picture=junk).table - alone).max() > 1e-3
    with pytest.raises(ValueError, match="transparent or masked out"):
        bake(CURVED, 9, picture=np.dstack([picture, 0 * shown]))


def test_unbounded_pictures_give_a_finite_table():
    wide = RNG.uniform(-1, 4, (60, 80, 3)).astype(np.float32)
    assert jnp.isfinite(bake(SHEAR, 5, picture=wide).table).all()


def test_one_colour_is_met():
    flat = np.full((60, 80, 3), (30, 120, 201), np.uint8)
    table = bake(CURVED, 5, picture=flat)
    assert bake_error(table, CURVED, flat)[0] > 60
    assert bake_error(bake(CURVED, 5), CURVED, flat)[0] < 50


def test_strict_promotion(picture):
    with jax.numpy_dtype_promotion("strict"):
        assert bake(CURVED, 5, picture=picture).table.dtype == jnp.float32


def test_in_double_precision(picture, x64):
    single = bake(SHEAR, 5, picture=picture)
    with jax.numpy_dtype_promotion("strict"):
        np.testing.assert_allclose(
            bake(SHEAR, 5, picture=picture / 255).table, single.table, atol=1e-6
        )


# other domains, channels by themselves


WIDE = np.array([[-0.5, 0, 0], [4, 2, 1]], np.float32)


@pytest.mark.parametrize("fit", [False, True])
def test_a_wider_domain(fit):
    x = RNG.uniform(*WIDE, (60, 80, 3)).astype(np.float32)
    baked = bake(SHEAR, 9, picture=x if fit else None, domain=WIDE)
    np.testing.assert_array_equal(baked.domain, WIDE)
    # affine: exact, up to 4, and nothing is clipped when it is measured
    assert bake_error(baked, SHEAR, x).worst < 1e-5
    assert bake_error(bake(SHEAR, 9), SHEAR, x).worst > 2


def test_a_wider_domain_is_fitted_too():
    x = RNG.uniform(*WIDE, (60, 80, 3)).astype(np.float32)
    sampled, fitted = (
        bake_error(bake(CURVED, 9, picture=p, domain=WIDE), CURVED, x).decibels for p in (None, x)
    )
    assert fitted > sampled + 2


def test_the_domain_covers_what_counts():
    x = np.full((4, 5, 4), 0.5, np.float32)
    x[0, 0] = [-1, 0.5, 2, 1]
    x[1, 1] = [9, 9, 9, 0]  # not seen
    np.testing.assert_array_equal(covering(view(x)), [[-1, 0, 0], [1, 1, 2]])
    np.testing.assert_array_equal(covering(view(x[2:])), [[0] * 3, [1] * 3])
    np.testing.assert_array_equal(covering(view(np.zeros((2, 2), np.uint8))), [[0] * 3, [1] * 3])


def test_empty_domains_are_refused():
    for domain in (np.zeros((2, 3)), WIDE[::-1], np.ones(2)):
        for make in (bake, bake_curves):
            with pytest.raises(ValueError, match="the least below the greatest"):
                make(CURVED, 5, domain=domain)


def by_channel(colors):
    return jnp.stack([colors[:, 0] ** 2, 1 - colors[:, 1], jnp.sin(9 * colors[:, 2])], 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_curves_are_exact_at_every_level(dtype):
    picture = RNG.integers(0, np.iinfo(dtype).max + 1, (60, 80, 3)).astype(dtype)
    curves = bake_curves(by_channel, entries(view(picture)))
    assert curves.size >= 1024
    assert bake_error(curves, by_channel, picture).worst < 1e-6


def test_curves_over_a_wider_domain():
    x = RNG.uniform(*WIDE, (60, 80, 3)).astype(np.float32)
    curves = bake_curves(by_channel, 4081, domain=WIDE)
    assert bake_error(curves, by_channel, x).worst < 1e-4


def test_curves_of_maps_that_mix_channels_are_refused():
    for color_map in (CURVED, SHEAR):
        with pytest.raises(ValueError, match=r"mixes channels \(one changes by up to \d"):
            bake_curves(color_map)
    for size in (1, 65537):
        with pytest.raises(ValueError, match="65536"):
            bake_curves(by_channel, size)


def test_the_greatest_difference_in_ciede2000(picture):
    """By another implementation, colour by colour."""
    from coloraide import Color

    baked = bake(CURVED, 5)
    found = bake_error(baked, CURVED, picture[:9, :9]).delta_e
    x = jnp.asarray(picture[:9, :9].reshape(-1, 3) / np.float32(255))
    exact, ours = (np.clip(f(x), 0, 1).astype(float) for f in (CURVED, baked))
    expected = max(
        Color("srgb", a).delta_e(Color("srgb", b), method="2000")
        for a, b in zip(exact.tolist(), ours.tolist(), strict=True)
    )
    assert expected > 1
    assert found == pytest.approx(expected, rel=0.02)  # of the D50 white there, D65 here
