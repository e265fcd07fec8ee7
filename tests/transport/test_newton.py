"""What Newton's method promises beyond what every method does (test_entropic.py)."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Status
from jaxcolor.transport import newton
from jaxcolor.transport.coupling import Start, plan
from jaxcolor.transport.kernels import Cloud, Dense
from jaxcolor.transport.marginals import KL, TV, Balanced, Range

from problems import pair, squared_distances, violation  # isort: skip

BALANCED = ("Balanced",)


def usual(seed: int, dtype):
    x, y, a, b = pair(seed)
    return [jnp.asarray(v, dtype) for v in (squared_distances(x, y), a, b)]


@pytest.mark.parametrize("relaxed", [TV(1.0), Range(0.5, 2.0)], ids=["tv", "range"])
@pytest.mark.parametrize("side", ["source_marginal", "target_marginal"])
def test_marginals_without_two_derivatives_are_refused(relaxed, side):
    cost, a, b = usual(0, jnp.float32)
    with pytest.raises(ValueError, match=f"got {type(relaxed).__name__}: use method='sinkhorn'"):
        newton.solve(Dense(cost), a, b, epsilon=0.1, **{side: relaxed})


def test_steps_hardly_grow_as_epsilon_falls(double):
    """Annealing adds one or two for each factor of three."""
    for seed in range(6):
        cost, a, b = usual(seed, double)
        steps = []
        for ratio in (1e-1, 1e-2, 1e-3, 1e-4):
            info = newton.solve(Dense(cost), a, b, epsilon=ratio * float(cost.max())).info
            assert info.status == Status.OK
            steps.append(int(info.steps))
        assert steps[-1] <= steps[0] + 7 * 3
        assert max(steps) <= 30


def test_convergence_is_faster_than_linear(double):
    """Below an error of .05 each step squares it, up to the inexactness of a direction (1e-3)."""
    ratios = []
    for seed in range(4):
        cost, a, b = usual(seed, double)
        epsilon = 0.02 * float(cost.max())
        errors = []
        for most in range(1, 12):
            coupling = newton.solve(Dense(cost), a, b, epsilon=epsilon, tol=0.0, max_steps=most)
            f, g = (np.asarray(v) for v in (coupling.f, coupling.g))
            errors.append(
                violation(*map(np.asarray, (cost, a, b)), epsilon, BALANCED, BALANCED, f, g)
            )
        ratios += [
            after / max(10 * before**2, 2e-3 * before)
            for before, after in pairwise(errors)
            if 1e-9 < before < 0.05
        ]
    assert len(ratios) >= 8
    assert max(ratios) <= 1


@pytest.mark.parametrize("rho", [1.0, 30.0, 1e3, 1e5])
@pytest.mark.parametrize("sides", ["both", "source"])
def test_masses_that_differ_are_bridged_at_any_rho(rho, sides, double):
    """A large rho is nearly a hard marginal: all potentials have far to go, together."""
    cost, a, b = usual(1, double)
    epsilon = 0.1
    target = KL(rho) if sides == "both" else Balanced()
    coupling = newton.solve(
        Dense(cost), a, 2 * b, epsilon=epsilon, source_marginal=KL(rho), target_marginal=target
    )
    assert coupling.info.status == Status.OK
    total = float(plan(coupling).sum())
    if sides == "source":
        np.testing.assert_allclose(total, 2, rtol=1e-7)
    elif rho >= 1e3:
        # between hard marginals of 1 and 2 the total is their geometric mean
        np.testing.assert_allclose(total, np.sqrt(2), rtol=20 / rho)
    kinds = ("KL", rho), ("KL", rho) if sides == "both" else BALANCED
    f, g = (np.asarray(v) for v in (coupling.f, coupling.g))
    error = violation(*map(np.asarray, (cost, a, 2 * b)), epsilon, *kinds, f, g)
    assert error <= 1.1e-8


@pytest.mark.parametrize("tiny", [1e-8, 1e-20, 1e-30])
def test_a_weight_next_to_nothing_does_no_harm(tiny, single):
    cost, a, b = usual(2, single)
    epsilon = 0.05
    for at in (0, -1):
        some_a, some_b = a.at[at].set(tiny), b.at[at].set(tiny)
        some_a, some_b = some_a / some_a.sum(), some_b / some_b.sum()
        coupling = newton.solve(Dense(cost), some_a, some_b, epsilon=epsilon)
        assert coupling.info.status == Status.OK
        assert coupling.info.steps <= 20
        assert np.isfinite(coupling.f).all()
        assert np.isfinite(coupling.g).all()


def test_a_small_epsilon_in_single_precision_on_clouds_of_some_size(single):
    """600 x 500 points: over a block of rows, and large enough to stay a cloud."""
    x, y, a, b = pair(3, 600, 500, 3)
    arrays = [jnp.asarray(v, jnp.float32) for v in (x, y, a, b)]
    epsilon = 2e-3 * squared_distances(x, y).max()
    coupling = newton.solve(Cloud(*arrays[:2]), *arrays[2:], epsilon=epsilon)
    assert coupling.info.status == Status.OK
    assert coupling.info.steps <= 30
    masses = np.asarray(plan(coupling), np.float64)
    assert np.abs(masses.sum(0) - b).sum() + np.abs(masses.sum(1) - a).sum() <= 1.1e-4


def test_a_near_start_takes_few_steps(double):
    """The true potential of a finer problem with noise of a fifth of epsilon."""
    cost, a, b = usual(4, double)
    epsilon = 0.01 * float(cost.max())
    true = newton.solve(Dense(cost), a, b, epsilon=epsilon)
    noise = 0.2 * epsilon * np.random.default_rng(0).normal(size=b.shape)
    warm = newton.solve(
        Dense(cost), a, b, epsilon=epsilon, init=Start(true.g + noise, jnp.asarray(epsilon))
    )
    assert warm.info.steps <= 4 < true.info.steps
    np.testing.assert_allclose(warm.value, true.value, rtol=1e-9)
