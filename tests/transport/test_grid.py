import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxcolor.measure import Grid, as_cloud
from jaxcolor.transport import grid, newton, sinkhorn
from jaxcolor.transport.coupling import average, plan
from jaxcolor.transport.grid import GridKernel, nodes
from jaxcolor.transport.kernels import Cloud, Dense
from jaxcolor.transport.marginals import KL, TV, Balanced, Mixed, Range

RNG = np.random.default_rng(0)


# compiled once for every epsilon
softmin = jax.jit(lambda k, h, e, axis: k.softmin(h, e, axis), static_argnames="axis")
mean = jax.jit(lambda k, h, e, v, axis: k.average(h, e, v, axis), static_argnames="axis")
dense = jax.jit(lambda k: k.dense())
rows_of = jax.jit(lambda k, h, e: k.rows(h, e, True))
forward, backward = (jax.jit(f) for f in (lambda r, v: r.forward(v), lambda r, u: r.backward(u)))


def axes(dtype, *sizes, width=1.0):
    """Uneven coordinates."""
    return tuple(jnp.asarray(np.sort(RNG.uniform(0, width, k)), dtype) for k in sizes)


def both(dtype, x=(12, 9), y=(10, 11)):
    kernel = GridKernel(axes(dtype, *x), axes(dtype, *y))
    return kernel, Cloud(nodes(kernel.x), nodes(kernel.y))


def exponents(kernel, dtype, axis):
    h = RNG.normal(size=kernel.shape[axis]) * 5
    h[RNG.random(len(h)) < 0.3] = -np.inf
    return jnp.asarray(h, dtype)


# one pivot, eight, every node by itself, and far below
EPSILONS = [1.0, 0.02, 2e-3, 1e-4]
SIZES = (40, 5), (33, 6)  # of all tests of verbs: one shape compiles once


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("axis", [0, 1])
def test_verbs_are_the_cloud_s(epsilon, axis, dtype):
    kernel, reference = both(dtype, *SIZES)
    epsilon = jnp.asarray(epsilon, dtype)
    h = exponents(kernel, dtype, axis)
    values = jnp.asarray(RNG.normal(size=(kernel.shape[axis], 2)), dtype)
    close = 1e-9 if dtype == np.float64 else 2e-5
    one, other = (softmin(k, h, epsilon, axis) for k in (kernel, reference))
    np.testing.assert_allclose(one, other, rtol=close, atol=close * 20)
    one, other = (mean(k, h, epsilon, values, axis) for k in (kernel, reference))
    np.testing.assert_allclose(one, other, atol=100 * close)
    if axis == 1:
        column = mean(kernel, h, epsilon, values[:, 0], axis)
        np.testing.assert_allclose(column, other[:, 0], atol=100 * close)


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_prepared_products_are_the_cloud_s(epsilon, dtype):
    kernel, reference = both(dtype, *SIZES)
    epsilon, h = jnp.asarray(epsilon, dtype), exponents(kernel, dtype, 1)
    (ours, norm), (theirs, other) = (rows_of(k, h, epsilon) for k in (kernel, reference))
    np.testing.assert_allclose(norm, other, rtol=2e-5, atol=1e-4)
    v, u = (jnp.asarray(RNG.normal(size=k), dtype) for k in reversed(kernel.shape))
    np.testing.assert_allclose(forward(ours, v), forward(theirs, v), atol=1e-3)
    np.testing.assert_allclose(backward(ours, u), backward(theirs, u), atol=1e-3)


EQUAL = (16, 16), (16, 16)  # passes are stacked


@pytest.mark.parametrize(
    ("sizes", "epsilon"),
    [
        *((SIZES, epsilon) for epsilon in EPSILONS),
        (EQUAL, 2e-3),
        *(pytest.param(EQUAL, epsilon, marks=pytest.mark.long) for epsilon in (1.0, 0.02, 1e-4)),
    ],
)
def test_a_softmax_in_factors_is_the_cloud_s(epsilon, sizes, dtype):
    kernel, reference = both(dtype, *sizes)
    kernel = grid.prepared(kernel, epsilon)
    assert kernel.pivots is not None
    epsilon, h = jnp.asarray(epsilon, dtype), exponents(kernel, dtype, 1)
    (ours, norm), (theirs, other) = (rows_of(k, h, epsilon) for k in (kernel, reference))
    assert isinstance(ours, grid.Factored) == (kernel.pivots > 0)
    np.testing.assert_allclose(norm, other, rtol=2e-5, atol=1e-4)
    v, u = (jnp.asarray(RNG.normal(size=k), dtype) for k in reversed(kernel.shape))
    np.testing.assert_allclose(forward(ours, v), forward(theirs, v), atol=1e-3)
    np.testing.assert_allclose(backward(ours, u), backward(theirs, u), atol=1e-3)
    # the one is the other's transpose, to rounding
    exact = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(u @ forward(ours, v), backward(ours, u) @ v, rtol=exact, atol=exact)
    for axis in (0, 1):
        values = jnp.asarray(RNG.normal(size=(kernel.shape[axis], 2)), dtype)
        one, two = (mean(k, jnp.zeros(len(values), dtype), epsilon, values, axis)
                    for k in (kernel, reference))  # fmt: skip
        np.testing.assert_allclose(one, two, atol=1e-3)


def test_a_softmax_in_factors_takes_masses_of_any_size(single):
    axis = jnp.linspace(0, 1, 40)
    kernel = GridKernel((axis, axis), (axis, axis))
    rows, _ = grid.prepared(kernel, 3e-3).rows(jnp.zeros(1600), jnp.float32(3e-3), True)
    u = jnp.asarray(np.exp(RNG.uniform(-60, 60, 1600)), single)
    found = backward(rows, u)
    np.testing.assert_allclose(found.sum() / u.sum(), 1, rtol=1e-4)
    assert np.isfinite(found).all()


def test_rows_without_any_mass_give_nothing(single):
    kernel = grid.prepared(GridKernel(axes(single, 6, 6), axes(single, 6, 6)), 1.0)
    rows, normaliser = kernel.rows(jnp.full(36, -jnp.inf), jnp.float32(1), True)
    assert (normaliser == -jnp.inf).all()
    assert (rows.forward(jnp.ones(36)) == 0).all()


def test_pivots_are_known_where_epsilon_is(single):
    axis = jnp.linspace(0, 1, 64)
    kernel = GridKernel((axis,), (axis,))
    assert [grid.prepared(kernel, e).pivots for e in (1.0, 0.01, 2e-3, 3e-4, 1e-5)] == [
        1, 2, 8, 32, 0,
    ]  # fmt: skip
    assert grid.prepared(kernel, None).pivots is None
    seen = []
    jax.jit(lambda e: seen.append(grid.prepared(kernel, e).pivots) or e)(0.1)
    assert seen == [None]


def test_other_verbs_are_the_cloud_s(dtype):
    kernel, reference = both(dtype, *SIZES)
    costs = dense(reference)
    np.testing.assert_allclose(dense(kernel), costs, rtol=1e-6)
    points = jnp.asarray(RNG.normal(size=(5, 2)), dtype)
    for axis in (0, 1):
        np.testing.assert_array_equal(
            dense(kernel.at(points, axis)), dense(reference.at(points, axis))
        )
    a, b = (jnp.ones(k, dtype) for k in kernel.shape)
    span = jax.jit(lambda k, a, b: k.span(a, b))
    np.testing.assert_allclose(span(kernel, a, b), costs.max(), rtol=1e-6)
    # weightless nodes do not count
    one = jnp.zeros_like(a).at[0].set(1), jnp.zeros_like(b).at[3].set(1)
    np.testing.assert_allclose(span(kernel, *one), costs[0, 3], rtol=1e-6)


slopes = jax.jit(jax.jacrev(lambda k, h, e: k.softmin(h, e, 1), argnums=(1, 2)))


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_derivatives_of_softmin_are_averages(epsilon, double):
    kernel, reference = both(double, (7, 4), (6, 5))
    h, epsilon = jnp.asarray(RNG.normal(size=30)), jnp.asarray(epsilon)
    ours, theirs = (slopes(k, h, epsilon) for k in (kernel, reference))
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-9)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)


def test_three_dimensions_and_vmap(single):
    kernel = GridKernel(axes(single, 5, 6, 7), axes(single, 4, 5, 6))
    reference = Cloud(nodes(kernel.x), nodes(kernel.y))
    h = jnp.asarray(RNG.normal(size=(3, 120)), single)
    batched = jax.jit(jax.vmap(lambda h, e: kernel.softmin(h, e, 1), (0, None)))
    for epsilon in (0.5, 0.01):
        e = jnp.float32(epsilon)
        batch = batched(h, e)
        each = np.stack([softmin(reference, one, e, 1) for one in h])
        np.testing.assert_allclose(batch, each, rtol=2e-5, atol=2e-4)


def test_a_large_grid_needs_no_matrix(single):
    """64^3 onto itself: 7e10 pairs."""
    axis = jnp.linspace(0, 1, 64)
    line = np.asarray(axis, np.float64)
    kernel = GridKernel((axis,) * 3, (axis,) * 3)
    for epsilon in (0.1, 2e-3):
        got = softmin(kernel, jnp.zeros(64**3), jnp.float32(epsilon), 1)
        one = scipy.special.logsumexp(-((line[:, None] - line) ** 2) / epsilon, axis=1)
        expected = one[:, None, None] + one[:, None] + one
        np.testing.assert_allclose(got.reshape(64, 64, 64), expected, rtol=1e-5, atol=1e-5)


def densities(dtype, shape=(9, 8)):
    """Two densities, some nodes without weight."""
    out = []
    for _ in range(2):
        w = RNG.uniform(0.1, 1, shape)
        w[RNG.random(shape) < 0.2] = 0
        out.append(jnp.asarray(w.ravel() / w.sum(), dtype))
    return out


MARGINALS = {
    "balanced": (Balanced(), Balanced()),
    "kl": (KL(0.5), KL(0.3)),
    "tv": (TV(0.4), TV(0.4)),
    "range": (Range(0.6, 1.5), Range(0.7, 1.4)),
    "mixed": (Mixed(0.5), Mixed(0.5)),
    "half relaxed": (KL(0.5), Balanced()),
}


# a kernel knows nothing of marginals: three stand for all, `test_contract` has the others
EVERY = [
    name
    if name in ("balanced", "range", "half relaxed")
    else pytest.param(name, marks=pytest.mark.long)
    for name in MARGINALS
]


@pytest.mark.parametrize("name", EVERY)
def test_sinkhorn_solves_with_every_marginal(name, double):
    kernel, reference = both(double, (9, 8), (9, 8))
    a, b = densities(double)
    sides = dict(zip(("source_marginal", "target_marginal"), MARGINALS[name], strict=True))
    for epsilon in (0.1, 5e-3):
        ours, theirs = (
            sinkhorn.solve(k, a, b, epsilon=epsilon, **sides) for k in (kernel, reference)
        )
        assert ours.info.status == 0
        np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-7)
        np.testing.assert_allclose(plan(ours), plan(theirs), atol=1e-8)
        np.testing.assert_allclose(
            average(ours, nodes(kernel.y)), average(theirs, nodes(kernel.y)), atol=1e-6
        )


@pytest.mark.parametrize(
    "name",
    [
        "balanced",
        "half relaxed",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("kl", "tv", "range", "mixed")),
    ],
)
def test_dense_cloud_and_grid_give_one_answer(name, single):
    """In float32, to 1e-5; grids both ways, and masses of a million."""
    kernel, cloud = both(single, (9, 8), (9, 8))
    a, b = densities(single)
    sides = dict(zip(("source_marginal", "target_marginal"), MARGINALS[name], strict=True))
    kernels = [Dense(cloud.dense()), cloud, kernel, grid.prepared(kernel, 0.02)]
    for mass in (1, 1e6):
        found = [
            sinkhorn.solve(k, mass * a, mass * b, epsilon=0.02, tol=2e-6, **sides) for k in kernels
        ]
        assert all(one.info.status == 0 for one in found)
        for one in found[1:]:
            np.testing.assert_allclose(one.value, found[0].value, rtol=1e-5)
            np.testing.assert_allclose(plan(one) / mass, plan(found[0]) / mass, atol=1e-5)


@pytest.mark.parametrize("name", ["balanced", "kl"])
def test_newton_too(name, double):
    kernel, reference = both(double, (9, 8), (9, 8))
    a, b = densities(double)
    sides = dict(zip(("source_marginal", "target_marginal"), MARGINALS[name], strict=True))
    ours, theirs = (newton.solve(k, a, b, epsilon=0.02, **sides) for k in (kernel, reference))
    assert ours.info.status == 0
    np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-8)


def test_a_grid_as_a_cloud(single):
    density = Grid(
        (jnp.array([0.0, 1.0]), jnp.array([2.0, 3.0, 4.0])), jnp.arange(6.0).reshape(2, 3)
    )
    cloud = as_cloud(density)
    np.testing.assert_array_equal(cloud.points[4], [1, 3])
    np.testing.assert_array_equal(cloud.points, grid.nodes(density.axes))
    assert cloud.weights[4] == 4
