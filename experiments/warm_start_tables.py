"""The tables of the study of warm starts, and its first line, all computed from the record."""

from collections.abc import Callable, Iterable

RULES = ("L1 1e-1", "1e-2", "1e-3", "1e-4")
MEASURES: dict[str, tuple[str, Callable[[dict], float]]] = {
    "sweeps to the study's rule": ("starts", lambda row: row["rule"][2]),
    "sweeps to L1 1e-1": ("starts", lambda row: row["errors"][0][2]),
    "sweeps to L1 1e-2": ("starts", lambda row: row["errors"][1][2]),
    "sweeps to L1 1e-4": ("starts", lambda row: row["errors"][3][2]),
    "sweeps to L1 1e-6 in float64": ("starts", lambda row: row["double"][2]),
    "Newton's mean passes to L1 1e-4": ("newton", lambda row: row["single"]["mean passes"]),
    "Newton's mean passes to L1 1e-6 in float64": (
        "newton",
        lambda row: row["double"]["mean passes"],
    ),
}  # medians where not said otherwise


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def five(values: list[float]) -> str:
    """A five-number summary."""
    return " ".join(f"{value:.0f}" for value in values)


def verdict(record: dict) -> str:
    """Which starts that nobody trained do better than every learned one, measure by measure."""
    lost, won = [], []
    for measure, rows, value in _measured(record):
        plain, learned = (
            {n: value(row) for n, row in rows.items() if row["learned"] is kind}
            for kind in (False, True)
        )
        if not plain or not learned:
            continue
        (one, best), (other, rival) = (min(d.items(), key=_value) for d in (plain, learned))
        text = f"{measure} ({one} {best:.3g}, {other} {rival:.3g})"
        (lost if best < rival else won).append(text)
    lines = []
    if lost:
        lines.append("**A start that is not learned wins on** " + "; ".join(lost) + ".")
    if won:
        lines.append("A learned one is best, or as good, on " + "; ".join(won) + ".")
    return "\n".join(lines) or "Nothing to compare yet."


def _measured(record: dict):
    for measure, (part, value) in MEASURES.items():
        if part in record:
            yield measure, record[part]["rows"], value
    for kind in ("batched", "alone"):
        times = record.get("newton", {}).get("times", {}).get(kind)
        if times:
            yield f"milliseconds a pair to L1 1e-4, {kind}", times, _milliseconds


def _milliseconds(row: dict) -> float:
    return row["milliseconds"][0]


def _value(item: tuple[str, float]) -> float:
    return item[1]


def reproduction(part: dict) -> str:
    head = "", "counts", "min, quartiles, max", "mean", "at the cap"
    rows = [
        (name, kind, five(row["summary"]), f"{row['mean']:.0f}", str(row["capped"]))
        for name, kinds in part["rows"].items()
        for kind, row in kinds.items()
    ]
    ratio = part["median to published"]
    return markdown(head, rows) + f"\n\nmedian of the cold maxima: {ratio:.3f} times the published"


def starts(part: dict) -> str:
    head = ["start, iteration", "study's rule", "the same, maxima over 8", *RULES, "1e-6, float64",
            "never"]  # fmt: skip
    rows = [
        (name, five(row["rule"]), five(row["maxima"]), *(five(e) for e in row["errors"]),
         five(row["double"]), str(row["capped"]))
        for name, row in part["rows"].items()
    ]  # fmt: skip
    return markdown(head, rows)


def newton(part: dict) -> str:
    head = ("start", "annealed from", "steps to 1e-4", "passes", "steps to 1e-6, float64", "passes",
            "failures")  # fmt: skip
    rows = []
    for name, row in part["rows"].items():
        one, two = row["single"], row["double"]
        cells = [five(info[key]) for info in (one, two) for key in ("steps", "passes")]
        level = f"{row['level']:g}" if row["level"] else "the span / 16"
        rows.append((name, level, *cells, f"{one['failures']}, {two['failures']}"))
    tables = [markdown(head, rows)]
    for kind, times in part.get("times", {}).items():
        rows = [
            (name, f"{t['ratio']:.2f}", "{:.3f} ({:.3f}-{:.3f})".format(*t["milliseconds"]))
            for name, t in times.items()
        ]
        tables.append(markdown((kind, "times cold", "ms a pair, median (quartiles)"), rows))
    return "\n\n".join(tables)


def sweep(part: dict) -> str:
    head = (
        "",
        "cold: steps, mean passes",
        "ours: steps, mean passes",
        "passes, ours / cold",
        "seconds, cold / ours",
    )
    rows = []
    for name, row in part.items():
        cells = [
            f"{five(info['steps'])}, {info['mean passes']:.1f}"
            + (f", {info['failures']} failed" if info["failures"] else "")
            for info in (row["cold"], row["ours"])
        ]
        fewer = row["ours"]["mean passes"] / row["cold"]["mean passes"]
        gain = f"{row['gain']:.2f}" if "gain" in row else ""
        rows.append((name, *cells, f"{fewer:.2f}", gain))
    return markdown(head, rows)


def failures(part: dict) -> str:
    head = "", "pairs", "not OK", "steps: 1, 5, 25, 50, 75, 95, 99, 100 %"
    return markdown(
        head,
        [
            (n, str(r["count"]), str(r["failures"]), " ".join(f"{q:.0f}" for q in r["steps"]))
            for n, r in part.items()
        ],
    )
