import jax.numpy as jnp
import numpy as np
import pytest
from image.players import lut_filter
from scipy.interpolate import RegularGridInterpolator

from jaxcolor.image import INTERPOLATIONS, lut
from jaxcolor.image.apply import apply
from jaxcolor.image.bake import bake
from jaxcolor.maps import Affine

RNG = np.random.default_rng(0)
IDENTITY = Affine(jnp.eye(3), jnp.zeros(3))


def random_lut(size, interpolation="tetrahedral"):
    table = RNG.uniform(0, 1, (size, size, size, 3)).astype(np.float32)
    return lut.Lut(jnp.asarray(table), jnp.array([[0.0] * 3, [1.0] * 3]), interpolation)


def test_trilinear_agrees_with_scipy():
    one = random_lut(7, "trilinear")
    axis = np.linspace(0, 1, 7)
    x = RNG.uniform(0, 1, (300, 3))
    expected = RegularGridInterpolator((axis,) * 3, np.asarray(one.table))(x)
    np.testing.assert_allclose(one(jnp.asarray(x, jnp.float32)), expected, atol=5e-6)


def test_values_beyond_the_domain_are_clamped():
    one = random_lut(4)
    np.testing.assert_allclose(
        one(jnp.array([[-1.0, 0.5, 9.0]])), one(jnp.array([[0.0, 0.5, 1.0]])), atol=1e-6
    )


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_agrees_with_ffmpeg(tmp_path, interpolation):
    """PyAV's wheel carries ffmpeg's lut3d filter: an independent reader and interpolator."""
    one = random_lut(9, interpolation)
    one.save(tmp_path / "x.cube")
    image = RNG.integers(0, 256, (64, 96, 3)).astype(np.uint8)
    theirs = lut_filter("lut3d", image, tmp_path / "x.cube", interpolation)
    # ffmpeg truncates where we round
    assert np.abs(apply(one, image).astype(int) - theirs).max() <= 1


def test_an_unknown_interpolation():
    with pytest.raises(ValueError, match="interpolation"):
        random_lut(3, "nearest")(jnp.zeros((1, 3)))


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "x.cube").write_text("old")

    def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="disk full"):
        bake(IDENTITY, 2).save(tmp_path / "x.cube")
    assert [p.name for p in tmp_path.iterdir()] == ["x.cube"]
    assert (tmp_path / "x.cube").read_text() == "old"
