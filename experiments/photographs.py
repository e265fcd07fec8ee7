"""Photographs to measure on: those anyone has, and those of $JAXCOLOR_DATA; in ordered pairs."""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from bench_transfer import data_folder, load
from PIL import Image
from skimage import data

from jaxcolor.image.metrics import ssim, tv_ratio
from jaxcolor.recipes.score import QUANTILES, Score, directions

SIDE = 480
BINS = 1 << 16
OFFSETS = (1, 4, 7)  # each photograph of the folder meets three others
NAMED = (
    ("scotland_house.png", "scotland_plain.png"),
    ("ocean_day.jpg", "ocean_sunset.jpg"),
    ("fallingwater.jpg", "autumn.jpg"),
    ("parrot_bright.png", "parrot_dark.png"),
)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two photographs, (H, W, 3) uint8, and what they are called."""

    name: str
    source: np.ndarray
    reference: np.ndarray

    def score(self, result: np.ndarray) -> Score:
        """`jaxcolor.recipes.score.score` to 1e-5 in a tenth of its time: for uint8 results."""
        gap = projected_quantiles(result) - self._wanted
        return Score(
            sw2=float(np.sqrt(np.mean(gap**2))),
            ssim=ssim(self.source, result),
            tv=tv_ratio(self.source, result),
        )

    @cached_property
    def _wanted(self) -> np.ndarray:
        return projected_quantiles(self.reference)


def projected_quantiles(picture: np.ndarray) -> np.ndarray:
    """Quantiles of the colours along 64 directions, (64, 4096), to 2^-16 of the cube's span:
    counting in bins spares the sort."""
    theta = directions()
    low, high = np.minimum(theta, 0).sum(1), np.maximum(theta, 0).sum(1)
    step = (high - low) / (BINS - 1)
    pixels = picture.reshape(-1, 3).astype(np.float32) / 255
    along = (theta / step[:, None]).astype(np.float32) @ pixels.T
    # as np.quantile: between the sorted pixels on either side
    wanted = (np.arange(QUANTILES) + 0.5) / QUANTILES * (len(pixels) - 1)
    places, part = np.floor(wanted), wanted - np.floor(wanted)
    values = np.empty((len(theta), QUANTILES))
    for k, row in enumerate(along):
        bins = (row + np.float32(0.5 - low[k] / step[k])).astype(np.intp)
        last = np.cumsum(np.bincount(bins, minlength=BINS))
        left, right = (np.searchsorted(last, places + n, side="right") for n in (0, 1))
        values[k] = low[k] + step[k] * (left + part * (right - left))
    return values


def photographs() -> dict[str, np.ndarray]:
    """Seven photographs that scikit-image and scikit-learn carry, at most 480 pixels a side."""
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
    return {name: at_most(picture, SIDE) for name, picture in pictures.items()}


def at_most(picture: np.ndarray, side: int) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def public_pairs() -> list[Pair]:
    """All ordered pairs of `photographs`."""
    pictures = photographs()
    return [_pair(pictures, a, b) for a, b in itertools.permutations(pictures, 2)]


def folder_pairs() -> list[Pair]:
    """Each photograph of $JAXCOLOR_DATA with three others, and four pairs of the literature both
    ways; empty where the folder is absent."""
    names = sorted(path.name for path in (data_folder() / "photos").glob("*.jpg"))
    if not names:
        return []
    pictures = {name: at_most(load(f"photos/{name}"), SIDE) for name in names}
    chosen = [(a, names[(k + step) % len(names)]) for step in OFFSETS for k, a in enumerate(names)]
    for both in NAMED:
        pictures |= {name: at_most(load(name), SIDE) for name in both}
        chosen += [both, both[::-1]]
    return [_pair(pictures, a, b) for a, b in chosen]


def pair_sets() -> dict[str, list[Pair]]:
    """The sets there are, by name."""
    sets = {"public": public_pairs(), "folder": folder_pairs()}
    return {name: pairs for name, pairs in sets.items() if pairs}


def _pair(pictures: dict[str, np.ndarray], a: str, b: str) -> Pair:
    return Pair(f"{_stem(a)} -> {_stem(b)}", pictures[a], pictures[b])


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
