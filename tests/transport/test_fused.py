"""Where the fused GPU kernel serves: the switch, the machine, the costs, and its proof."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from jaxcolor.transport import fused, kernels, mosaic
from jaxcolor.transport.costs import Euclidean, Lp, SqEuclidean
from jaxcolor.transport.kernels import Cloud, Unfused, transposable

from fused_cases import clouds, close, exponents, kernels_in, shape  # isort: skip

pytestmark = pytest.mark.usefixtures("traced_anew")


def test_the_switch_says_what_it_knows(use):
    use("fast")
    with pytest.raises(ValueError, match="JAXCOLOR_KERNEL is 'fast': set it to xla or mosaic"):
        Cloud(*clouds(2, 3)[:2]).softmin(jnp.zeros(3), jnp.float32(1), 1)


def test_nothing_changes_without_such_a_gpu(use):
    """The same operations, by name and order, as where the switch forbids the kernel."""
    x, y, h = clouds(700, 900)

    def program(x, y, h):
        rows, normaliser = Cloud(x, y).rows(h, jnp.float32(0.1), stored=False)
        return normaliser, rows.forward(h), rows.backward(normaliser)

    assert not fused.available()
    automatic = str(jax.make_jaxpr(program)(x, y, h))
    use("xla")
    assert str(jax.make_jaxpr(program)(x, y, h)) == automatic
    assert "custom_jvp" not in automatic


class Device:
    def __init__(self, capability):
        self.compute_capability = capability


@pytest.mark.parametrize(
    ("capability", "enough"), [("8.0", False), ("9.0", True), ("10.3", True), ("gfx942", False)]
)
def test_hopper_and_later_are_what_it_is_for(capability, enough, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [Device(capability)])
    assert fused.available() is enough


@pytest.mark.parametrize(
    ("served", "cost", "d", "dtype", "values"),
    [
        (True, SqEuclidean(), 3, "float32", 16),
        (True, Euclidean(), 1, "float32", 1),
        (False, Lp(1.5), 3, "float32", 1),
        (False, SqEuclidean(), 5, "float32", 1),
        (False, SqEuclidean(), 3, "float16", 1),
        (False, SqEuclidean(), 3, "float32", 17),
    ],
)
def test_what_it_does_not_serve_is_xlas(served, cost, d, dtype, values, use):
    use("mosaic")
    x = jax.ShapeDtypeStruct((9, d), dtype)
    assert fused.chosen(cost, x, x, shape(9, values)) is served


@pytest.fixture
def gpu(monkeypatch):
    """A machine that says it has a GPU, and whose kernel is as far off as one says."""

    def claim(error):
        def proof(cost, d):
            if isinstance(error, Exception):
                raise error
            return error

        monkeypatch.setattr(fused, "available", lambda: True)
        monkeypatch.setattr(fused, "_error", proof)

    return claim


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("ptxas failed\nwith much to say"), "RuntimeError: ptxas failed"),
        (1e-3, "off by 1.0e-03"),
        (float("nan"), "off by nan"),
    ],
    ids=["fails", "wrong", "nan"],
)
def test_a_kernel_that_fails_its_proof_warns_once_and_is_not_used(error, said, gpu):
    gpu(error)
    x, y, h = clouds(7, 11)
    program = jax.jit(lambda x, epsilon: Cloud(x, y).softmin(h, epsilon, 1))
    with pytest.warns(UserWarning, match=said) as caught:
        got = program(x, jnp.float32(0.1))
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    close(got, logsumexp(exponents(x, y, h, 0.1), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.clear_caches()
        program(x, jnp.float32(0.2))


def test_a_proven_kernel_is_chosen_where_a_program_is_lowered(gpu):
    """What was traced on a machine with a GPU and runs on its CPU is XLA's."""
    gpu(0.0)
    x, y, h = clouds(7, 11)

    def program(x, y, h):
        return Cloud(x, y).softmin(h, jnp.float32(0.1), 1)

    assert kernels_in(program, x, y, h) == 1
    close(jax.jit(program)(x, y, h), logsumexp(exponents(x, y, h, 0.1), 1))
    close(jax.jit(jax.grad(lambda x: program(x, y, h).sum()))(x).sum(1), _slopes(x, y, h))


def _slopes(x, y, h):
    """Derivative of log sum exp along the diagonal of space."""
    p = softmax(exponents(x, y, h, 0.1), 1)
    return 2 / 0.1 * (p @ np.asarray(y).sum(1) - np.asarray(x).sum(1))


def test_the_proof_runs_in_the_middle_of_a_trace(monkeypatch):
    """A GPU is claimed; the switch stands at automatic, and at "interpret" during the proof."""
    proof, proving = fused._error, []

    def simulated(cost, d):
        proving.append(d)
        error = proof(cost, d)
        proving.pop()
        return error

    monkeypatch.setattr(fused, "available", lambda: True)
    monkeypatch.setattr(fused, "_error", simulated)
    monkeypatch.setattr(mosaic, "mode", lambda: "interpret" if proving else "auto")
    x, y, h = clouds(7, 11)
    got = jax.jit(lambda: Cloud(x, y).softmin(h, jnp.float32(0.1), 1))()
    assert fused.proven.cache_info().misses == 1
    assert fused.proven(SqEuclidean, 3)
    close(got, logsumexp(exponents(x, y, h, 0.1), 1))


def test_what_tangents_pass_through_is_without_the_kernel(use):
    use("mosaic")
    x, y, h = clouds(7, 11)
    rows, _ = jax.eval_shape(lambda: Cloud(x, y).rows(h, jnp.float32(0.1), stored=False))
    assert isinstance(transposable(rows).kernel, Unfused)
    matrix = kernels.Dense(jnp.zeros((2, 3)))
    assert transposable(matrix) is matrix
    assert not Unfused(x, y)._is_fused(h)
