"""Reads what `fuzz` hands it, a file a line on stdin, and answers with a line of JSON each.

A process of its own: one that dies, hangs or eats memory takes nothing else along.
"""

import contextlib
import functools
import json
import os
import re
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import jax
import jax.numpy as jnp
import numpy as np
import OpenImageIO as oiio
import PIL
from fuzz_seeds import small_network
from PIL import Image

import jaxcolor
from jaxcolor.amortize import store
from jaxcolor.cli.batch_list import COLUMNS, read_list
from jaxcolor.cli.batch_manifest import HEADER, Manifest
from jaxcolor.cli.common import describe, start_jax
from jaxcolor.image import animation, files, hald, lut, raster, video
from jaxcolor.recipes import palette, portable, reduced

ROOM = 6 << 30  # bytes of address space that an input may ask for
LONGEST = 1010  # letters of a message, beside the file's name
OWN = tuple(str(Path(module.__file__ or "").parent) for module in (jaxcolor, PIL))


def _picture(path: Path) -> None:
    got = files.read(path)
    pixels = got.pixels
    assert pixels.ndim in (2, 3), pixels.shape
    assert pixels.ndim == 2 or pixels.shape[2] in (2, 3, 4), pixels.shape
    assert pixels.size, pixels.shape
    assert pixels.dtype.kind in "fu", pixels.dtype
    assert got.dpi is None or (min(got.dpi) > 0 and max(got.dpi) < np.inf), got.dpi
    if got.profile is not None and pixels.size < 1e6:
        files.convert(got, None)
        files.convert(files.Picture(np.full((2, 2, 3), 99, np.uint8)), got.profile)


def _animation(path: Path) -> None:
    if not animation.is_animated(path):
        _picture(path)
        return
    how = animation.timing(path)
    assert len(how) == sum(frame.shape[2] == 4 for frame in animation.frames(path))
    assert min(how.durations) >= 0, how.durations
    animation.pooled(path, how)


def _raster(path: Path) -> None:
    got = raster.read(path)
    assert got.bands.ndim == 3, got.bands.shape
    assert got.bands.size, got.bands.shape


def _clip(path: Path) -> None:
    assert video.frame_rate(path) > 0
    assert (video.count(path) or 1) > 0
    for frame in video.read_frames(path):
        assert frame.ndim == 3
        assert frame.size, frame.shape


def _cube(path: Path) -> None:
    table = lut.load(path)
    for part in (table, getattr(table, "curves", table), getattr(table, "lut", table)):
        assert np.isfinite(np.asarray(part.domain)).all()
        values = getattr(part, "table", None)
        assert values is None or np.isfinite(np.asarray(values)).all()


def _hald(path: Path) -> None:
    assert np.isfinite(np.asarray(hald.load(path).table)).all()


def _palette(path: Path) -> None:
    got = palette.read(path)
    assert np.isfinite(got.points).all()
    assert len(got.codes) == len(got)


def _manifest(path: Path) -> None:
    for one in Manifest(path.parent).entries:
        assert all(isinstance(cell, str) for cell in vars(one).values())


def _measures(path: Path) -> None:
    own = reduced.load(path)
    assert own.weight.shape == own.picture.pixels.shape[:2]
    own.view(None)


@functools.cache
def _blank():
    return small_network()


def _checkpoint(path: Path) -> None:
    state, record = store.resume(path.parent, _blank(), {"steps": [], "loss": []})
    assert jax.tree.structure(state) == jax.tree.structure(_blank())
    assert isinstance(record, dict)


def _network(path: Path) -> None:
    got = store.load_network(path)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(got))


def _pool(path: Path) -> None:
    got, made = store.pool(path, 1, None)
    assert got.points.shape[:-1] == got.weights.shape
    assert 0 <= made <= len(got.points)


def _map(path: Path) -> None:
    portable.load(path)(jnp.full((2, 3), 0.5, jnp.float32))


def _pixels_header(path: Path) -> bool:
    with contextlib.suppress(Exception), Image.open(path):
        return True
    source = oiio.ImageInput.open(str(path))
    oiio.geterror()
    return source is not None


def _clip_header(path: Path) -> bool:
    with av.open(str(path)) as container:
        return bool(container.streams.video)


def _cube_header(path: Path) -> bool:
    return re.search(rb"LUT_[13]D_SIZE +\d", path.read_bytes()) is not None


def _palette_header(path: Path) -> bool:
    told = json.loads(path.read_bytes())
    return isinstance(told, list) or "colors" in told


def _map_header(path: Path) -> bool:
    told = json.loads(path.read_bytes())
    return told["format"] == "jaxcolor-map" and told["version"] == 1


def _list_header(path: Path) -> bool:
    first = path.read_text(encoding="utf-8-sig").lstrip().splitlines()[0].lower()
    return set(COLUMNS[:2]) <= {cell.strip(' "') for cell in first.split(",")}


def _manifest_header(path: Path) -> bool:
    return path.read_bytes().startswith(",".join(HEADER).encode() + b"\n")


def _npz_header(path: Path) -> bool:
    return bool(zipfile.ZipFile(path).namelist())


PIXELS = _picture, _pixels_header
READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], bool]]] = {
    "png": PIXELS, "jpeg": PIXELS, "tiff": PIXELS, "webp": PIXELS, "gif": PIXELS,
    "exr": PIXELS, "hdr": PIXELS, "profile": PIXELS, "other": PIXELS,
    "animation": (_animation, _pixels_header), "raster": (_raster, _pixels_header),
    "clip": (_clip, _clip_header), "cube": (_cube, _cube_header), "hald": (_hald, _pixels_header),
    "palette": (_palette, _palette_header), "list": (read_list, _list_header),
    "manifest": (_manifest, _manifest_header), "measures": (_measures, _npz_header),
    "checkpoint": (_checkpoint, _npz_header), "network": (_network, _npz_header),
    "pool": (_pool, _npz_header), "map": (_map, _map_header),
}  # fmt: skip


class Lines:
    """Which lines of jaxcolor and Pillow an input runs through."""

    def __init__(self):
        self.seen: set[tuple[str, int]] = set()

    def __call__(self, frame, event, arg):
        return self._line if frame.f_code.co_filename.startswith(OWN) else None

    def _line(self, frame, event, arg):
        self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line

    def fresh(self, before: int) -> int:
        return len(self.seen) - before


def _status(name: str) -> int:
    """A figure of this process in bytes, by Linux' name of it; 0 where there is no Linux."""
    with contextlib.suppress(OSError):
        found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
        return 1024 * int(found[1]) if found else 0
    return 0


def _forget_peak() -> int:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def fault(error: Exception, path: Path) -> str:
    """What is wrong with a refusal, or nothing."""
    if not isinstance(error, ValueError | OSError) or isinstance(error, UnicodeError):
        return f"{type(error).__name__}: {error}"
    line = describe(error)
    if path.name not in line and path.parent.name not in line:
        return f"names no file: {line}"
    if "\n" in line or len(line.replace(str(path), "")) > LONGEST or not line.isprintable():
        return f"no line for a person: {line}"
    return ""


def tried(kind: str, path: Path, lines: Lines | None, noise: int | None = None) -> dict[str, Any]:
    """What became of a file; `noise` is where C libraries write."""
    read, header = READERS[kind]
    answer: dict[str, Any] = {"outcome": "decoded", "message": "", "fault": ""}
    before, start = _forget_peak(), time.process_time()
    known = len(lines.seen) if lines else 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        sys.settrace(lines)
        try:
            read(path)
        except Exception as error:
            answer |= {"outcome": "refused", "message": describe(error)[:2000]}
            answer["fault"] = fault(error, path)
        finally:
            sys.settrace(None)
    answer["seconds"] = time.process_time() - start
    answer["memory"] = max(_status("VmHWM") - before, 0)
    answer["fresh"] = lines.fresh(known) if lines else 0
    wrong = [one for one in told if not issubclass(one.category, UserWarning)]
    if wrong and not answer["fault"]:
        answer["fault"] = f"warns of {wrong[0].category.__name__}: {wrong[0].message}"
    answer["warnings"] = [str(one.message).replace(str(path), "")[:200] for one in told]
    written = os.pread(noise, 300, 0) if noise is not None else b""
    answer["noise"] = written.decode(errors="replace")
    if answer["outcome"] == "refused":
        answer["past"] = False
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            answer["past"] = header(path)
    return answer


def main() -> None:
    start_jax()
    _blank()  # or the first to need it would seem slow
    noise = tempfile.TemporaryFile()  # noqa: SIM115
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(noise.fileno(), 1)  # what libraries in C write
    os.dup2(noise.fileno(), 2)
    with contextlib.suppress(ValueError, OSError):
        room = _status("VmSize") + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    lines = Lines()
    for line in sys.stdin:
        task = json.loads(line)
        os.ftruncate(noise.fileno(), 0)
        os.lseek(noise.fileno(), 0, os.SEEK_SET)
        trace = lines if task["trace"] else None
        answer = tried(task["kind"], Path(task["path"]), trace, noise.fileno())
        json.dump(answer, answers)
        answers.write("\n")
        answers.flush()


if __name__ == "__main__":
    main()
