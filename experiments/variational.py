"""The sliced distance as a term of imaging problems: denoising, and segmentation.

    python experiments/variational.py [--only denoise segment] [--folder experiments]

Denoising: min over u of |u - f|^2 / 2 + lambda TV(u) + (3/2) mu SW_2^2(colours of u, palette),
means over the pixels. Against total variation alone, and against it followed by a map onto the
palette; each at the lambda (and mu) of its best PSNR. The palette is the clean picture's (coffee),
or that of another view of the scene (motorcycle). What one learns: the term gains most where the
data have the wrong colours (a file clips its noise), and no more than the map afterwards does.

Segmentation: min over u in [0, 1] of |u| 3 SW_2^2(colours weighted by u, exemplar inside) +
|1 - u| 3 SW_2^2(colours weighted by 1 - u, exemplar outside) + lambda TV(u), |u| the share of the
region: convex, for W_2^2 is convex in the weights and this its perspective. Against terms that look
at each pixel alone (how far from the exemplar's mean, from its nearest colour; how unlikely by its
histogram of 8^3 bins), each at its best lambda. `zebra` is synthetic and its mask exact
(scikit-image's horse); the truth of `coffee` is two ellipses drawn by hand around saucer and cup.
u begins at 1/2 and is cut there. What one learns: each pixelwise term fails on one of the two
pictures, the sliced distance on neither, though on each some other is a little better.

Directions are drawn afresh at each step. Needs the `bench` extra.

References: Rabin, Peyre (2011), Wasserstein regularization of imaging problems; Papadakis, Rabin
(2017), Convex histogram-based joint image segmentation with regularized optimal transport cost.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import harness
import jax
import jax.numpy as jnp
import numpy as np
import optax
from figures_common import cropped, show
from jax import Array
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from skimage import data

from jaxcolor.image.metrics import ssim
from jaxcolor.measure import Measure, point_cloud
from jaxcolor.recipes.score import sw2
from jaxcolor.transport import directions, sliced
from jaxcolor.transport.nearest import nearest
from jaxcolor.transport.sliced_distance import distance

PACKAGES = ("jax", "jaxlib", "numpy", "optax", "scikit-image")
KEY = jax.random.key(0)
SIDE, SIGMA = 256, 0.2
BINS = 8  # a channel, of the exemplars' histograms
GRAIN = 0.3  # of the zebra: single pixels no longer tell stripe from grey
SIDES = "noisy", "TV", "TV + SW", "TV, then a map"
CORNER = 1e-2  # |gradient| below which TV is a parabola


def variation(u: Array) -> Array:
    """Mean length of the gradient (H, W, c), all channels together, rounded off at zero."""
    rows, columns = jnp.diff(u, axis=0, append=u[-1:]), jnp.diff(u, axis=1, append=u[:, -1:])
    length = jnp.sqrt((rows**2 + columns**2).sum(-1) + CORNER**2)
    return length.mean() - CORNER


def minimise(
    energy: Callable[[Array, Array], Array],
    start: Array,
    rate: float,
    steps: int,
    project: Callable[[Array], Array] = lambda u: u,
) -> Array:
    """Adam, its rate a falling cosine; energy(u, directions), three orthonormal ones a step."""
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def step(carry, key):
        u, state = carry
        slope = jax.grad(energy)(u, directions.orthonormal(key, 3, 3))
        updates, state = optimizer.update(slope, state, u)
        return (project(jnp.asarray(optax.apply_updates(u, updates))), state), None

    begin = start, optimizer.init(start)
    return jax.lax.scan(step, begin, jax.random.split(KEY, steps))[0][0]


# --- denoising ----------------------------------------------------------------------------------


@partial(jax.jit, static_argnames="steps")
def denoise(noisy: Array, palette: Measure, lam: float, mu: float, steps: int = 100) -> Array:
    def energy(u, theta):
        colors = point_cloud(u.reshape(-1, 3))
        # 3/2: then mu = 1 pulls a pixel to its place in the palette as f pulls it to f
        term = 1.5 * mu * distance(colors, palette, theta) ** 2
        return ((u - noisy) ** 2).sum(-1).mean() / 2 + lam * variation(u) + term

    return minimise(energy, noisy, rate=0.05, steps=steps)


def square(picture: np.ndarray) -> np.ndarray:
    """The middle, 256 x 256, in [0, 1]."""
    return cropped(np.asarray(picture), SIDE, SIDE).astype(np.float32) / 255


def psnr(u: np.ndarray, clean: np.ndarray) -> float:
    return float(-10 * np.log10(((u - clean) ** 2).mean()))


def restored(clean: np.ndarray, palette: np.ndarray, noisy: np.ndarray) -> dict[str, dict]:
    """Each side's best over lambda (and mu): picture, parameters, figures."""
    goal = point_cloud(palette.reshape(-1, 3))
    best: dict[str, dict] = {}

    def offer(name: str, picture, **parameters) -> None:
        u = np.clip(np.asarray(picture, np.float32), 0, 1)
        found = psnr(u, clean)
        if name not in best or found > best[name]["psnr"]:
            best[name] = {"picture": u, "psnr": found, **parameters}

    offer(SIDES[0], noisy)
    for lam in (float(SIGMA * share) for share in (0.8, 1, 1.2)):
        plain = denoise(jnp.asarray(noisy), goal, lam, 0.0)
        offer(SIDES[1], plain, lam=lam)
        for mu in (4.0, 16.0, 32.0):
            offer(SIDES[2], denoise(jnp.asarray(noisy), goal, lam, mu), lam=lam, mu=mu)
        colors = plain.reshape(-1, 3)
        T = sliced.solve(point_cloud(colors), goal, KEY)
        offer(SIDES[3], T(colors).reshape(plain.shape), lam=lam)
    for one in best.values():
        one |= {"sw2": sw2(one["picture"], clean), "ssim": ssim(one["picture"], clean)}
    return best


def run_denoise() -> tuple[dict, Figure]:
    left, right, _ = data.stereo_motorcycle()
    scenes = {
        "coffee, its own palette": (square(data.coffee()),) * 2,
        "motorcycle, the other view's": (square(left), square(right)),
    }
    grain = SIGMA * np.random.default_rng(0).normal(size=(SIDE, SIDE, 3))
    found = {}
    print("\n| picture and palette | noise | side | lambda | mu | PSNR | SW2 | SSIM |")
    print("|---" * 8 + "|")
    for scene, (clean, palette) in scenes.items():
        for noise, low, high in (("Gaussian", -np.inf, np.inf), ("clipped to [0, 1]", 0, 1)):
            noisy = np.clip(clean + grain, low, high).astype(np.float32)
            found[scene, noise] = restored(clean, palette, noisy)
            for side, r in found[scene, noise].items():
                at = " | ".join(f"{r[p]:.2f}" if p in r else "" for p in ("lam", "mu"))
                figures = f"{r['psnr']:.2f} | {r['sw2']:.4f} | {r['ssim']:.3f}"
                print(f"| {scene} | {noise} | {side} | {at} | {figures} |", flush=True)
    shown = found["coffee, its own palette", "clipped to [0, 1]"]
    term, after = (shown[side]["psnr"] - shown["TV"]["psnr"] for side in SIDES[2:])
    print(f"\nPSNR gained over TV (coffee, clipped): {term:.2f} dB; by a map after it {after:.2f}")
    record = {
        " / ".join(name): {
            side: {key: value for key, value in r.items() if key != "picture"}
            for side, r in sides.items()
        }
        for name, sides in found.items()
    }
    return record, draw_denoised(shown, square(data.coffee()))


def draw_denoised(sides: dict[str, dict], clean: np.ndarray) -> Figure:
    figure, axes = plt.subplots(1, len(sides) + 1, figsize=(14.5, 3.6))
    for panel, (name, r) in zip(axes, sides.items(), strict=False):
        show(panel, r["picture"], f"{name}\n{r['psnr']:.2f} dB, SW2 {r['sw2']:.4f}")
    show(axes[-1], clean, "clean\n(its colours are the palette)")
    return figure


# --- segmentation -------------------------------------------------------------------------------


@partial(jax.jit, static_argnames=("term", "steps"))
def segment(
    picture: Array,
    inside: Measure,
    outside: Measure,
    lam: float,
    term: Callable[[Array, Measure], Callable[[Array, Array], Array]],
    steps: int = 400,
) -> Array:
    """u (H, W); a term makes the cost (weights, directions) of colours and an exemplar."""
    colors = picture.reshape(-1, 3)
    cost_inside, cost_outside = (term(colors, exemplar) for exemplar in (inside, outside))

    def energy(u, theta):
        fit = cost_inside(u.ravel(), theta) + cost_outside(1 - u.ravel(), theta)
        return fit + lam * variation(u[..., None])

    def project(u):  # just short of an empty region, which has no colours
        return optax.projections.projection_box(u, 1e-3, 1 - 1e-3)

    return minimise(energy, jnp.full(picture.shape[:2], 0.5), 0.1, steps, project)


def by_distribution(colors: Array, exemplar: Measure):
    def cost(u, theta):
        return 3 * u.mean() * distance(Measure(colors, u), exemplar, theta) ** 2

    return cost


def by_mean(colors: Array, exemplar: Measure):
    """Chan and Vese's term, its means those of the exemplars."""
    away = ((colors - exemplar.points.mean(0)) ** 2).sum(1)
    return lambda u, theta: (u * away).mean()


def by_nearest(colors: Array, exemplar: Measure):
    away = ((colors - exemplar.points[nearest(colors, exemplar.points)]) ** 2).sum(1)
    return lambda u, theta: (u * away).mean()


def by_histogram(colors: Array, exemplar: Measure):
    def place(points):
        cell = jnp.clip((points * BINS).astype(jnp.int32), 0, BINS - 1)
        return (cell @ jnp.array([BINS**2, BINS, 1])).astype(jnp.int32)

    counts = jnp.full(BINS**3, 0.1).at[place(exemplar.points)].add(1)
    unlikely = -jnp.log(counts / counts.sum())[place(colors)]
    return lambda u, theta: (u * unlikely).mean()


# with what its lambda is multiplied: squared distances are small, log-likelihoods are not
TERMS = {
    "means": (by_mean, 1),
    "nearest colour": (by_nearest, 1),
    "log-likelihood": (by_histogram, 20),
    "sliced distance": (by_distribution, 1),
}


def brush(shape: tuple[int, ...], strokes: list[list[tuple[int, int]]], width: int) -> np.ndarray:
    """Polylines (x, y) as a mask."""
    page = Image.new("L", (shape[1], shape[0]))
    for stroke in strokes:
        ImageDraw.Draw(page).line(stroke, 255, width)
    return np.asarray(page) > 0


def zebra() -> tuple[np.ndarray, ...]:
    """Stripes in the shape of a horse on the grey of their mean, with noise; mask, strokes."""
    silhouette = Image.fromarray(np.where(data.horse(), 0, 255).astype(np.uint8))
    side = max(silhouette.size)
    page = Image.new("L", (side, side))
    page.paste(silhouette, (0, (page.height - silhouette.height) // 2))
    cover = np.asarray(page.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = x + 6 * np.sin(y / 17) + 4 * np.sin(x / 23)
    stripes = 0.5 + 0.4 * np.tanh(3 * np.sin(2 * np.pi * waves / 14))
    flat = stripes[cover > 0.5].mean()
    picture = (cover * stripes + (1 - cover) * flat)[..., None]
    picture = picture + GRAIN * np.random.default_rng(0).normal(size=(SIDE, SIDE, 3))
    inside = brush(cover.shape, [[(50, 110), (165, 115)]], 9)
    outside = brush(cover.shape, [[(30, 40), (150, 30)], [(120, 200), (150, 235)]], 9)
    return np.clip(picture, 0, 1).astype(np.float32), cover > 0.5, inside, outside


def coffee() -> tuple[np.ndarray, ...]:
    """The photograph, 384 x 256; mask of two ellipses, strokes."""
    image = Image.fromarray(data.coffee()).resize((384, 256), Image.Resampling.LANCZOS)
    page = Image.new("L", image.size)
    for box in ((51, 47, 309, 246), (109, 10, 261, 128)):
        ImageDraw.Draw(page).ellipse(box, 255)
    mask = np.asarray(page) > 0
    inside = [[(125, 38), (131, 77), (211, 109), (251, 45)], [(154, 83), (218, 90)],
              [(77, 115), (83, 173), (141, 218), (211, 221), (275, 160), (288, 122)],
              [(147, 128), (160, 166), (218, 154)], [(230, 173), (237, 192)]]  # fmt: skip
    outside = [[(13, 141), (38, 211), (77, 246)], [(307, 211), (365, 128), (320, 26), (269, 19)],
               [(38, 96), (90, 51)], [(13, 26), (58, 13)], [(358, 243), (378, 160)]]  # fmt: skip
    picture = np.asarray(image, np.float32) / 255
    return picture, mask, brush(mask.shape, inside, 9), brush(mask.shape, outside, 9)


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union."""
    return float((found & truth).sum() / (found | truth).sum())


def segmented(picture, truth, inside, outside) -> dict[str, dict]:
    """Each term's best over lambda."""
    exemplars = point_cloud(picture[inside]), point_cloud(picture[outside])
    best: dict[str, dict] = {}
    for name, (term, scale) in TERMS.items():
        for lam in scale * np.array([0.002, 0.01, 0.03, 0.1, 0.2]):
            u = np.asarray(segment(jnp.asarray(picture), *exemplars, float(lam), term))
            iou = overlap(u > 0.5, truth)
            if name not in best or iou > best[name]["iou"]:
                best[name] = {"u": u, "lam": float(lam), "iou": iou}
    return best


def run_segment() -> tuple[dict, Figure]:
    figure, axes = plt.subplots(2, 5, figsize=(14.5, 5.5))
    record = {}
    print("\n| picture | term | lambda | IoU |\n|---|---|---|---|")
    for row, (name, make) in zip(axes, {"zebra": zebra, "coffee": coffee}.items(), strict=True):
        picture, truth, inside, outside = make()
        best = segmented(picture, truth, inside, outside)
        draw_segmented(row, picture, truth, inside, outside, best)
        for term, r in best.items():
            print(f"| {name} | {term} | {r['lam']:g} | {r['iou']:.3f} |", flush=True)
        record[name] = {term: {"lam": r["lam"], "iou": r["iou"]} for term, r in best.items()}
    print(f"\nIoU by the sliced distance (zebra): {record['zebra']['sliced distance']['iou']:.3f}")
    return record, figure


def draw_segmented(row: list[Axes], picture, truth, inside, outside, best: dict[str, dict]):
    show(row[0], picture, "exemplars: yellow inside,\ncyan outside; truth dashed")
    for mask, color in ((inside, "yellow"), (outside, "cyan")):
        row[0].contourf(mask, [0.5, 1.5], colors=color)
    row[0].contour(truth, [0.5], colors="white", linewidths=1.2, linestyles="dashed")
    for panel, (term, r) in zip(row[1:], best.items(), strict=True):
        show(panel, picture, f"{term}, $\\lambda$ = {r['lam']:g}\nIoU {r['iou']:.3f}")
        panel.contourf(r["u"], [-1, 0.5], colors="black", alpha=0.6)
        panel.contour(r["u"], [0.5], colors="magenta", linewidths=1.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=["denoise", "segment"])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    parts = {"denoise": run_denoise, "segment": run_segment}
    for name in args.only:
        start = time.perf_counter()
        figures, picture = parts[name]()
        seconds = time.perf_counter() - start
        print(f"{seconds:.0f} s")
        picture.savefig(
            args.folder / "figures" / f"{name}.jpg", dpi=100, pil_kwargs={"quality": 82}
        )
        record = {"machine": harness.machine(PACKAGES), "seconds": seconds, **figures}
        harness.save(args.folder / "results" / f"{name}.json", record)


if __name__ == "__main__":
    main()
