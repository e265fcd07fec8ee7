"""What training keeps: the pool of palettes, checkpoints, weights, the loss curve."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcolor.amortize import data
from jaxcolor.amortize.model import Network, initial
from jaxcolor.measure import Measure

CROPS = 60  # of each photograph
PART = 64  # scenes between two turns of the progress bar
SIDE = 900  # pixels that a photograph is reduced to


def write(path: Path, save: Callable[[Any], object]) -> None:
    """Written aside, then renamed: a file is whole or as it was."""
    from jaxcolor.image.files import aside  # not where weights are only read

    with aside(path) as temporary, open(temporary, "wb") as file:
        save(file)


def pool(path: Path, scenes: int, photos: str | None) -> tuple[Measure, int]:
    """The pool of training palettes, made once, and how many of it are of made-up scenes."""
    if not path.exists():
        parts = [_scenes(scenes, seed=1)]
        if photos:
            parts.append(_photographs(Path(photos)))
        points, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        write(path, lambda f: np.savez(f, points=points, weights=weights, made=len(parts[0][0])))
    stored = np.load(path)
    return Measure(jnp.asarray(stored["points"]), jnp.asarray(stored["weights"])), int(
        stored["made"]
    )


def held_out(path: Path, given: str | Path | None) -> Measure:
    """Palettes to validate on: those given, else of other scenes than the pool's."""
    if given is None and not path.exists():
        points, weights = _scenes(256, seed=2)
        write(path, lambda f: np.savez(f, points=points, weights=weights))
    stored = np.load(given or path)
    return Measure(jnp.asarray(stored["points"]), jnp.asarray(stored["weights"]))


def _scenes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from tqdm import tqdm

    keys = jax.random.split(jax.random.key(seed), -(-count // PART) * PART).reshape(-1, PART)
    made = [data.scenes(part) for part in tqdm(keys, desc="scenes", unit_scale=PART, disable=None)]
    points, weights = (np.concatenate([getattr(m, n) for m in made]) for n in ("points", "weights"))
    return points[:count], weights[:count]


def _photographs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The palettes of crops of every picture in a folder."""
    from PIL import Image
    from tqdm import tqdm

    from jaxcolor.image.spaces import Lab

    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise ValueError(f"no photographs in {folder}")
    rng = np.random.default_rng(0)
    made = []
    for number, path in enumerate(tqdm(paths, desc="photographs", disable=None)):
        with Image.open(path) as image:
            image = image.convert("RGB")
            image.thumbnail((SIDE, SIDE))
            picture = np.asarray(image)
        for crop in range(CROPS):
            rows = _crop(picture, rng if crop else None).reshape(-1, 3)
            some = rows[rng.choice(len(rows), data.PIXELS, replace=len(rows) < data.PIXELS)]
            colors = Lab().encode(jnp.asarray(some, jnp.float32) / 255)
            made.append(data.palette(colors, jax.random.key(1000 * number + crop)))
    points, weights = (np.stack([getattr(m, n) for m in made]) for n in ("points", "weights"))
    return points, weights


def _crop(picture: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """A quarter to all of each side, of any shape; without a generator the whole."""
    if rng is None:
        return picture
    height, width = picture.shape[:2]
    share = rng.uniform(0.25, 1)
    tall, wide = int(height * share), int(width * min(1, share * rng.uniform(0.7, 1.4)))
    top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
    return picture[top : top + tall, left : left + wide]


def checkpoint(folder: Path, state, record: dict) -> None:
    """State and record in one file, so that they cannot disagree."""
    leaves: dict[str, Any] = {
        f"leaf{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(state))
    }
    write(folder / "state.npz", lambda f: np.savez(f, record=json.dumps(record), **leaves))


def resume(folder: Path, state, record: dict):
    """The state and record that a folder holds, or those given where it holds none.

    Raises:
        ValueError: where the folder is of a network of another shape.
    """
    path = folder / "state.npz"
    if not path.exists():
        return state, record
    stored = np.load(path)
    leaves, tree = jax.tree.flatten(state)
    found = [stored[f"leaf{k}"] for k in range(len(stored.files) - 1)]
    if [np.shape(leaf) for leaf in leaves] != [leaf.shape for leaf in found]:
        raise ValueError(f"{folder} holds the training of another network")
    return jax.tree.unflatten(tree, map(jnp.asarray, found)), json.loads(str(stored["record"]))


def save_network(path: Path, network: Network) -> None:
    """The weights in float16, which costs a start nothing, and the shape."""
    names = [jax.tree_util.keystr(name) for name, _ in jax.tree.leaves_with_path(network)]
    leaves = [np.asarray(leaf, np.float16) for leaf in jax.tree.leaves(network)]
    shape = json.dumps({"nodes": network.nodes, "looks": network.looks} | _sizes(network))
    arrays: dict[str, Any] = dict(zip(names, leaves, strict=True))
    write(path, lambda f: np.savez_compressed(f, shape=shape, **arrays))


def load_network(path) -> Network:
    """The network of a file that `save_network` wrote, in float32."""
    stored = np.load(path)
    shape = json.loads(str(stored["shape"]))
    nodes, looks = (tuple(shape.pop(name)) for name in ("nodes", "looks"))
    like = jax.eval_shape(lambda: initial(jax.random.key(0), nodes=nodes, looks=looks, **shape))
    names = [jax.tree_util.keystr(name) for name, _ in jax.tree.leaves_with_path(like)]
    leaves = [np.asarray(stored[name], np.float32) for name in names]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _sizes(network: Network) -> dict[str, int]:
    inner = network.rounds[0].middle.bias.size if network.rounds else 64
    return {
        "hidden": network.encoder[0].bias.size,
        "depth": len(network.encoder) - 1,
        "local": network.local.inner.bias.size,
        "inner": inner,
    }


def plot(path: Path, record: dict) -> None:
    """Loss and validation error against steps; nothing where matplotlib is absent."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(record["steps"], record["loss"])
    left.set(xlabel="step", title="training loss", ylim=(0, None))
    right.plot(record["steps"], record["rms"])
    right.set(xlabel="step", title="unseen potentials off by, CIELAB units", ylim=(0, None))
    write(path, lambda f: figure.savefig(f, dpi=120))
