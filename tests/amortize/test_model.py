import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.amortize import model, start

EPSILON = jnp.float32(0.1)


@pytest.fixture(scope="module")
def predict():
    return jax.jit(lambda *parts: model.potential(start.network, *parts, EPSILON))


def test_the_gauge_is_fixed(predict, first):
    g = predict(*first)
    assert g.shape == first[3].shape
    assert g.dtype == jnp.float32
    assert abs(float(first[3] @ g)) < 1e-3
    assert float(jnp.std(g)) > 1


def doubled(*parts):
    """The network and a pair in float64, where rounding hides nothing."""
    return jax.tree.map(lambda z: jnp.asarray(z, jnp.float64), (start.network, *parts, EPSILON))


def test_colours_in_another_order_get_the_same(first, x64):
    x, a, y, b = first
    rng = np.random.default_rng(0)
    i, j = rng.permutation(len(a)), rng.permutation(len(b))
    predict = jax.jit(model.potential)
    expected = predict(*doubled(*first))[j]
    np.testing.assert_allclose(predict(*doubled(x[i], a[i], y[j], b[j])), expected, atol=1e-6)


def test_colours_without_weight_change_nothing(first, x64):
    x, a, y, b = first
    far = np.full((9, 3), 400, np.float32)
    zeros = np.zeros(9, np.float32)
    longer = np.r_[x, far], np.r_[a, zeros], np.r_[y, far], np.r_[b, zeros]
    predict = jax.jit(model.potential)
    padded = predict(*doubled(*longer))
    np.testing.assert_allclose(padded[: len(b)], predict(*doubled(*first)), atol=1e-6)
    assert np.isfinite(padded).all()


def test_it_knows_differences_of_colours_alone(predict, first):
    x, a, y, b = first
    shift = np.array([3.0, -2.0, 5.0], np.float32)
    np.testing.assert_allclose(predict(x + shift, a, y + shift, b), predict(*first), atol=5e-3)


def test_a_colour_in_two_halves_is_one(first):
    x, a, y, b = first
    network = start.network
    half = np.r_[b / 2, b / 2]
    g = jax.jit(model.potential)(network, *first, EPSILON)
    halves = jax.jit(model.potential)(network, x, a, np.r_[y, y], half, EPSILON)
    np.testing.assert_allclose(halves[: len(b)], halves[len(b) :], atol=1e-4)
    # it is told a colour's weight too, so not to the digit
    assert np.sqrt(b @ np.square(halves[: len(b)] - g)) < 2


def test_the_batched_form_is_the_same(both):
    mu, nu = both
    epsilon = jnp.full(8, 0.1)
    network = start.network
    batched = jax.jit(model.potentials)(network, mu, nu, epsilon)

    @jax.jit
    def single(x, a, y, b):
        return model.potential(network, x, a, y, b, EPSILON)

    for k in range(3):
        one = single(mu.points[k], mu.weights[k], nu.points[k], nu.weights[k])
        np.testing.assert_allclose(batched[k], one, atol=5e-3)


def test_distances_are_exact_enough_to_look(first):
    x, _a, y, _b = first
    seen = model.guess(start.network, *first, EPSILON)[0]
    exact = np.linalg.norm(x[:, None] - y[None], axis=-1)
    np.testing.assert_allclose(model.distances(seen) * seen.spread, exact, atol=0.05)


def test_a_look_sees_the_plan_and_sweeps_as_sinkhorn_does(first):
    x, a, y, b = first
    seen = model.guess(start.network, *first, EPSILON)[0]
    g, e = np.linspace(-0.2, 0.2, len(b)), 0.1
    cost = np.linalg.norm(x[:, None] - y[None], axis=-1) / float(seen.spread)
    rows = b * np.exp((g - cost) / e)
    expected = a @ (rows / rows.sum(1, keepdims=True))
    cost = model.distances(seen)
    got = model.look(seen, cost, jnp.asarray(g, jnp.float32), jnp.float32(e))
    np.testing.assert_allclose(got.before, expected, rtol=2e-3, atol=1e-7)
    there = jnp.asarray(g, jnp.float32) + got.moved
    swept = model.look(seen, cost, there, jnp.float32(e), sweeps=0)
    np.testing.assert_allclose(got.after, swept.before, rtol=2e-3, atol=1e-7)
    assert np.abs(got.after - b).sum() < 0.7 * np.abs(got.before - b).sum()


def test_the_same_palette_twice_has_hardly_any_potential(predict, first):
    x, a, _, _ = first
    g = predict(x, a, x, a)
    assert float(np.sqrt(a @ np.square(g))) < 1.5


def test_points_may_be_few(predict):
    one = jnp.array([[50.0, 0.0, 0.0]]), jnp.ones(1)
    g = jax.jit(model.potential)(start.network, *one, *one, EPSILON)
    np.testing.assert_allclose(g, [0], atol=1e-5)


def test_splatting_keeps_mass_and_reading_is_its_transpose(first):
    _, _, y, b = first
    rows, columns = model._trilinear(jnp.asarray(y - y.mean(0)) / 15, (5, 4, 3))
    grid = jax.random.normal(jax.random.key(0), (60,))
    splat = model._splat(rows, columns, jnp.asarray(b))
    np.testing.assert_allclose(splat.sum(), 1, rtol=1e-5)
    seen = model.Seen(*[jnp.zeros(1)] * 7, rows, columns)
    np.testing.assert_allclose(b @ model._read(seen, grid), splat @ grid, rtol=1e-4, atol=1e-6)
