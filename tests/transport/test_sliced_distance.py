import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from jaxcolor.measure import Measure, pad
from jaxcolor.transport import directions
from jaxcolor.transport.sliced_distance import distance

from problems import cloud  # isort: skip

THETA = directions.orthonormal(jax.random.key(0), 6, 3)


def two(dtype, n=40, m=25):
    return cloud(0, n, dtype), cloud(9, m, dtype)


def theta(dtype):
    return THETA.astype(dtype)


def by_hand(mu, nu, directions, p) -> float:
    """The definition on a fine, common grid of levels: sorted weights, no code of ours."""
    powers = []
    for direction in np.asarray(directions, float):
        ends, positions = [], []
        for one in (mu, nu):
            t, w = np.asarray(one.points, float) @ direction, np.asarray(one.weights, float)
            order = np.argsort(t)
            ends.append(np.cumsum(w[order]) / w.sum())
            positions.append(t[order])
        levels = np.sort(np.concatenate(ends))
        before = np.concatenate([[0], levels[:-1]])
        middle = (levels + before) / 2
        values = [
            x[np.searchsorted(e, middle).clip(0, len(x) - 1)]
            for e, x in zip(ends, positions, strict=True)
        ]
        powers.append(((levels - before) * np.abs(values[0] - values[1]) ** p).sum())
    return np.mean(powers) ** (1 / p)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
def test_is_the_definition(p, dtype):
    mu, nu = two(dtype)
    got = distance(mu, nu, theta(dtype), p=p, method="sorted")
    np.testing.assert_allclose(got, by_hand(mu, nu, THETA, p), rtol=1e-4)


def test_one_direction_is_scipy_s(x64):
    mu, nu = two(np.float64)
    axis = jnp.eye(3)[:1]
    scipy = wasserstein_distance(
        mu.points[:, 0], nu.points[:, 0], np.asarray(mu.weights), np.asarray(nu.weights)
    )
    np.testing.assert_allclose(distance(mu, nu, axis, p=1.0), scipy, rtol=1e-9)


@pytest.mark.parametrize("p", [1.0, 2.0, pytest.param(3.0, marks=pytest.mark.long)])
def test_bins_agree_with_sorting_in_value_and_gradient(p, dtype):
    mu, nu = two(dtype, 3000, 2000)

    def value(method):
        def of(points, weights):
            return distance(Measure(points, weights), nu, theta(dtype), p=p, method=method)

        return jax.jit(jax.value_and_grad(of, argnums=(0, 1)))(mu.points, mu.weights)

    (one, by_sort), (other, by_bins) = value("sorted"), value("binned")
    np.testing.assert_allclose(other, one, rtol=2e-3)
    # per unit of mass; a bin may send a point to its neighbour's image
    off = (by_bins[0] - by_sort[0]) / mu.weights[:, None]
    scale = jnp.abs(by_sort[0] / mu.weights[:, None]).max()
    assert float(jnp.quantile(jnp.abs(off), 0.99)) < 0.02 * scale
    both = [
        np.asarray(g[1]) - np.asarray(g[1]) @ np.asarray(mu.weights) for g in (by_sort, by_bins)
    ]
    assert np.quantile(np.abs(both[1] - both[0]), 0.99) < 0.01 * np.abs(both[0]).max()


def test_the_default_is_one_of_both(single):
    few, many = two(single), two(single, 3000, 2000)
    assert distance(*few, THETA) == distance(*few, THETA, method="sorted")
    expected = "binned" if jax.default_backend() == "cpu" else "sorted"
    assert distance(*many, THETA) == distance(*many, THETA, method=expected)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_both_modes_are_finite_differences(p, double):
    mu, nu = two(double)
    rng = np.random.default_rng(0)
    leaves = (mu.points, mu.weights, nu.points, nu.weights, theta(double))
    moves = [jnp.asarray(rng.normal(size=leaf.shape)) for leaf in leaves]
    moves[1], moves[3] = 0.01 * mu.weights * moves[1], 0.01 * nu.weights * moves[3]

    def value(x, a, y, b, directions):
        return distance(Measure(x, a), Measure(y, b), directions, p=p, method="sorted")

    h = 1e-6
    up, down = (
        value(*(z + s * h * v for z, v in zip(leaves, moves, strict=True))) for s in (1, -1)
    )
    gradient = jax.jit(jax.grad(value, argnums=range(5)))(*leaves)
    backward = sum(float((g * v).sum()) for g, v in zip(gradient, moves, strict=True))
    _, forward = jax.jit(lambda *ends: jax.jvp(value, *ends))(leaves, tuple(moves))
    np.testing.assert_allclose(backward, (up - down) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(forward, backward, rtol=1e-12)


@pytest.mark.parametrize("method", ["sorted", "binned"])
def test_symmetric_homogeneous_and_blind_to_translation(method, dtype):
    mu, nu = two(dtype, 60, 60)
    along = theta(dtype)
    plain = distance(mu, nu, along, method=method)
    close = {"rtol": 3e-3 if method == "binned" else 2e-4}
    np.testing.assert_allclose(distance(nu, mu, along, method=method), plain, **close)
    three = jnp.asarray(3, dtype)

    def changed(one):
        return Measure(three * one.points + three, 7 * one.weights / 7)

    np.testing.assert_allclose(
        distance(changed(mu), changed(nu), along, method=method), three * plain, **close
    )


@pytest.mark.parametrize("method", ["sorted", "binned"])
def test_padding_is_inert(method, dtype):
    mu, nu = two(dtype)
    padded = pad(mu, 64), pad(nu, 40)
    far = Measure(padded[0].points.at[50:].set(1e3), padded[0].weights)
    plain = distance(mu, nu, theta(dtype), method=method)
    np.testing.assert_allclose(
        distance(far, padded[1], theta(dtype), method=method), plain, rtol=1e-6
    )


@pytest.mark.parametrize("method", ["sorted", "binned"])
def test_a_translation_is_its_length_and_zero_has_zero_slope(method, dtype):
    mu, _ = two(dtype)
    shift = jnp.asarray([1.0, 2.0, -2.0], dtype)
    moved = Measure(mu.points + shift[None], mu.weights)
    along = directions.quadrature(64, 3).astype(dtype)
    length = jnp.sqrt(((along @ shift) ** 2).mean())
    np.testing.assert_allclose(length, 3**0.5, rtol=5e-3)  # |shift| / sqrt(d)
    np.testing.assert_allclose(distance(mu, moved, along, method=method), length, rtol=2e-3)
    value = jax.grad(lambda x: distance(Measure(x, mu.weights), mu, along, method=method))
    slope = jax.jit(value)(mu.points)
    assert np.isfinite(slope).all()


def test_vmap_is_a_loop(single):
    pairs = [(cloud(k, 30, single), cloud(k + 5, 20, single)) for k in range(3)]
    mu, nu = jax.tree.map(lambda *leaf: jnp.stack(leaf), *pairs)
    batch = jax.vmap(lambda m, n: distance(m, n, THETA))(mu, nu)
    np.testing.assert_allclose(batch, [distance(*pair, THETA) for pair in pairs], rtol=1e-5)


def test_what_makes_no_sense_is_refused():
    mu, nu = two(np.float32)
    with pytest.raises(ValueError, match="sorted, binned or None"):
        distance(mu, nu, THETA, method="sort")
    with pytest.raises(ValueError, match=r"\(K, 3\)"):
        distance(mu, nu, THETA[:, :2])
    with pytest.raises(ValueError, match="differ in dimension"):
        distance(mu, cloud(0, 5, np.float32, d=2), THETA)
