"""What training keeps: the pool of palettes, checkpoints, weights, the loss curve."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcolor import npz
from jaxcolor.amortize import data
from jaxcolor.amortize.model import Network, initial
from jaxcolor.measure import Measure

CROPS = 60  # of each photograph
WIDEST = 4096  # of any layer; more is a damaged file's
PART = 64  # scenes between two turns of the progress bar
SIDE = 900  # pixels that a photograph is reduced to


def write(path: Path, save: Callable[[Any], object]) -> None:
    """Written aside, then renamed: a file is whole or as it was."""
    from jaxcolor.image.files import aside  # not where weights are only read

    with aside(path) as temporary, open(temporary, "wb") as file:
        save(file)


def sweep(folder: Path) -> None:
    """Remove what a killed run left half written."""
    from jaxcolor.image import aside

    names = ("pool.npz", "validation.npz", "state.npz", "weights.npz", "loss.png")
    aside.sweep(folder / name for name in names)


def pool(path: Path, scenes: int, photos: str | None) -> tuple[Measure, int]:
    """The pool of training palettes, made once, and how many of it are of made-up scenes."""
    if not path.exists():
        parts = [_scenes(scenes, seed=1)]
        if photos:
            parts.append(_photographs(Path(photos)))
        points, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        write(path, lambda f: np.savez(f, points=points, weights=weights, made=len(parts[0][0])))
    stored = npz.read(path, ("points", "weights", "made"))
    found, made = _palettes(path, stored), stored["made"]
    if made.shape or made.dtype.kind not in "iu" or not 0 <= made <= len(found.points):
        raise ValueError(f"{path}: holds no pool of palettes")
    return found, int(made)


def _palettes(path: str | Path, stored: dict[str, np.ndarray]) -> Measure:
    """Points (n, k, 3) and weights (n, k) of a file.

    Raises:
        ValueError: where they are none.
    """
    points, weights = stored["points"], stored["weights"]
    whole = points.ndim == 3 and points.shape == (*weights.shape, 3) and points.size
    if not whole or not points.dtype == weights.dtype == np.float32:
        raise ValueError(f"{path}: holds no palettes, points (n, k, 3) and weights (n, k)")
    if not (np.isfinite(points).all() and np.isfinite(weights).all() and weights.min() >= 0):
        raise ValueError(f"{path}: holds points or weights that are no numbers")
    return Measure(jnp.asarray(points), jnp.asarray(weights))


def held_out(path: Path, given: str | Path | None) -> Measure:
    """Palettes to validate on: those given, else of other scenes than the pool's."""
    if given is None and not path.exists():
        points, weights = _scenes(256, seed=2)
        write(path, lambda f: np.savez(f, points=points, weights=weights))
    return _palettes(given or path, npz.read(given or path, ("points", "weights")))


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
        ValueError: where the folder is of a network of another shape, or its file damaged.
    """
    path = folder / "state.npz"
    if not path.exists():
        return state, record
    stored = npz.read(path, ("record",))
    leaves, tree = jax.tree.flatten(state)
    found = [stored.get(f"leaf{k}", np.array("")) for k in range(len(stored) - 1)]
    if [(np.shape(one), one.dtype) for one in leaves] != [(one.shape, one.dtype) for one in found]:
        raise ValueError(f"{folder} holds the training of another network")
    kept = _words(path, stored["record"])
    if kept.keys() != record.keys():
        raise ValueError(f"{path}: damaged (its record is not one of training)")
    return jax.tree.unflatten(tree, map(jnp.asarray, found)), kept


def _words(path: str | Path, text: np.ndarray) -> dict[str, Any]:
    """JSON that a file of arrays holds.

    Raises:
        ValueError: where it is none.
    """
    try:
        told = json.loads(str(text))
        if isinstance(told, dict):
            return told
    except (ValueError, RecursionError):
        pass
    raise ValueError(f"{path}: damaged (its description is no JSON)")


def save_network(path: Path, network: Network) -> None:
    """The weights in float16, which costs a start nothing, and the shape."""
    names = [jax.tree_util.keystr(name) for name, _ in jax.tree.leaves_with_path(network)]
    leaves = [np.asarray(leaf, np.float16) for leaf in jax.tree.leaves(network)]
    shape = json.dumps({"nodes": network.nodes, "looks": network.looks} | _sizes(network))
    arrays: dict[str, Any] = dict(zip(names, leaves, strict=True))
    write(path, lambda f: np.savez_compressed(f, shape=shape, **arrays))


def load_network(path) -> Network:
    """The network of a file that `save_network` wrote, in float32.

    Raises:
        ValueError: where it is none.
        OSError: where it cannot be read.
    """
    stored, told = npz.read(path, ("shape",)), npz.name(path)
    like = _like(told, _words(told, stored["shape"]))
    names = [jax.tree_util.keystr(name) for name, _ in jax.tree.leaves_with_path(like)]
    wanted = [leaf.shape for leaf in jax.tree.leaves(like)]
    leaves = [stored.get(name, np.zeros(())) for name in names]
    known = all(leaf.dtype.kind == "f" for leaf in leaves)
    if not known or [leaf.shape for leaf in leaves] != wanted:
        raise ValueError(f"{told}: damaged (its arrays are not of the shape that it tells)")
    return jax.tree.unflatten(jax.tree.structure(like), [leaf.astype("f4") for leaf in leaves])


def _like(told: str, shape: dict[str, Any]) -> Network:
    """The shapes of a network.

    Raises:
        ValueError: where a file tells of none that there can be.
    """
    try:
        nodes, looks = (tuple(shape.pop(name)) for name in ("nodes", "looks"))
        sizes = [*nodes, len(looks), *shape.values()]
        if len(nodes) != 3 or not all(type(one) is int and 0 <= one <= WIDEST for one in sizes):
            raise ValueError
        if not all(type(one) in (int, float) and 0 < one < np.inf for one in looks):
            raise ValueError
        return jax.eval_shape(lambda: initial(jax.random.key(0), nodes=nodes, looks=looks, **shape))
    except (KeyError, TypeError, ValueError, StopIteration, ZeroDivisionError) as error:
        raise ValueError(f"{told}: damaged (it tells of no network)") from error


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
