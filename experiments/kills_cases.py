"""What `kills.py` kills: every command that writes files, on pictures as small as they can be."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 24, 20


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        words: of it, with names relative to a folder that `make` has filled; results go to `out`.
        training: whether it is that of the network, in a program of its own.
        resumes: whether it goes on where it was stopped, so that it needs no --overwrite.
        alone: whether its results are a folder of their own, which it makes.
        several: whether it starts processes of its own.
    """

    words: tuple[str, ...]
    training: bool = False
    resumes: bool = False
    alone: bool = False
    several: bool = False


def _case(line: str, **others) -> Case:
    return Case(tuple(line.split()), **others)


_FOLDER = {"resumes": True, "alone": True}
_BATCH = "batch --reference in/b.png --images in/photos -o out --method gaussian"
CASES = {
    "transfer --lut --json": _case(
        "transfer in/a.png in/b.png -o out/c.png --method gaussian --lut out/l.cube --lut-size 9 "
        "--json out/l.json"
    ),
    "transfer --both": _case(
        "transfer in/a.png in/b.jpg -o out/c.jpg --both out/d.webp --method histogram"
    ),
    "transfer, 16 bit": _case("transfer in/deep.tif in/b.png -o out/c.tif --method gaussian"),
    "transfer, OpenEXR": _case("transfer in/a.png in/b.png -o out/c.exr --method reinhard"),
    "transfer, animation": _case("transfer in/film.gif in/b.png -o out/c.gif --method gaussian"),
    "transfer --bands": _case("transfer in/a.tif in/b.tif -o out/c.tif --bands"),
    "harmonize": _case(
        "harmonize in/a.png in/b.jpg in/photos/0.png -o out --method gaussian", **_FOLDER
    ),
    "harmonize --images": _case("harmonize --images in/photos -o out", **_FOLDER),
    "compare --html": _case("compare in/a.png in/b.png -o out/s.png --html out --json"),
    "lut apply": _case("lut apply in/a.png in/l.cube -o out/c.png"),
    "lut convert": _case("lut convert in/l.cube out/l.png --size 9"),
    "lut identity": _case("lut identity out/l.cube --size 17"),
    "demo": _case("demo -o out"),
    "batch PAIRS.csv": _case("batch in/pairs.csv -o out --method sliced --bases 2", **_FOLDER),
    "batch --images": _case(_BATCH, **_FOLDER),
    "batch --processes 2": _case(f"{_BATCH} --processes 2", several=True, **_FOLDER),
    "morph": _case("morph in/a.png in/b.png -o out --steps 4 --method gaussian"),
    "morph --shapes": _case("morph in/ink.png in/dots.png -o out --steps 3 --shapes --size 12"),
    "texture synth": _case("texture synth in/a.png -o out/c.png --size 40x32"),
    "texture mix": _case("texture mix in/a.png in/b.png -o out --steps 3"),
    "texture grain": _case("texture grain in/flat.png in/grainy.png -o out/c.jpg"),
    "labels": _case("labels in/ink.png in/dots.png -o out/c.npz --sheet out/s.png --n 60"),
    "labels, CSV": _case("labels in/ink.png in/dots.png -o out/c.csv --n 60 --labels argmax"),
    "palette": _case("palette in/a.png -o out/p.json --swatch out/s.png --k 8"),
    "video": _case("video in/clip.mp4 in/b.png -o out/c.mp4 --method gaussian"),
    "training": _case(
        "out --steps 20 --batch 2 --scenes 4 --every 0 --looks .05 --width 8 --inner 4 --cores 1 "
        "--validation in/held.npz",
        training=True,
        **_FOLDER,
    ),
}


def make(folder: Path) -> None:
    """Fill a folder with what the commands read."""
    from jaxcolor.image import files, video

    rng = np.random.default_rng(0)

    def picture(width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
        few = rng.integers(0, 256, (5, 6, 3)).astype(np.uint8)
        return np.asarray(Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC))

    (folder / "photos" / "more").mkdir(parents=True)
    for name in ("a.png", "b.png", "b.jpg", "a.tif", "b.tif", "photos/more/5.jpg"):
        Image.fromarray(picture()).save(folder / name)
    for number in range(5):
        Image.fromarray(picture(SIZE[0] + number)).save(folder / "photos" / f"{number}.png")
    files.write(folder / "deep.tif", files.Picture(picture().astype(np.uint16) * 257))
    for name, grain in (("flat.png", 0), ("grainy.png", 9)):
        noise = grain * rng.standard_normal((64, 64, 3))
        Image.fromarray((picture(64, 64) / 4 + 90 + noise).astype(np.uint8)).save(folder / name)
    frames = [Image.fromarray(picture()) for _ in range(3)]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:], duration=80)
    video.write_clip(folder / "clip.mp4", [picture(32, 32) for _ in range(6)], 12)
    for name, box in (("ink.png", (2, 2, 12, 18)), ("dots.png", (10, 6, 22, 14))):
        drawing = Image.new("RGB", SIZE, "white")
        drawing.paste((30, 60, 120), box)
        drawing.save(folder / name)
    weights = np.full((6, 128), 1 / 128, np.float32)
    points = rng.normal(50, 20, (6, 128, 3)).astype(np.float32)
    np.savez(folder / "held.npz", points=points, weights=weights)
    (folder / "l.cube").write_text(
        "LUT_3D_SIZE 2\n" + "".join(f"{k & 1} {k >> 1 & 1} {k >> 2}\n" for k in range(8))
    )
    rows = ["a.png,b.png,", "b.png,a.png,warm/b.png", "photos/1.png,b.jpg,", "b.jpg,a.png,"]
    (folder / "pairs.csv").write_text("\n".join(["source,reference,output", *rows]))
