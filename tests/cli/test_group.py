"""Commands in several processes: the same results, and a clear end where one is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxcolor.cli.group import free_port
from jaxcolor.cli.main import main

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
COUNT = 24


@pytest.fixture
def corpus(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for k in range(COUNT):
        picture = rng.integers(0, 256, (3, 5, 3)).repeat(16, 0).repeat(16, 1)
        Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "in" / f"{k:02}.png")
    Image.fromarray(np.full((9, 9, 3), (180, 90, 30), np.uint8)).save(tmp_path / "look.png")
    return tmp_path


def command(*more: str, out: str = "out") -> list[str]:
    words = ["--reference", "look.png", "--images", "in", "-o", out, "--method", "newton", *more]
    return [sys.executable, "-m", "jaxcolor", "batch", *words]


@pytest.fixture
def start(corpus, interruptible):
    """Run the command beside the test; what is left of it at the end is ended."""
    started = []

    def run(*more: str, out: str = "out") -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command(*more, out=out), cwd=corpus, **pipes))
        return started[-1]

    yield run
    for one in started:
        one.kill()
        one.communicate()


def children(process: subprocess.Popen) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return sorted(int(word) for word in listed.split())


def made(folder: Path) -> int:
    return len(list(folder.glob("[0-9]*.png")))


def wait_until(true, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.time() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.time() < end
        time.sleep(0.01)


def same_pictures(one: Path, other: Path) -> None:
    names = sorted(path.name for path in one.glob("[0-9]*.png"))
    assert len(names) == COUNT
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.long), 1])
def test_a_process_that_is_killed_ends_all_in_one_line_and_it_goes_on(corpus, start, victim):
    run = start("--processes", "2")
    wait_until(lambda: made(corpus / "out") >= 3, run)
    os.kill(children(run)[victim], signal.SIGKILL)
    killed = time.time()
    told = run.communicate(timeout=15)[1]
    assert time.time() - killed < 15
    assert run.returncode == 1
    assert told.count("\n") == 1
    assert f"process {victim} of 2 was ended by SIGKILL" in told
    before = made(corpus / "out")
    assert before < COUNT
    # with another number of processes: what is finished stays
    again = start()
    out, told = again.communicate(timeout=300)
    assert again.returncode == 0, told
    assert f"resumed: {before} of {COUNT} done already" in out
    whole = start(out="alone")
    assert whole.wait(300) == 0
    same_pictures(corpus / "alone", corpus / "out")


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_machine_that_is_lost_ends_the_others_in_one_line(corpus, start, victim):
    address = f"127.0.0.1:{free_port()}"
    runs = [
        start("--processes", "2", "--coordinator", address, "--process-id", str(index))
        for index in range(2)
    ]
    wait_until(lambda: made(corpus / "out") >= 3, runs[0])
    # the whole of a machine: the command and its worker
    for pid in (*children(runs[victim]), runs[victim].pid):
        os.kill(pid, signal.SIGKILL)
    killed = time.time()
    told = runs[1 - victim].communicate(timeout=15)[1]
    assert time.time() - killed < 15
    assert runs[1 - victim].returncode == 1
    assert told.count("\n") == 1
    assert f"process {1 - victim} of 2 has lost the others" in told


@pytest.mark.slow
def test_stopped_by_hand_it_says_so_once(corpus, start):
    run = start("--processes", "2")
    wait_until(lambda: made(corpus / "out") >= 1, run)
    for pid in (run.pid, *children(run)):  # as a terminal does
        os.kill(pid, signal.SIGINT)
    _, told = run.communicate(timeout=30)
    assert run.returncode == 130
    assert told == "jaxcolor: stopped\n"


@pytest.mark.slow
def test_what_fails_in_all_is_said_once(corpus, start):
    (corpus / "out").mkdir()
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(corpus / "out" / "00.png")
    run = start("--processes", "2")
    _, told = run.communicate(timeout=120)
    assert run.returncode == 1
    assert told.count("\n") == 1
    assert "--overwrite replaces" in told


@pytest.mark.slow
def test_a_process_with_nothing_to_do_keeps_no_other_waiting(corpus):
    words = ["in/00.png", "in/01.png", "-o", "out", "--method", "gaussian", "--processes", "3"]
    run = [sys.executable, "-m", "jaxcolor", "harmonize", *words]
    done = subprocess.run(run, cwd=corpus, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert made(corpus / "out") == 2
    assert not (corpus / "out" / ".measures").exists()


@pytest.mark.slow
def test_workers_whose_parent_is_gone_before_they_begin_do_nothing(corpus, start):
    run = start("--processes", "2")
    wait_until(lambda: len(children(run)) == 2, run)
    workers = children(run)
    run.kill()
    end = time.time() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.time() < end
        time.sleep(0.1)
    assert made(corpus / "out") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["batch", "none.csv", "-o", "out"],
        ["harmonize", "--images", "none", "-o", "out"],
        ["batch", "--reference", "look.png", "--images", "none", "-o", "out"],
    ],
)
def test_what_is_not_there_is_one_line_for_several_too(corpus, words, capsys, monkeypatch):
    monkeypatch.chdir(corpus)
    code = main([*words, "--processes", "2"])
    assert code == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--processes", "0"], "1..10000"),
        (["--coordinator", "here:1"], "go together"),
        (["--process-id", "0"], "go together"),
        (["--coordinator", "here", "--process-id", "0"], "HOST:PORT"),
        (["--coordinator", "h:1", "--process-id", "2", "--processes", "2"], "2 of 2"),
    ],
)
def test_what_makes_no_sense_is_refused(corpus, options, message, capsys, monkeypatch):
    monkeypatch.chdir(corpus)
    with pytest.raises(SystemExit) as ended:
        main(command(*options)[3:])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
