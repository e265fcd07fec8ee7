"""Kills and a soak: short slices of the experiments, and that these see what is wrong."""

import hashlib
import importlib
import signal
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxcolor.cli import common

FOLDER = Path(__file__).parents[1] / "experiments"
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


@pytest.fixture
def load(monkeypatch):
    """An experiment as a module; they import one another by name."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


@pytest.fixture
def killed(load, tmp_path):
    """A folder after a kill, as `kills` sees it, and what it found there."""
    kills = load("kills")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"read")
    whole = {"c.png": hashlib.sha256(b"whole").hexdigest(), "d.html": None}
    tally = kills.Tally(seconds=1)
    case = kills.Case(("transfer", "in/a.png", "-o", "out/c.png"))
    return kills.Round(tmp_path / "round", case, tmp_path / "pictures", whole, True, tally), tally


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("out/c.png", b"whole", None),
        ("out/c.png", b"hal", "c.png is not what an undisturbed run writes"),
        ("out/d.html", b"<html></html>\n", None),
        ("out/d.html", b"<html>", "d.html is not what"),
        ("out/e.png", b"whole", "an unknown file e.png"),
        ("out/.c.123.tmp.png", b"hal", "1 temporary files left"),
        ("in/a.png", b"lost", "what is read has changed"),
    ],
)
def test_a_loss_is_seen(killed, name, data, said):
    (one, tally), line = killed, "jaxcolor: stopped\n"
    (one.place / name).write_bytes(data)
    one._look(130, line, signal.SIGINT, "now")
    assert len(tally.faults) == (said is not None)
    assert said is None or said in tally.faults[0]


@pytest.mark.parametrize(
    ("code", "err", "fault"),
    [
        (130, "jaxcolor: stopped\n", False),
        (0, "", False),
        (1, "jaxcolor: stopped\n", True),
        (130, "", True),
        (130, 'Traceback:\n File "jaxcolor/cli/main.py"\nKeyboardInterrupt\n', True),
        (1, 'Traceback:\n File "<frozen site>", line 1\nKeyboardInterrupt\n', False),
    ],
)
def test_another_end_is_seen(killed, code, err, fault):
    one, tally = killed
    one._look(code, err, signal.SIGINT, "now")
    assert bool(tally.faults) == fault
    assert tally.outcomes == {"old": 2, "absent": 0}


def test_growth_is_told_of_the_last_half(load):
    soak = load("soak")
    first = [{"jobs": 50 * k, "mb": 100.0 * k} for k in range(1, 11)]
    late = [{"jobs": 50 * k, "mb": 1000 + 0.1 * k} for k in range(11, 21)]
    assert soak.slope(first + late, "mb") == pytest.approx(2)


def test_programs_are_forgotten_when_there_are_very_many(monkeypatch):
    program = jax.jit(lambda x: x + 1)
    program(1.0)
    common.start_jax()
    assert program._cache_size() == 1
    monkeypatch.setattr(common, "MAPS", 100)
    common.start_jax()
    assert program._cache_size() == 0
    assert program(1.0) == 2


def stopped(before: str, number: signal.Signals = signal.SIGTERM) -> tuple:
    """How a program ends that gets a signal: its exit status, and what it says."""
    code = (
        "import os, signal, sys, time; from jaxcolor import stop\n"
        f"{before}\nos.kill(os.getpid(), {int(number)}); time.sleep(1); sys.exit(9)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return run.returncode, run.stderr


@pytest.mark.parametrize("done", [True, False])
def test_what_is_done_is_not_stopped(done):
    ended = stopped(f"stop.listen('it'); {done} and stop.done(3)")
    assert ended == ((3, "") if done else (143, "it: stopped\n"))


def test_a_terminal_that_is_closed(interruptible):
    ignore = "signal.signal(signal.SIGHUP, signal.SIG_IGN); "  # as nohup does
    assert stopped("stop.listen('it')", signal.SIGHUP) == (129, "it: stopped\n")
    assert stopped(ignore + "stop.listen('it')", signal.SIGHUP) == (9, "")


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ("sys.stderr = None", ""),
        ("sys.executable = None", "it: stopped\n"),
        ("sys.frozen, sys.executable = True, '/bin/echo'", "it: stopped\n"),
        ("stop.unfinished.add('\\0')", "it: stopped\n"),
        ("stop._tidy = None", "it: stopped\n"),
    ],
)
def test_it_ends_whatever_is_lacking(lacks, says, tmp_path):
    half = tmp_path / "half"
    half.write_bytes(b"half")
    begin = f"stop.listen('it'); stop.unfinished.add({str(half)!r}); {lacks}"
    assert stopped(begin) == (143, says)
    assert half.exists() == ("_tidy" in lacks)


@pytest.mark.parametrize("told", [False, True])
def test_a_thread_that_lasts_keeps_nobody_waiting(interruptible, tmp_path, told):
    """It may still write a file; a signal ends it, with the status that the command has."""
    code = (
        "import os, signal, sys, threading, time; from pathlib import Path\n"
        "from jaxcolor import __main__ as program; from jaxcolor.cli import main\n"
        "from jaxcolor.image.aside import aside\n"
        "def last():\n"
        f"    if {told}: time.sleep(0.3); os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\n"
        "    with aside(sys.argv[1]) as path: path.write_bytes(b'whole')\n"
        "main.main = lambda: threading.Timer(0.3, last).start() or 5\n"
        "sys.exit(program.main())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (run.returncode, run.stderr) == (5, "")
    assert (tmp_path / "a").exists() != told


@pytest.mark.parametrize(
    ("count", "names"),
    [
        pytest.param(3, ["batch --images"], marks=pytest.mark.slow),
        pytest.param(10, ["lut identity", "transfer, 16 bit"], marks=pytest.mark.long),
    ],
)
def test_a_few_kills(load, interruptible, tmp_path, count, names):
    found = load("kills").kill_all(count, names, tmp_path, seed=1)
    assert [one.faults for one in found.values()] == [[]] * len(names)
    assert sum(sum(one.kills.values()) for one in found.values()) == count
    assert all(one.reruns > 0 for one in found.values())


@pytest.mark.slow
def test_a_few_jobs(load, tmp_path):
    found = load("soak").soak(16, tmp_path, seed=3, every=8)
    first, last = found["samples"]
    assert sum(found["jobs"].values()) == 16
    assert last["temporary"] == 0
    assert last["files"] <= first["files"]
