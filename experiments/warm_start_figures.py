"""The pictures of the study of warm starts: its histogram, and photographs recoloured."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import warm_start_starts as st
from figures_common import BLUE, GREY, RED, photographs, show
from jax import Array
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from warm_start_pairs import COST, EPSILON, normalised

from jaxcolor.image.spaces import Lab
from jaxcolor.measure import Measure
from jaxcolor.recipes.palette import extract
from jaxcolor.transport import coupling
from jaxcolor.transport.solvers import solve

LAB = Lab()
MAXIMA = "maxima over 8"
REACH = 6.0  # CIELAB: how far a colour of the palette lends its displacement
ROWS = (
    ("coffee", "rocket"),
    ("rocket", "astronaut"),
    ("astronaut", "coffee"),
    ("cat", "rocket"),
    ("motorcycle", "cat"),
)


def histogram(record: dict, path: Path) -> None:
    """Counts of sweeps, maxima over 8 pairs: the study's on its photographs, and on others."""
    rows = record.get("reproduce", {}).get("rows")
    if not rows:
        print("no histogram: the record has no counts yet (--only reproduce)")
        return
    both = {"cold": GREY, "published network": RED, "our network": BLUE}
    panels = (
        ("the study's own counts", MAXIMA, {"published, cold": GREY, "published, warm": RED}),
        ("on photographs that no network has seen", MAXIMA, both),
        ("the same, pair by pair", "pairs", both),
    )
    figure, axes = plt.subplots(3, 1, figsize=(9, 7.6), sharex=True)
    for panel, (title, kind, chosen) in zip(axes, panels, strict=True):
        counts = {name: rows[name][kind] for name in chosen}
        _histogram(panel, counts, chosen)
        number = len(next(iter(counts.values()))["values"])
        panel.set_title(f"{title}: {number:,} {'pairs' if kind == 'pairs' else 'batches of 8'}")
        panel.set_ylabel("share")
    axes[-1].set_xlabel("sweeps until log v changes by 1e-4 at most (in all 8 pairs of a batch)")
    figure.savefig(path)
    plt.close(figure)


def _histogram(panel: Axes, counts: dict[str, dict], colours: dict[str, str]) -> None:
    edges = np.geomspace(100, 20_001, 25).tolist()
    for name, row in counts.items():
        values = np.asarray(row["values"])
        share = np.full(len(values), 1 / len(values))
        median = row["summary"][2]
        label = f"{name}: median {median:,.0f}"
        colour = colours[name]
        panel.hist(values, edges, weights=share, histtype="stepfilled", color=colour, alpha=0.22)
        panel.hist(values, edges, weights=share, histtype="step", color=colour, lw=1.4, label=label)
        panel.axvline(median, color=colour, lw=1, ls=":")
    panel.set_xscale("log")
    panel.set_xticks([200, 500, 1000, 2000, 5000, 10_000, 20_000])
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.minorticks_off()
    panel.legend(loc="upper left")


def recoloured(ours: st.Start, path: Path) -> None:
    """Five photographs by the guess alone and by the plan that Newton makes of it.

    They show what a guess looks like, no more: our network was trained on crops of these pictures.
    The tables are of others.
    """
    pictures = photographs(450, 300)
    figure, panels = plt.subplots(len(ROWS), 4, figsize=(13, 2.35 * len(ROWS)))
    for row, (source, reference) in zip(panels, ROWS, strict=True):
        first, second = pictures[source], pictures[reference]
        guessed, solved, after = _recolour(ours, first, second)
        apart = np.linalg.norm(_encoded(after[0]) - _encoded(after[1]), axis=1).mean()
        errors = [f"L1 {float(found.info.error):.2g}" for found in (guessed, solved)]
        titles = (
            source,
            f"reference: {reference}",
            f"the network's potential alone, {errors[0]}",
            f"after {int(solved.info.steps)} steps, {errors[1]}; {apart:.1f} CIELAB apart",
        )
        for panel, picture, title in zip(row, (first, second, *after), titles, strict=True):
            show(panel, picture, title)
    figure.savefig(path, bbox_inches="tight", pil_kwargs={"quality": 90})
    plt.close(figure)


def _recolour(ours: st.Start, source: np.ndarray, reference: np.ndarray):
    """Both couplings, and both pictures."""
    mu, nu = (_palette(picture) for picture in (source, reference))
    assert ours.guess is not None
    g = ours.guess(mu, nu, jnp.float32(EPSILON))
    init = coupling.Start(g, jnp.float32(EPSILON))
    both = [solve(mu, nu, epsilon=EPSILON, cost=COST, init=init, max_steps=n) for n in (0, 100)]
    return *both, [_carried(found, mu.points, nu.points, source) for found in both]


def _palette(picture: np.ndarray) -> Measure:
    made = extract(picture, 128)
    mu = normalised(made.points[None], made.weights[None])
    return Measure(mu.points[0], mu.weights[0])


def _carried(found, centres: Array, goals: Array, picture: np.ndarray) -> np.ndarray:
    """The picture, each pixel moved as the palette's colours near it are by the plan on average."""
    moves = coupling.average(found, goals) - centres
    pixels = jnp.asarray(_encoded(picture))

    def moved(some: Array) -> Array:
        squared = ((some[:, None] - centres[None]) ** 2).sum(2)
        near = jax.nn.softmax(jnp.log(found.a)[None] - squared / (2 * REACH**2), 1)
        return some + near @ moves

    rgb = LAB.decode(jax.lax.map(moved, pixels.reshape(-1, 450, 3)).reshape(-1, 3))
    levels = np.rint(255 * np.clip(np.asarray(rgb), 0, 1)).astype(np.uint8)
    return levels.reshape(picture.shape)


def _encoded(picture: np.ndarray) -> np.ndarray:
    """(H W, 3) CIELAB."""
    rgb = picture.reshape(-1, 3).astype(np.float32) / np.float32(255)
    return np.asarray(LAB.encode(jnp.asarray(rgb)))
