import jax.numpy as jnp
import numpy as np

from jaxcolor.lattice import Displacement, spread
from jaxcolor.measure import Measure

RNG = np.random.default_rng(0)
LOW, HIGH = np.array([0.0, -1.0, 2.0]), np.array([1.0, 1.0, 5.0])


def box(dtype):
    return jnp.asarray(LOW, dtype), jnp.asarray(HIGH, dtype)


def inside(dtype, n=300):
    return jnp.asarray(LOW + RNG.random((n, 3)) * (HIGH - LOW), dtype)


def test_spreading_keeps_mass_and_mean(dtype):
    mu = Measure(inside(dtype), jnp.asarray(RNG.random(300), dtype))
    density = spread(mu, *box(dtype), 7)
    assert density.weights.shape == (7, 7, 7)
    assert density.weights.dtype == dtype
    np.testing.assert_allclose(density.weights.sum(), mu.weights.sum(), rtol=1e-5)
    for k, axis in enumerate(density.axes):
        along = density.weights.sum(tuple(j for j in range(3) if j != k))
        mean = (mu.weights * mu.points[:, k]).sum()
        np.testing.assert_allclose((along * axis).sum(), mean, rtol=1e-4, atol=1e-5)


def test_outside_the_box_mass_counts_at_its_border(dtype):
    mu = Measure(jnp.array([[9.0, -9.0, 2.0]], dtype), jnp.ones(1, dtype))
    assert spread(mu, *box(dtype), 4).weights[3, 0, 0] == 1


def test_points_without_weight_do_nothing(dtype):
    points = inside(dtype, 5)
    some = Measure(points, jnp.array([1, 0, 2, 0, 0], dtype))
    few = Measure(points[np.array([0, 2])], jnp.array([1, 2], dtype))
    one, other = (spread(mu, *box(dtype), 5).weights for mu in (some, few))
    np.testing.assert_array_equal(one, other)


def test_an_affine_displacement_is_read_exactly(dtype):
    low, high = box(dtype)
    axes = [np.linspace(a, b, 5) for a, b in zip(LOW, HIGH, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    matrix = RNG.normal(size=(3, 3))
    table = jnp.asarray(nodes @ matrix.T + 0.3, dtype)
    x = inside(dtype)
    expected = np.asarray(x) + np.asarray(x) @ matrix.T + 0.3
    np.testing.assert_allclose(Displacement(low, high, table)(x), expected, atol=2e-5)


def test_beyond_the_box_it_goes_on_as_at_the_border(dtype):
    table = jnp.asarray(RNG.normal(size=(3, 3, 3, 3)), dtype)
    move = Displacement(*box(dtype), table)
    far = jnp.array([[9.0, 0.3, -4.0]], dtype)
    near = jnp.clip(far, *box(dtype))
    np.testing.assert_allclose(move(far) - far, move(near) - near, atol=1e-5)
