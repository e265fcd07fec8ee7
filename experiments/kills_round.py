"""A folder in which `kills.py` kills a command, and what it finds there."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from kills_cases import Case

KINDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
WAIT = 30  # seconds in which what is told to stop has to be gone
END = 600  # seconds after which an undisturbed run counts as hanging
WHEN = ("any time", "late", "first file")
SHARES = (0.4, 0.3, 0.3)
ON_THE_WAY = ("manifest", ".measures", "state.npz")  # written step by step, read by the next run
TRAINING = Path(__file__).with_name("kills_training.py")
# the interpreter's own beginning, before a line of the command has run
OWN_START = ("<frozen site>", "<frozen runpy>", "<frozen importlib", "encodings", "sitecustomize")


@dataclass
class Tally:
    """What became of a case's kills."""

    seconds: float = 0.0  # that it takes undisturbed
    kills: Counter = field(default_factory=Counter)  # by signal
    moments: list = field(default_factory=list)  # as shares of that time
    drawn: Counter = field(default_factory=Counter)  # how moments were drawn
    outcomes: Counter = field(default_factory=Counter)  # of results: absent, old, complete
    done_before: int = 0  # ended by themselves before the signal; not counted as kills
    starting: int = 0  # Python itself was starting: its traceback
    leftovers: int = 0  # temporary files after SIGKILL, all removed by the next run
    reruns: int = 0
    longest: float = 0.0  # seconds from the signal until all was gone
    not_to_the_byte: list = field(default_factory=list)  # results that differ between runs
    faults: list = field(default_factory=list)


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, by relative name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def is_temporary(name: str) -> bool:
    parts = Path(name).name.split(".")
    return name.rpartition("/")[2].startswith(".") and "tmp" in parts


def readable(path: Path) -> bool:
    """Whether a file is whole, as far as its kind can tell."""
    data, kind = path.read_bytes(), path.suffix.lower()
    if kind == ".html":
        return data.rstrip().endswith(b"</html>")
    if kind == ".npz":
        with np.load(path) as held:
            return bool(all(held[name] is not None for name in held.files))
    if kind == ".csv":
        return data.endswith(b"\n")
    from jaxcolor.image import files

    return files.read(path).pixels.size > 0


class Round:
    """A folder in which a case is killed, and run to the end.

    Args:
        case: the command.
        pictures: what it reads.
        whole: its results' digests, undisturbed; None of those that differ from run to run.
        old: whether older files lie there.
        tally: gets what was found.
    """

    def __init__(self, place: Path, case: Case, pictures: Path, whole: dict, old: bool, tally):
        self.place, self.case, self.whole, self.old, self.tally = place, case, whole, old, tally
        shutil.copytree(pictures, place / "in")
        self.before = hashes(place / "in")
        self.out = place / "out"
        if not case.alone or old:
            self.out.mkdir()
        for name in whole if old else ():
            if name != "manifest.csv":
                (self.out / name).parent.mkdir(parents=True, exist_ok=True)
                (self.out / name).write_bytes(self._old(name))

    @staticmethod
    def _old(name: str) -> bytes:
        return b"an older file: " + name.encode()

    def command(self, again: bool = False) -> list[str]:
        replace = self.old or (again and not self.case.resumes)
        words = [*self.case.words, *(["--overwrite"] if replace else [])]
        program = [str(TRAINING)] if self.case.training else ["-m", "jaxcolor"]
        return [sys.executable, *program, *words]

    def start(self, again: bool = False) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(again),
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def fault(self, what: str) -> None:
        self.tally.faults.append(what)

    def kill(self, rng: np.random.Generator) -> None:
        """Start, kill, look what is left."""
        kind = KINDS[rng.integers(len(KINDS))]
        how = WHEN[rng.choice(len(WHEN), p=SHARES)]
        low, high = (0.67, 1.05) if how == "late" else (0.0, 1.0)
        moment = float(rng.uniform(low, high)) * self.tally.seconds
        begin, known = time.monotonic(), set(self._names())
        process = self.start(again=True)
        if how == "first file":
            self._wait_for_a_file(process, known)
            time.sleep(rng.uniform(0, 0.01))
        else:
            time.sleep(moment)
        if process.poll() is not None:
            process.communicate()
            self.tally.done_before += 1
            return
        told = time.monotonic()
        # a terminal tells all processes, others the one that they know
        if kind == signal.SIGINT:
            os.killpg(process.pid, kind)
        else:
            process.send_signal(kind)
        err = self._gone(process, told)
        self.tally.kills[kind.name] += 1
        self.tally.drawn[how] += 1
        self.tally.moments.append(round((told - begin) / self.tally.seconds, 3))
        self._look(process.returncode, err, kind, f"{kind.name} {how} at {told - begin:.2f} s")

    def _names(self) -> list[str]:
        return [str(path) for path in self.out.rglob("*")] if self.out.exists() else []

    def _wait_for_a_file(self, process: subprocess.Popen, known: set[str]) -> None:
        end = time.monotonic() + END
        while process.poll() is None and not set(self._names()) - known:
            if time.monotonic() > end:
                return
            time.sleep(0.001)

    def _gone(self, process: subprocess.Popen, told: float) -> str:
        """What it said on stderr; it and its children have ended."""
        try:
            _, err = process.communicate(timeout=WAIT)
            while self._alive(process.pid):
                if time.monotonic() - told > WAIT:
                    raise subprocess.TimeoutExpired(process.args, WAIT)
                time.sleep(0.02)
        except subprocess.TimeoutExpired:
            self.fault(f"alive {WAIT} s later: {' '.join(self.case.words)}")
            os.killpg(process.pid, signal.SIGKILL)
            _, err = process.communicate()
        self.tally.longest = max(self.tally.longest, time.monotonic() - told)
        return err

    @staticmethod
    def _alive(group: int) -> bool:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _look(self, code: int, err: str, kind: signal.Signals, when: str) -> None:
        """After a kill."""
        if "Traceback" in err or "Exception ignored" in err or "Fatal Python" in err:
            frames = [line for line in err.splitlines() if line.lstrip().startswith("File ")]
            ours = [line for line in frames if not any(one in line for one in OWN_START)]
            if ours or not frames:
                self.fault(f"{when}: {err[-1500:]}")
            else:
                self.tally.starting += 1
        elif kind != signal.SIGKILL and not self._ended_well(code, err, kind):
            self.fault(f"{when}: exit status {code}, said {err[-500:]!r}")
        self._check_inputs(when)
        left = 0
        for name, digest in hashes(self.out).items() if self.out.exists() else ():
            if is_temporary(name):
                left += 1
            else:
                self._check(name, digest, when)
        self.tally.outcomes["absent"] += sum(not (self.out / name).exists() for name in self.whole)
        if kind == signal.SIGKILL:
            self.tally.leftovers += left
        elif left and not self.case.several:
            self.fault(f"{when}: {left} temporary files left")

    def _ended_well(self, code: int, err: str, kind: signal.Signals) -> bool:
        name = "training" if self.case.training else "jaxcolor"
        lines = err.splitlines()
        said = [line for line in lines if line == f"{name}: stopped"]
        if code == 128 + kind:  # training also tells how far it is
            return len(said) == 1 and (self.case.training or len(lines) == 1)
        # before Python has its handlers, or after the last line of the command
        return code in (0, -kind) and not said

    def _check_inputs(self, when: str) -> None:
        if hashes(self.place / "in") != self.before:
            self.fault(f"{when}: what is read has changed")

    def _check(self, name: str, digest: str, when: str) -> None:
        """A result is the older one, or whole."""
        if self.old and (self.out / name).read_bytes() == self._old(name):
            self.tally.outcomes["old"] += 1
        elif any(part.startswith(ON_THE_WAY) for part in Path(name).parts):
            self.tally.outcomes["on the way"] += 1
        elif name not in self.whole:
            self.fault(f"{when}: an unknown file {name}")
        elif digest == self.whole[name] or (
            self.whole[name] is None and self._readable(self.out / name)
        ):
            self.tally.outcomes["complete"] += 1
        else:
            self.fault(f"{when}: {name} is not what an undisturbed run writes")

    @staticmethod
    def _readable(path: Path) -> bool:
        try:
            return readable(path)
        except Exception:  # whatever a reader says of a broken file
            return False

    def finish(self) -> None:
        """The same command, to the end."""
        begin, process = time.monotonic(), self.start(again=True)
        try:
            _, err = process.communicate(timeout=END)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return self.fault("the run after the kills hangs")
        self.tally.reruns += 1
        spent = time.monotonic() - begin
        if not self.case.resumes:  # keeps pace with a machine that others use too
            self.tally.seconds = 0.7 * self.tally.seconds + 0.3 * spent
        if process.returncode or "Traceback" in err:
            return self.fault(f"the run after the kills ended with {process.returncode}: {err}")
        self._check_inputs("the run after the kills")
        now = hashes(self.out)
        for name in {*now, *self.whole}:
            if name not in now:
                self.fault(f"the run after the kills: {name} is missing")
            elif name not in self.whole:
                self.fault(f"the run after the kills left {name}")
            elif self.whole[name] not in (None, now[name]):
                self.fault(f"the run after the kills: {name} differs")
