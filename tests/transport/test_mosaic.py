"""The fused GPU kernel: simulated on a CPU, lowered and (with jax's CUDA plugin) compiled for one.

It has its limits: no GPU ran what was compiled.
"""

import importlib.util
import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec
from scipy.special import logsumexp, softmax

from jaxcolor.iterate import Status
from jaxcolor.transport import fused, kernels, mosaic, newton, sinkhorn
from jaxcolor.transport.costs import Euclidean, SqEuclidean
from jaxcolor.transport.kernels import Cloud, Streamed

from fused_cases import clouds, close, exponents, kernels_in, shape  # isort: skip
from problems import squared_distances  # isort: skip

pytestmark = pytest.mark.usefixtures("traced_anew")

RAGGED = mosaic.ROWS + 9, 2 * mosaic.SHORTEST + 3  # two blocks of rows; two parts, not full


def verbs(x, y, h, k, u, values):
    cloud, epsilon = Cloud(x, y), jnp.float32(0.1)
    rows, normaliser = cloud.rows(h, epsilon, stored=True)
    assert isinstance(rows, Streamed) is (mosaic.mode() != "xla")
    return {
        "softmin 1": cloud.softmin(h, epsilon, 1),
        "softmin 0": cloud.softmin(k, epsilon, 0),
        "average 1": cloud.average(h, epsilon, values, 1),
        "average 0": cloud.average(k, epsilon, u, 0),
        "forward": rows.forward(values[:, 0]),
        "backward": rows.backward(u),
        "normaliser": normaliser,
    }


def test_every_verb_is_numpys_and_xlas(use):
    """Five values take two rounds; blocks and parts are not full; a third weighs nothing."""
    x, y, h = clouds(*RAGGED)
    rng = np.random.default_rng(1)
    u, values = rng.normal(size=RAGGED[0]), rng.normal(size=(RAGGED[1], 5))
    k = np.where(u > 1, -np.inf, rng.normal(size=RAGGED[0]))
    given = x, y, h, *(jnp.asarray(z, jnp.float32) for z in (k, u, values))
    by_rows, by_columns = exponents(x, y, h, 0.1), exponents(y, x, given[3], 0.1)
    rows = softmax(by_rows, 1)
    want = {
        "softmin 1": logsumexp(by_rows, 1),
        "softmin 0": logsumexp(by_columns, 1),
        "average 1": rows @ values,
        "average 0": softmax(by_columns, 1) @ u,
        "forward": rows @ values[:, 0],
        "backward": u @ rows,
        "normaliser": logsumexp(by_rows, 1),
    }
    for how in ("xla", "interpret"):
        use(how)
        for name, got in jax.jit(verbs)(*given).items():
            assert got.shape == want[name].shape
            close(got, want[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cost", "d"), [(SqEuclidean(), 1), (SqEuclidean(), 4), (Euclidean(), 2)], ids=str
)
def test_the_proof_holds_for_every_cost_and_dimension(cost, d, use):
    use("interpret")
    assert fused._error(cost, d) < 2e-6


def test_read_one_by_one_as_a_gpu_does_columns_are_the_same(use, monkeypatch):
    """Elsewhere here they are read eight at a time, which is what makes the simulation bearable."""
    program = mosaic._program

    def like_a_gpu(update, span, start, simulated, *references):
        assert simulated
        return program(update, span, start, False, *references)

    monkeypatch.setattr(mosaic, "_program", like_a_gpu)
    use("interpret")
    x, y, h = clouds(5, 21)
    close(Cloud(x, y).softmin(h, jnp.float32(0.1), 1), logsumexp(exponents(x, y, h, 0.1), 1))


def test_exponents_of_ten_thousand(use):
    """The first columns of all are the far ones: the maximum must move while it streams."""
    use("interpret")
    x, y, h = clouds(70, 2 * mosaic.SHORTEST + 5)
    y = y[jnp.argsort(-y.sum(1))]
    x, epsilon = 0.1 * x, 1e-4
    z = exponents(x, y, h, epsilon)
    assert np.isfinite(z).any(1).all()
    assert np.min(z, where=np.isfinite(z), initial=0) < -1e4
    got = Cloud(x, y).softmin(h, jnp.float32(epsilon), 1)
    close(got, logsumexp(z, 1), rtol=1e-6)
    # a row's every column far: the softmax is of differences, whatever the maximum
    mean = Cloud(x, y).average(h, jnp.float32(epsilon), y, 1)
    np.testing.assert_allclose(mean, softmax(z, 1) @ np.asarray(y), atol=2e-3)


def test_rows_without_any_weight_are_minus_infinity(use):
    use("interpret")
    x, y, h = clouds(3, 5)
    got = Cloud(x, y).softmin(jnp.full_like(h, -jnp.inf), jnp.float32(0.1), 1)
    assert np.isneginf(got).all()


def test_it_maps_over_problems_and_their_epsilons(use):
    use("interpret")
    x, y, h = clouds(2 * 6, 11)
    epsilons = jnp.asarray([0.1, 0.3], jnp.float32)
    mapped = jax.vmap(lambda x, e: Cloud(x, y).softmin(h, e, 1))
    got = jax.jit(mapped)(x.reshape(2, 6, 3), epsilons)
    for k, part in enumerate(np.asarray(x).reshape(2, 6, 3)):
        close(got[k], logsumexp(exponents(part, y, h, float(epsilons[k])), 1))


def test_it_runs_on_a_device_for_its_own_rows(use):
    use("interpret")
    x, y, h = clouds(6, 11)
    mesh, by_rows = Mesh(np.array(jax.devices()[:1]), ("devices",)), PartitionSpec("devices")
    split = jax.shard_map(
        lambda x, y, h: Cloud(x, y).softmin(h, jnp.float32(0.1), 1),
        mesh=mesh,
        in_specs=(by_rows, PartitionSpec(), PartitionSpec()),
        out_specs=by_rows,
        check_vma=False,
    )
    close(jax.jit(split)(x, y, h), logsumexp(exponents(x, y, h, 0.1), 1))


def test_derivatives_are_those_of_finite_differences(use):
    """In points, exponents and epsilon, forwards and backwards."""
    use("interpret")
    x, y, h = clouds(7, 11)
    rng = np.random.default_rng(3)
    weights, at = rng.normal(size=7), (x, y, h, jnp.float32(0.3))
    steps = tuple(rng.normal(size=z.shape) for z in at)

    def ours(x, y, h, epsilon):
        cloud = Cloud(x, y)
        both = cloud.softmin(h, epsilon, 1) + cloud.average(h, epsilon, h0, 1)
        return (jnp.asarray(weights, jnp.float32) * both).sum()

    def numpy(t):
        x, y, h, epsilon = (
            np.asarray(z, np.float64) + t * s for z, s in zip(at, steps, strict=True)
        )
        z = h - squared_distances(x, y) / epsilon
        return weights @ (logsumexp(z, 1) + softmax(z, 1) @ np.asarray(h0))

    h0 = jnp.asarray(rng.normal(size=11), jnp.float32)
    slope = (numpy(1e-5) - numpy(-1e-5)) / 2e-5
    directions = tuple(jnp.asarray(s, jnp.float32) for s in steps)
    _, forwards = jax.jit(lambda: jax.jvp(ours, at, directions))()
    gradients = jax.jit(jax.grad(ours, argnums=(0, 1, 2, 3)))(*at)
    backwards = sum(np.vdot(g, s) for g, s in zip(gradients, steps, strict=True))
    np.testing.assert_allclose([forwards, backwards], slope, rtol=1e-4)


def problem(n=10, m=12):
    x, y, h = clouds(n, m)
    rng = np.random.default_rng(4)
    a, b = rng.uniform(0.1, 1, n), np.where(np.isfinite(h), rng.uniform(0.1, 1, m), 0)
    return x, y, *(jnp.asarray(w / w.sum(), jnp.float32) for w in (a, b))


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [newton, pytest.param(sinkhorn, marks=pytest.mark.long)], ids=["newton", "sinkhorn"]
)
def test_a_whole_solve_is_xlas(method, use, monkeypatch):
    monkeypatch.setattr(kernels, "COMPACT", 0)
    x, y, a, b = problem()
    found = {}
    for how in ("xla", "interpret"):
        use(how)
        found[how] = method.solve(Cloud(x, y), a, b, epsilon=0.05)
        assert found[how].info.status == Status.OK
    np.testing.assert_allclose(found["interpret"].value, found["xla"].value, rtol=1e-5)
    for name in ("f", "g"):
        pair = (getattr(found[how], name) for how in ("interpret", "xla"))
        np.testing.assert_allclose(*pair, atol=2e-5)


@pytest.mark.long
def test_derivatives_through_a_solve_are_xlas(use, monkeypatch):
    """By the implicit rule, which multiplies with tangents: the kernel cannot be transposed."""
    monkeypatch.setattr(kernels, "COMPACT", 0)
    x, y, a, b = problem(6, 7)

    def height(x):
        coupling = newton.solve(Cloud(x, y), a, b, epsilon=0.5)
        return (coupling.f**2).sum() + coupling.value

    gradients = {}
    for how in ("xla", "interpret"):
        use(how)
        gradients[how] = jax.grad(height)(x)
    np.testing.assert_allclose(gradients["interpret"], gradients["xla"], atol=1e-5)


# --- lowering -----------------------------------------------------------------------------------


N, M = 100_000, 90_001


@pytest.mark.parametrize("cost", [SqEuclidean(), Euclidean()], ids=["squared", "euclidean"])
@pytest.mark.parametrize("d", [1, 3, 4])
def test_every_verb_lowers_for_cuda(d, cost, use):
    use("mosaic")

    def program(x, y, h, u, values):
        cloud, epsilon = Cloud(x, y, cost), jnp.float32(1e-3)
        rows, normaliser = cloud.rows(h, epsilon, stored=False)
        mean = cloud.average(h, epsilon, values, 1)
        return normaliser, mean, rows.forward(values[:, 0]), rows.backward(u)

    given = shape(N, d), shape(M, d), shape(M), shape(N), shape(M, 4)
    assert kernels_in(program, *given) == 4


@pytest.mark.slow
@pytest.mark.parametrize("method", [newton, sinkhorn], ids=["newton", "sinkhorn"])
def test_a_whole_solve_lowers_for_cuda(method, use):
    use("mosaic")

    def program(x, y, a, b):
        return method.solve(Cloud(x, y), a, b, epsilon=1e-3).f

    assert kernels_in(program, shape(N, 3), shape(M, 3), shape(N), shape(M)) > 4


def test_mapped_it_lowers_for_cuda(use):
    use("mosaic")
    one = partial(mosaic.softmin, SqEuclidean())
    given = shape(3, N, 3), shape(3, M, 3), shape(3, M), shape(3)
    assert kernels_in(jax.vmap(one), *given) == 1


def test_float32_among_float64_lowers_for_cuda(use):
    """Loop counters must not become int64 half way."""
    use("mosaic")
    with jax.enable_x64(True):
        given = shape(N, 3), shape(M, 3), shape(M), shape()
        assert kernels_in(partial(mosaic.softmin, SqEuclidean()), *given) == 1


@pytest.mark.parametrize(("n", "m"), [(1, 1), (511, 129), (10_000, 10_000), (100_000, 100_000)])
def test_blocks_and_parts_cover_everything_and_little_more(n, m):
    blocks, parts, span = mosaic._split(n, m)
    assert n <= blocks * mosaic.ROWS < n + mosaic.ROWS
    assert m <= parts * span < m + span
    assert span % mosaic.CHUNK == 0
    assert blocks * parts <= max(mosaic.PROGRAMS, blocks)


# what XLA wants to know of an H100
HOPPER = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84978434048 cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""

COMPILE = f"""
import jax, jax.numpy as jnp, numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxcolor.transport.kernels import Cloud

found = topologies.get_topology_desc("", "cuda", target_config='''{HOPPER}''', topology="1x1x1")
place = NamedSharding(Mesh(np.array(found.devices), ("devices",)), PartitionSpec())

def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32, sharding=place)

def program(x, y, h, u, values):
    cloud, epsilon = Cloud(x, y), jnp.float32(1e-3)
    rows, normaliser = cloud.rows(h, epsilon, stored=False)
    mean = cloud.average(h, epsilon, values, 1)
    return normaliser, mean, rows.forward(values[:, 0]), rows.backward(u)

given = shape(90000, 4), shape(70001, 4), shape(70001), shape(90000), shape(70001, 4)
jax.jit(program).trace(*given).lower(lowering_platforms=("cuda",)).compile()
"""


@pytest.mark.slow
def test_ptxas_compiles_it_for_hopper_without_spilling(tmp_path):
    """The most coordinates and values; spilled registers would cost the speed it is there for."""
    plugins = ("jax_cuda12_plugin", "jax_cuda13_plugin")
    if not any(importlib.util.find_spec(name) for name in plugins):
        pytest.skip("needs jax's CUDA plugin and ptxas (but no GPU)")
    settings = {
        mosaic.SWITCH: "mosaic",
        "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1",
        "MOSAIC_GPU_DUMP_PTXAS": "1",
        "MOSAIC_GPU_DUMP_TO": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = [path.read_text() for path in tmp_path.glob("*.ptxas")]
    assert len(said) == 4
    assert all("0 bytes spill stores, 0 bytes spill loads" in log for log in said)
