import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.amortize import data, loss, model, store, train
from jaxcolor.measure import Measure

SMALL = {"hidden": 16, "inner": 8, "local": 8, "depth": 1, "nodes": (4, 3, 3), "looks": (0.05,)}


@pytest.fixture(scope="module")
def small():
    return model.initial(jax.random.key(0), **SMALL)


@pytest.fixture
def folder(tmp_path, palettes):
    """A folder with a pool of sixteen palettes, as training would leave it."""
    some = {"points": np.asarray(palettes.points), "weights": np.asarray(palettes.weights)}
    np.savez(tmp_path / "pool.npz", made=16, **some)
    np.savez(tmp_path / "validation.npz", **some)
    return tmp_path


def test_scenes_have_colours_of_the_gamut(palettes):
    assert palettes.points.shape == (16, 128, 3)
    np.testing.assert_allclose(palettes.weights.sum(1), 1, rtol=1e-5)
    assert (np.asarray(palettes.weights) >= 0).all()
    lightness = np.asarray(palettes.points)[..., 0]
    assert lightness.min() >= -1e-3
    assert lightness.max() <= 100.1
    linear = data.scene(jax.random.key(5))
    assert linear.shape == (data.PIXELS, 3)
    assert 0 <= float(linear.min()) <= float(linear.max()) <= 1
    assert float(linear.std()) > 0.01


def test_scenes_differ_as_photographs_do(palettes):
    mean = np.einsum("bk,bkd->bd", palettes.weights, palettes.points)
    assert mean[:, 0].std() > 5
    assert mean[:, 2].std() > 3


def test_half_of_the_palettes_may_have_empty_clusters():
    flat = jnp.zeros((data.PIXELS, 3)).at[:64].set(jax.random.normal(jax.random.key(0), (64, 3)))
    empty = [(data.palette(flat, jax.random.key(k)).weights == 0).sum() for k in range(8)]
    assert max(map(int, empty)) > 30


def test_bending_keeps_masses_and_drops_some(palettes):
    bent = jax.jit(data.bent)(
        jax.random.key(1), jax.tree.map(lambda z: jnp.tile(z.T, 8).T, palettes)
    )
    np.testing.assert_allclose(bent.weights.sum(1), 1, rtol=1e-5)
    zeros = np.asarray((bent.weights == 0).mean(1))
    assert (zeros > 0.1).any()
    assert (zeros < 0.05).any()
    assert np.isfinite(bent.points).all()


def test_the_gradient_is_that_of_the_dual_value(both):
    """The loss's gradient by the network's output is minus the marginal error; and the dual value
    rises along it."""
    mu, nu = both
    network = model.initial(jax.random.key(0), **(SMALL | {"looks": ()}))
    epsilon = jnp.full(8, 1.0)
    gradient = jax.jit(jax.grad(loss.semi_dual))(network, mu, nu, epsilon)

    def dual(network):
        g = model.potentials(network, mu, nu, epsilon)

        def one(x, a, y, b, g):
            cost = jnp.sqrt(jnp.square(x[:, None] - y[None]).sum(-1))
            f = -jax.nn.logsumexp(g[None] - cost, axis=1, b=b[None])
            return a @ f + b @ g

        parts = mu.points, mu.weights, nu.points, nu.weights
        return jax.vmap(one)(*parts, g).mean() / loss.UNIT

    expected = jax.jit(jax.grad(dual))(network)
    for ours, theirs in zip(*map(jax.tree.leaves, (gradient, expected)), strict=True):
        scale = float(jnp.abs(theirs).max())
        np.testing.assert_allclose(ours, -theirs, atol=2e-3 * scale + 1e-6)


@pytest.mark.parametrize(
    "name",
    ["semi-dual", *(pytest.param(n, marks=pytest.mark.long) for n in ("unrolled", "solved"))],
)
def test_every_loss_falls_with_training(name, both):
    mu, nu = both
    tool = train.optimizer(3e-3, 60)
    network = model.initial(jax.random.key(0), **SMALL)
    epsilon = jnp.full(8, 0.5)
    function = jax.jit(jax.value_and_grad(loss.LOSSES[name]))
    moments, goal = tool.init(network), _off(network, mu, nu)
    for _ in range(60):
        _, slope = function(network, mu, nu, epsilon)
        change, moments = tool.update(slope, moments, network)
        network = jax.tree.map(jnp.add, network, change)
    assert _off(network, mu, nu) < 0.6 * goal


def _off(network, mu, nu):
    from jaxcolor.transport.costs import Euclidean
    from jaxcolor.transport.solvers import solve_batch

    g = solve_batch(mu, nu, epsilon=0.5, cost=Euclidean(), tol=1e-3).g
    return float(jnp.median(train.distance(network, mu, nu, g, jnp.float32(0.5))))


def run(folder, steps, every="1000"):
    words = [str(folder), "--steps", str(steps), "--batch", "8", "--every", every, "--looks", ".05"]
    train.run(train.parser().parse_args(words))


@pytest.mark.long
def test_it_goes_on_to_the_bit_where_it_stopped(folder, tmp_path_factory, monkeypatch, capsys):
    monkeypatch.setattr(train, "INNER", 5)
    monkeypatch.setattr(train, "VALIDATION", 8)
    whole = tmp_path_factory.mktemp("whole")
    for name in ("pool.npz", "validation.npz"):
        (whole / name).write_bytes((folder / name).read_bytes())
    run(whole, 10)
    stop = train.store.checkpoint

    def stopping(*args):
        stop(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(train.store, "checkpoint", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(folder, 10, every="0")
    monkeypatch.setattr(train.store, "checkpoint", stop)
    assert not (folder / "weights.npz").exists()
    run(folder, 10)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["steps"] == 10
    ours, theirs = (store.load_network(place / "weights.npz") for place in (folder, whole))
    for one, other in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (folder / "loss.png").exists()
    with pytest.raises(ValueError, match="another network"):
        train.run(train.parser().parse_args([str(folder), "--looks", "--steps", "10"]))


def test_weights_come_back_as_they_were_written(tmp_path, small):
    path = tmp_path / "w.npz"
    store.save_network(path, small)
    back = store.load_network(path)
    assert jax.tree.structure(back) == jax.tree.structure(small)
    for one, other in zip(*map(jax.tree.leaves, (back, small)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-7)


@pytest.mark.long
def test_photographs_are_cropped_into_a_pool(tmp_path, photographs, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(store, "CROPS", 2)
    place = tmp_path / "photos"
    place.mkdir()
    for k, picture in enumerate(photographs):
        Image.fromarray(picture).save(place / f"{k}.png")
    pool, made = store.pool(tmp_path / "pool.npz", 3, str(place))
    assert made == 3
    assert pool.points.shape == (3 + 4, 128, 3)
    again, _ = store.pool(tmp_path / "pool.npz", 99, None)  # made once
    np.testing.assert_array_equal(again.points, pool.points)
    with pytest.raises(ValueError, match="no photographs"):
        store.pool(tmp_path / "other.npz", 1, str(tmp_path / "photos" / ".."))
    assert isinstance(pool, Measure)


@pytest.mark.slow
def test_the_command(folder):
    command = [sys.executable, "-m", "jaxcolor.amortize.train", str(folder)]
    done = subprocess.run(
        [*command, "--steps", "20", "--batch", "4", "--cores", "2"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 20
    assert (folder / "weights.npz").exists()


def test_a_batch_that_cores_cannot_share_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="between 4 cores: take a multiple of 4, or fewer"):
        train.main([str(tmp_path), "--batch", "6", "--cores", "5"])
    assert not list(tmp_path.iterdir())
