"""`jaxcolor studio` as its users wait for it: in a browser, and by many at once.

    python experiments/bench_studio.py [--clients 50] [--moves 40] [--json FILE]

Three parts, each against the installed command in a process of its own, on this machine's loopback.
*First ever*: no compiled programs are kept, and a picture is brought as soon as the page is there.
*Warm*: in Chromium without a screen, from when a picture of twelve megapixels (a JPEG, one of
scikit-image's photographs enlarged) is chosen to when its preview has been painted, and from each
move of the strength to when that has. *Many*: clients that do what a page does, all at once: two
small pictures, the strength moved, the result downloaded; every fifth sends files that are no
pictures too. The server's memory is what /proc says of it, so that part needs Linux.
"""

import argparse
import io
import json
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import harness
import numpy as np
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from skimage import data
from websockets.sync.client import connect
from websockets.typing import Origin

PACKAGES = ("jax", "jaxlib", "numpy", "pillow", "starlette", "uvicorn", "websockets", "playwright")
COMMAND = Path(sys.executable).with_name("jaxcolor")
LARGE, SMALL = (4000, 3000), (480, 320)
# the time from an event of the page to the frame after the one with the preview
WATCH = """
window.painted = (before) => new Promise((done) => {
    const look = new MutationObserver(() => {
        const number = Number(document.documentElement.dataset.shown);
        if (number <= before) return;
        look.disconnect();
        requestAnimationFrame(() => done(performance.now()));
    });
    look.observe(document.documentElement, { attributes: true });
});
window.addEventListener("change", (event) => {
    if (event.target.type !== "file") return;
    const begin = performance.now();
    const before = Number(document.documentElement.dataset.shown ?? 0);
    window.took = window.painted(before).then((end) => end - begin);
}, true);
"""
MOVE = """async (value) => {
    const slider = document.getElementById("strength");
    const end = window.painted(Number(document.documentElement.dataset.shown));
    slider.value = value;
    const begin = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    return (await end) - begin;
}"""
BAD = {"text.jpg": b"no picture", "empty.jpg": b"", "half.png": b"\x89PNG\r\n\x1a\n\0\0"}


def picture(name: str, size: tuple[int, int]) -> bytes:
    """One of scikit-image's photographs as a JPEG of that size."""
    file = io.BytesIO()
    whole = Image.fromarray(getattr(data, name)())
    whole.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=92)
    return file.getvalue()


@contextmanager
def studio(cache: Path | None = None) -> Iterator[tuple[str, int]]:
    """The command at work: its address and process."""
    env = os.environ | ({} if cache is None else {"XDG_CACHE_HOME": str(cache)})
    words = [str(COMMAND), "studio", "--no-browser"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[0], process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(300)


def memory(process: int, name: str) -> float:
    """MiB of a process: VmRSS, what it holds, or VmHWM, the most that it ever held."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def worked(process: int) -> float:
    """Seconds that cores have worked for a process, which hang less on what else they do."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bring(page, well: str, path: Path) -> float:
    """Seconds from when a picture is chosen to its preview, or to nothing if there is none yet."""
    page.set_input_files(f"#{well} input >> nth=0", path)
    return page.evaluate("window.took") / 1000


def in_browser(
    browser, address: str, process: int, paths: list[Path], moves: int
) -> dict[str, list[float]]:
    """Seconds to the first preview, those the server worked for it, and seconds of each move."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(300_000)  # the machine may be busy
    page.add_init_script(WATCH)
    page.goto(address)
    expect(page.locator("#status")).to_have_text("", timeout=60_000)
    page.set_input_files("#reference input >> nth=0", paths[1])
    page.locator("#reference .thumb:not(.waiting)").wait_for()
    before = worked(process)
    found = {"preview": [bring(page, "source", paths[0])]}
    found["worked"] = [worked(process) - before]
    values = np.random.default_rng(0).permutation(100)[:moves]
    found["move"] = [page.evaluate(MOVE, int(value)) / 1000 for value in values]
    page.close()
    return found


def take(browser, address: str, paths: list[Path], picture: str) -> None:
    """A picture of the page."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.add_init_script(WATCH)
    page.goto(address)
    page.set_input_files("#reference input >> nth=0", paths[1])
    page.locator("#reference .thumb:not(.waiting)").wait_for()
    bring(page, "source", paths[0])
    page.evaluate(MOVE, 85)
    page.screenshot(path=picture, type="jpeg", quality=88)
    page.close()


@dataclass
class Told:
    """What clients met with.

    Attributes:
        preview, move, download: seconds.
        errors: what should not have been.
        refused: bad uploads that were answered by a line.
    """

    preview: list[float] = field(default_factory=list)
    move: list[float] = field(default_factory=list)
    download: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refused: int = 0


def answer(url: str, method: str, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=300) as got:
            return got.status, got.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def client(number: int, address: str, pictures: list[bytes], moves: int, told: Told) -> None:
    """What one page does, from its opening to its end."""
    try:
        site, _, key = address.partition("/?")
        url = f"{site.replace('http', 'ws')}/socket?{key}"
        with connect(url, origin=Origin(site), max_size=None, open_timeout=120) as socket:
            token = json.loads(socket.recv(timeout=300))["hello"]
            base = f"{site}/sessions/{token}"
            start, keys = time.perf_counter(), []
            for one in pictures:
                status, body = answer(f"{base}/pictures?name=a.jpg", "PUT", one)
                assert status == 200, body
                keys.append(json.loads(body)["key"])
            asked = {"source": keys[0], "references": keys[1:], "look": "natural"}
            for k in range(moves + 1):
                begin = start if k == 0 else time.perf_counter()
                share = 1 - k / (moves + 1)
                socket.send(json.dumps({**asked, "number": k + 1, "strength": share}))
                wait_for(socket, k + 1)
                (told.move if k else told.preview).append(time.perf_counter() - begin)
            if number % 5 == 0:
                told.refused += refusals(base)
            begin = time.perf_counter()
            body = json.dumps({**asked, "number": 1, "kind": "picture"}).encode()
            status, got = answer(f"{base}/result", "POST", body)
            assert status == 200, got
            assert Image.open(io.BytesIO(got)).size == SMALL
            told.download.append(time.perf_counter() - begin)
    except Exception as error:
        told.errors.append(f"{type(error).__name__}: {error}"[:300])


def wait_for(socket, number: int) -> None:
    """Until the preview of that number has come."""
    while True:
        got = socket.recv(timeout=300)
        if isinstance(got, bytes):
            (size,) = struct.unpack("<I", got[:4])
            if json.loads(got[4 : 4 + size])["number"] == number:
                return
        elif "error" in got:
            raise ValueError(got)


def refusals(base: str) -> int:
    """How many bad uploads are answered as they should be."""
    found = 0
    for name, body in BAD.items():
        status, got = answer(f"{base}/pictures?name={name}", "PUT", body)
        found += 400 <= status < 500 and json.loads(got)["error"].startswith(name)
    return found


def together(address: str, process: int, count: int, moves: int) -> dict:
    """All clients at once."""
    pictures = [picture(name, SMALL) for name in ("coffee", "rocket")]
    client(1, address, pictures, 1, Told())  # the programs are there
    before, told, start = memory(process, "VmRSS"), Told(), time.perf_counter()
    threads = [
        threading.Thread(target=client, args=(k, address, pictures, moves, told))
        for k in range(count)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    seconds = time.perf_counter() - start
    time.sleep(2)
    return {
        "clients": count,
        "seconds": seconds,
        "mib": {
            "before": before,
            "peak": memory(process, "VmHWM"),
            "after": memory(process, "VmRSS"),
        },
        "refused": told.refused,
        "bad": len(BAD) * len(range(0, count, 5)),
        "errors": told.errors,
        **{name: summary(getattr(told, name)) for name in ("preview", "move", "download")},
    }


def summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "count": len(ordered),
        "median": statistics.median(ordered),
        "p95": ordered[int(0.95 * (len(ordered) - 1))],
        "worst": ordered[-1],
    }


def measured(args: argparse.Namespace, folder: Path) -> dict:
    large = SMALL if args.smoke else LARGE
    paths = [folder / f"{name}.jpg" for name in ("coffee", "rocket")]
    for path in paths:
        path.write_bytes(picture(path.stem, large))
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    record: dict = {"megapixels": large[0] * large[1] / 1e6}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with studio(folder / "cache") as (address, process):
            first = in_browser(browser, address, process, paths, 0)
            record["first ever"] = first["preview"][0]
        with studio() as (address, process):
            in_browser(browser, address, process, paths, 2)
            time.sleep(5)  # what is compiled ahead is compiled
            runs = [
                in_browser(browser, address, process, paths, args.moves) for _ in range(args.pages)
            ]
            for name in ("preview", "worked", "move"):
                record[name] = summary([one for run in runs for one in run[name]])
            if args.picture:
                take(browser, address, paths, args.picture)
            browser.close()
            record["together"] = together(address, process, args.clients, 5)
    return record


def row(name: str, one: dict[str, float]) -> str:
    values = (f"{one[k]:.3f}" for k in ("median", "p95", "worst"))
    return f"| {name} | {one['count']} | {' | '.join(values)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--pages", type=int, default=5, help="how often a page is opened, warm")
    parser.add_argument("--smoke", action="store_true", help="tiny pictures: does it run")
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("--picture", metavar="FILE", help="also write one of the page")
    parser.add_argument("--json", help="also write the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = measured(args, Path(folder))
    many = record["together"]
    print(f"first ever: {record['first ever']:.1f} s\n")
    print("| seconds | count | median | p95 | worst |\n|---|---|---|---|---|")
    print(row(f"{record['megapixels']:.1f} megapixels to the preview", record["preview"]))
    print(row("the server's CPU seconds for it", record["worked"]))
    print(row("strength to the preview", record["move"]))
    for name in ("preview", "move", "download"):
        print(row(f"{many['clients']} clients: {name}", many[name]))
    print(f"\n{many['refused']} of {many['bad']} bad uploads refused, {len(many['errors'])} errors")
    print("MiB of the server: " + ", ".join(f"{k} {v:.0f}" for k, v in many["mib"].items()))
    if args.json:
        about = {
            "machine": harness.machine(PACKAGES),
            "note": args.note,
            "load": os.getloadavg(),
        }
        Path(args.json).write_text(json.dumps(about | record, indent=1) + "\n")


if __name__ == "__main__":
    main()
