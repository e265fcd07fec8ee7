"""The folder of uploads and results, which goes with its process."""

import contextlib
import os
import re
import shutil
import stat
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from jaxcolor.image.aside import _gone, _here

NAME = "jaxcolor-studio-"
_LEFT = re.compile(f"{NAME}(\\d+)-([0-9a-f]+)-\\w+")


def made() -> Path:
    """A new one, among temporary files; those that killed processes left there are removed."""
    with contextlib.suppress(OSError):  # whatever keeps it from that
        sweep(Path(gettempdir()))
    return Path(mkdtemp(prefix=f"{NAME}{os.getpid()}-{_here()}-"))


def sweep(where: Path) -> None:
    """Remove this user's folders there whose process, on this machine, is gone."""
    for path in where.glob(f"{NAME}*"):
        found = _LEFT.fullmatch(path.name)
        if found is None or found[2] != _here() or not _gone(int(found[1])):
            continue
        about = path.lstat()
        # a link of that name, or what belongs to somebody else, is none of ours
        if stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)
