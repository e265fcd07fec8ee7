"""The page in a browser without a screen, that can reach nothing but this machine."""

import io
import shutil
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxcolor.cli.main import main
from jaxcolor.studio import Limits

from studio.pages import serving  # isort: skip

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")
LIMITS = Limits(megabytes=1, megapixels=1)


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium")
    alone = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", alone])
        yield one
        one.close()


@pytest.fixture(scope="module")
def address():
    with serving(LIMITS) as (_, address):
        yield address


@contextmanager
def opened(browser, address, width=1000, height=800):
    """The page; nothing in it may fail, and it may ask nobody else."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page, faults, elsewhere = context.new_page(), [], []
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: faults.append(str(error)))
    policy = "Content Security Policy"
    page.on("console", lambda said: faults.append(said.text) if policy in said.text else None)
    page.on("request", lambda one: elsewhere.append(one.url))
    page.on("websocket", lambda one: elsewhere.append(one.url.replace("ws:", "http:")))
    page.goto(address)
    sync_api.expect(page.locator("#status")).to_have_text("")
    yield page
    context.close()
    assert not faults
    assert len(elsewhere) > 4
    site = address.partition("?")[0]
    own = (site, f"blob:{site}")
    assert [url for url in elsewhere if not url.startswith(own)] == []


def shown(page) -> int:
    """The number of the preview on the page."""
    return page.evaluate("Number(document.documentElement.dataset.shown ?? 0)")


def later(page, before: int, seconds: float = 30) -> int:
    """Wait until the newest preview is on the page, and is not that of `before`."""
    end = time.monotonic() + seconds
    while shown(page) <= before or page.locator("#stage[aria-busy=true]").count():
        assert time.monotonic() < end, page.locator("#notices").inner_text()
        time.sleep(0.02)
    return shown(page)


def seen(page) -> np.ndarray:
    """What is on the stage."""
    data = page.locator("#frame").screenshot()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int)


def begin(page, pair) -> int:
    page.set_input_files("#source input >> nth=0", pair[0])
    page.set_input_files("#reference input >> nth=0", pair[1])
    return later(page, 0)


def downloaded(page, kind: str) -> tuple[str, bytes]:
    with page.expect_download() as info:
        page.click(f"[data-kind={kind}]")
    return info.value.suggested_filename, Path(info.value.path()).read_bytes()


def commanded(folder: Path, name: str, *words) -> bytes:
    assert main(["transfer", *map(str, words), "-o", str(folder / name), "--overwrite"]) == 0
    return (folder / name).read_bytes()


def test_strength_and_smoothing_change_the_preview_and_downloads_are_the_commands(
    browser, address, pair, tmp_path, capsys
):
    with opened(browser, address) as page:
        number = begin(page, pair)
        page.check("[name=mode][value=after]", force=True)
        whole = seen(page)
        page.focus("#strength")
        for _ in range(40):
            page.keyboard.press("ArrowLeft")
        number = later(page, number)
        sync_api.expect(page.locator("#strength-told")).to_have_text("60 %")
        some = seen(page)
        page.keyboard.down("b")
        before = seen(page)
        page.keyboard.up("b")
        assert (seen(page) == some).all()
        far, near = (abs(one - before).mean() for one in (whole, some))
        assert near == pytest.approx(0.6 * far, rel=0.15)
        name, picture = downloaded(page, "picture")
        options = ("--look", "natural", "--strength", "0.6")
        assert page.inner_text("#command").endswith(" ".join(options))
        assert picture == commanded(tmp_path, name, *pair, *options)
        name, table = downloaded(page, "cube")
        commanded(tmp_path, "x.jpg", *pair, *options, "--lut", tmp_path / name)
        assert table == (tmp_path / name).read_bytes()
        sync_api.expect(page.locator(".remark").first).to_contain_text("dB from the map")
        page.select_option("#smooth", "none")
        later(page, number)
        assert abs(seen(page) - some).mean() > 0.3
        assert page.inner_text("#command").endswith("--smooth none --rounds 1 --strength 0.6")


def test_two_dropped_pictures_are_source_and_reference(browser, address, pair):
    with opened(browser, address) as page:
        page.evaluate(
            """async (names) => {
                const data = new DataTransfer();
                for (const [name, hex] of names) {
                    const bytes = Uint8Array.from(hex.match(/../g), (one) => parseInt(one, 16));
                    data.items.add(new File([bytes], name));
                }
                const options = { dataTransfer: data, bubbles: true, cancelable: true };
                for (const kind of ["dragenter", "dragover", "drop"]) {
                    document.getElementById("stage").dispatchEvent(new DragEvent(kind, options));
                }
            }""",
            [[path.name, path.read_bytes().hex()] for path in pair],
        )
        number = later(page, 0)
        words = "jaxcolor transfer 'sea side.jpg' dusk.png"
        assert page.inner_text("#command").startswith(words)
        for cloud in ("before", "after", "goal"):
            points = page.get_attribute(f"#cloud-{cloud}", "data-points")
            assert int(points) > 100
        before = page.locator("#cloud-after").screenshot()
        page.focus("#cloud-before")
        page.keyboard.press("ArrowRight")
        end = time.monotonic() + 10
        while page.locator("#cloud-after").screenshot() == before:
            assert time.monotonic() < end
        page.click("#swap")
        later(page, number)
        assert page.inner_text("#command").startswith("jaxcolor transfer dusk.png 'sea side.jpg'")


def test_bad_uploads_are_told_and_the_page_goes_on(browser, address, pair, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1000, 3)).astype(np.uint8)
    bad = {
        "text.jpg": b"it was a dark and stormy night",
        "empty.jpg": b"",
        "half.jpg": pair[0].read_bytes()[:900],
        "heavy.png": bytes(2 << 20),
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    Image.fromarray(noise).save(tmp_path / "large.jpg", quality=30)
    lines = {
        "text.jpg": "not a picture",
        "empty.jpg": "is empty",
        "half.jpg": "damaged",
        "heavy.png": "larger than 1 MB",
        "large.jpg": "1000x1100 are 1 megapixels, and 1 are the most",
    }
    with opened(browser, address) as page:
        number = begin(page, pair)
        for name, line in lines.items():
            page.set_input_files("#source input >> nth=0", tmp_path / name)
            told = page.locator(".notice", has_text=name)
            sync_api.expect(told).to_contain_text(line)
            told.get_by_label("Dismiss").click()
        assert page.locator("#source .thumb").count() == 1
        page.select_option("#method", "gaussian")
        later(page, number)
        assert page.inner_text("#command").endswith("--method gaussian")


def test_a_set_is_downloaded_together(browser, address, pair):
    with opened(browser, address, 360, 740) as page:
        page.check("[name=look][value=gentle]", force=True)
        page.set_input_files("#source input >> nth=0", [pair[0], pair[1], pair[0]])
        page.set_input_files("#reference input >> nth=0", pair[1])
        page.set_input_files("#reference input >> nth=1", pair[0])
        page.locator("#reference .count", has_text="2").wait_for()
        number = later(page, 0)
        page.locator("#source .shown").nth(1).click()
        later(page, number)
        assert page.inner_text("#command").startswith("jaxcolor transfer dusk.png dusk.png 'sea")
        name, data = downloaded(page, "zip")
        assert name == "pictures_as_dusk_sea side.zip"
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = [Image.open(archive.open(one)).size for one in archive.namelist()]
        assert sizes == [(60, 40), (50, 40), (60, 40)]
        # nothing is wider than a phone, and everything that can be used has a name
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        nameless = """[...document.querySelectorAll("input, button, select, canvas")]
            .filter((one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim())
            .map((one) => one.outerHTML)"""
        assert page.evaluate(nameless) == []


def test_a_page_outlives_its_server(browser, pair):
    """Its pictures go to the next one, without being chosen again; if that has its key."""
    with serving(LIMITS) as (studio, address):
        page = browser.new_page()
        page.goto(address)
        number = begin(page, pair)
        page.check("[name=look][value=gentle]", force=True)
        number = later(page, number)
    sync_api.expect(page.locator("#status")).to_contain_text("trying again")
    port = int(address.partition("/?")[0].rpartition(":")[2])
    with serving(LIMITS, port=port, key=studio.key):
        number = later(page, number)
        assert page.inner_text("#command").endswith("--look gentle")
        page.reload()
        sync_api.expect(page.locator("#status")).to_have_text("")
        begin(page, pair)
    with serving(LIMITS, port=port):
        told = page.locator("#status")
        sync_api.expect(told).to_contain_text("Open the address that the command printed")
        page.close()
