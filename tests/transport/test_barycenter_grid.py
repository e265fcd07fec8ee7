import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Status, check
from jaxcolor.measure import Grid
from jaxcolor.transport import barycenter_grid

from problems import squared_distances  # isort: skip


def bumps(dtype, n=60, centres=((0.3, 0.3), (0.7, 0.6)), width=0.08):
    """Gaussian densities on a square."""
    axis = jnp.asarray(np.linspace(0, 1, n), dtype)
    one = [
        jnp.exp(-((axis[:, None] - cx) ** 2 + (axis[None] - cy) ** 2) / (2 * width**2))
        for cx, cy in centres
    ]
    return Grid((axis, axis), jnp.stack(one).astype(dtype))


def moments(density):
    weights = np.asarray(density.weights, float)
    weights = weights / weights.sum()
    means, spreads = [], []
    for k, axis in enumerate(density.axes):
        along = weights.sum(1 - k)
        mean = along @ np.asarray(axis, float)
        means.append(mean)
        spreads.append(np.sqrt(along @ (np.asarray(axis, float) - mean) ** 2))
    return means, spreads


@pytest.mark.parametrize("debiased", [False, True])
def test_bumps_have_the_bump_between(debiased, dtype):
    """The plain one wider by sqrt(epsilon / 2), the debiased one not."""
    epsilon = 4e-3
    found = barycenter_grid.solve(bumps(dtype), epsilon=epsilon, debiased=debiased)
    check(found.info)
    means, spreads = moments(found.measure)
    np.testing.assert_allclose(means, [0.5, 0.45], atol=2e-3)
    if debiased:
        np.testing.assert_allclose(spreads, 0.08, rtol=0.02)
    else:
        # entropic barycenter of two N(., s^2): s_bar^2 = s^2 + epsilon / 2 approximately
        assert np.all(np.array(spreads) > 0.085)
    np.testing.assert_allclose(found.measure.weights.sum(), 1, rtol=1e-5)


def test_weights_say_where(dtype):
    found = barycenter_grid.solve(
        bumps(dtype), epsilon=2e-3, weights=jnp.asarray([0.75, 0.25], dtype), debiased=True
    )
    np.testing.assert_allclose(moments(found.measure)[0], [0.4, 0.375], atol=3e-3)


def plain(cost, b, shares, epsilon, steps):
    """Bregman projections with full matrices, in NumPy: no code of ours."""
    K = np.exp(-cost / epsilon)
    v = np.ones_like(b)
    for _ in range(steps):
        w = b / (v @ K)
        d = v * (w @ K)
        mu = np.exp(shares @ np.log(d))
        v = v * mu / d
    return mu / mu.sum()


def test_agrees_with_plain_projections(double):
    rng = np.random.default_rng(0)
    axes = tuple(np.linspace(0, 1, n) for n in (7, 6))
    b = rng.uniform(0.1, 1, (3, 7, 6))
    b[0, 2] = 0
    shares = np.array([0.5, 0.2, 0.3])
    nodes = np.stack([c.ravel() for c in np.meshgrid(*axes, indexing="ij")], 1)
    flat = b.reshape(3, -1) / b.reshape(3, -1).sum(1, keepdims=True)
    want = plain(squared_distances(nodes, nodes), flat, shares, 0.05, 3000)
    found = barycenter_grid.solve(
        Grid(tuple(map(jnp.asarray, axes)), jnp.asarray(b)), epsilon=0.05,
        weights=jnp.asarray(shares), tol=1e-11, max_steps=5000,
    )  # fmt: skip
    assert found.info.status == Status.OK
    np.testing.assert_allclose(found.measure.weights.ravel(), want, atol=1e-9)


def test_three_dimensions_at_a_small_epsilon(single):
    """Where exp(-1 / epsilon) is zero in float32."""
    axis = jnp.linspace(0, 1, 24)
    grids = jnp.meshgrid(axis, axis, axis, indexing="ij")
    density = [jnp.exp(-sum((g - c) ** 2 for g in grids) / 0.01) for c in (0.3, 0.7)]
    found = barycenter_grid.solve(
        Grid((axis,) * 3, jnp.stack(density)), epsilon=2e-3, debiased=True, tol=1e-3
    )
    check(found.info)
    mean = [float((found.measure.weights * g).sum()) for g in grids]
    np.testing.assert_allclose(mean, 0.5, atol=2e-3)


def test_it_says_when_it_has_not_converged(single):
    found = barycenter_grid.solve(bumps(single), epsilon=1e-3, max_steps=2)
    assert found.info.status == Status.MAX_STEPS
    assert np.isfinite(found.measure.weights).all()


def test_what_makes_no_sense_is_refused():
    density = bumps(np.float32)
    with pytest.raises(ValueError, match=r"\(K, 60, 60\)"):
        barycenter_grid.solve(Grid(density.axes, density.weights[0]), epsilon=0.1)
    with pytest.raises(ValueError, match=r"\(2,\), one a density"):
        barycenter_grid.solve(density, epsilon=0.1, weights=jnp.ones(3))
