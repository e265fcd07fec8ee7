import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from jaxcolor.iterate import Info, Status
from jaxcolor.maps import ColorMap
from jaxcolor.measure import Measure, pad
from jaxcolor.transport import exact, line_exact, sparse
from jaxcolor.transport.kernels import Cloud, Dense

from problems import cloud  # isort: skip


def coupled(seed, n, m, dtype, weighted=True):
    """An exact coupling of two clouds in R^3."""
    mu, nu = cloud(seed, n, dtype, weighted=weighted), cloud(seed + 9, m, dtype, weighted=weighted)
    return exact.solve(Cloud(mu.points, nu.points), mu.weights, nu.weights, backend="scipy")


def by_hand(dtype):
    """Three points onto two: the first is split, the last weighs nothing; one entry is padding."""
    x = jnp.asarray([[0.0], [1.0], [5.0]], dtype)
    y = jnp.asarray([[10.0], [20.0]], dtype)
    numbers = ([0.4, 0.6, 0.0], [0.1, 0.9], [0.1, 0.3, 0.6, 0.0], [99.0, 362.0, 226.0], [1.0, -1.0])
    a, b, mass, f, g = (jnp.asarray(part, dtype) for part in numbers)
    rows, cols = jnp.array([0, 0, 1, 0], jnp.int32), jnp.array([0, 1, 1, 0], jnp.int32)
    ok = Info(jnp.int8(0), jnp.int32(1), jnp.int32(0), jnp.asarray(0, dtype))
    value = jnp.asarray(0, dtype)
    return sparse.SparseCoupling(Cloud(x, y), a, b, rows, cols, mass, f, g, value, ok)


def test_verbs_by_hand(dtype):
    c = by_hand(dtype)
    np.testing.assert_allclose(sparse.plan(c), [[0.1, 0.3], [0, 0.6], [0, 0]], rtol=1e-6)
    values = jnp.asarray([10.0, 20.0], dtype)
    # 5 to 10: 25 - 1, to 20: 225 + 1
    np.testing.assert_allclose(sparse.average(c, values), [17.5, 20, 10], rtol=1e-6)
    back = sparse.average(c, jnp.asarray([1.0, 2.0, 7.0], dtype), axis=0)
    np.testing.assert_allclose(back, [1, (0.3 + 1.2) / 0.9], rtol=1e-6)
    np.testing.assert_allclose(sparse.confidence(c), [1, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(sparse.confidence(c, axis=0), [1, 1], rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("columns", [(), (4,)])
def test_average_is_the_plan_normalised(axis, columns, dtype):
    c = coupled(0, 25, 18, dtype)
    P = np.asarray(sparse.plan(c))
    P = P if axis == 1 else P.T
    values = np.random.default_rng(0).normal(size=(P.shape[1], *columns)).astype(dtype)
    got = sparse.average(c, jnp.asarray(values), axis)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, P @ values / P.sum(1).reshape(-1, *[1] * len(columns)), 1e-4)


def test_a_permutation_is_averaged_to_the_last_bit(dtype):
    c = coupled(1, 20, 20, dtype, weighted=False)
    moved = np.asarray(c.mass) > 0
    image = np.asarray(sparse.average(c, c.kernel.y))
    np.testing.assert_array_equal(image[c.rows[moved]], c.kernel.y[c.cols[moved]])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_point_without_mass_has_the_value_of_its_first_partner(axis, dtype):
    mu, nu = pad(cloud(0, 20, dtype), 26), pad(cloud(9, 15, dtype), 22)
    rng = np.random.default_rng(5)
    mu = Measure(mu.points.at[20:].set(rng.normal(size=(6, 3))), mu.weights)
    nu = Measure(nu.points.at[15:].set(rng.normal(size=(7, 3))), nu.weights)
    c = exact.solve(Cloud(mu.points, nu.points), mu.weights, nu.weights, backend="scipy")
    C = np.asarray(c.kernel.dense())
    slack = (C - np.asarray(c.g))[20:, :15] if axis == 1 else (C.T - np.asarray(c.f))[15:, :20]
    values = jnp.arange(C.shape[axis]).astype(dtype)
    weightless = slice(20, 26) if axis == 1 else slice(15, 22)
    average = sparse.average(c, values, axis)
    assert np.isfinite(average).all()
    np.testing.assert_array_equal(average[weightless], slack.argmin(1))
    np.testing.assert_array_equal(sparse.confidence(c, axis)[weightless], np.ones(len(slack)))


@pytest.mark.parametrize("axis", [0, 1])
def test_potential_is_the_c_transform(axis, dtype):
    c = coupled(2, 30, 24, dtype)
    points, own = (c.kernel.x, c.f) if axis == 1 else (c.kernel.y, c.g)
    np.testing.assert_allclose(sparse.potential(c, points, axis), own, atol=1e-4)
    # more than one block of new points
    new = jnp.asarray(np.random.default_rng(1).normal(size=(700, 3)), dtype)
    got = np.asarray(sparse.potential(c, new, axis))
    here, other = (c.kernel.y, c.g) if axis == 1 else (c.kernel.x, c.f)
    slack = ((np.asarray(new)[:, None] - np.asarray(here)) ** 2).sum(-1) - np.asarray(other)
    np.testing.assert_allclose(got, slack.min(1), rtol=1e-4, atol=1e-4)


def test_potential_sees_only_points_with_weight(dtype):
    c = coupled(3, 20, 20, dtype)
    x, y = c.kernel.x, c.kernel.y
    tempting = Cloud(x, jnp.concatenate([y, x[:1]]))
    b = jnp.concatenate([c.b, jnp.zeros(1, dtype)])
    padded = exact.solve(tempting, c.a, b, backend="scipy")
    np.testing.assert_allclose(
        sparse.potential(padded, x + 1), sparse.potential(c, x + 1), rtol=1e-5, atol=1e-5
    )


def test_potential_has_the_derivative_of_the_nearest_cost(double):
    c = coupled(4, 12, 10, double)
    point = jnp.asarray([[0.3, -0.2, 0.5]])
    slack = c.kernel.cost(point, c.kernel.y)[0] - c.g
    expected = 2 * (point[0] - c.kernel.y[slack.argmin()])
    got = jax.grad(lambda p: sparse.potential(c, p).sum())(point)
    np.testing.assert_allclose(got[0], expected, rtol=1e-10)


def test_potential_and_map_need_points():
    half = jnp.array([0.5, 0.5])
    c = exact.solve(Dense(jnp.eye(2)), half, half, backend="scipy")
    assert sparse.average(c, jnp.array([1.0, 2.0])).tolist() == [2, 1]
    with pytest.raises(ValueError, match="Cloud"):
        sparse.potential(c, jnp.zeros((1, 2)))
    with pytest.raises(ValueError, match="got Dense"):
        sparse.Nearest(c)(jnp.zeros((1, 2)))


def test_dense_costs_give_what_points_give(dtype):
    """Also where points have no mass, hence through the c-transform."""
    c = coupled(5, 30, 20, dtype)
    a, b = c.a.at[3].set(0), c.b.at[4].set(0)
    a, b = a / a.sum(), b / b.sum()
    kernels = c.kernel, Dense(c.kernel.dense())
    first, second = (exact.solve(kernel, a, b, backend="scipy") for kernel in kernels)
    for axis, values in ((1, c.kernel.y), (0, c.kernel.x)):
        chex.assert_trees_all_close(
            sparse.average(first, values, axis), sparse.average(second, values, axis), rtol=1e-5
        )


def test_without_a_plan_nothing_is_sure_and_nothing_is_nan(dtype):
    x = jnp.asarray([0.0, 1.0], dtype)
    one, half = jnp.asarray([1.0, 1.0], dtype), jnp.asarray([0.5, 0.5], dtype)
    c = line_exact.couple(x, one, x + 1, half)
    assert c.info.status == Status.INFEASIBLE
    np.testing.assert_array_equal(sparse.confidence(c), [0, 0])
    assert np.isfinite(sparse.average(c, x)).all()
    assert np.isfinite(sparse.potential(c, x[:, None])).all()
    np.testing.assert_array_equal(sparse.Nearest(c)(x[:, None]), x[:, None])


def test_nearest_meets_the_images_exactly(dtype):
    c = coupled(6, 30, 22, dtype)
    T = sparse.Nearest(c)
    assert isinstance(T, ColorMap)
    np.testing.assert_array_equal(T(c.kernel.x), sparse.average(c, c.kernel.y))


def test_nearest_carries_the_displacement_of_the_nearest_colour(dtype):
    c = coupled(7, 30, 22, dtype)
    weightless = jnp.asarray([[0.0, 0, 0], [90, 90, 90], [-90, -90, -90]], dtype)
    c_padded = exact.solve(
        Cloud(jnp.concatenate([weightless, c.kernel.x]), c.kernel.y),
        jnp.concatenate([jnp.zeros(3, dtype), c.a]),
        c.b,
        backend="scipy",
    )
    colors = np.random.default_rng(2).normal(size=(9000, 3)).astype(dtype)
    index = cKDTree(c.kernel.x).query(colors)[1]
    x, image = np.asarray(c.kernel.x), np.asarray(sparse.average(c, c.kernel.y))
    expected = (colors + (image - x)[index]).clip(image.min(0), image.max(0))
    for coupling in (c, c_padded):  # colours without weight draw nobody and widen nothing
        moved = sparse.Nearest(coupling)(jnp.asarray(colors))
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-4)


def test_nearest_takes_the_dtype_of_the_colours(x64):
    c = coupled(8, 20, 15, np.float64)
    colors = np.random.default_rng(3).normal(size=(40, 3))
    with jax.numpy_dtype_promotion("strict"):
        single = sparse.Nearest(c)(jnp.asarray(colors, jnp.float32))
        double = sparse.Nearest(c)(jnp.asarray(colors))
    assert (single.dtype, double.dtype) == (jnp.float32, jnp.float64)
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-5)
    # exact images for the rounded colours too
    x = c.kernel.x.astype(jnp.float32)
    image = sparse.average(c, c.kernel.y).astype(jnp.float32)
    np.testing.assert_array_equal(sparse.Nearest(c)(x), image)


def test_nearest_translates_between_the_points(double):
    c = coupled(9, 15, 15, double)
    image = sparse.average(c, c.kernel.y)
    middle = jnp.abs(image - image.mean(0)[None]).sum(1).argmin()  # off the box's walls
    color = c.kernel.x[middle] + 1e-3
    slope = jax.jacfwd(lambda color: sparse.Nearest(c)(color[None])[0])(color)
    np.testing.assert_allclose(slope, np.eye(3), atol=1e-12)


@pytest.mark.slow
def test_sparse_verbs_under_vmap_and_jit(dtype):
    couplings = [coupled(k, 14, 11, dtype) for k in range(3)]
    stacked = jax.tree.map(lambda *leaf: jnp.stack(leaf), *couplings)
    points = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)), dtype)

    def ask(c):
        return (
            sparse.plan(c),
            sparse.average(c, c.kernel.y),
            sparse.average(c, c.kernel.x, axis=0),
            sparse.potential(c, points),
            sparse.confidence(c),
            sparse.Nearest(c)(points),
        )

    looped = jax.tree.map(lambda *leaf: jnp.stack(leaf), *[ask(c) for c in couplings])
    chex.assert_trees_all_close(jax.vmap(ask)(stacked), looped, rtol=1e-5, atol=1e-6)
    with jax.disable_jit():
        eager = ask(couplings[0])
    chex.assert_trees_all_close(jax.jit(ask)(couplings[0]), eager, rtol=1e-5, atol=1e-6)
