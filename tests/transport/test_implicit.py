"""Derivatives of everything a coupling gives, in everything it was made from.

For each pair of marginals one program is compiled: the results, their derivative along a direction
(forward mode) and the gradient of one of them (reverse mode). It takes a few seconds.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Status
from jaxcolor.transport import blocks, implicit, newton, sinkhorn
from jaxcolor.transport.coupling import Entropic, Start, average, confidence
from jaxcolor.transport.kernels import Cloud, Dense
from jaxcolor.transport.marginals import KL, TV, Balanced, Range
from jaxcolor.transport.problem import Problem

from problems import compiled_megabytes, pair, squared_distances  # isort: skip

N, M = 13, 9
CASES = {
    "balanced": (newton, lambda r: (Balanced(), Balanced())),
    "kl": (newton, lambda r: (KL(r[0]), KL(r[1]))),
    "kl balanced": (newton, lambda r: (KL(r[0]), Balanced())),
    "tv range": (sinkhorn, lambda r: (TV(r[0]), Range(0.6 * r[1], 1 + 0.3 * r[0]))),
}


def parameters() -> dict[str, np.ndarray]:
    x, y, a, b = pair(0, N, M)
    z = np.random.default_rng(1).normal(size=(4, 2))
    numbers = {"epsilon": np.array(0.1), "rho": np.array([0.9, 0.7])}
    return {"x": x, "y": y, "a": a, "b": b, "z": z, **numbers}


def directions(zeros: bool = False) -> dict[str, dict[str, np.ndarray]]:
    """One for each parameter; weights so that the two masses stay equal."""
    rng = np.random.default_rng(2)
    still = {name: np.zeros_like(value) for name, value in parameters().items()}
    moves = {
        name: {**still, name: rng.normal(size=np.shape(still[name]))}
        for name in ("x", "y", "z", "epsilon", "rho")
    }
    a, b = 0.05 * rng.normal(size=N), 0.05 * rng.normal(size=M)
    if zeros:
        a[:2] = b[-2:] = 0
    support_a, support_b = (a != 0), (b != 0)
    moves["a"] = {**still, "a": a - support_a * a.sum() / support_a.sum()}
    moves["b"] = {**still, "b": b - support_b * b.sum() / support_b.sum()}
    moves["masses"] = {**still, "a": a, "b": b * a.sum() / b.sum()}
    return moves


def results(case: str, tol: float, p):
    """Projections of every result on fixed random directions: a few numbers stand for all."""
    rng = np.random.default_rng(3)
    method, marginals = CASES[case]
    source, target = marginals(p["rho"])
    c = method.solve(
        Cloud(p["x"], p["y"]),
        p["a"],
        p["b"],
        epsilon=p["epsilon"],
        source_marginal=source,
        target_marginal=target,
        tol=tol,
    )

    def project(array):
        weights = rng.normal(size=array.shape)
        return (jnp.asarray(weights, array.dtype) * array).sum()

    few = {
        "value": c.value,
        "f": project(c.f),
        "g": project(c.g),
        "map": project(Entropic(c)(p["z"])),
    }
    if case != "kl":
        return few, c.info.status
    # once is enough: these are plain functions of the potentials
    return few | {
        "average": project(average(c, p["y"])),
        "average over rows": project(average(c, p["x"], 0)),
        "confidence": project(confidence(c)),
    }, c.info.status


@cache
def compiled(case: str, tol: float):
    """(parameters, direction, weights of results) -> results, along, gradient, status."""

    @jax.jit
    def every(p, move, weights):
        values, along, status = jax.linearize(lambda p: results(case, tol, p), p, has_aux=True)
        return values, along(move), jax.linear_transpose(along, p)(weights)[0], status

    return every


def arrays(tree, dtype="float64"):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), tree)


def evaluate(case: str, p, move=None, result="value", tol: float = 1e-12, dtype="float64"):
    """Results, their derivative along `move`, the gradient of `result`: NumPy arrays."""
    names = ["value", "f", "g", "map"] + ["average", "average over rows", "confidence"] * (
        case == "kl"
    )
    weights = {name: np.array(float(name == result)) for name in names}
    move = p if move is None else move
    *numbers, status = compiled(case, tol)(*(arrays(v, dtype) for v in (p, move, weights)))
    assert status == Status.OK
    return jax.tree.map(np.asarray, numbers)


def derivatives(case: str, p, moves, tol: float = 1e-12, dtype="float64"):
    """The gradient of each result, and by (direction, result) the derivative in both modes."""
    forward = {name: evaluate(case, p, move, "f", tol, dtype)[1] for name, move in moves.items()}
    jacobian = {result: evaluate(case, p, None, result, tol, dtype)[2] for result in forward["x"]}
    along = {
        (name, result): (
            float(forward[name][result]),
            float(sum(np.vdot(jacobian[result][k], move[k]) for k in move)),
        )
        for name, move in moves.items()
        for result in jacobian
    }
    return jacobian, along


def assert_differences_agree(case: str, p, moves, along, h: float = 1e-5):
    for name, move in moves.items():
        up, down = (evaluate(case, {k: p[k] + s * h * move[k] for k in p})[0] for s in (1, -1))
        for result in up:
            want = (up[result] - down[result]) / (2 * h)
            for got in along[name, result]:
                np.testing.assert_allclose(
                    got, want, rtol=1e-6, atol=1e-6, err_msg=f"{result} along {name}"
                )


@pytest.mark.parametrize(
    "case",
    [
        "balanced",
        "kl",
        *(pytest.param(c, marks=pytest.mark.slow) for c in ("kl balanced", "tv range")),
    ],
)
def test_both_modes_are_finite_differences(case, double):
    p, moves = parameters(), directions()
    assert_differences_agree(case, p, moves, derivatives(case, p, moves)[1])


@pytest.mark.parametrize("case", ["balanced", "kl"])
def test_weightless_points_have_finite_derivatives_and_the_rest_right_ones(case, double):
    p, moves = parameters(), directions(zeros=True)
    p["a"][:2] = p["b"][-2:] = 0
    p["a"], p["b"] = p["a"] / p["a"].sum(), p["b"] / p["b"].sum()
    jacobian, along = derivatives(case, p, moves)
    for leaf in jax.tree.leaves(jacobian):
        assert np.isfinite(leaf).all()
    assert_differences_agree(case, p, moves, along)


@pytest.mark.parametrize("case", ["balanced", "kl"])
def test_value_gains_what_the_potential_says_where_mass_is_put_on_a_weightless_point(case, double):
    p, h = parameters(), 1e-6
    p["a"][:2] = 0
    p["a"] = p["a"] / p["a"].sum()
    gradient = evaluate(case, p)[2]["a"]
    move = np.zeros(N)
    move[0], move[5] = 1, -1
    before, once, twice = (
        evaluate(case, {**p, "a": p["a"] + k * h * move})[0]["value"] for k in range(3)
    )
    one_sided = (4 * once - 3 * before - twice) / (2 * h)
    np.testing.assert_allclose(gradient @ move, one_sided, rtol=1e-4)


def test_the_gradient_in_balanced_weights_is_the_difference_of_potentials(double):
    p = parameters()
    p["a"][0] = 0
    p["a"] = p["a"] / p["a"].sum()
    gradient = evaluate("balanced", p)[2]["a"]
    cost = jnp.asarray(squared_distances(p["x"], p["y"]))
    c = newton.solve(Dense(cost), *(jnp.asarray(p[k]) for k in "ab"), epsilon=0.1, tol=1e-12)
    np.testing.assert_allclose(gradient - gradient[5], c.f - c.f[5], atol=1e-8)


def test_second_derivatives_of_the_value(double):
    """Forward over reverse, against differences of the gradient, where the system is singular."""
    p, moves = parameters(), directions()
    total = {k: sum(move[k] for move in moves.values()) for k in p}
    gradient = jax.grad(lambda p: results("balanced", 1e-12, p)[0]["value"])
    base, move, h = arrays(p), arrays(total), 1e-5
    gradient_and_curve = jax.jit(lambda p: jax.jvp(gradient, (p,), (move,)))
    _, curve = gradient_and_curve(base)
    up, down = (gradient_and_curve(arrays({k: p[k] + s * total[k] for k in p}))[0] for s in (h, -h))
    for name in p:
        want = (np.asarray(up[name]) - np.asarray(down[name])) / (2 * h)
        np.testing.assert_allclose(curve[name], want, rtol=1e-5, atol=1e-5, err_msg=name)


def test_the_gradient_is_that_of_the_unrolled_loop(double):
    """500 plain iterations, differentiated through, of a loop that shares no code with ours."""
    p = parameters()
    rng = np.random.default_rng(3)  # as in `results`
    weights = rng.normal(size=N), rng.normal(size=M)
    b, rho = p["b"], p["rho"][0]

    @jax.jit
    @jax.grad
    def unrolled(q):
        cost = ((q["x"][:, None] - p["y"][None]) ** 2).sum(-1)

        def update(carry, _):
            _, g = carry
            exponents = jnp.log(b) + (g - cost) / q["epsilon"]
            f = -q["epsilon"] * jax.nn.logsumexp(exponents, axis=1)
            f = rho / (rho + q["epsilon"]) * f
            exponents = jnp.log(q["a"])[:, None] + (f[:, None] - cost) / q["epsilon"]
            return (f, -q["epsilon"] * jax.nn.logsumexp(exponents, axis=0)), None

        (f, g), _ = jax.lax.scan(update, (jnp.zeros(N), jnp.zeros(M)), length=500)
        return weights[0] @ f + weights[1] @ g

    want = unrolled(arrays({k: p[k] for k in ("x", "epsilon", "a")}))
    gradients = [evaluate("kl balanced", p, None, result)[2] for result in ("f", "g")]
    for name in ("x", "epsilon"):
        got = gradients[0][name] + gradients[1][name]
        np.testing.assert_allclose(got, want[name], rtol=1e-7, atol=1e-8)


def test_batches_in_single_precision_are_near_each_in_double(double):
    """vmap over problems under jit; finite differences have checked those in double."""
    problems = [parameters() | dict(zip("xyab", pair(k, N, M), strict=True)) for k in (0, 2, 4)]
    for k, p in enumerate(problems):
        p["epsilon"] = np.array([0.1, 0.3, 1.0][k])
    stacked = arrays({k: np.stack([p[k] for p in problems]) for k in problems[0]}, "float32")
    gradient = jax.grad(lambda p: results("kl balanced", 1e-5, p)[0]["f"])
    batch = jax.jit(jax.vmap(gradient))(stacked)
    for k, p in enumerate(problems):
        want = evaluate("kl balanced", p, None, "f")[2]
        for name in ("x", "y", "epsilon", "rho"):
            assert batch[name].dtype == jnp.float32
            np.testing.assert_allclose(batch[name][k], want[name], rtol=2e-3, atol=2e-3)


def test_a_start_changes_no_derivative(double):
    """It is a constant; the optimum does not depend on it."""
    p = parameters()
    x, y, a, b = (jnp.asarray(p[k]) for k in "xyab")

    @jax.jit
    @jax.grad
    def through_start(g):
        c = newton.solve(Cloud(x, y), a, b, epsilon=0.1, init=Start(g, jnp.asarray(0.1)))
        return c.value + (c.f**2).sum()

    np.testing.assert_array_equal(through_start(0.1 * jnp.ones(M)), 0)


def test_gradients_of_what_did_not_converge_are_finite(single):
    """Best effort, never NaN: one step only, and masses that cannot be coupled."""
    x, y, a, b = (jnp.asarray(v, jnp.float32) for v in pair(2, N, M))

    @jax.jit
    def gradient(b, epsilon, max_steps):
        def loss(cost):
            c = newton.solve(Dense(cost), a, b, epsilon=epsilon, max_steps=max_steps)
            return (c.f**2).sum() + c.value, c.info.status

        return jax.grad(loss, has_aux=True)(squared_distances(x, y))

    for epsilon in (0.5, 0.02):
        for mass, most, want in ((1.0, 1, Status.MAX_STEPS), (2.0, 50, Status.INFEASIBLE)):
            got, status = gradient(mass * b, epsilon, most)
            assert status == want
            assert np.isfinite(got).all()


def attached(x, y, a, b, f, g):
    """A function of potentials that have their derivatives by the implicit rule."""
    p = Problem(Cloud(x, y), a, b, jnp.asarray(0.1, x.dtype), KL(1.0), KL(0.6))
    f, g = implicit.attach(p, f, g)
    return (f**2).sum() + (g**3).sum()


def test_streamed_derivatives_are_the_stored_ones(single, monkeypatch):
    """In blocks of four rows, the last of them not full."""
    x, y, a, b = (jnp.asarray(v, jnp.float32) for v in pair(0, N, M))
    f, g = jnp.ones(N), jnp.ones(M)  # the rule does not ask whether they are the best

    def gradient():  # a function of its own each time, which no cache knows
        return jax.jit(jax.grad(attached, (0, 1, 2, 3)))(x, y, a, b, f, g)

    stored = gradient()
    monkeypatch.setattr(blocks, "BLOCK", 4)
    monkeypatch.setattr(implicit, "STORED", 0)
    streamed = gradient()
    for one, other in zip(streamed, stored, strict=True):
        assert np.abs(other).max() > 0.01
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_reverse_mode_through_a_large_problem_never_forms_the_matrix(single):
    """20,000^2 numbers are 1,526 MB in float32, more than are stored."""
    x, a = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((20_000, 3), (20_000,)))
    assert compiled_megabytes(jax.grad(attached, (0, 1, 2, 3)), x, x, a, a, a, a) < 60
