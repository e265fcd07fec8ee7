"""A page for a browser: pairs, the pictures of every method, their figures; one file, offline."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template

import numpy as np
from PIL import Image

import jaxcolor
from jaxcolor.recipes.compare import Result
from jaxcolor.recipes.figures import (
    DIRECTIONS,
    FIGURES,
    UNTOUCHED,
    Figure,
    figure,
    means,
    ranks,
)
from jaxcolor.recipes.sheet import picked
from jaxcolor.recipes.styles import DEFAULT_LOOK

SIDE, TINY = 1200, 256  # pixels: the longest side of a picture; up to which it is a PNG
ROOMY = 8  # pairs that a page holds at full size


@dataclass(frozen=True)
class Section:
    """A pair on the page.

    Attributes:
        title: what it shows, plain text.
        html: its pictures and its table.
        rows: the figures of each result.
        failure: why there are none, or ''.
    """

    title: str
    html: str
    rows: list[dict]
    failure: str = ""


def side(pairs: int) -> int:
    """Longest side in pixels of the pictures on a page of so many pairs.

    1,200, and from 9 pairs on less, so that a browser can hold the page.

    Example:
        >>> side(1), side(8), side(32), side(1000)
        (1200, 1200, 600, 480)
    """
    return max(480, min(SIDE, int(SIDE * (ROOMY / pairs) ** 0.5)))


def section(
    number: int,
    names: tuple[str, str],
    source: np.ndarray,
    reference: np.ndarray,
    results: Sequence[Result],
    *,
    profile: bytes | None = None,
    longest: int = SIDE,
) -> Section:
    """A pair with its results, in HTML that holds the pictures.

    Args:
        number: of the pair on its page, from 1.
        names: of source and reference.
        source, reference: as `fit`; alpha is not shown.
        results: of `compare`; one of method 'untouched' gives the source's own figures.
        profile: ICC, of all the pictures.
        longest: side in pixels, to which greater pictures are reduced.

    Example:
        >>> picture = np.zeros((20, 30, 3), np.uint8)
        >>> section(1, ("a.png", "b.png"), picture, picture, []).title
        'a.png in the colours of b.png'
    """

    def shown(pixels: np.ndarray, alt: str) -> str:
        return _picture(pixels, alt, profile, longest)

    title = _title(names)
    rows = [one.as_dict() for one in results]
    own = next((row for row in rows if row["method"] == UNTOUCHED), {})
    cells = [
        _cell("source", shown(source, f"{names[0]}, the source"), own),
        _cell("reference", shown(reference, f"{names[1]}, the reference"), {}),
    ]
    given = [one for one in results if one.method != UNTOUCHED]
    methods = [one.method for one in given]
    first = methods.index(DEFAULT_LOOK) if DEFAULT_LOOK in methods else 0
    for k, one in enumerate(given):
        checked = " checked" if k == first else ""
        choice = f'<input type="radio" name="pair-{number}"{checked}>'
        picture = shown(one.pixels, f"{title}, by {one.method}")
        cells.append(_cell(one.method, picture, one.as_dict(), choice))
    height, width = source.shape[:2]
    reduced = min(1, longest / max(height, width)) * width
    return Section(
        title,
        f'<div class="pictures" style="--ratio: {width / height:.4f}; --width: {reduced:.0f}px">\n'
        '<fieldset class="sheet"><legend class="unseen">Choose the picture to compare</legend>\n'
        + "\n".join(cells)
        + f"\n</fieldset>\n</div>\n{_table(rows, [ranks(row) for row in rows], title)}",
        rows,
    )


def failure(names: tuple[str, str], message: str) -> Section:
    """A pair that could not be compared, and why.

    Example:
        >>> failure(("a.png", "b.png"), "is <empty>").html
        '<p class="failed">Failed: is &lt;empty&gt;</p>'
    """
    html = f'<p class="failed">Failed: {escape(message)}</p>'
    return Section(_title(names), html, [], message)


def page(sections: Sequence[Section]) -> str:
    """The whole page: one HTML file that needs nothing else, and lets nothing else be loaded.

    With more than one pair, a table of means and links to each come first.

    Example:
        >>> text = page([failure(("a.png", "b.png"), "gone")])
        >>> "a.png in the colours of b.png" in text, "http://" in text
        (True, False)
    """
    many = len(sections) > 1
    heading = escape(f"{len(sections)} pairs compared" if many else sections[0].title)
    parts = [
        f'<section id="pair-{number}">\n'
        + (f'<h2>{number}. {escape(one.title)} <a href="#all">all pairs</a></h2>\n' if many else "")
        + f"{one.html}\n</section>"
        for number, one in enumerate(sections, 1)
    ]
    names = {name for one in sections for row in one.rows for name in row}
    template = resources.files("jaxcolor.recipes").joinpath("page.html").read_text("utf-8")
    return Template(template).substitute(
        title=heading,
        summary=_summary(sections) if many else "",
        sections="\n".join(parts),
        measures="\n".join(
            f"<dt>{one.heading}</dt><dd>{escape(_explained(one))}</dd>"
            for name, one in FIGURES.items()
            if name in names
        ),
        note="Figures are those of the pictures themselves; this page shows reduced copies. Made "
        f"by jaxcolor {jaxcolor.__version__}.",
    )


def _title(names: tuple[str, str]) -> str:
    return f"{names[0]} in the colours of {names[1]}"


def _summary(sections: Sequence[Section]) -> str:
    links = "\n".join(
        f'<li><a href="#pair-{number}">{escape(one.title)}</a>'
        + (' <span class="failed">failed</span>' if one.failure else "")
        + "</li>"
        for number, one in enumerate(sections, 1)
    )
    rows = [row for one in sections for row in one.rows]
    methods = [row["method"] for row in rows]
    # the mean of how far each is from 1, which is not how far the mean is
    far = means([ranks(row) for row in rows], methods)
    count = sum(not one.failure for one in sections)
    caption = (
        f"Means over {count} of {len(sections)} pairs; where 0 or 1 is best, judged by the mean "
        "distance from it"
    )
    table = _table(means(rows, methods), far, caption)
    nav = f'<nav aria-label="Pairs">\n<ol>\n{links}\n</ol>\n</nav>'
    return f'<h2 id="all">All pairs</h2>\n{table}\n{nav}'


def _picture(pixels: np.ndarray, alt: str, profile: bytes | None, longest: int) -> str:
    picture, file = picked(pixels, longest), io.BytesIO()
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    if max(picture.size) <= TINY:
        kind, options = "PNG", {}
    else:
        kind, options = "JPEG", {"quality": 88, "subsampling": 0, "optimize": True}
    picture.save(file, kind, icc_profile=profile, **options)
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<img width="{picture.width}" height="{picture.height}" alt="{escape(alt)}" '
        f'decoding="async" src="data:image/{kind.lower()};base64,{data}">'
    )


def _cell(title: str, picture: str, row: dict, choice: str = "") -> str:
    told = " &middot; ".join(
        f"{FIGURES[name].heading}&nbsp;{FIGURES[name].show(row[name])}"
        for name in ("sw2", "ssim")
        if name in row
    )
    tag, kind = ("label", "cell") if choice else ("div", f"cell {title}")
    return (
        f'<{tag} class="{kind}">{choice}{picture}'
        f"<span><b>{escape(title)}</b> <small>{told}</small></span></{tag}>"
    )


def _table(rows: Sequence[dict], far: Sequence[dict], caption: str) -> str:
    """Figures, with the best of each column marked where they differ; `far` are their ranks."""
    found = dict.fromkeys(name for row in rows for name in row if name not in ("method", "space"))
    names = sorted(found, key=lambda name: [*FIGURES, name].index(name))
    best = {}
    for name in names:
        known = {
            round(rank[name], figure(name).digits)
            for row, rank in zip(rows, far, strict=True)
            if row["method"] != UNTOUCHED and rank.get(name) is not None
        }
        best[name] = min(known) if figure(name).better and len(known) > 1 else None
    heads = [_head(Figure("method")), *(_head(figure(name)) for name in names)]
    body = [_row(k, row, rank, best) for k, (row, rank) in enumerate(zip(rows, far, strict=True))]
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">\n<table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead>\n<tr>{''.join(heads)}</tr>\n</thead>\n"
        "<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table>\n</div>"
    )


def _explained(one: Figure) -> str:
    return f"{one.says}; {DIRECTIONS[one.better][1]}"


def _head(one: Figure) -> str:
    hint = f' title="{escape(_explained(one))}"' if one.says else ""
    return (
        f'<th scope="col" data-better="{one.better}"{hint}><button type="button">'
        f"{escape(one.heading)}<small>{DIRECTIONS[one.better][0] or '&nbsp;'}</small></button></th>"
    )


def _row(k: int, row: dict, rank: dict, best: dict) -> str:
    """A method; `best` are the ranks to mark, by name."""
    untouched = row["method"] == UNTOUCHED
    space = f" <small>{escape(row['space'])}</small>" if row.get("space") else ""
    cells = [f'<th scope="row" data-rank="{k}">{escape(row["method"])}{space}</th>']
    for name in best:
        one, place = figure(name), rank.get(name)
        mark = not untouched and place is not None and round(place, one.digits) == best[name]
        kind = ' class="best"' if mark else ""
        told = '<span class="unseen"> best</span>' if mark else ""
        order = "" if place is None else f"{place:.9g}"
        shown = escape(one.show(row.get(name)))
        cells.append(f'<td data-rank="{order}"{kind}>{shown}{told}</td>')
    kind = ' class="untouched"' if untouched else ""
    return f"<tr{kind}>{''.join(cells)}</tr>"
