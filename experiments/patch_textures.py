"""Texture interpolation by mixtures of patches, after Delon's lecture.

    python experiments/patch_textures.py [--folder experiments]

The patches of a texture, 3 x 3 pixels at each of three scales, are a cloud in R^27, and a Gaussian
mixture is fitted to it. Between the mixtures of two textures runs a geodesic of MW2. A draw of the
two textures' mixed spot noise, which knows covariances and no structure, is brought to the mixture
at t from coarse to fine: its patches are mapped by T_mean, each pixel becomes the mean of the
patches that cover it, and so in turn. About three minutes on two cores; needs the `bench` extra.

Printed, and kept in `results/patch_textures.json`: MW2 from the patches of each result to those of
either end, root mean square over scales, beside what the spot noise alone has. Written:
`figures/patch_textures.jpg`.
"""

import argparse
from pathlib import Path

import harness
import jax
import jax.numpy as jnp
import numpy as np
from figures import save
from figures_common import show
from figures_texture import exemplars
from jax import Array
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from tqdm import tqdm

from jaxcolor.measure import point_cloud
from jaxcolor.transport import em, mixture, mixture_map, spotnoise
from jaxcolor.transport.mixture import GaussianMixture

SIDE = 3  # of a patch
SCALES = (4, 2, 1)  # pixels in one of a scale's, along each side
COMPONENTS = 30
POINTS = 3072  # patches that a mixture is fitted to
STEPS = 20  # of a fit
ROUNDS = 5  # at each scale
SIZE = 128  # of a result
CHUNK = 256  # patches mapped at once
TIMES = (0, 0.25, 0.5, 0.75, 1)
PAIRS = (("cells", "wood"),)
PACKAGES = ("jax", "numpy", "scipy", "scikit-image")


def shrunk(picture: Array, scale: int) -> Array:
    """Means of scale x scale pixels."""
    height, width, channels = picture.shape
    cells = picture.reshape(height // scale, scale, width // scale, scale, channels)
    return cells.mean((1, 3))


def doubled(picture: Array) -> Array:
    height, width, channels = picture.shape
    return jax.image.resize(picture, (2 * height, 2 * width, channels), "cubic")


@jax.jit
def patches(picture: Array) -> Array:
    """(H, W, d) of a picture (H, W, c) that tiles: the patch whose first pixel is here."""
    places = [(i, j) for i in range(SIDE) for j in range(SIDE)]
    return jnp.concatenate([jnp.roll(picture, (-i, -j), (0, 1)) for i, j in places], 2)


@jax.jit
def averaged(parts: Array) -> Array:
    """The picture each of whose pixels is the mean of what the patches that cover it say."""
    places = [(i, j) for i in range(SIDE) for j in range(SIDE)]
    layers = jnp.split(parts, len(places), 2)
    moved = [jnp.roll(layer, place, (0, 1)) for layer, place in zip(layers, places, strict=True)]
    return sum(moved, jnp.zeros_like(layers[0])) / len(places)


def fitted(parts: Array, key: Array) -> GaussianMixture:
    """The mixture of patches (..., d)."""
    rows = parts.reshape(-1, parts.shape[-1])
    some = jax.random.choice(key, len(rows), (POINTS,), replace=len(rows) < POINTS)
    cloud = point_cloud(rows[some])
    return em.fit(cloud, COMPONENTS, key, steps=STEPS, tol=1e-3, ridge=1e-4)[0]


def own(exemplar: Array, key: Array) -> dict[int, GaussianMixture]:
    """The mixture of an exemplar at each scale, of patches that do not cross its border."""
    inside = slice(None, 1 - SIDE)
    return {s: fitted(patches(shrunk(exemplar, s))[inside, inside], key) for s in SCALES}


@jax.jit
def mapped(T: mixture_map.MixtureMap, parts: Array) -> Array:
    return jax.lax.map(T, parts.reshape(-1, CHUNK, parts.shape[-1])).reshape(parts.shape)


def matched(start: Array, goals: dict[int, GaussianMixture], key: Array) -> Array:
    """A picture brought to a mixture of patches at each scale, coarse to fine.

    A scale starts from the last one's result, with the detail that the start has beyond that.
    """
    picture = shrunk(start, SCALES[0])
    for scale, goal in goals.items():
        if scale != SCALES[0]:
            detail = shrunk(start, scale) - doubled(shrunk(start, 2 * scale))
            picture = doubled(picture) + detail
        for k in range(ROUNDS):
            parts = patches(picture)
            T = mixture_map.solve(fitted(parts, jax.random.fold_in(key, k)), goal)
            picture = jnp.clip(averaged(mapped(T, parts)), 0, 1)
    return picture


def distance(first: dict[int, GaussianMixture], second: dict[int, GaussianMixture]) -> float:
    """MW_2 per number of a patch, root mean square over scales."""
    squares = [float(mixture.couple(first[s], second[s]).value) / SIDE**2 / 3 for s in SCALES]
    return float(np.mean(squares)) ** 0.5


def path(names: tuple[str, str], key: Array) -> tuple[dict, dict[str, list[np.ndarray]]]:
    """Distances and pictures along the way from one texture to another."""
    crops = exemplars()
    fields = [jnp.asarray(crops[name], jnp.float32) / 255 for name in names]
    ends = [own(field, key) for field in fields]
    models = [spotnoise.analyse(field) for field in fields]
    pictures: dict[str, list[np.ndarray]] = {"spot noise": [], "patches": []}
    record: dict = {name: [] for name in pictures}
    for t in tqdm(TIMES, desc=" to ".join(names)):
        model = spotnoise.geodesic(*models, t)
        start = jnp.clip(spotnoise.synthesize(model, key, (SIZE, SIZE)), 0, 1)
        goals = {s: mixture.geodesic(ends[0][s], ends[1][s], t) for s in SCALES}
        results = {"spot noise": start, "patches": matched(start, goals, key)}
        for name, result in results.items():
            found = {s: fitted(patches(shrunk(result, s)), key) for s in SCALES}
            record[name].append([distance(found, end) for end in ends])
            pictures[name].append(np.asarray(result))
    record["ends"] = distance(*ends)
    again = [own(field, jax.random.fold_in(key, 1)) for field in fields]
    record["fitted again"] = [distance(*both) for both in zip(ends, again, strict=True)]
    return record, pictures


def table(record: dict) -> str:
    """MW_2 to either end, as a share of the ends' distance."""
    lines = ["| | t | patches: to the first | to the second | spot noise: to the first | second |"]
    lines.append("|---" * 6 + "|")
    for pair, found in record.items():
        for k, t in enumerate(TIMES):
            both = found["patches"][k] + found["spot noise"][k]
            numbers = " | ".join(f"{each / found['ends']:.3f}" for each in both)
            lines.append(f"| {pair} | {t:g} | {numbers} |")
        floor = " and ".join(f"{each / found['ends']:.3f}" for each in found["fitted again"])
        lines.append(f"\n{pair}: the exemplars themselves, fitted again, {floor}")
    return "\n".join(lines)


def drawn(pictures: dict[str, dict[str, list[np.ndarray]]]) -> Figure:
    """For each pair its exemplars, and between them the way by patches above the spot noise's."""
    figure = plt.figure(figsize=(13.6, 4.1 * len(pictures)))
    crops = exemplars()
    blocks = figure.subfigures(len(pictures), 1, squeeze=False)[:, 0]
    for block, (pair, way) in zip(blocks, pictures.items(), strict=True):
        names = pair.split(" to ")
        mosaic = block.subplot_mosaic([["<", *"01234", ">"], ["<", *"56789", ">"]])
        for key, name in zip("<>", names, strict=True):
            show(mosaic[key], crops[name], name)
        for keys, name in (("01234", "patches"), ("56789", "spot noise")):
            for key, t, picture in zip(keys, TIMES, way[name], strict=True):
                show(mosaic[key], picture, f"{name}, $t$ = {t:g}")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    record, pictures = {}, {}
    for names in PAIRS:
        pair = " to ".join(names)
        record[pair], pictures[pair] = path(names, jax.random.key(0))
    print(f"\n{table(record)}")
    settings = {"side": SIDE, "scales": SCALES, "components": COMPONENTS, "times": TIMES}
    harness.save(
        args.folder / "results" / "patch_textures.json",
        {"machine": harness.machine(PACKAGES), "settings": settings, "MW2": record},
    )
    save(drawn(pictures), args.folder / "figures" / "patch_textures.jpg")


if __name__ == "__main__":
    main()
