"""The page: complete in itself, well-formed, true to its figures, and alive in a browser."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from image.profiles import display_p3
from PIL import Image

from jaxcolor.recipes.compare import Result
from jaxcolor.recipes.figures import FIGURES, UNTOUCHED
from jaxcolor.recipes.page import failure, page, section
from jaxcolor.recipes.score import report, score

NAMES = ("a <b>&.png", 'b".png')
VOID = {"meta", "link", "img", "input"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Reader(HTMLParser):
    """The elements of a page, (tag, attributes, text within); fails where tags do not nest."""

    def __init__(self, text: str):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        element = (tag, dict(attrs), [])
        self.found.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, words in self.open:
            words.append(data)

    def all(self, tag: str) -> list[tuple[dict, str]]:
        return [(attrs, "".join(words)) for name, attrs, words in self.found if name == tag]

    def table(self, k: int = 0) -> dict[str, dict[str, tuple[dict, str]]]:
        """method -> heading -> attributes and text of a cell."""
        rows, tables = [], -1
        for tag, attrs, words in self.found:
            tables += tag == "table"
            if tables == k and tag == "tr":
                rows.append([])
            elif tables == k and tag in ("th", "td"):
                rows[-1].append((attrs, "".join(words)))
        heads = [re.sub("[^A-Za-z0-9Δ]+$", "", text) for _, text in rows[0]]
        heads = [re.sub("\N{RIGHTWARDS ARROW}.$", "", head) for head in heads]
        return {row[0][1].split()[0]: dict(zip(heads, row, strict=True)) for row in rows[1:]}


def results(source, reference, **pictures):
    """Scored, with the source itself before them."""
    return [
        Result(name, "srgb", pixels, report(source, reference, pixels), 0.5)
        for name, pixels in {UNTOUCHED: source, **pictures}.items()
    ]


@pytest.fixture(scope="module")
def one(photographs):
    """A pair, its results and its section."""
    source, reference = photographs
    found = results(source, reference, first=source // 2, second=255 - source)
    return source, found, section(1, NAMES, source, reference, found)


def decoded(attrs: dict) -> Image.Image:
    kind, data = re.fullmatch("data:image/(png|jpeg);base64,(.*)", attrs["src"]).groups()
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert image.format.lower() == kind
    assert image.size == (int(attrs["width"]), int(attrs["height"]))
    return image


def test_is_complete_and_well_formed(one):
    text = page([one[2], failure(NAMES, "no <such> file"), one[2]])
    read = Reader(text)
    assert text.startswith("<!doctype html>")
    assert read.all("html")[0][0] == {"lang": "en"}
    assert read.all("title")[0][1] == "3 pairs compared"
    for needed in ("src", "href", "action", "data"):
        for _, attrs, _ in read.found:
            assert attrs.get(needed, "data:").startswith(("data:", "#")), attrs
    assert not re.search(r"https?:|url\(|@import|fetch\(", text)
    assert "default-src 'none'" in text
    ids = [attrs["id"] for _, attrs, _ in read.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for attrs, _ in read.all("a")} <= set(ids)
    assert not read.all("b")[0][0]
    assert 'a <b>&.png in the colours of b".png' in read.all("h2")[1][1]
    assert "no <such> file" in "".join(word for _, word in read.all("p"))


def test_one_pair_has_no_summary(one):
    read = Reader(page([one[2]]))
    assert read.all("title")[0][1] == read.all("h1")[0][1] == one[2].title
    assert len(read.all("table")) == 1
    assert not read.all("nav")


def test_every_picture_is_there_and_says_what_it_is(one):
    pictures = Reader(one[2].html).all("img")
    alts = [attrs["alt"] for attrs, _ in pictures]
    assert alts[0] == "a <b>&.png, the source"
    assert alts[1] == 'b".png, the reference'
    assert alts[2:] == [f"{one[2].title}, by {name}" for name in ("first", "second")]
    for (attrs, _), result in zip(pictures[2:], one[1][1:], strict=True):
        assert np.array_equal(decoded(attrs), result.pixels)  # small ones: exactly


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "grey", "RGBA"])
def test_larger_pictures_are_reduced(photographs, kind):
    big = np.asarray(Image.fromarray(photographs[0]).resize((900, 600)))
    pixels = {
        "uint16": big.astype(np.uint16) * 257,
        "float32": big.astype(np.float32) / 255,
        "grey": big[..., 1],
        "RGBA": np.dstack([big, big[..., 0]]),
    }.get(kind, big)
    html = section(1, NAMES, pixels, photographs[1], [], profile=display_p3(), longest=300).html
    image = decoded(Reader(html).all("img")[0][0])
    assert (image.format, image.size) == ("JPEG", (300, 200))
    assert image.info["icc_profile"] == display_p3()
    want = Image.fromarray(np.dstack([big[..., 1]] * 3) if kind == "grey" else big)
    want = np.asarray(want.resize((300, 200), Image.Resampling.LANCZOS)).astype(float)
    assert np.abs(np.asarray(image) - want).mean() < 2


def test_the_default_is_chosen_or_else_the_first(one, photographs):
    chosen = [
        "checked" in attrs
        for attrs, _ in Reader(one[2].html).all("input")
    ]  # fmt: skip
    assert chosen == [True, False]
    found = results(*photographs, sliced=photographs[0], natural=photographs[0])
    html = section(4, NAMES, *photographs, found).html
    assert ["checked" in attrs for attrs, _ in Reader(html).all("input")] == [False, True]
    assert {attrs["name"] for attrs, _ in Reader(html).all("input")} == {"pair-4"}


def test_table_has_every_figure_and_marks_the_best(one):
    _, found, made = one
    table = Reader(made.html).table()
    assert list(table) == [UNTOUCHED, "first", "second"]
    for result in found:
        for name, value in result.as_dict().items():
            if name in FIGURES:
                told = table[result.method][FIGURES[name].heading][1]
                assert told.removesuffix(" best") == FIGURES[name].show(value)
    for name, wins in {"SW2": min, "SSIM": max, "seconds": None, "ΔE": None}.items():
        texts = {method: float(row[name][1].split()[0]) for method, row in table.items()}
        del texts[UNTOUCHED]
        marked = [method for method, row in table.items() if row[name][0].get("class") == "best"]
        assert marked == ([wins(texts, key=texts.get)] if wins else []), name


def rows(**columns) -> list[dict]:
    count = len(next(iter(columns.values())))
    return [
        {"method": f"m{k}", "space": ""} | {name: values[k] for name, values in columns.items()}
        for k in range(count)
    ]


class Told(Result):
    """A result of given figures."""

    def as_dict(self):
        return self.score


def told(photographs, **columns):
    found = [Told(row["method"], "", photographs[0], row, 0) for row in rows(**columns)]
    return section(1, NAMES, *photographs, found)


def test_which_figure_is_the_best(photographs):
    made = told(
        photographs,
        tv=[0.5, 1.2, 0.9, None],
        blockiness=[-0.003, 0.002, -0.001, 0.01],
        ssim=[0.9, 0.9, 0.8, None],
        clipped=[0.0, 0.0, 0.0, 0.0],
        novelty=[1, 2, 3, 4],
        note=["a", "b", "c", "<d>"],
    )
    table = Reader(made.html).table()
    best = {
        name: [method for method, row in table.items() if row[name][0].get("class") == "best"]
        for name in table["m0"]
    }
    assert best["TV"] == ["m2"]
    assert best["blockiness"] == ["m2"]
    assert best["SSIM"] == ["m0", "m1"]
    for name in ("clipped", "novelty", "note"):  # nothing to choose between
        assert not best[name]
    assert table["m3"]["TV"][1] == table["m3"]["SSIM"][1] == "\N{EN DASH}"
    assert table["m3"]["note"][1] == "<d>"
    ranks = [table[f"m{k}"]["TV"][0]["data-rank"] for k in range(4)]
    assert [rank and round(float(rank), 6) for rank in ranks] == [0.5, 0.2, 0.1, ""]


def test_means_of_many_pairs_are_judged_by_their_distance_to_the_best(photographs):
    """.5 and 1.5 are 1 on average, and both bad."""
    pairs = [told(photographs, tv=[0.5, 0.9]), told(photographs, tv=[1.5, 0.9])]
    table = Reader(page([*pairs, failure(NAMES, "gone")])).table()
    assert [table[m]["TV"][1].split()[0] for m in ("m0", "m1")] == ["1.000", "0.900"]
    assert [table[m]["TV"][0].get("class") for m in ("m0", "m1")] == [None, "best"]
    read = Reader(page([*pairs, failure(NAMES, "gone")]))
    assert "2 of 3 pairs" in read.all("caption")[0][1]


def test_every_heading_says_what_it_is_and_what_is_better(one):
    read = Reader(page([one[2]]))
    heads = [attrs for attrs, _ in read.all("th") if attrs["scope"] == "col"]
    assert len(heads) == 1 + len(FIGURES)
    for head in heads[1:]:
        assert re.search("; (lower is better|higher is better|[01] is best|neither .*)$",
                         head["title"])  # fmt: skip
    explained = [text for _, text in read.all("dd")]
    assert explained == [head["title"] for head in heads[1:]]


def test_nothing_but_failures():
    text = page([failure(NAMES, "gone"), failure(NAMES, "gone too")])
    assert "0 of 2 pairs" in text
    Reader(text)


def test_a_score_without_the_rest(photographs):
    """Fewer figures, fewer columns."""
    found = Result("mine", "", photographs[0], score(*photographs, photographs[0]), float("nan"))
    table = Reader(section(1, NAMES, *photographs, [found]).html).table()
    assert list(table["mine"]) == ["method", "SW2", "SSIM", "TV", "seconds"]
    assert table["mine"]["seconds"][1] == "\N{EN DASH}"


# in a browser

HOOK = """<script>
addEventListener("load", () => {
  const said = {}, all = name => document.querySelectorAll(name);
  const range = all(".slider input")[0];
  range.value = 25;
  range.dispatchEvent(new Event("input"));
  said.cut = getComputedStyle(all(".slider .after")[0]).clipPath;
  said.before = getComputedStyle(all(".slider .before")[0]).clipPath;
  all(".pictures label")[1].click();
  said.chosen = all(".slider .after figcaption")[0].textContent;
  said.same = all(".slider .after img")[0].src === all(".pictures label img")[1].src;
  said.other = all(".slider .after figcaption")[1].textContent;
  said.label = range.getAttribute("aria-label");
  const first = () => all("tbody")[1].rows[0].cells[0].textContent;
  const head = [...all("table")[1].tHead.rows[0].cells].find(
    cell => cell.textContent.startsWith("SSIM"));
  for (const name of ["best", "worst"]) {
    head.firstElementChild.click();
    said[name] = [first(), head.getAttribute("aria-sort")].join();
  }
  said.sliders = all(".slider").length;
  said.loaded = [...document.images].every(image => image.complete && image.naturalWidth > 0);
  said.overflow = document.documentElement.scrollWidth - innerWidth;
  said.width = innerWidth;
  parent.postMessage(JSON.stringify(said), "*");
});
</script></body>"""
# a frame can be narrower than a window
FRAME = """<!doctype html><iframe src="index.html" style="width: {}px; height: 900px; border: 0">
</iframe><pre></pre><script>
onmessage = event => document.querySelector("pre").append(event.data);
</script>"""


def in_chromium(path, tmp_path) -> subprocess.CompletedProcess:
    """What a page is after its scripts ran, on stdout; the console, on stderr."""
    return subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0"),
            *("--window-size=1700,1000", "--virtual-time-budget=5000", "--dump-dom"),
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")
@pytest.mark.parametrize("width", [400, 1600])
def test_in_a_browser(one, photographs, tmp_path, width):
    _, found, made = one
    text = page([made, section(2, NAMES, *photographs, found)])
    (tmp_path / "index.html").write_text(text.replace("</body>", HOOK), encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width))
    done = in_chromium(tmp_path / "frame.html", tmp_path)
    assert done.returncode == 0
    assert "CONSOLE" not in done.stderr, done.stderr
    said = json.loads(re.search(r"<pre>(.*)</pre>", done.stdout)[1])
    assert said["width"] == width
    assert said["overflow"] <= 0
    assert said["sliders"] == 2
    assert said["loaded"]
    assert (said["cut"], said["before"]) == ("inset(0px 0px 0px 25%)", "inset(0px 75% 0px 0px)")
    assert (said["chosen"], said["other"]) == ("second", "first")
    assert said["same"]
    assert said["label"].endswith("second")
    assert said["best"] == f"{UNTOUCHED} srgb,descending"
    ssim = {result.method: result.score.ssim for result in found}
    assert said["worst"] == f"{min(ssim, key=ssim.get)} srgb,ascending"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")
def test_a_browser_refuses_to_load_anything_else(one, tmp_path):
    """Which also shows that a console with something to say is heard."""
    text = page([one[2]]).replace("</main>", '<img src="other.png"></main>')
    Image.new("RGB", (9, 9)).save(tmp_path / "other.png")
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    done = in_chromium(tmp_path / "index.html", tmp_path)
    assert "violates the following Content Security Policy" in done.stderr
