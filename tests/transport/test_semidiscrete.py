import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Status, check
from jaxcolor.measure import Grid, Measure, nodes, pad
from jaxcolor.transport import semidiscrete

from problems import squared_distances  # isort: skip

SIDE, COUNT = 24, 20


def problem(seed, dtype, kind="even"):
    """Blobs on a haze of uneven pixels, and points: anywhere, in two clusters, or far away."""
    rng = np.random.default_rng(seed)
    axis = (np.arange(SIDE) + 0.5) / SIDE
    x = nodes((jnp.asarray(axis), jnp.asarray(axis)))
    blobs = sum(np.exp(-60 * ((x - c) ** 2).sum(1)) for c in rng.uniform(0.2, 0.8, (3, 2)))
    a = (blobs + 0.03) * rng.uniform(0.5, 1.5, SIDE**2)
    y, b = rng.uniform(size=(COUNT, 2)), rng.uniform(0.3, 1, COUNT)
    if kind == "clusters":
        y = 0.02 * y + np.where(np.arange(COUNT)[:, None] < 7, 0.2, 0.75)
    if kind == "far":
        y = 3 * y + 2
    parts = axis, (a / a.sum()).reshape(SIDE, SIDE), y, b / b.sum()
    axis, a, y, b = (jnp.asarray(part, dtype) for part in parts)
    return Grid((axis, axis), a), Measure(y, b)


def exact(ot, density, target):
    x = np.asarray(nodes(density.axes), float)
    cost = squared_distances(x, np.asarray(target.points, float))
    a, b = (np.asarray(w, float).ravel() for w in (density.weights, target.weights))
    return float(ot.emd2(a / a.sum(), b / b.sum(), cost, numItermax=10**6))


@pytest.mark.parametrize("kind", ["even", "clusters", "far"])
def test_value_is_that_of_the_linear_programme(kind, ot, dtype):
    density, target = problem(0, dtype, kind)
    found = semidiscrete.solve(density, target)
    check(found.info)
    want = exact(ot, density, target)
    # a lower bound, up to rounding
    assert 0.99 * want < found.value < (1 + 1e-5) * want
    tol = 1e-4 if dtype == np.float32 else 1e-8
    masses = semidiscrete.centroids(found).weights
    assert np.abs(masses - target.weights).sum() < 2 * tol
    np.testing.assert_allclose(jnp.vdot(target.weights, found.g), 0, atol=1e-6)
    assert found.g.dtype == found.value.dtype == dtype


def test_pixels_of_a_cell_are_mapped_by_the_gradient_of_a_convex_function(single):
    """c-cyclical monotonicity: no two cells would gain by exchanging pixels."""
    density, target = problem(1, single)
    found = semidiscrete.solve(density, target)
    labels = np.asarray(semidiscrete.cells(found)).ravel()
    goal = np.asarray(target.points)[labels]
    x = np.asarray(nodes(density.axes))
    assert ((x[:, None] - x[None]) * (goal[:, None] - goal[None])).sum(-1).min() > -1e-6
    # hard cells have the points' masses but for the pixels on their borders
    masses = np.bincount(labels, np.asarray(density.weights).ravel(), COUNT)
    assert np.abs(masses - target.weights).sum() < 0.2


def test_square_to_its_corners(dtype):
    """Quarters, W_2^2 = 2 int_0^1/2 2 x^2 dx = 1/6, less h^2 / 12 an axis for the Diracs."""
    axis = jnp.asarray((np.arange(16) + 0.5) / 16, dtype)
    square = Grid((axis, axis), jnp.full((16, 16), 1 / 256, dtype))
    corners = Measure(
        jnp.asarray([[0, 0], [0, 1], [1, 0], [1, 1]], dtype), jnp.full(4, 0.25, dtype)
    )
    found = semidiscrete.solve(square, corners)
    check(found.info)
    np.testing.assert_allclose(found.value, 1 / 6 - 1 / 6 / 16**2, rtol=1e-5)
    np.testing.assert_allclose(found.g, 0, atol=1e-5)
    quarters = semidiscrete.cells(found)
    assert np.array_equal(quarters, np.kron([[0, 1], [2, 3]], np.ones((8, 8))))
    # the borders are shared by symmetry, so the centroids are a little nearer to the middle
    means = semidiscrete.centroids(found).points
    np.testing.assert_allclose(jnp.abs(means - 0.5), 0.25, atol=0.02)


@pytest.mark.parametrize("d", [1, 3])
def test_other_dimensions(d, ot, single):
    """Uniform on a box, to two halves of it along the first axis."""
    axis = jnp.linspace(0, 1, 12, dtype=single)
    box = Grid((axis,) * d, jnp.full((12,) * d, 1 / 12**d, single))
    y = jnp.full((2, d), 0.5, single).at[:, 0].set(jnp.asarray([0, 2], single))
    found = semidiscrete.solve(box, Measure(y, jnp.asarray([0.25, 0.75], single)))
    check(found.info)
    layers = np.asarray(semidiscrete.cells(found)).reshape(12, -1)
    assert np.all(layers == (np.arange(12) >= 3)[:, None])
    np.testing.assert_allclose(found.value, exact(ot, box, found.target), rtol=2e-3)


def test_points_without_weight_are_inert(dtype):
    density, target = problem(2, dtype)
    one = semidiscrete.solve(density, target)
    more = semidiscrete.solve(density, pad(target, COUNT + 9))
    np.testing.assert_allclose(more.g[:COUNT], one.g, atol=1e-5)
    assert np.all(more.g[COUNT:] == 0)
    assert more.info.steps == one.info.steps
    np.testing.assert_allclose(more.value, one.value, rtol=1e-5)
    assert semidiscrete.cells(more).max() < COUNT
    assert np.all(semidiscrete.centroids(more).points[COUNT:] == target.points[0])
    gradient = jax.grad(
        lambda y: semidiscrete.solve(density, Measure(y, more.target.weights)).value
    )
    slopes = gradient(more.target.points)
    assert np.isfinite(slopes).all()
    assert np.all(slopes[COUNT:] == 0)


def test_derivatives_are_those_of_the_exact_value(ot, double):
    """Envelope: by finite differences of the linear programme, whose kinks a step averages out."""
    density, target = problem(3, double)
    a, y, b = density.weights, target.points, target.weights
    tilt, lean = a * density.axes[0][:, None], b * y[:, 1]
    # mass goes to the right or up, points to the middle
    moves = tilt - a * tilt.sum(), 0.5 - y, lean - b * lean.sum()

    def parts(steps):
        return Grid(density.axes, a + steps[0]), Measure(y + steps[1], b + steps[2])

    still = [jnp.zeros_like(move) for move in moves]
    slopes = jax.grad(lambda steps: semidiscrete.solve(*parts(steps)).value)(still)
    for k, slope in enumerate(slopes):
        ends = [
            exact(ot, *parts([s * move if j == k else 0 * move for j, move in enumerate(moves)]))
            for s in (0.05, -0.05)
        ]
        terms = slope * moves[k]
        assert abs(terms.sum() - (ends[0] - ends[1]) / 0.1) < 0.02 * jnp.abs(terms).sum()
    # of a translation exactly twice the way between the means
    x = jnp.asarray(nodes(density.axes))
    np.testing.assert_allclose(slopes[1].sum(0), 2 * (b @ y - a.ravel() @ x), atol=1e-8)


def test_both_modes_of_differentiation_agree(double):
    density, target = problem(4, double)

    def value(y):
        return semidiscrete.solve(density, Measure(y, target.weights)).value

    move = jnp.asarray(np.random.default_rng(0).normal(size=(COUNT, 2)))
    _, forward = jax.jvp(value, (target.points,), (move,))
    np.testing.assert_allclose(forward, (jax.grad(value)(target.points) * move).sum(), rtol=1e-10)


def test_transformations_change_nothing(single):
    pairs = [problem(seed, single) for seed in (5, 6)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)
    batch = jax.vmap(semidiscrete.solve)(*stacked)
    for k, pair in enumerate(pairs):
        alone = semidiscrete.solve(*pair)
        np.testing.assert_allclose(batch.value[k], alone.value, rtol=1e-5)
        np.testing.assert_allclose(batch.g[k], alone.g, atol=1e-4)
        assert batch.info.status[k] == Status.OK
    compiled = jax.jit(semidiscrete.solve)(*pairs[0])
    np.testing.assert_allclose(compiled.g, semidiscrete.solve(*pairs[0]).g, atol=1e-5)


def test_lloyd_makes_points_even(single):
    """Each step lowers the value; in the end every point is the middle of its cell."""
    density, target = problem(7, single)
    target = Measure(target.points, jnp.full(COUNT, 1 / COUNT, single))
    values = []
    for _ in range(8):
        found = semidiscrete.solve(density, target)
        check(found.info)
        values.append(float(found.value))
        target = Measure(semidiscrete.centroids(found).points, target.weights)
    assert values[-1] < 0.3 * values[0]
    assert np.all(np.diff(values) < 1e-3 * values[0])


def test_coinciding_points_share_one_cell(single):
    density, target = problem(8, single)
    twice = Measure(jnp.concatenate([target.points] * 2), jnp.concatenate([target.weights / 2] * 2))
    found = semidiscrete.solve(density, twice)
    check(found.info)
    np.testing.assert_allclose(found.value, semidiscrete.solve(density, target).value, rtol=5e-3)


def test_it_says_how_it_ended(single):
    density, target = problem(9, single)
    assert semidiscrete.solve(density, target, max_steps=2).info.status == Status.MAX_STEPS
    heavy = Measure(target.points, 2 * target.weights)
    assert semidiscrete.solve(density, heavy).info.status == Status.INFEASIBLE
    lost = Measure(target.points.at[0].set(jnp.nan), target.weights)
    assert semidiscrete.solve(density, lost).info.status == Status.NONFINITE
    scaled = semidiscrete.solve(Grid(density.axes, 2 * density.weights), heavy)
    np.testing.assert_allclose(
        scaled.value, 2 * semidiscrete.solve(density, target).value, rtol=1e-5
    )


def test_what_makes_no_sense_is_refused(single):
    density, target = problem(0, single)
    with pytest.raises(ValueError, match=r"the density must be \(24, 24\)"):
        semidiscrete.solve(Grid(density.axes, density.weights[1:]), target)
    with pytest.raises(ValueError, match=r"points \(m, 2\) with weights \(m,\)"):
        semidiscrete.solve(density, Measure(target.points[:, :1], target.weights))
