"""The figures of the source texts, remade.

    python experiments/figures.py [NAME ...] [--folder experiments/figures]

From Peyre's slides *Optimal transport in imaging sciences*: `assignment`, `flow` (of the sliced
distance), `barycenter`, `exchange`, `harmonize`. From Delon's lecture *Optimal transport for image
processing*: `line`, `sliced`, `epsilon` (Sinkhorn between two densities on the line at four
epsilons, with the exact plan). Photographs come with scikit-image. Needs the `bench` extra.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import figures_clouds
import figures_line
import figures_pictures
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
