"""Which method, in which space, should plain `jaxcolor transfer` use?

    python experiments/choose_default.py [--sheet SHEET.png] [--json FILE]

Every method in every space (exact in one, sinkhorn in none: its map is newton's) on all ordered
pairs of photographs that scikit-image and scikit-learn carry. Per configuration: how much of the
distance to the reference is left (SW2 over the untouched SW2), structure kept (SSIM), noise gained
(TV ratio), each as median and worst tenth. The table in the README is this script's output.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import jaxcolor
from jaxcolor.image import files
from jaxcolor.recipes import METHODS, SPACES
from jaxcolor.recipes.score import score
from jaxcolor.recipes.sheet import Cell, sheet


def photographs() -> dict[str, np.ndarray]:
    pictures = {
        "astronaut": data.astronaut(),
        "chelsea": data.chelsea(),
        "coffee": data.coffee(),
        "motorcycle": np.asarray(data.stereo_motorcycle()[0]),
        "rocket": data.rocket(),
    }
    try:
        from sklearn.datasets import load_sample_images

        china, flower = load_sample_images().images
        pictures |= {"china": china, "flower": flower}
    except ImportError:
        print("scikit-learn is absent: five photographs instead of seven")
    return {name: _at_most(picture, 480) for name, picture in pictures.items()}


def _at_most(picture: np.ndarray, side: int) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def configurations() -> list[tuple[str, str | None]]:
    """sinkhorn finds newton's map; exact is here for reference."""
    spaces = {"reinhard": (None,), "sinkhorn": (), "exact": ("srgb",)}
    return [(method, space) for method in METHODS for space in spaces.get(method, SPACES)]


def measure(pictures: dict[str, np.ndarray]) -> list[dict]:
    rows = []
    pairs = list(itertools.permutations(pictures, 2))
    untouched = {(a, b): score(pictures[a], pictures[b], pictures[a]).sw2 for a, b in pairs}
    for method, space in configurations():
        left, kept, grain = [], [], []
        for a, b in pairs:
            result = jaxcolor.transfer(pictures[a], pictures[b], method=method, space=space)
            figures = score(pictures[a], pictures[b], result)
            left.append(figures.sw2 / untouched[a, b])
            kept.append(figures.ssim)
            grain.append(figures.tv)
        rows.append(
            {
                "method": method,
                "space": space or "lalphabeta",
                "left": [float(np.median(left)), float(np.quantile(left, 0.9))],
                "ssim": [float(np.median(kept)), float(np.quantile(kept, 0.1))],
                "tv": [float(np.median(grain)), float(np.quantile(grain, 0.9))],
            }
        )
    return rows


def table(rows: list[dict]) -> str:
    lines = [
        "| method | space | SW2 left, median / worst tenth | SSIM | TV ratio |",
        "|---|---|---|---|---|",
    ]
    for r in rows:
        left, kept, grain = r["left"], r["ssim"], r["tv"]
        lines.append(
            f"| {r['method']} | {r['space']} | {left[0]:.1%} / {left[1]:.1%} "
            f"| {kept[0]:.3f} / {kept[1]:.3f} | {grain[0]:.2f} / {grain[1]:.2f} |"
        )
    return "\n".join(lines)


def contact_sheet(pictures: dict[str, np.ndarray], chosen: list[tuple[str, str]]) -> np.ndarray:
    """A few pairs by a few configurations, one pair a row."""
    names = list(pictures)
    pairs = [(names[k], names[(k + 2) % len(names)]) for k in range(len(names))]
    cells = []
    for a, b in pairs:
        cells += [Cell(pictures[a], a), Cell(pictures[b], b)]
        for method, space in chosen:
            result = jaxcolor.transfer(pictures[a], pictures[b], method=method, space=space)
            cells.append(Cell(result, f"{method} {space}"))
    return sheet(cells, columns=2 + len(chosen))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", help="also draw some of the results")
    parser.add_argument("--json", help="also write the figures")
    args = parser.parse_args()
    pictures = photographs()
    if args.sheet:
        chosen = [("gaussian", s) for s in ("srgb", "linear", "lab", "oklab")]
        page = contact_sheet(pictures, [*chosen, ("sliced", "srgb"), ("sliced", "oklab")])
        files.write(args.sheet, files.Picture(page))
    rows = measure(pictures)
    print(table(rows))
    if args.json:
        Path(args.json).write_text(json.dumps({"photographs": list(pictures), "rows": rows}))


if __name__ == "__main__":
    main()
