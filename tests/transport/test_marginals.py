"""Each marginal against its definition F(p | a), per unit of a, minimised by brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from jaxcolor.transport import newton, sinkhorn
from jaxcolor.transport.coupling import plan
from jaxcolor.transport.kernels import Dense
from jaxcolor.transport.marginals import (
    KL,
    TV,
    Balanced,
    Marginal,
    Mixed,
    Range,
    Shifted,
    SmoothMarginal,
    kind,
    shifted,
)

RHO, EPSILON = 0.8, 0.3
POTENTIALS = np.linspace(-2.3, 2.6, 12)
KAPPA = RHO / (RHO + EPSILON)


def mixed(p: float) -> float:
    """KL while its slope is within KAPPA RHO, straight on from there."""
    q = np.clip(p, np.exp(-KAPPA), np.exp(KAPPA))
    return RHO * (q * np.log(q) - q + 1) + KAPPA * RHO * abs(p - q)


# the marginal; its F where finite; the interval of p where F is finite
CASES = {
    "balanced": (Balanced(), lambda p: 0.0, (1.0, 1.0)),
    "kl": (KL(RHO), lambda p: RHO * (p * np.log(p) - p + 1), (1e-9, 100.0)),
    "tv": (TV(RHO), lambda p: RHO * abs(p - 1), (1e-9, 3000.0)),
    "mixed": (Mixed(RHO), mixed, (1e-9, 3000.0)),
    "range": (Range(0.5, 1.7), lambda p: 0.0, (0.5, 1.7)),
    "range from 0": (Range(0.0, 1.7), lambda p: 0.0, (1e-9, 1.7)),
    "range to a": (Range(0.3, 1.0), lambda p: 0.0, (0.3, 1.0)),
}
SMOOTH = [name for name in CASES if isinstance(CASES[name][0], SmoothMarginal)]
# potentials within which a dual is finite, or said to be: no step ends beyond
BOX = {"tv": (-RHO, np.inf), "mixed": (-KAPPA * RHO, KAPPA * RHO)}
every_case = pytest.mark.parametrize("name", CASES)
every_smooth = pytest.mark.parametrize("name", SMOOTH)


def least(function, interval) -> float:
    """The minimiser over p, in the logarithm; the ends and the kink at p = 1 count too."""
    low, high = np.log(interval)
    points = [low, high] + ([0.0] if low <= 0 <= high else [])
    grid = np.unique(np.concatenate([np.linspace(low, high, 12), points]))
    for left, right in zip(grid[:-2], grid[2:], strict=True):
        found = minimize_scalar(
            lambda t: function(np.exp(t)),
            bounds=(left, right),
            method="bounded",
            options={"xatol": 1e-12},
        )
        points.append(found.x)
    return np.exp(min(points, key=lambda t: function(np.exp(t))))


@every_case
def test_step_is_the_proximal_minimum(name, double):
    """p minimises F(p) + f p + epsilon (p log p - p); the new potential is f + epsilon log p."""
    marginal, penalty, interval = CASES[name]
    for f in POTENTIALS:

        def objective(p, f=f):
            return penalty(p) + f * p + EPSILON * (p * np.log(p) - p)

        p = least(objective, interval)
        got = float(marginal.step(jnp.asarray(f), jnp.asarray(EPSILON)))
        np.testing.assert_allclose(np.exp((got - f) / EPSILON), p, rtol=1e-6)
        # and no p at all does better than the one of the step, which is the exact one
        assert objective(np.exp((got - f) / EPSILON)) <= objective(p) + 1e-12


@every_case
def test_dual_is_minus_the_conjugate(name, double):
    """-F*(-f) = min over p of F(p) + f p."""
    marginal, penalty, interval = CASES[name]
    for f in POTENTIALS:
        low, high = BOX.get(name, (-np.inf, np.inf))
        if not low <= f <= high:
            continue
        p = least(lambda p, f=f: penalty(p) + f * p, interval)
        got = float(marginal.dual(jnp.asarray(f)))
        np.testing.assert_allclose(got, penalty(p) + f * p, rtol=1e-7, atol=1e-7)


@every_case
def test_step_maximises_the_dual(name, double):
    """dual(f') - epsilon exp((f' - f) / epsilon), by comparison with many others f'."""
    marginal, _, _ = CASES[name]
    low, high = BOX.get(name, (-np.inf, np.inf))
    others = np.linspace(max(low, -5), min(high, 5), 2001)

    def objective(new, f):
        return marginal.dual(jnp.asarray(new)) - EPSILON * np.exp((new - f) / EPSILON)

    for f in POTENTIALS:
        best = objective(np.asarray(marginal.step(jnp.asarray(f), jnp.asarray(EPSILON))), f)
        assert (objective(others, f) <= best + 1e-12).all()


@every_smooth
def test_derivatives_agree_with_one_another(name, double):
    marginal, _, _ = CASES[name]
    f, epsilon = jnp.asarray(POTENTIALS), jnp.asarray(EPSILON)
    ones = jnp.ones_like(f)
    _, slope = jax.jvp(lambda f: marginal.step(f, epsilon), (f,), (ones,))
    np.testing.assert_allclose(slope, marginal.slope(epsilon) * ones, rtol=1e-12)
    _, mass = jax.jvp(marginal.dual, (f,), (ones,))
    np.testing.assert_allclose(mass, marginal.mass(f), rtol=1e-12)
    _, bend = jax.jvp(marginal.mass, (f,), (ones,))
    np.testing.assert_allclose(-bend, marginal.curvature(f), rtol=1e-12, atol=0)


@every_smooth
def test_change_is_a_difference_of_duals(name, double):
    marginal, _, _ = CASES[name]
    f = jnp.asarray(POTENTIALS)
    for d in (-1.5, -1e-2, 0.3, 2.0):
        np.testing.assert_allclose(
            marginal.change(f, jnp.full_like(f, d)),
            marginal.dual(f + d) - marginal.dual(f),
            rtol=1e-12,
            atol=1e-14,
        )


@every_smooth
def test_tiny_changes_do_not_cancel(name, dtype):
    """To first order change = mass * d, which subtracting two duals would lose altogether."""
    marginal, _, _ = CASES[name]
    f = jnp.asarray(POTENTIALS, dtype)
    d = jnp.full_like(f, 1e-12)
    np.testing.assert_allclose(marginal.change(f, d), marginal.mass(f) * d, rtol=1e-6)


def test_kl_tends_to_balanced(dtype):
    f, epsilon = jnp.asarray(POTENTIALS, dtype), jnp.asarray(EPSILON, dtype)
    soft, hard = KL(1e6), Balanced()
    for one, other in (
        (soft.step(f, epsilon), hard.step(f, epsilon)),
        (soft.dual(f), hard.dual(f)),
        (soft.mass(f), hard.mass(f)),
        (soft.curvature(f), hard.curvature(f)),
        (soft.slope(epsilon), hard.slope(epsilon)),
    ):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("marginal", [Range(1.0, 1.0), TV(1e6)], ids=["range", "tv"])
def test_limits_of_relaxed_marginals_are_balanced(marginal, dtype):
    f, epsilon = jnp.asarray(POTENTIALS, dtype), jnp.asarray(EPSILON, dtype)
    np.testing.assert_array_equal(marginal.step(f, epsilon), f)
    np.testing.assert_array_equal(marginal.dual(f), f)


def test_only_marginals_with_two_derivatives_are_smooth():
    assert SMOOTH == ["balanced", "kl"]
    assert all(isinstance(marginal, Marginal) for marginal, _, _ in CASES.values())


def test_bounds_are_where_the_penalty_is_finite():
    for name, bounds in {
        "balanced": (1, 1),
        "kl": (0, np.inf),
        "tv": (0, np.inf),
        "range": (0.5, 1.7),
        "range from 0": (0, 1.7),
    }.items():
        assert CASES[name][0].bounds() == bounds


@every_case
def test_steps_have_finite_derivatives_in_everything(name, double):
    """In the potential, epsilon and the marginal's own parameters, a lower limit of 0 included."""
    marginal, _, _ = CASES[name]
    f = jnp.asarray(POTENTIALS)

    def total(marginal, f, epsilon):
        return marginal.step(f, epsilon).sum() + marginal.dual(f).sum()

    gradients = jax.grad(total, argnums=(0, 1, 2))(marginal, f, jnp.asarray(EPSILON))
    for leaf in jax.tree.leaves(gradients):
        assert np.isfinite(leaf).all()


@every_case
def test_steps_are_differentiated_rightly_in_epsilon_and_parameters(name, double):
    marginal, _, _ = CASES[name]
    leaves, tree = jax.tree.flatten(marginal)
    f, h = jnp.asarray(POTENTIALS), 1e-6

    def step(*numbers):
        return jax.tree.unflatten(tree, numbers[:-1]).step(f, numbers[-1])

    numbers = [jnp.asarray(v) for v in (*leaves, EPSILON)]
    for k, number in enumerate(numbers):
        if name == "range from 0" and k == 0:
            continue  # a lower limit of zero is an end of its domain
        derivative = jax.jacfwd(step, argnums=k)(*numbers)
        up, down = ([*numbers[:k], number + s * h, *numbers[k + 1 :]] for s in (1, -1))
        np.testing.assert_allclose(
            derivative, (step(*up) - step(*down)) / (2 * h), rtol=1e-6, atol=1e-8
        )


def test_parameters_of_either_precision_serve_potentials_of_either(dtype):
    """A marginal's numbers may be Python's, or arrays; the potential's dtype rules."""
    f = jnp.asarray(POTENTIALS, dtype)
    for marginal, _, _ in CASES.values():
        arrays = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), marginal)
        for one in (marginal, arrays):
            assert one.step(f, jnp.asarray(EPSILON, dtype)).dtype == dtype
            assert one.dual(f).dtype == dtype


def test_a_shifted_marginal_is_the_same_from_another_reference(double):
    """KL(P | u v') in place of KL(P | a b' / s), by Sinkhorn's own iteration on that."""
    rng = np.random.default_rng(0)
    cost, a, b = rng.uniform(size=(7, 5)), rng.uniform(0.5, 3, 7), rng.uniform(0.5, 3, 5)
    u, v = rng.uniform(0.5, 2, 7), rng.uniform(0.5, 2, 5)
    f, g = np.zeros(7), np.zeros(5)
    for _ in range(2000):
        # the proximal step of the paper: (mass / sum)^(rho / (rho + epsilon))
        rows = u * (np.exp((g[None] - cost) / EPSILON) @ v)
        f = KAPPA * EPSILON * np.log(a / rows)
        columns = v * (u @ np.exp((f[:, None] - cost) / EPSILON))
        g = KAPPA * EPSILON * np.log(b / columns)
    expected = u[:, None] * v[None] * np.exp((f[:, None] + g[None] - cost) / EPSILON)
    root = np.sqrt(np.sqrt(a.sum() * b.sum()))
    shifts = [EPSILON * np.log(w / (r * root)) for w, r in ((a, u), (b, v))]
    sides = [shifted(KL(RHO), jnp.asarray(shift)) for shift in shifts]
    for solver in (newton, sinkhorn):
        found = solver.solve(
            Dense(jnp.asarray(cost)),
            jnp.asarray(a),
            jnp.asarray(b),
            epsilon=EPSILON,
            source_marginal=sides[0],
            target_marginal=sides[1],
        )
        np.testing.assert_allclose(plan(found), expected, rtol=1e-6)


def test_what_is_shifted_is_known_by_its_kind():
    assert shifted(Balanced(), 1.0) == Balanced()  # a hard marginal knows no reference
    assert kind(Shifted(Shifted(TV(0.5), 1.0), 2.0)) == TV(0.5)
    dense, one = Dense(jnp.zeros((1, 1))), jnp.ones(1)
    with pytest.raises(ValueError, match="got TV"):
        newton.solve(dense, one, one, epsilon=1.0, source_marginal=Shifted(TV(0.5), 1.0))
