"""A 1080p clip by `jaxcolor video` against decoding and encoding alone; a LUT against FFmpeg's.

    python experiments/bench_clips.py [--rounds 5] [--json FILE]

The clip pans over a photograph of scikit-image's, enlarged, with grain; H.264, veryfast, CRF 18,
with sound, on every side. The encoder gets no frame types from the decoder, as in FFmpeg's own
command. Memory is the peak of a process for a clip and for one four times as long. Flicker is that
of `recipes.clip.Flicker`, per-frame maps alone and smoothed, while exposure changes slowly. Needs
the `video` and `demo` extras.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import harness
import jax
import numpy as np
from av.video.frame import PictureType
from PIL import Image
from skimage import data

from jaxcolor.cli.common import start_jax
from jaxcolor.image.apply import apply
from jaxcolor.image.bake import bake
from jaxcolor.image.transcode import Coding, transcode
from jaxcolor.image.video import SCALING, frame_rate
from jaxcolor.recipes.clip import ByFrame, Flicker, Grade, by_shot
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.shots import shots
from jaxcolor.recipes.styles import style

SIZE = 1080, 1920
FRAMES = 250
MEMORY = """
import re, sys
from pathlib import Path
from jaxcolor.cli.main import main
code = main(sys.argv[1:])
# not `ru_maxrss`, which begins with that of the process that started this one
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def pan(path: Path, frames: int = FRAMES, exposure: float = 0.0) -> Path:
    """A window that moves over a photograph; light falls by a share until the end."""
    height, width = SIZE
    photograph = Image.fromarray(data.coffee()).resize((2400, 1600), Image.Resampling.BICUBIC)
    big, rng = np.asarray(photograph, np.float32), np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        heard = container.add_stream("aac", rate=48000, layout="mono")
        for t in range(frames):
            top, left = (int((whole - part) * t / frames)
                         for whole, part in zip(big.shape, SIZE, strict=False))  # fmt: skip
            window = big[top : top + height, left : left + width] * (1 - exposure * t / frames)
            window = window + rng.normal(0, 2, (height, width, 1)).astype(np.float32)
            picture = np.clip(np.rint(window), 0, 255).astype(np.uint8)
            rgb = av.VideoFrame.from_ndarray(picture, "rgb24")
            container.mux(stream.encode(rgb.reformat(
                format="yuv420p", dst_colorspace=1, dst_color_range=1, interpolation=SCALING
            )))  # fmt: skip
            wave = np.sin((np.arange(1920) + 1920 * t) / 20).astype(np.float32)[None]
            sound = av.AudioFrame.from_ndarray(wave, "fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 48000, 1920 * t, Fraction(1, 48000)
            container.mux(heard.encode(sound))
        for one in (stream, heard):
            container.mux(one.encode(None))
    return path


def untouched(frames: Iterator[av.VideoFrame], layout: str) -> Iterator[av.VideoFrame]:
    for frame in frames:
        frame.pict_type = PictureType.NONE
        yield frame


def measure_clips(folder: Path, rounds: int) -> dict:
    """Seconds of every side, everything read and fitted included where a side has that."""
    clip, out = pan(folder / "clip.mp4"), folder / "out.mp4"
    look, rate = Look([data.rocket()]), float(frame_rate(clip))

    def one_map() -> None:
        grade = Grade(look, style("natural"))
        found = list(shots(clip))
        maps = [grade.finished(grade.fit(shot.picture)) for shot in found]
        transcode(clip, out, by_shot(found, maps), Coding())

    def per_frame(asked) -> None:
        transcode(clip, out, ByFrame(Grade(look, asked), 0.4, rate), Coding())

    [shot] = shots(clip)
    grade = Grade(look, style("natural"))
    fitted = by_shot([shot], [grade.finished(grade.fit(shot.picture))])
    quick = {
        "decode and encode": lambda: transcode(clip, out, untouched, Coding()),
        "one map, fitted": lambda: transcode(clip, out, fitted, Coding()),
        "one map, all of it": one_map,
    }
    slow = {
        "per frame, gentle": lambda: per_frame(style("gentle")),
        "per frame, natural": lambda: per_frame(style("natural")),
    }
    return harness.interleave(quick, rounds, 400) | harness.interleave(slow, 1, 60, 1)


def measure_memory(folder: Path) -> dict[int, float]:
    """Peak of the command's process in GB, by the number of frames."""
    Image.fromarray(data.rocket()).save(folder / "rocket.png")
    peaks = {}
    for frames in (FRAMES, 4 * FRAMES):
        clip = pan(folder / f"{frames}.mp4", frames)
        words = ["video", clip, folder / "rocket.png", "-o", folder / "long.mp4", "--overwrite"]
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, *map(str, words)], capture_output=True, text=True
        )
        done.check_returncode()
        peaks[frames] = int(done.stdout.split()[-1]) / 1e6
    return peaks


def measure_flicker(folder: Path) -> dict[str, tuple[float, float]]:
    """Of per-frame maps: each frame's own, and smoothed."""
    clip, found = pan(folder / "light.mp4", 75, 0.5), {}
    for look in ("gentle", "natural"):
        flicker = Flicker()
        grade = Grade(Look([data.rocket()]), style(look))
        recolor = ByFrame(grade, 0.4, 25.0, watch=flicker)
        transcode(clip, folder / "out.mp4", recolor, Coding())
        found[look] = float(flicker.alone), float(flicker.mean)
    return found


def measure_lut(folder: Path, rounds: int) -> dict:
    """Twelve megapixels of 8 bits through the same 33^3 table, tetrahedral."""
    photograph = Image.fromarray(data.coffee()).resize((4000, 3000), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).normal(0, 2, (3000, 4000, 3))
    picture = np.clip(np.rint(np.asarray(photograph) + grain), 0, 255).astype(np.uint8)
    table = bake(Grade(Look([data.rocket()]), style("natural")).fit(data.coffee()), 33)
    table.save(folder / "table.cube")
    graph, frame = av.filter.Graph(), av.VideoFrame.from_ndarray(picture, "rgb24")
    path = str(folder / "table.cube").replace(":", r"\:")
    source = graph.add_buffer(width=4000, height=3000, format=frame.format, time_base=Fraction(1))
    lut3d = graph.add("lut3d", f"file={path}:interp=tetrahedral")
    graph.link_nodes(source, lut3d, graph.add("buffersink")).configure()

    def ffmpeg(given: av.VideoFrame) -> av.VideoFrame:
        graph.push(given)
        return graph.pull()  # type: ignore[return-value]

    off = np.abs(apply(table, picture).astype(int) - ffmpeg(frame).to_ndarray()).max()
    print(f"greatest difference of the two: {off} level")
    sides = {
        "jaxcolor apply": lambda: apply(table, picture),
        "ffmpeg lut3d, frame to frame": lambda: ffmpeg(frame),
        "ffmpeg lut3d, array to array": lambda: ffmpeg(
            av.VideoFrame.from_ndarray(picture, "rgb24")
        ).to_ndarray(),
    }
    return harness.interleave(sides, 3 * rounds, 120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", default="experiments/results/bench_clips.json")
    args = parser.parse_args()
    start_jax()
    jax.devices()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lut = measure_lut(folder, args.rounds)
        print(harness.table(lut, "jaxcolor apply", {}))
        clips = measure_clips(folder, args.rounds)
        speed = {n: {"frames a second": f"{FRAMES / t.median:.1f}"} for n, t in clips.items()}
        print(harness.table(clips, "decode and encode", speed))
        flicker = measure_flicker(folder)
        print("flicker, alone and smoothed, levels of 255:", flicker)
        memory = measure_memory(folder)
        print("peak memory, GB, by frames:", memory)
    record = {
        "machine": harness.machine(("jax", "numpy", "av")),
        "lut": lut, "clips": clips, "flicker": flicker, "memory": memory,
    }  # fmt: skip
    harness.save(args.json, record)


if __name__ == "__main__":
    main()
