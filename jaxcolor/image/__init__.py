"""Pixels: files, colour spaces, measures from pictures, look-up tables, filters, metrics."""

from os import PathLike
from pathlib import Path
from typing import NamedTuple

# names that a person may choose from; here, where reading them costs no import of jax
INTERPOLATIONS = ("tetrahedral", "trilinear")  # of a look-up table
SMOOTHINGS = ("guided", "yaroslavsky", "regrain", "none")  # of what a transfer changes
GAMUTS = ("clip", "fade")  # of colours beyond what a screen shows
CLIPS = frozenset({
    *(".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf"),
    *(".ts", ".webm", ".wmv"),
})  # fmt: skip


def is_clip(path: str | PathLike) -> bool:
    """Whether a file is to be read as a clip, by its suffix.

    Example:
        >>> is_clip("a.MP4"), is_clip("a.png")
        (True, False)
    """
    return Path(path).suffix.lower() in CLIPS


class Codec(NamedTuple):
    """How PyAV's encoder of a clip is called, and what it takes; its presets by default."""

    encoder: str
    layouts: tuple[str, ...]
    suffixes: tuple[str, ...]
    quality: float | None = None
    preset: str | None = None
    options: tuple[tuple[str, str], ...] = ()


_CHROMA = ("yuv420p", "yuv422p", "yuv444p")
_ALL = (*_CHROMA, *(f"{name}10le" for name in _CHROMA))
_MP4 = (".mp4", ".mov", ".mkv")
CODECS = {
    "h264": Codec("libx264", _ALL, _MP4, 18, "veryfast"),
    "hevc": Codec("libx265", _ALL, _MP4, 20, "veryfast", (("x265-params", "log-level=error"),)),
    "av1": Codec("libsvtav1", ("yuv420p", "yuv420p10le"), (".mp4", ".mkv"), 28, "8"),
    "prores": Codec(
        "prores_ks", ("yuv422p10le", "yuv444p10le"), (".mov", ".mkv"), options=(("profile", "3"),)
    ),
    "ffv1": Codec("ffv1", (*_ALL, "bgr0"), (".mkv",)),
}
