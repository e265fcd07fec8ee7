"""Figures on photographs: exchange and harmonization after Peyre, sliced descent after Delon."""

from dataclasses import replace
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from figures_common import photographs, show
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import jaxcolor
from jaxcolor.recipes.score import sw2
from jaxcolor.transport import flow


def exchange() -> Figure:
    """Two pictures, each in the other's colours: two fits, not one and its inverse."""
    pictures = photographs()
    pairs = {
        "coffee": (pictures["coffee"], pictures["cat"]),
        "cat": (pictures["cat"], pictures["coffee"]),
    }
    figure, panels = plt.subplots(2, 2, figsize=(9.5, 6.6))
    for column, (name, (picture, other)) in zip(panels.T, pairs.items(), strict=True):
        exchanged = jaxcolor.transfer(picture, other, method="sliced")
        show(column[0], picture, f"{name}: $SW_2$ to the other {sw2(picture, other):.3f}")
        show(column[1], exchanged, f"in the other's colours: {sw2(exchanged, other):.4f}")
    return figure


def harmonize() -> Figure:
    """Five pictures brought to one look, and the SW_2 distances of all pairs."""
    album = list(photographs(330, 220).values())
    rows = {
        "before": album,
        "sliced": jaxcolor.harmonize(album),
        "gaussian": jaxcolor.harmonize(album, method="gaussian"),
    }
    tables = {name: _distances(pictures) for name, pictures in rows.items()}
    top = tables["before"].max()
    figure, panels = plt.subplots(3, 6, figsize=(12, 4.6), width_ratios=(3, 3, 3, 3, 3, 2))
    for line, (name, pictures) in zip(panels, rows.items(), strict=True):
        for panel, picture in zip(line[:5], pictures, strict=True):
            show(panel, picture)
        line[5].imshow(tables[name], cmap="Greys", vmin=0, vmax=1.2 * top)
        for i, j in combinations(range(5), 2):
            value = tables[name][i, j]
            ink = "white" if value > 0.6 * top else "black"
            line[5].text(j, i, f"{value:.2f}"[1:], ha="center", va="center", size=7.5, color=ink)
        line[5].axis("off")
        mean = tables[name][np.triu_indices(5, 1)].mean()
        line[5].set_title(f"{name}: mean {mean:.3f}")
    return figure


def _distances(pictures: list[np.ndarray]) -> np.ndarray:
    table = np.zeros((len(pictures), len(pictures)))
    for i, j in combinations(range(len(pictures)), 2):
        table[i, j] = table[j, i] = sw2(pictures[i], pictures[j])
    return table


def sliced() -> Figure:
    """A photograph's colours on their way to another's, one frame of directions after another."""
    pictures, rng = photographs(), np.random.default_rng(0)
    source, target = pictures["motorcycle"], pictures["rocket"]
    clouds = (
        jaxcolor.point_cloud(picture.reshape(-1, 3)[::8] / np.float32(255))
        for picture in (source, target)
    )
    T = flow.solve(*clouds, jax.random.key(0), steps=30)
    shown = {"source": source}
    for steps in (1, 3, 30):
        some = jnp.arange(30)[:, None, None] < steps
        first = replace(T, shift=jnp.where(some, T.shift, 0))
        shown[f"{steps} frame" + "s" * (steps > 1)] = jaxcolor.apply(first, source)
    shown["reference"] = target
    figure, panels = plt.subplots(2, 5, figsize=(12, 3.9), height_ratios=(1, 1.1))
    for column, (name, picture) in zip(panels.T, shown.items(), strict=True):
        show(column[0], picture, name)
        colors = picture.reshape(-1, 3)[rng.integers(0, picture.size // 3, 2500)] / 255
        column[1].scatter(colors[:, 0], colors[:, 2], c=colors, s=3, lw=0)
        column[1].set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 1], yticks=[0, 1], xlabel="red")
    panels[1, 0].set_ylabel("blue")
    return figure
