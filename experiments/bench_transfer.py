"""Transfer against the colour-matching tools people use, on a 4-megapixel pair.

    python experiments/bench_transfer.py [--json FILE] [--rounds 7] [--megapixels 4.2]

fallingwater -> autumn where $JAXCOLOR_DATA has them, else scikit-image's coffee -> rocket; enlarged
by bicubic interpolation. All sides get uint8 arrays in memory and give uint8 arrays. Peers:
python-color-transfer (`pdf_transfer`, the most faithful) and color-matcher (`hm-mkl-hm`, its best),
from the `bench` extra. Also here: faithfulness over eight keys on the scotland pair.
"""

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import harness
import jax
import numpy as np
from PIL import Image

import jaxcolor
from jaxcolor.recipes.score import score, sw2

PACKAGES = ("jax", "jaxlib", "numpy", "color-matcher", "python-color-transfer", "opencv-python",
            "opencv-python-headless")  # fmt: skip


def data_folder() -> Path:
    return Path(os.environ.get("JAXCOLOR_DATA", Path(__file__).parents[2] / "shared" / "data"))


def load(name: str) -> np.ndarray:
    return np.asarray(Image.open(data_folder() / name).convert("RGB"))


def enlarged(picture: np.ndarray, megapixels: float) -> np.ndarray:
    image = Image.fromarray(picture)
    scale = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    size = round(image.width * scale), round(image.height * scale)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def pair(megapixels: float) -> tuple[str, np.ndarray, np.ndarray]:
    try:
        names, pictures = "fallingwater -> autumn", (load("fallingwater.jpg"), load("autumn.jpg"))
    except FileNotFoundError:
        from skimage import data

        names, pictures = "coffee -> rocket", (data.coffee(), data.rocket())
    source, reference = (enlarged(p, megapixels) for p in pictures)
    return names, source, reference


def sides(source: np.ndarray, reference: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    chosen: dict[str, Callable[[], np.ndarray]] = {
        f"jaxcolor {method}": partial(jaxcolor.transfer, source, reference, method=method)
        for method in ("sliced", "gaussian", "histogram", "reinhard")
    }
    try:
        from python_color_transfer.color_transfer import ColorTransfer

        peer = ColorTransfer()
        chosen["python-color-transfer pdf_transfer"] = lambda: peer.pdf_transfer(
            img_arr_in=source, img_arr_ref=reference
        )
    except ImportError:
        print("python-color-transfer is absent")
    try:
        from color_matcher import ColorMatcher

        def match(method):
            result = ColorMatcher().transfer(src=source, ref=reference, method=method)
            return np.clip(np.rint(result), 0, 255).astype(np.uint8)

        chosen["color-matcher hm-mkl-hm"] = lambda: match("hm-mkl-hm")
        chosen["color-matcher mkl"] = lambda: match("mkl")
    except ImportError:
        print("color-matcher is absent")
    return chosen


def faithfulness(keys: int = 8) -> dict[str, list[float]]:
    """SW2 of `sliced` on scotland for 10 and 30 bases, one value per key."""
    try:
        house, plain = load("scotland_house.png"), load("scotland_plain.png")
    except FileNotFoundError:
        return {}
    return {
        str(bases): [
            sw2(
                jaxcolor.transfer(
                    house, plain, method="sliced", space="srgb", bases=bases, key=jax.random.key(k)
                ),
                plain,
            )
            for k in range(keys)
        ]
        for bases in (10, 30)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="also write the figures")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megapixels", type=float, default=4.2)
    args = parser.parse_args()
    machine = harness.machine(PACKAGES)
    names, source, reference = pair(args.megapixels)
    chosen = sides(source, reference)
    quality = {name: score(source, reference, side()) for name, side in chosen.items()}
    timings = harness.interleave(chosen, args.rounds)
    extra = {
        name: {"SW2": f"{q.sw2:.4f}", "SSIM": f"{q.ssim:.3f}", "TV": f"{q.tv:.2f}"}
        for name, q in quality.items()
    }
    print(f"{names}, {source.shape[1]}x{source.shape[0]} and {reference.shape[1]}x"
          f"{reference.shape[0]}, {machine['cores']} cores, {machine['versions']}")  # fmt: skip
    print(harness.table(timings, "jaxcolor sliced", extra))
    faithful = faithfulness()
    for bases, values in faithful.items():
        print(f"scotland, {bases} bases: SW2 median {np.median(values):.4f}, max {max(values):.4f}")
    if args.json:
        record = {"machine": machine, "pair": names, "timings": list(timings.values())}
        record |= {"quality": {n: vars(q) for n, q in quality.items()}, "scotland": faithful}
        harness.save(args.json, record)


if __name__ == "__main__":
    main()
