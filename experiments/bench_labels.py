"""Label transfer against GeomLoss, whose gallery page it is, with what either's labels are off by.

    python experiments/bench_labels.py [--only 500 10000] [--json FILE] [--rounds 7]

Two drawings of three blobs ($JAXCOLOR_DATA, else much the same), blur .05, without reach and with
.2, in float32. Reference: our plan in float64, to an L1 error of 1e-9; `fixed` is what an update of
GeomLoss's own would still change of its potentials, over the blur squared. A side's error is the
largest difference of any label, full scale 1. GeomLoss makes one update at each blur and never asks
whether that was enough; its labels are P l / a with P = a b exp((F + G - C) / blur^2), as on its
page. Its scaling .999 runs once, alone; so does, from 2,000 points on, where it takes minutes, the
only one there, the page's .9. Needs the `bench` extra.
"""

import argparse
from collections.abc import Callable

import figures_labels
import harness
import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree
from scipy.stats import rankdata

from jaxcolor.measure import point_cloud
from jaxcolor.recipes.labels import Labels, carry, classes, couple, draw, read
from jaxcolor.transport.coupling import average
from jaxcolor.transport.solvers import solve

PACKAGES = ("jax", "jaxlib", "numpy", "geomloss", "torch")
CORES = harness.equal_threads()
BLUR = 0.05
PAGE = 0.65  # seconds the page says it takes: all of it, 10,000 points, on a GPU
MANY = 2000  # points from which on GeomLoss takes minutes on a CPU
ONCE = 0.999  # a scaling that takes long
ROWS = 1000  # of a matrix at once
NEAR = 15  # labelled points that say which blob one of them belongs to

Points = np.ndarray


def clouds(n: int) -> tuple[Points, Points, Points]:
    """Points, labelled points, labels."""
    keys = jax.random.split(jax.random.key(0))
    (x, _), (y, colours) = (
        draw(picture, n, key) for picture, key in zip(figures_labels.drawings(), keys, strict=True)
    )
    return x, y, colours


def geomloss(
    x: Points, y: Points, reach: float | None, scaling: float
) -> tuple[np.ndarray, np.ndarray]:
    import torch
    from geomloss import SamplesLoss

    torch.set_num_threads(CORES if len(x) >= MANY else 1)  # more only delay small matrices
    loss = SamplesLoss("sinkhorn", p=2, blur=BLUR, reach=reach, scaling=scaling, debias=False,
                       potentials=True, backend="tensorized")  # fmt: skip
    f, g = loss(torch.tensor(x), torch.tensor(y))
    return f.ravel(), g.ravel()


def page_labels(x: Points, y: Points, colours: Points, potentials: tuple) -> np.ndarray:
    """(n, 4) P l / a and P 1 / a, some rows at a time."""
    import torch

    f, g = potentials
    columns, values = torch.tensor(y), torch.tensor(np.c_[colours, np.ones_like(x[:, :1])])
    found = []
    for rows, own in zip(torch.tensor(x).split(ROWS), f.split(ROWS), strict=True):
        cost = (rows[:, None] - columns[None]).square().sum(2) / 2
        found.append(torch.exp((own[:, None] + g[None] - cost) / BLUR**2) @ values / len(y))
    return torch.cat(found).numpy()


def sides(
    x: Points, y: Points, colours: Points, reach: float | None
) -> dict[str, Callable[[], np.ndarray]]:
    """Each gives (n, 4), raw labels and confidence."""

    def ours(scaling: float | None = None) -> np.ndarray:
        found = carry(x, y, colours, blur=BLUR, reach=reach, kind="raw", scaling=scaling)
        return np.c_[found.values, found.confidence]

    def theirs(scaling: float) -> np.ndarray:
        return page_labels(x, y, colours, geomloss(x, y, reach, scaling))

    chosen: dict[str, Callable] = {"jaxcolor": ours, "jaxcolor, scaling .9": lambda: ours(0.9)}
    for scaling in (0.9,) if len(x) >= MANY else (0.9, 0.99, ONCE):
        chosen[f"GeomLoss, scaling {scaling}"] = lambda s=scaling: theirs(s)
    return chosen


def reference(x: Points, y: Points, colours: Points, reach: float | None) -> tuple[Labels, float]:
    """Labels in float64, and what GeomLoss's update would change of the potentials."""
    with jax.enable_x64(True):
        double = [np.asarray(part, np.float64) for part in (x, y, colours)]
        plan = couple(*double[:2], blur=BLUR, reach=reach)
        assert float(plan.info.error) < 1e-8, plan.info
        found = read(plan, double[2])
        f, g = (np.asarray(part) / 2 for part in (plan.f, plan.g))  # of half the cost
    damping = 1 if reach is None else 1 / (1 + BLUR**2 / reach**2)
    x, y = double[:2]
    change = updated(x, y, g, damping) - f, updated(y, x, f, damping) - g
    return found, float(max(np.abs(part).max() for part in change)) / BLUR**2


def updated(x: Points, y: Points, g: np.ndarray, damping: float) -> np.ndarray:
    """f = -damping blur^2 log sum_j b_j exp((g_j - C_ij) / blur^2)."""
    import torch

    columns, potential = torch.tensor(y)[None], torch.tensor(g)[None]
    found = [
        torch.logsumexp((potential - (rows[:, None] - columns).square().sum(2) / 2) / BLUR**2, 1)
        for rows in torch.tensor(x).split(ROWS)
    ]
    return -damping * BLUR**2 * (torch.cat(found) - np.log(len(y))).numpy()


def agreement(x: Points, y: Points, colours: Points) -> dict[str, float]:
    """Share of points whose largest label is that of exact transport's: with the drawn labels,
    some of which are noise, and with those of the blobs, the most frequent of 15 neighbours'."""
    drawn = classes(colours)[1]
    blobs = drawn[KDTree(y).query(y, NEAR)[1]].sum(1)
    blobs = np.eye(drawn.shape[1], dtype=np.float32)[blobs.argmax(1)]
    plan, exact = couple(x, y, blur=BLUR), solve(point_cloud(x), point_cloud(y), method="exact")
    share = {}
    for name, labels in (("labels as drawn", drawn), ("labels of the blobs", blobs)):
        both = read(plan, labels).values, np.asarray(average(exact, jnp.asarray(labels)))
        share[name] = float((both[0].argmax(1) == both[1].argmax(1)).mean())
    return share


def bench(n: int, reach: float | None, rounds: int) -> dict:
    x, y, colours = clouds(n)
    wanted, fixed = reference(x, y, colours, reach)
    runs, found = sides(x, y, colours, reach), {}

    def kept(name: str) -> Callable[[], None]:
        def run() -> None:
            found[name] = runs[name]()

        return run

    timed = {name: kept(name) for name in runs}
    minutes = "GeomLoss" if n >= MANY else f"scaling {ONCE}"
    once = {name: timed.pop(name) for name in runs if minutes in name}
    timings = harness.interleave(timed, rounds) | harness.interleave(once, 0)
    off, rows = {}, {}
    for name, values in found.items():
        off[name] = float(np.abs(values[:, :3] - wanted.values).max())
        rows[name] = float(np.abs(values[:, 3] - wanted.confidence).max())
    extra = {name: {"labels off by": f"{off[name]:.1e}", "row sums off by": f"{rows[name]:.1e}"}
             for name in runs}  # fmt: skip
    low, high = (float(pick(wanted.confidence)) for pick in (np.min, np.max))
    print(f"\n{n:,} points, reach {reach}: row sums {low:.4f} to {high:.4f}; fixed {fixed:.0e}\n")
    print(harness.table(timings, "jaxcolor", extra), flush=True)
    info = carry(x, y, colours, blur=BLUR, reach=reach).info
    record = {"n": n, "reach": reach, "timings": timings, "labels": off, "row sums": rows}
    record |= {"confidence": [low, high], "fixed": fixed}
    record |= {"passes": int(info.passes), "error": float(info.error)}
    if reach is not None:
        far = KDTree(y).query(x)[0]
        record["distance and confidence"] = float(
            np.corrcoef(rankdata(far), rankdata(wanted.confidence))[0, 1]
        )
        print(f"\nrank correlation with the distance: {record['distance and confidence']:.3f}")
    return record


def whole_page(n: int) -> None:
    x, y, colours = clouds(n)
    for reach in (None, 0.2):
        carry(x, y, colours, blur=BLUR, reach=reach)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", type=int, default=[500, 10_000], metavar="N")
    parser.add_argument("--json", help="also write the figures")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    record: dict = {"machine": harness.machine(PACKAGES), "page": PAGE, "runs": []}
    record["agreement, 500 points"] = agreement(*clouds(500))
    print(f"largest label as by exact transport: {record['agreement, 500 points']}")
    for n in args.only:
        record["runs"] += [bench(n, reach, args.rounds) for reach in (None, 0.2)]
        page = harness.interleave({"jaxcolor": lambda n=n: whole_page(n)}, 3)
        record[f"whole page, {n} points"] = page["jaxcolor"]
        print(f"\n{n:,} points, both plans, drawn points included: {page['jaxcolor'].median:.2f} s")
    if args.json:
        harness.save(args.json, record)


if __name__ == "__main__":
    main()
