"""Full disks, links, hostile names, two runs at once: one line, and nothing is lost."""

import contextlib
import importlib
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxcolor.cli.batch_manifest import TODO, Entry, Manifest, alone
from jaxcolor.image.aside import aside, sweep

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs links and limits of POSIX")
FEW = ("--method", "histogram")
SOME = ("transfer, 16 bit", "transfer --bands", "transfer, animation", "lut convert", "video")
FULL = 512  # bytes that a file may have: fewer than any result


@pytest.fixture
def experiment(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "experiments")
    return importlib.import_module


@contextlib.contextmanager
def full_disk(room: int = FULL):
    """No file may grow further, whoever writes it; Python hears an error of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def below(folder: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in folder.rglob("*")
        if one.is_file() and not one.is_symlink()
    }


class TestFullDisk:
    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".exr", ".hdr"])
    def test_of_every_kind(self, cli, pair, tmp_path, suffix):
        out = tmp_path / f"out{suffix}"
        out.write_bytes(b"old")
        with full_disk():
            answer = cli("transfer", *pair, "-o", out, "--overwrite", *FEW)
        assert answer.code == 1
        assert answer.line == f"jaxcolor: {out}: File too large"
        assert below(tmp_path) == {out.name: b"old"}

    def test_a_table_has_no_half_line(self, tmp_path):
        table = Manifest(tmp_path)
        table.rewrite([])
        entry = Entry("1", "a.png", "b.png", "c" * 300, TODO)
        table.append(entry)
        whole = table.path.read_bytes()
        with full_disk(len(whole) + 9), pytest.raises(OSError, match="File too large") as told:
            table.append(entry)
        assert told.value.filename == str(table.path)
        assert table.path.read_bytes() == whole
        table.append(entry)
        assert Manifest(tmp_path).entries == [entry, entry]

    @pytest.mark.parametrize(
        "some",
        [
            pytest.param(True, marks=pytest.mark.slow),
            pytest.param(False, marks=pytest.mark.long),
        ],
    )
    def test_of_every_command(self, cli, experiment, tmp_path, monkeypatch, some):
        cases = experiment("kills_cases")
        cases.make(tmp_path / "in")
        monkeypatch.chdir(tmp_path)
        before = below(tmp_path / "in")
        for name, case in cases.CASES.items():
            if case.several or case.training or (some and name not in SOME):
                continue
            shutil.rmtree("out", ignore_errors=True)
            Path("out").mkdir()
            with full_disk(100 if name.startswith("labels") else FULL):
                answer = cli(*case.words, "--overwrite")
            assert answer.code == 1, name
            *warnings, line = answer.err.splitlines()
            assert line.endswith("File too large"), (name, line)
            assert not [one for one in warnings if ": warning: " not in one], name
            assert not [one for one in below(Path("out")) if ".tmp" in one], name
            assert not [one for one in below(Path("out")) if one.endswith((".png", ".mp4"))], name
        assert below(tmp_path / "in") == before

    @pytest.mark.slow
    def test_of_who_listens(self, pair, tmp_path):
        """Nothing but the line: Python would complain once more on its way out."""
        words = ["lut", "identity", str(tmp_path / "l.cube"), "--size", "2"]
        with open("/dev/full", "w") as full:
            run = subprocess.run(
                [sys.executable, "-m", "jaxcolor", *words], stdout=full, stderr=-1, text=True
            )
        assert run.returncode == 1
        assert run.stderr == "jaxcolor: No space left on device\n"
        assert (tmp_path / "l.cube").exists()


class TestLinks:
    @pytest.mark.parametrize("leads", ["file", "nowhere", "ring"])
    def test_the_result_takes_the_place_of_a_link(self, cli, done, pair, tmp_path, leads):
        out, target = tmp_path / "out.png", tmp_path / "target.png"
        out.symlink_to({"file": target, "nowhere": "none", "ring": out}[leads])
        target.write_bytes(b"target")
        answer = cli("transfer", *pair, "-o", out, *FEW)
        assert (answer.code, out.is_symlink()) == (1, True)
        assert "exists already" in answer.line
        done("transfer", *pair, "-o", out, *FEW, "--overwrite")
        assert not out.is_symlink()
        assert target.read_bytes() == b"target"

    def test_to_a_folder(self, cli, done, pair, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "out.png").symlink_to("real")
        answer = cli("transfer", *pair, "-o", tmp_path / "out.png", *FEW, "--overwrite")
        assert (answer.code, "is a folder; name a file" in answer.line) == (1, True)
        done("morph", *pair, "-o", tmp_path / "out.png", "--steps", "2", *FEW)
        assert len(below(tmp_path / "real")) == 2

    @pytest.mark.parametrize("target", ["none", "out"])
    def test_folders_that_lead_nowhere(self, cli, pair, tmp_path, target):
        (tmp_path / "out").symlink_to(target)
        (tmp_path / "in").mkdir()
        shutil.copy(pair[0], tmp_path / "in" / "a.png")
        for words in (
            ("morph", *pair, "-o", tmp_path / "out"),
            ("batch", "--images", tmp_path / "in", "--reference", pair[1], "-o", tmp_path / "out"),
        ):
            answer = cli(*words)
            assert answer.code == 1
            assert f"{tmp_path / 'out'}: is a link that leads nowhere" in answer.line

    def test_in_a_folder_of_results(self, cli, done, pair, tmp_path):
        (tmp_path / "in").mkdir()
        shutil.copy(pair[0], tmp_path / "in" / "a.png")
        words = ("batch", "--images", tmp_path / "in", "--reference", pair[1], *FEW)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.png").symlink_to("none")
        answer = cli(*words, "-o", tmp_path / "out")
        assert (answer.code, "not made by this command" in answer.line) == (1, True)
        (tmp_path / "out" / "a.png").unlink()
        (tmp_path / "out" / "a.png").symlink_to(tmp_path / "in" / "a.png")
        answer = cli(*words, "-o", tmp_path / "out", "--overwrite")
        assert (answer.code, "would be replaced" in answer.line) == (2, True)


def named(path: Path, how: str) -> Path:
    """The same file by another name."""
    other = path.with_name(f"other{path.suffix}")
    if how == "hard link":
        other.hardlink_to(path)
    elif how == "link":
        other.symlink_to(path.name)
    return {
        "itself": path,
        "dots": path.parent / ".." / path.parent.name / "." / path.name,
    }.get(how, other)


@pytest.mark.parametrize("how", ["itself", "hard link", "link", "dots"])
def test_no_command_replaces_what_it_reads(cli, pair, tmp_path, how):
    source, other = (tmp_path / one.name for one in pair)
    for path, own in zip((source, other), pair, strict=True):
        shutil.copy(own, path)
    (tmp_path / "l.cube").write_text("LUT_3D_SIZE 2\n" + "0 0 0\n" * 8)
    out = named(source, how)
    before = below(tmp_path)
    for words in (
        ("transfer", source, other, "-o", out),
        ("transfer", other, source, "-o", out),
        ("transfer", other, other, "-o", tmp_path / "a.png", "--mask", source, "--both", out),
        ("transfer", source, other, "-o", out, "--bands"),
        ("lut", "apply", source, tmp_path / "l.cube", "-o", out),
        ("lut", "convert", source, out),
        ("palette", source, "-o", tmp_path / "p.json", "--swatch", out),
        ("labels", source, other, "-o", out),
        ("texture", "synth", source, "-o", out),
        ("texture", "mix", source, other, "-o", out),
        ("texture", "grain", source, other, "-o", out),
        ("compare", source, other, "-o", out),
    ):
        answer = cli(*words, "--overwrite")
        assert answer.code == 2, words
        assert "would be replaced by a result: name another file" in answer.line
    assert below(tmp_path) == before


def test_capitals_tell_files_apart_where_the_disk_does(cli, done, pair, tmp_path):
    source, out = tmp_path / "Photo.png", tmp_path / "photo.png"
    shutil.copy(pair[0], source)
    words = ("transfer", source, pair[1], "-o", out, *FEW)
    if out.exists():
        assert "would be replaced by a result" in cli(*words, "--overwrite").line
    else:
        done(*words)
        done(*words, "--overwrite")
        assert out.read_bytes() != source.read_bytes()
    assert source.read_bytes() == pair[0].read_bytes()


@pytest.mark.parametrize("output", ["../x.png", "/tmp/x.png", "a/../../x.png"])
def test_no_result_of_a_table_leaves_its_folder(cli, pair, tmp_path, output):
    table = tmp_path / "pairs.csv"
    table.write_text(f"source,reference,output\n{pair[0]},{pair[1]},{output}\n")
    answer = cli("batch", table, "-o", tmp_path / "out", *FEW)
    assert answer.code == 2
    assert f"output {output} is not within the folder of results" in answer.line
    assert not (tmp_path / "out").exists()


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["new\nline", "\udcff\udcfe", "-o", "a  b", "12:30", "%d", "é" * 125, "x" * 251, "'\";|&"],
    )
    def test_of_a_picture(self, cli, pair, load, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        source, out = Path(f"./{name}.png"), Path("out") / f"{name}.png"
        out.parent.mkdir()
        shutil.copy(pair[0], source)
        answer = cli("transfer", f"./{source}", pair[1], "-o", out, *FEW)
        assert (answer.code, answer.err) == (0, "")
        assert load(out).shape == load(source).shape
        assert os.listdir("out") == [out.name]
        again = cli("transfer", f"./{source}", pair[1], "-o", out, *FEW)
        assert (again.code, "exists already" in again.line) == (1, True)

    @pytest.mark.slow
    def test_of_a_clip(self, done, pair, tmp_path, monkeypatch):
        """FFmpeg takes what stands before a colon for a protocol."""
        from jaxcolor.image import video

        monkeypatch.chdir(tmp_path)
        video.write_clip("12:30.mp4", [np.full((32, 32, 3), 99, np.uint8)] * 3, 10)
        done("video", "12:30.mp4", pair[1], "-o", "12:31.mp4", "--method", "gaussian")
        assert sorted(os.listdir()) == ["12:30.mp4", "12:31.mp4"]

    def test_too_long(self, cli, pair, tmp_path):
        answer = cli("transfer", *pair, "-o", tmp_path / ("y" * 300 + ".png"), *FEW)
        assert (answer.code, answer.line[-20:]) == (1, ": File name too long")

    @pytest.mark.slow
    def test_what_is_told_is_bytes_again(self, process, tmp_path):
        """A name that is no text comes out as it is, and does not make a failure of a success."""
        name = os.fsencode(tmp_path) + b"/\xff.cube"
        run = process("lut", "identity", os.fsdecode(name), "--size", "2", text=False)
        assert run.returncode == 0, run.stderr
        assert run.stdout == name + b": 2x2x2, changes nothing\n"
        assert os.path.exists(name)

    def test_on_a_page(self, monkeypatch, tmp_path):
        from jaxcolor.cli import compare
        from jaxcolor.recipes.page import failure, page

        text = page([failure(("\udcff.png", "b.png"), "gone")])
        compare.write_page(tmp_path / "index.html", text)
        assert "?.png in the colours of b.png" in (tmp_path / "index.html").read_text("utf-8")


class TestLeftovers:
    """What a run that was killed left beside a result."""

    GONE = 2**22 + 1  # no process has such a number

    def test_the_next_run_removes_them(self, done, pair, tmp_path):
        left = [f".out.{self.GONE}.tmp.png", f"..out.{self.GONE}.tmp.{self.GONE}.tmp.png"]
        kept = [f".out.{os.getppid()}.tmp.png", f".out.{self.GONE}.tmp.jpg", ".out.tmp.png",
                f".other.{self.GONE}.tmp.png", f"out.{self.GONE}.tmp.png"]  # fmt: skip
        for name in [*left, *kept]:
            (tmp_path / name).write_bytes(b"half")
        done("transfer", *pair, "-o", tmp_path / "out.png", *FEW)
        assert sorted(os.listdir(tmp_path)) == sorted([*kept, "out.png"])

    def test_but_none_that_is_read(self, done, pair, tmp_path):
        source = tmp_path / f".out.{self.GONE}.tmp.png"
        shutil.copy(pair[0], source)
        done("transfer", source, pair[1], "-o", tmp_path / "out.png", *FEW)
        assert source.read_bytes() == pair[0].read_bytes()

    def test_of_long_names(self, tmp_path):
        path = tmp_path / ("x" * 240 + ".png")
        with aside(path) as temporary:
            temporary.write_bytes(b"")
            number, gone = (f".{one}-" for one in (os.getpid(), self.GONE))
            left = temporary.with_name(temporary.name.replace(number, gone))
            left.write_bytes(b"half")
        assert {one.name for one in tmp_path.iterdir()} == {path.name, left.name}
        sweep([path])
        assert [one.name for one in tmp_path.iterdir()] == [path.name]

    def test_of_another_machine_when_they_are_old(self, tmp_path):
        """Whose numbers say nothing here."""
        fresh, old = (tmp_path / f".{one}.{self.GONE}-0badcafe.tmp.png" for one in ("a", "b"))
        results = [tmp_path / "a.png", tmp_path / "b.png"]
        for path in (fresh, old):
            path.write_bytes(b"half")
        os.utime(old, (0, 0))
        sweep(results)
        assert list(tmp_path.iterdir()) == [fresh]
        sweep(results, alone=True)
        assert not list(tmp_path.iterdir())

    def test_of_this_machine_at_once(self, tmp_path):
        code = (
            "import os, signal, sys; from jaxcolor.image.aside import aside\n"
            "with aside(sys.argv[1]) as path:\n"
            "    path.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
        )
        run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")])
        assert run.returncode == -9
        assert len(list(tmp_path.iterdir())) == 1
        sweep([tmp_path / "a.png"])
        assert not list(tmp_path.iterdir())

    def test_folders_and_links_stay(self, done, pair, tmp_path):
        folder, link = (tmp_path / f".out.{self.GONE + k}.tmp.png" for k in (0, 1))
        folder.mkdir()
        link.symlink_to("nowhere")
        done("transfer", *pair, "-o", tmp_path / "out.png", *FEW)
        assert folder.is_dir()
        assert link.is_symlink()


class TestTwoAtOnce:
    def test_in_one_folder(self, cli, pair, tmp_path):
        (tmp_path / "in").mkdir()
        shutil.copy(pair[0], tmp_path / "in" / "a.png")
        shutil.copy(pair[1], tmp_path / "in" / "b.png")
        out = tmp_path / "out"
        out.mkdir()
        with alone(out):
            for words in (
                ("batch", "--images", tmp_path / "in", "--reference", pair[1], "-o", out),
                ("harmonize", "--images", tmp_path / "in", "-o", out),
                ("compare", *pair, "--html", out),
                ("morph", *pair, "-o", out),
                ("texture", "mix", *pair, "-o", out, "--steps", "2"),
                ("demo", "-o", out),
            ):
                answer = cli(*words)
                assert answer.code == 1, words
                assert answer.line == f"jaxcolor: {out}: another run is at work there"
        assert below(out) == {}

    def test_the_lock_of_a_killed_run_is_gone(self, tmp_path):
        code = (
            "import os, signal, sys; from pathlib import Path\n"
            "from jaxcolor.cli.batch_manifest import alone\n"
            "with alone(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
        )
        run = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
        assert run.returncode == -9
        with alone(tmp_path):
            assert os.listdir(tmp_path) == []

    def test_where_folders_cannot_be_locked(self, tmp_path, monkeypatch):
        import fcntl

        def refuse(*args):
            raise OSError(95, "Operation not supported")

        with alone(tmp_path) as held:
            assert held
        monkeypatch.setattr(fcntl, "flock", refuse)
        with alone(tmp_path) as held, alone(tmp_path) as other:
            assert (held, other) == (False, False)

    @pytest.mark.parametrize("locked", [True, False])
    def test_files_of_another_that_is_at_work(self, done, pair, tmp_path, monkeypatch, locked):
        """Where the folder cannot be locked there may be one."""
        import fcntl

        def refuse(*args):
            raise OSError(95, "Operation not supported")

        if not locked:
            monkeypatch.setattr(fcntl, "flock", refuse)
        (tmp_path / "in").mkdir()
        shutil.copy(pair[0], tmp_path / "in" / "a.png")
        (tmp_path / "out").mkdir()
        half = tmp_path / "out" / f".a.{os.getppid()}.tmp.png"
        half.write_bytes(b"half")
        words = ("batch", "--images", tmp_path / "in", "--reference", pair[1], *FEW)
        done(*words, "-o", tmp_path / "out")
        assert half.exists() != locked


def test_a_folder_that_cannot_be_made(cli, pair, tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    for words in (("compare", *pair, "--html"), ("morph", *pair, "-o"), ("demo", "-o")):
        answer = cli(*words, tmp_path / "out")
        assert answer.line == f"jaxcolor: {tmp_path / 'out'}: Permission denied"
