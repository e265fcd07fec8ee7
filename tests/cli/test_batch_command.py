"""`jaxcolor batch`: a table of pairs, done once each, whatever stops it."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from cli.corpus import QUICK, everything, identity, manifest
from image.profiles import display_p3
from PIL import Image

from jaxcolor.cli import common
from jaxcolor.image import files

NAMES = ("a.png", "b.png", "c.png")
ALL = [f"{one[0]}_as_{other[0]}.png" for one in NAMES for other in NAMES if one != other]
SIX = "source,reference\n" + "".join(f"{name[0]}.png,{name[5]}.png\n" for name in ALL)


@pytest.fixture
def shots(save, small):
    """a.png, b.png and c.png in the test's folder."""
    third = small[0][::-1] // 2 + 60
    return [save(name, pixels) for name, pixels in zip(NAMES, (*small, third), strict=True)]


@pytest.fixture
def table(tmp_path):
    """Write the list of pairs; returns its path."""

    def write(text: str | bytes = SIX):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "pairs.csv").write_bytes(data)
        return tmp_path / "pairs.csv"

    return write


@pytest.fixture
def batch(cli, table, tmp_path):
    """Run it on a list of pairs; the answer."""

    def run(text: str | bytes = SIX, *options):
        return cli("batch", table(text), "-o", tmp_path / "out", *QUICK, *options)

    return run


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def pictures(folder) -> dict:
    return {path.name: path for path in folder.rglob("*.png")}


# names and contents


def test_every_pair_under_its_name(batch, shots, tmp_path):
    answer = batch()
    out = tmp_path / "out"
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{out / 'manifest.csv'}: 6 of 6 done\n"
    assert set(everything(out)) == {*ALL, "manifest.csv"}
    for k, (line, name) in enumerate(zip(manifest(out), ALL, strict=True), 1):
        assert line["row"] == str(k)
        assert (line["source"], line["reference"]) == (f"{name[0]}.png", f"{name[5]}.png")
        assert (line["output"], line["status"], line["message"]) == (name, "done", "")
        assert line["digest"] == digest(out / name)
        assert line["source_digest"] == digest(tmp_path / f"{name[0]}.png")
        assert line["reference_digest"] == digest(tmp_path / f"{name[5]}.png")


def test_a_table_as_people_write_it(batch, shots, small, save, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_bytes(shots[0].read_bytes())
    Image.fromarray(small[0]).save(tmp_path / "d.bmp")
    text = (
        "\ufeffReference , OUTPUT,Source\r\n"
        "\r\n"
        'b.png, ,"a.png"\r\n'
        "b.png,,sub/a.png \r\n"
        "b.png,A_as_b_2.png,c.png\r\n"
        f"{shots[1]},warm/x.TIF,c.png\r\n"
        ",,\r\n"
        "b.png,,d.bmp\r\n"
    )
    assert batch(text).code == 0
    names = ["a_as_b.png", "a_as_b_3.png", "A_as_b_2.png", "warm/x.TIF", "d_as_b.png"]
    assert [line["output"] for line in manifest(tmp_path / "out")] == names
    assert all((tmp_path / "out" / name).is_file() for name in names)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--method", "sliced", "--bases", "3", "--seed", "4", "--strength", "0.7"),
        pytest.param(
            ("--marginal", "kl", "--reach", "0.2", "--blur", "0.1"), marks=pytest.mark.slow
        ),
    ],
)
def test_the_same_files_as_transfer_makes(cli, done, table, save, small, tmp_path, options):
    save("a.png", small[0], display_p3())
    save("b.png", small[1].astype(np.uint16) * 257)
    save("c.png", small[0][::-1, :, 1] // 2)
    pairs = [*zip(NAMES, NAMES[1:] + NAMES[:1], strict=True), NAMES[:1] * 2]
    text = "source,reference\n" + "".join(f"{one},{other}\n" for one, other in pairs)
    done("batch", table(text), "-o", tmp_path / "out", *options)
    for line in manifest(tmp_path / "out"):
        pair = tmp_path / line["source"], tmp_path / line["reference"]
        one = tmp_path / line["output"]
        # a picture blurred in its own colours is further from them, and it says so
        answer = cli("transfer", *pair, "-o", one, *options)
        assert answer.code == 0
        due = "--blur" in options and pair[0] == pair[1]
        assert answer.err == "" or (due and "is further from the colours" in answer.err)
        assert one.read_bytes() == (tmp_path / "out" / line["output"]).read_bytes()


# pairs that fail


def test_a_bad_row_does_not_keep_the_others(batch, shots, small, save, tmp_path):
    (tmp_path / "text.png").write_text("Dear reader,")
    save("clear.png", np.dstack([small[0], small[0][..., 0] // 2]))
    text = (
        "source,reference,output\na.png,none.png,\ntext.png,a.png,\na.png,b.png,\n"
        "clear.png,b.png,clear.jpg\nb.png,a.png,\n"
    )
    answer = batch(text)
    out = tmp_path / "out"
    assert answer.code == 1
    assert answer.line == (
        f"jaxcolor: 3 of 5 failed: see {out / 'manifest.csv'} "
        f"(row 1: {tmp_path / 'none.png'}: No such file or directory)"
    )
    lines = manifest(out)
    assert [line["status"] for line in lines] == ["failed", "failed", "done", "failed", "done"]
    assert "text.png: not a picture" in lines[1]["message"]
    said = "JPEG cannot hold transparency; write PNG or TIFF"
    assert lines[3]["message"] == f"{out / 'clear.jpg'}: {said}"
    assert set(pictures(out)) == {"a_as_b.png", "b_as_a.png"}

    before = identity(out)
    save("none.png", small[1][::-1].copy())
    save("text.png", small[1][:, ::-1].copy())
    save("clear.png", small[0][::-1].copy())
    answer = batch(text)
    assert answer.out.startswith("resumed: 2 of 5 done already\n")
    assert (answer.code, answer.err) == (0, "")
    assert before.items() < identity(out).items()
    assert {line["status"] for line in manifest(out)} == {"done"}


def test_a_warning_names_the_result(batch, shots, small, tmp_path):
    """Not the file beside it that it is written to."""
    Image.fromarray(small[0]).save(tmp_path / "a.png", dpi=(300, 300))
    answer = batch("source,reference,output\na.png,b.png,a.webp\n")
    told = f"{tmp_path / 'out' / 'a.webp'}: this format holds no resolution"
    assert (answer.code, answer.err) == (0, f"jaxcolor: warning: {told}\n")


def test_debug_shows_where(batch, monkeypatch):
    monkeypatch.setenv("JAXCOLOR_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        batch("source,reference\nnone.png,none.png\n")


def test_a_full_disk_ends_it(batch, shots, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = batch()
    table = tmp_path / "out" / "manifest.csv"
    assert (answer.code, answer.line) == (1, f"jaxcolor: {table}: No space left on device")
    assert pictures(tmp_path / "out") == {}


# going on


def test_what_is_finished_stays(batch, shots, tmp_path):
    batch()
    out = tmp_path / "out"
    before, files_before = identity(out), everything(out)
    os.utime(shots[0], (1, 1))  # a date is not a change
    answer = batch()
    assert answer.out == (f"resumed: 6 of 6 done already\n{out / 'manifest.csv'}: 6 of 6 done\n")
    assert identity(out) == before
    assert everything(out) == files_before


def test_a_longer_list_does_what_is_new(batch, shots, tmp_path):
    half = "".join(SIX.splitlines(keepends=True)[:4])
    batch(half)
    before = identity(tmp_path / "out")
    assert "resumed: 3 of 6" in batch(SIX).out
    assert before.items() < identity(tmp_path / "out").items()
    assert len(manifest(tmp_path / "out")) == 6
    batch(half)  # the others' lines stay, for another day
    assert [line["output"] for line in manifest(tmp_path / "out")] == ALL


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_a_torn_line(batch, shots, tmp_path, cut):
    batch()
    out = tmp_path / "out"
    whole = everything(out)
    (out / "manifest.csv").write_bytes(whole["manifest.csv"][:-cut])
    (out / ALL[-1]).unlink()
    before = identity(out)
    assert "resumed: 5 of 6" in batch().out
    assert before.items() < identity(out).items()
    assert everything(out) == whole


def test_killed_before_a_picture_had_its_name(batch, shots, tmp_path):
    batch()
    out = tmp_path / "out"
    whole = everything(out)
    stem, number = ALL[2].removesuffix(".png"), 4321
    (out / ALL[2]).rename(out / f".{stem}.{number}.tmp.png")
    (out / f"..{stem}.{number}.tmp.{number}.tmp.png").write_bytes(b"half")
    (out / f".manifest.{number}.tmp.csv").write_bytes(b"half")
    others = [f".{stem}.tmp.png", f".other.{number}.tmp.png", f"{stem}.{number}.tmp.png"]
    for name in others:
        (out / name).write_bytes(b"a person's")
    assert "resumed: 5 of 6" in batch().out
    assert everything(out) == whole | dict.fromkeys(others, b"a person's")


def changed_settings(tmp_path, save):
    return ALL, "with other settings", ("--strength", "0.5")


def changed_source(tmp_path, save):
    save("a.png", files.read(tmp_path / "a.png").pixels[::-1].copy())
    names = [name for name in ALL if "a" in (name[0], name[5])]
    return names, "of pictures that have changed since", ()


def lost_source(tmp_path, save):
    (tmp_path / "a.png").unlink()
    names = [name for name in ALL if "a" in (name[0], name[5])]
    return names, "of pictures that have changed since", ()


def edited_by_hand(tmp_path, save):
    (tmp_path / "out" / ALL[1]).write_bytes(b"mine")
    return [ALL[1]], "not made by this command, or changed by another", ()


@pytest.mark.parametrize("change", [changed_settings, changed_source, edited_by_hand, lost_source])
def test_what_is_in_the_way(batch, shots, save, tmp_path, change):
    batch()
    out = tmp_path / "out"
    names, reason, options = change(tmp_path, save)
    before, stamps = everything(out), identity(out)
    answer = batch(SIX, *options)
    assert answer.code == 1
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    assert f"{out} holds {told} (" in answer.line
    assert reason in answer.line
    assert answer.line.endswith("--overwrite replaces them")
    assert everything(out) == before

    answer = batch(SIX, *options, "--overwrite")
    assert answer.code == (change is lost_source)
    again = identity(out)
    if change is not lost_source:
        assert {name for name in ALL if again[name] != stamps[name]} == set(names)
        fresh = tmp_path / "fresh"
        (tmp_path / "out").rename(fresh)
        batch(SIX, *options)
        assert everything(fresh) == everything(out)


def test_a_file_that_was_there_before(batch, shots, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ALL[0]).write_bytes(b"mine")
    assert f"holds {ALL[0]} (not made by" in batch().line
    assert everything(tmp_path / "out") == {ALL[0]: b"mine"}
    assert batch(SIX, "--overwrite").code == 0


def test_a_table_of_that_name_that_is_none_of_ours(batch, shots, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.csv").write_text("name,price\nbread,3\n")
    answer = batch(SIX, "--overwrite")
    assert (answer.code, "is not a manifest of jaxcolor" in answer.line) == (1, True)
    assert everything(tmp_path / "out") == {"manifest.csv": b"name,price\nbread,3\n"}


def test_two_at_a_time(batch, shots, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "out").mkdir()
    handle = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert "another run is at work there" in batch().line
    finally:
        os.close(handle)
    assert batch().code == 0


# usage


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "got nothing"),
        ("source,reference\n", "has no pairs"),
        ("a.png,b.png\n", "must name the columns source, reference"),
        ("source;reference\na.png;b.png\n", "with commas between"),
        ("source,reference,mask\na.png,b.png,m.png\n", "no others; got source, reference, mask"),
        ("source,source,reference\na.png,b.png,c.png\n", "must name the columns"),
        ("source,reference\na.png,b.png\na.png,\n", "row 2: source or reference is empty"),
        ("source,reference\na.png\n", "row 1: source or reference is empty"),
        ("source,reference\na.png,b.png,c.png\n", "row 1: more cells than columns"),
        ('source,reference\n"a\n.png",b.png\n', "row 1: a line break or the like in a name"),
        (b"source,reference\n\xe9.png,b.png\n", "save it as CSV UTF-8"),
        ("source,reference,output\na.png,b.png,../x.png\n", "../x.png is not within the folder"),
        ("source,reference,output\na.png,b.png,/x.png\n", "/x.png is not within the folder"),
        ("source,reference,output\na.png,b.png,x.gif\n", "unknown file type; use one of .png"),
        ("source,reference,output\na.png,b.png,x\n", "unknown file type"),
        (
            "source,reference,output\na.png,b.png,x.png\nb.png,a.png,./X.png\n",
            "row 2: output ./X.png is that of row 1 too",
        ),
    ],
)  # fmt: skip
def test_lists_that_make_no_sense(batch, tmp_path, text, says):
    answer = batch(text)
    assert answer.code == 2
    assert says in answer.line
    assert not (tmp_path / "out").exists()


def test_no_picture_is_replaced_by_a_result(cli, table, shots, tmp_path):
    before = everything(tmp_path)
    for name in ("a.png", "./b.png"):
        path = table(f"source,reference,output\na.png,b.png,{name}\n")
        answer = cli("batch", path, "-o", tmp_path)
        assert answer.code == 2
        assert f"{name[-5:]} would be replaced by a result" in answer.line
    path = path.rename(tmp_path / "manifest.csv")
    assert "manifest.csv would be replaced" in cli("batch", path, "-o", tmp_path).line
    assert before == {name: data for name, data in everything(tmp_path).items() if name in before}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--method", "slicd"), "did you mean 'sliced'"),
        (("--method", "reinhard", "--space", "lab"), "reinhard works in its own space"),
        (("--marginal", "kl"), "'kl' needs reach"),
    ],
)
def test_options_that_make_no_sense(cli, table, tmp_path, options, says):
    answer = cli("batch", table(), "-o", tmp_path / "out", *options)
    assert (answer.code, says in answer.line) == (2, True)
    assert not (tmp_path / "out").exists()


def test_places_that_cannot_be(cli, table, tmp_path):
    assert "none.csv: No such file" in cli("batch", tmp_path / "none.csv", "-o", tmp_path).line
    path = table()
    assert "is a file; name a folder" in cli("batch", path, "-o", path).line


# on a terminal


def test_what_lasts_shows_its_rate_and_the_time_left(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with common.progress(4, "batch", " pair") as step:
        for name in ("one", "two", "three"):
            step(name)
            now[0] += 1.5
    shown = re.split(r"[\r\n]+", capsys.readouterr().err)
    assert any(line.startswith("batch: two") and line.endswith("1/4 00:01") for line in shown)
    late = r"batch: three .* 2/4 00:03, 00:0[23] left,  1\.50s/ pair"
    assert any(re.fullmatch(late, line) for line in shown)


# stopped


@pytest.fixture
def many(save, photographs, tmp_path, interruptible):
    """Twelve pictures, 132 pairs; a way to start the command on them."""
    rng = np.random.default_rng(0)
    for k in range(12):
        rows, shift = 30 + 2 * k, rng.integers(0, 60, 3)
        pixels = photographs[k % 2][:rows, k : k + 50] // 2 + shift
        save(f"{k}.png", pixels.astype(np.uint8))
    lines = [f"{a}.png,{b}.png" for a in range(12) for b in range(12) if a != b]
    (tmp_path / "pairs.csv").write_text("\n".join(["source,reference", *lines]))

    def start(folder: str) -> subprocess.Popen:
        words = ["batch", "pairs.csv", "-o", folder, "--method", "sliced", "--bases", "3"]
        return subprocess.Popen(
            [sys.executable, "-m", "jaxcolor", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def wait_for(process, path, lines: int) -> None:
    """Until a table has that many lines."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.002)
    pytest.fail(f"no {lines} lines in {path}: {process.poll()}")


def lines_of(path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_interrupted_by_a_person(many, tmp_path):
    out = tmp_path / "out"
    process = many("out")
    wait_for(process, out / "manifest.csv", 5)
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=60)
    assert (process.returncode, said, err) == (130, "", "jaxcolor: stopped\n")
    lines = manifest(out)
    assert 4 <= len(lines) < 132
    made = {name: digest(path) for name, path in pictures(out).items()}
    assert made.items() <= {line["output"]: line["digest"] for line in lines}.items()
    assert len(lines) - len(made) <= 4  # at work, with a line and as yet without a name
    before = identity(out)
    said, err = many("out").communicate(timeout=120)
    assert said.startswith(f"resumed: {len(made)} of 132 done already\n"), err
    assert before.items() < identity(out).items()
    assert len(manifest(out)) == 132


@pytest.mark.long
def test_killed_twenty_times(many, tmp_path):
    """What is there after each kill stays as it is; in the end all is as if nothing had been."""
    rng = np.random.default_rng(1)
    out, kept = tmp_path / "out", {}
    for _ in range(20):
        process = many("out")
        time.sleep(0.2)
        # from the first moments, which clean up and rewrite, to the middle of the work
        more = int(rng.integers(0, 8))
        wait_for(process, out / "manifest.csv", lines_of(out / "manifest.csv") + more)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        now = identity(out)
        assert kept.items() <= now.items()
        kept = {name: stamp for name, stamp in now.items() if not name.startswith(".")}
    assert len(kept) < 132
    process = many("out")
    said, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (0, "")
    assert said.startswith(f"resumed: {len(kept)} of 132 done already\n")
    assert kept.items() <= identity(out).items()
    many("undisturbed").communicate(timeout=200)
    assert everything(out) == everything(tmp_path / "undisturbed")
    assert len(everything(out)) == 133
