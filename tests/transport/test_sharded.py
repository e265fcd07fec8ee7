"""Eight devices give what one gives, and send each other what the module says."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from problems import cloud

from jaxcolor import (
    KL,
    Cloud,
    Dense,
    Entropic,
    GridKernel,
    Measure,
    Sharded,
    Start,
    check,
    shard,
    solve,
    solve_batch,
)
from jaxcolor.measure import stack
from jaxcolor.sharding import line_of, mesh_of
from jaxcolor.transport import divergence, flow, newton, sinkhorn, sliced

N, M = 601, 590  # more than are solved in one block, and no multiple of eight


def clouds(dtype, n=N, m=M):
    """Two clouds; the first eighth of the one has no weight, so that a device has none at all."""
    mu, nu = cloud(1, n, dtype), cloud(2, m, dtype)
    weights = mu.weights.at[: n // 7].set(0)
    return Measure(mu.points, weights / weights.sum()), nu


def kernels(dtype):
    mu, nu = clouds(dtype, 21, 13)
    axes = [jnp.asarray(np.sort(np.random.default_rng(k).random(k)), dtype) for k in (3, 5, 4, 6)]
    clouded = Cloud(mu.points, nu.points)
    return {
        "cloud": clouded,
        "dense": Dense(clouded.dense()),
        "grid": GridKernel(tuple(axes[:2]), tuple(axes[2:])),
        "factors": GridKernel(tuple(axes[:2]), tuple(axes[2:]), pivots=1),
    }


@partial(jax.jit, static_argnames="stored")
def verbs(kernel, f, g, u, v, stored: bool):
    """All that a kernel can do, in one program."""
    epsilon = jnp.asarray(0.7, g.dtype)
    rows, normaliser = kernel.rows(g, epsilon, stored)
    return {
        "softmin over columns": kernel.softmin(g, epsilon, 1),
        "softmin over rows": kernel.softmin(f, epsilon, 0),
        "average over columns": kernel.average(g, epsilon, jnp.stack([v, v**2], 1), 1),
        "average over rows": kernel.average(f, epsilon, jnp.stack([u, u**2], 1), 0),
        "of one value": kernel.average(f, epsilon, u, 0),
        "dense": kernel.dense(),
        "normaliser": normaliser,
        "forward": rows.forward(v),
        "backward": rows.backward(u),
    }


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    "name",
    ["cloud", "dense", *(pytest.param(n, marks=pytest.mark.long) for n in ("grid", "factors"))],
)
def test_the_verbs_are_those_of_the_kernel(dtype, name, stored):
    one = kernels(dtype)[name]
    many = Sharded(one, line_of())
    n, m = one.shape
    assert many.shape == (n, m)
    rng = np.random.default_rng(0)
    f, g, u, v = (jnp.asarray(rng.normal(size=size), dtype) for size in (n, m, n, m))
    f = f.at[: n // 2].set(-jnp.inf)  # the rows of the first devices have no weight
    tol = 1e-5 if dtype == np.float32 else 1e-12
    here, there = (verbs(kernel, f, g, u, v, stored=stored) for kernel in (one, many))
    for verb, result in here.items():
        np.testing.assert_allclose(there[verb], result, rtol=tol, atol=tol, err_msg=verb)
    a, b = jnp.abs(u).at[0].set(0), jnp.abs(v)
    greatest = np.asarray(one.dense())[1:].max()
    # of grids it is that of boxes, of which each device has a smaller one
    assert greatest * (1 - 1e-6) <= many.span(a, b) <= one.span(a, b) * (1 + 1e-6)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"method": "sinkhorn"},
        # devices know nothing of marginals
        pytest.param(
            {"source_marginal": KL(1.0), "target_marginal": KL(2.0)}, marks=pytest.mark.long
        ),
    ],
)
def test_a_solve_is_the_same(how):
    mu, nu = clouds(np.float32)
    one = solve(mu, nu, epsilon=0.1, **how)
    many = solve(shard(mu), nu, epsilon=0.1, **how)
    assert isinstance(many.kernel, Sharded)
    check(many.info)
    np.testing.assert_array_equal(many.info.steps, one.info.steps)
    np.testing.assert_allclose(many.value, one.value, rtol=1e-5)
    np.testing.assert_allclose(many.f[:N], one.f, atol=1e-3)
    np.testing.assert_allclose(many.g, one.g, atol=1e-3)
    colors = cloud(3, 20, np.float32).points
    np.testing.assert_allclose(Entropic(many)(colors), Entropic(one)(colors), atol=1e-3)


def test_derivatives_are_the_same():
    mu, nu = clouds(np.float32, 40, 30)
    mesh = line_of()

    def total(x, divide):
        kernel = Cloud(x, nu.points)
        kernel = Sharded(kernel, mesh) if divide else kernel
        coupling = newton.solve(kernel, mu.weights, nu.weights, epsilon=1.0)
        return coupling.value + (coupling.f**2).sum()

    one, many = (jax.grad(total)(mu.points, divide) for divide in (False, True))
    np.testing.assert_allclose(many, one, rtol=1e-3, atol=1e-4)


def test_the_door_is_differentiable_with_a_measure_on_many_devices():
    mu, nu = clouds(np.float32, 40, 30)
    spread = shard(mu)

    def value(points, epsilon, source):
        return solve(source, Measure(points, nu.weights), epsilon=epsilon).value

    for how in (lambda f: f, jax.jit):
        many, one = (
            jax.grad(how(lambda y, e, mu=mu: value(y, e, mu)), (0, 1))(nu.points, 1.0)
            for mu in (spread, mu)
        )
        np.testing.assert_allclose(many[0], one[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(many[1], one[1], rtol=1e-3)
    epsilons = jnp.array([0.5, 1.0])
    many, one = (
        jax.vmap(lambda e, mu=mu: value(nu.points, e, mu))(epsilons) for mu in (spread, mu)
    )
    np.testing.assert_allclose(many, one, rtol=1e-5)


def test_measures_may_lie_in_other_ways():
    mu, nu = clouds(np.float32, 64, 32)
    one = solve(mu, nu, epsilon=0.5)
    devices = jax.devices()
    explicit = jax.make_mesh((4,), ("p",), devices=devices[:4])
    square = jax.sharding.Mesh(np.array(devices[:4]).reshape(2, 2), ("p", "q"))
    for mesh in (explicit, square):
        laid = jax.device_put(mu, NamedSharding(mesh, PartitionSpec("p")))
        np.testing.assert_allclose(solve(laid, nu, epsilon=0.5).value, one.value, rtol=1e-5)
    turned = solve(shard(mu, devices[::-1]), shard(nu), epsilon=0.5)
    np.testing.assert_allclose(turned.value, one.value, rtol=1e-5)


def test_problems_that_cannot_be_divided_are_refused():
    two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), clouds(np.float32, 12, 9))
    square = jax.sharding.Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("p", "q"))
    mus, nus = jax.device_put(two, NamedSharding(square, PartitionSpec("p")))
    with pytest.raises(ValueError, match=r"2 are not .* between 4 devices: jaxcolor.shard"):
        solve_batch(mus, nus, epsilon=0.5)


def test_a_divergence_too():
    mu, nu = clouds(np.float32, 64, 32)
    one, many = (divergence.solve(m, nu, epsilon=0.5).value for m in (mu, shard(mu)))
    np.testing.assert_allclose(many, one, rtol=1e-4)


def test_a_coupling_of_many_devices_begins_another_solve():
    mu, nu = clouds(np.float32)
    first = solve(shard(mu), nu, epsilon=0.1)
    again = solve(shard(mu), nu, epsilon=0.1, init=first)
    assert again.info.steps < first.info.steps


def collectives(function, *arguments) -> list[str]:
    text = jax.jit(function).lower(*arguments).compile().as_text()
    found = re.findall(r"= (\S+) (all-\w+|collective-\w+|reduce-scatter)\(", text)
    return sorted(f"{kind} {shape.split('{')[0]}" for shape, kind in found)


def test_what_is_sent_is_potentials_and_nothing_else():
    mu, nu = clouds(np.float32, 64, 24)
    mu = shard(mu)
    kernel = Sharded(Cloud(mu.points, nu.points), line_of())
    epsilon = jnp.float32(1)
    by_rows = collectives(lambda k, h: k.softmin(h, epsilon, 1), kernel, nu.weights)
    assert by_rows == ["all-gather f32[64]"]
    by_columns = collectives(lambda k, h: k.softmin(h, epsilon, 0), kernel, mu.weights)
    assert by_columns == ["all-reduce f32[24]", "all-reduce f32[24]"]
    rows, _ = kernel.rows(jnp.zeros(24), epsilon, stored=False)
    assert collectives(lambda r, v: r.forward(v), rows, nu.weights) == ["all-gather f32[64]"]
    assert collectives(lambda r, u: r.backward(u), rows, mu.weights) == ["all-reduce f32[24]"]


@pytest.mark.parametrize("method", [newton, sinkhorn])
def test_a_whole_solve_sends_no_points(method):
    mu, nu = clouds(np.float32, 640, 560)
    mu = shard(mu)
    kernel = Sharded(Cloud(mu.points, nu.points), line_of())
    sent = collectives(lambda k, a, b: method.solve(k, a, b, epsilon=1.0).g, kernel,
                       np.asarray(mu.weights), nu.weights)  # fmt: skip
    assert sent
    assert set(sent) <= {
        f"{kind} f32[{size}]"
        for kind in ("all-gather", "all-reduce")
        for size in ("640", "560", "")
    }


@pytest.mark.parametrize("how", [{}, {"method": "sinkhorn"}, {"lanes": 2}, {"init": True}])
def test_a_batch_is_the_same(how):
    pairs = [(cloud(2 * k, 12, np.float32), cloud(2 * k + 1, 9, np.float32)) for k in range(11)]
    mu, nu = (stack(*side) for side in zip(*pairs, strict=True))
    one = solve_batch(mu, nu, epsilon=0.5, lanes=1)
    if "init" in how:
        how = {"init": lambda mu, nu, epsilon: Start(jnp.zeros_like(nu.weights), 4 * epsilon)}
    many = solve_batch(shard(mu), shard(nu), epsilon=0.5, **how)
    assert many.f.shape == (16, 12)
    assert len(many.f.sharding.device_set) == 8
    check(many.info)
    tol = 1e-3 if "method" in how else 1e-4
    np.testing.assert_allclose(many.value[:11], one.value, rtol=tol)


@pytest.mark.parametrize("solver", [flow, sliced])
def test_sliced_solvers_send_histograms(solver):
    mu, nu = clouds(np.float32, 640, 300)
    count = {"steps": 3} if solver is flow else {"bases": 3}

    def run(mu):
        return solver.solve(mu, nu, jax.random.key(0), knots=64, **count)

    one, many = run(mu), run(shard(mu))
    colors = cloud(3, 20, np.float32).points
    np.testing.assert_allclose(many(colors), one(colors), atol=1e-4)
    sent = collectives(
        lambda x, a: jax.tree.leaves(run(Measure(x, a))), *jax.tree.leaves(shard(mu))
    )
    assert set(sent) == {"all-reduce f32[]", "all-reduce f32[64]"}


def test_sharding_fills_up_with_what_weighs_nothing():
    mu, _ = clouds(np.float32, 21)
    many = shard(mu)
    assert many.points.shape == (24, 3)
    assert many.weights[21:].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(many.points[:21], mu.points)
    mesh = mesh_of(many.points)
    assert mesh is not None
    assert mesh.size == 8
    assert mesh_of(mu.points) is None
    few = shard(mu, jax.devices()[:2])
    assert few.points.shape == (22, 3)
    assert shard(few).points.shape == (24, 3)
    assert jax.jit(lambda x: mesh_of(x) is None)(many.points)


def test_nothing_compiles_twice():
    mu, nu = clouds(np.float32)
    solve(shard(mu), nu, epsilon=0.1)
    again = replace(mu, weights=mu.weights[::-1])
    before = newton.solve_problem._cache_size()
    solve(shard(again), nu, epsilon=0.2)
    assert newton.solve_problem._cache_size() == before
