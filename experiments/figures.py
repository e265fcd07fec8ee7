"""The figures of the source texts, remade.

    python experiments/figures.py [NAME ...] [--folder experiments/figures]

From Peyre's slides *Optimal transport in imaging sciences*: `assignment`, `flow` (of the sliced
distance), `barycenter`, `exchange`, `harmonize`, `gaussians` (barycenters in three geometries),
`gaussian_map`, `spot_noise`, `texture_path`, `texture_triangle`, `clips`. From Delon's lecture
*Optimal transport for image processing*: `line`, `sliced`, `epsilon` (Sinkhorn between two
densities on the line at four epsilons, with the exact plan), `mixture_line` (two interpolations on
the line, W2 against MW2), `mixture_data` (EM, plan, T_mean and T_rand), `cells` (semi-discrete
transport), `path` (dynamic transport). From GeomLoss's page on label transfer: `labels`, and by the
same means `colorization`. From a notebook on unbalanced colour transfer: `histogram_transfer` and
`convergence`; and `divergence`, flows of the debiased and of the plain cost. Photographs come with
scikit-image. Needs the `bench` extra.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import figures_clouds
import figures_gaussian
import figures_grid
import figures_labels
import figures_line
import figures_pictures
import figures_texture
import figures_unbalanced
from matplotlib.figure import Figure
from PIL import Image

FIGURES: dict[str, Callable[[], Figure]] = {
    "assignment.png": figures_clouds.assignment,
    "flow.png": figures_clouds.gradient_flow,
    "barycenter.png": figures_clouds.barycenters,
    "exchange.jpg": figures_pictures.exchange,
    "harmonize.jpg": figures_pictures.harmonize,
    "line.png": figures_line.on_the_line,
    "sliced.jpg": figures_pictures.sliced,
    "epsilon.png": figures_line.epsilon,
    "gaussians.png": figures_gaussian.triangle,
    "gaussian_map.png": figures_gaussian.between_two,
    "mixture_line.png": figures_gaussian.interpolation,
    "mixture_data.png": figures_gaussian.data_mixtures,
    "spot_noise.jpg": figures_texture.spot_noise,
    "texture_path.jpg": figures_texture.geodesic,
    "texture_triangle.jpg": figures_texture.triangle,
    "clips.jpg": figures_texture.dynamic,
    "labels.png": figures_labels.labels,
    "colorization.jpg": figures_labels.colorization,
    "cells.png": figures_grid.cells,
    "path.png": figures_grid.path,
    "histogram_transfer.jpg": figures_unbalanced.histogram_transfer,
    "convergence.png": figures_unbalanced.convergence,
    "divergence.png": figures_unbalanced.flows,
}
LIMIT = 300_000  # bytes


def save(figure: Figure, path: Path) -> None:
    """As JPEG where the name says so; a large PNG of few colours in a palette, a third of it."""
    if path.suffix == ".jpg":
        figure.savefig(path, bbox_inches="tight", pil_kwargs={"quality": 90})
        return
    figure.savefig(path, bbox_inches="tight")
    if path.stat().st_size > LIMIT:
        picture = Image.open(path).convert("RGB")
        picture.quantize(256, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    files = {Path(file).stem: file for file in FIGURES}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(files), metavar="NAME")
    parser.add_argument("--folder", default=Path(__file__).parent / "figures", type=Path)
    args = parser.parse_args()
    for name in args.names:
        if name not in files:
            parser.error(f"unknown figure {name!r}: one of {', '.join(files)}")
        path = args.folder / files[name]
        save(FIGURES[files[name]](), path)
        print(path)


if __name__ == "__main__":
    main()
