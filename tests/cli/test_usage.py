"""Bad usage: exit 2 with one line. Help: exit 0, and no wait for jax."""

import subprocess
import sys

import pytest

from jaxcolor.cli.main import COMMANDS
from jaxcolor.recipes.styles import DEFAULT_LOOK

A, B, OUT = "a.png", "b.png", ("-o", "out.png")

WRONG = {
    "no command": ((), "required: COMMAND"),
    "misspelt command": (("tranfser", A, B), "did you mean 'transfer'"),
    "a command like none": (("xyzzy",), "one of transfer, harmonize, compare, lut, demo"),
    "unknown option": (("transfer", A, B, *OUT, "--sharpen"), "--sharpen"),
    "no output": (("transfer", A, B), "-o/--out"),
    "no reference": (("transfer", A, *OUT), "REFERENCE is missing (only --equalize goes without)"),
    "misspelt method": (("transfer", A, B, *OUT, "--method", "slicd"), "did you mean 'sliced'"),
    "misspelt space": (("transfer", A, B, *OUT, "--space", "oklb"), "did you mean 'oklab'"),
    "a space for reinhard": (
        ("transfer", A, B, *OUT, "--method", "reinhard", "--space", "lab"),
        "reinhard works in its own space",
    ),
    "strength 2": (("transfer", A, B, *OUT, "--strength", "2"), "a number within 0..1, got '2'"),
    "strength -1": (("transfer", A, B, *OUT, "--strength", "-1"), "--strength"),
    "strength nan": (("transfer", A, B, *OUT, "--strength", "nan"), "within 0..1, got 'nan'"),
    "strength x": (("transfer", A, B, *OUT, "--strength", "x"), "within 0..1, got 'x'"),
    "bases 0": (("transfer", A, B, *OUT, "--bases", "0"), "a whole number within 1..1000, got '0'"),
    "bases 1.5": (("transfer", A, B, *OUT, "--bases", "1.5"), "whole number within 1..1000"),
    "lut size 1": (("transfer", A, B, *OUT, "--lut-size", "1"), "within 2..129, got '1'"),
    "lut size 130": (("transfer", A, B, *OUT, "--lut-size", "130"), "within 2..129, got '130'"),
    "a seed beyond all": (("transfer", A, B, *OUT, "--seed", str(2**70)), "--seed"),
    "a seed that is no number": (("transfer", A, B, *OUT, "--seed", "x"), "got 'x'"),
    "equalize with a reference": (
        ("transfer", A, B, *OUT, "--equalize"),
        "--equalize takes no REFERENCE",
    ),
    "equalize in srgb": (
        ("transfer", A, *OUT, "--equalize", "--space", "srgb"),
        "needs a space with lightness: lab, oklab",
    ),
    "equalize by a method": (
        ("transfer", A, *OUT, "--equalize", "--method", "gaussian"),
        "leave --method and --look out",
    ),
    "equalize both": (
        ("transfer", A, *OUT, "--equalize", "--both", "c.png"),
        "goes without --both",
    ),
    "equalize with a reference mask": (
        ("transfer", A, *OUT, "--equalize", "--reference-mask", "c.png"),
        "goes without --both and --reference-mask",
    ),
    "a misspelt marginal": (("transfer", A, B, *OUT, "--marginal", "k1"), "did you mean 'kl'"),
    "kl without reach": (("transfer", A, B, *OUT, "--marginal", "kl"), "'kl' needs reach"),
    "reach without kl": (("transfer", A, B, *OUT, "--reach", "0.1"), "'balanced' takes no reach"),
    "range without bounds": (("transfer", A, B, *OUT, "--marginal", "range"), "needs limits"),
    "range upside down": (
        ("transfer", A, B, *OUT, "--marginal", "range", "--range", "2", "3"),
        "low <= 1 <= high",
    ),
    "tv for newton": (
        ("transfer", A, B, *OUT, "--method", "newton", "--marginal", "tv", "--reach", "0.1"),
        "needs method 'sinkhorn'",
    ),
    "marginal for sliced": (
        ("transfer", A, B, *OUT, "--method", "sliced", "--marginal", "kl", "--reach", "0.1"),
        "sliced knows no marginal, reach or limits",
    ),
    "a look and a method": (
        ("transfer", A, B, *OUT, "--look", "natural", "--method", "exact"),
        "a look has its own method",
    ),
    "a misspelt look": (("transfer", A, B, *OUT, "--look", "natrual"), "did you mean 'natural'"),
    "rounds of nothing": (
        ("transfer", A, B, *OUT, "--method", "exact", "--rounds", "2"),
        "without smoothing there is nothing to match again",
    ),
    "blur for exact": (
        ("transfer", A, B, *OUT, "--method", "exact", "--blur", "0.1"),
        "exact has no blur",
    ),
    "no blur at all": (("transfer", A, B, *OUT, "--blur", "0"), "a number within"),
    "equalize with a reach": (
        ("transfer", A, *OUT, "--equalize", "--reach", "0.1"),
        "--equalize takes no --marginal",
    ),
    "counts for newton": (
        ("transfer", A, B, *OUT, "--method", "newton", "--counts"),
        "newton knows no counts",
    ),
    "mixed without reach": (
        ("transfer", A, B, *OUT, "--method", "grid", "--marginal", "mixed"),
        "'mixed' needs reach",
    ),
    "compare without reach": (("compare", A, B, *OUT, "--marginal", "tv"), "'tv' needs reach"),
    "one name for two": (("transfer", A, B, *OUT, "--both", "out.png"), "the same name"),
    "one file for two": (("transfer", A, B, *OUT, "--both", "./x/../out.png"), "the same name"),
    "lut without action": (("lut",), "required: ACTION"),
    "misspelt action": (("lut", "aply", A, "a.cube", *OUT), "'aply'"),
    "lut without table": (("lut", "apply", A, *OUT), "LUT"),
    "misspelt interpolation": (
        ("lut", "apply", A, "a.cube", *OUT, "--interpolation", "trilinaer"),
        "did you mean 'trilinear'",
    ),
    "compare with one": (("compare", A, *OUT), "REFERENCE"),
    "demo with a picture": (("demo", A), A),
}


@pytest.mark.parametrize(("argv", "message"), WRONG.values(), ids=WRONG)
def test_wrong(cli, argv, message):
    answer = cli(*argv)
    assert answer.code == 2
    assert message in answer.line
    assert "--help)" in answer.line


@pytest.mark.parametrize("argv", [(), *((name,) for name in COMMANDS), ("lut", "apply")])
def test_help(cli, argv):
    answer = cli(*argv, "--help")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.out.startswith(" ".join(("usage: jaxcolor", *argv)))
    assert max(map(len, answer.out.splitlines())) <= 100
    for name in () if argv else COMMANDS:
        assert name in answer.out


def test_help_names_what_there_is(cli):
    text = " ".join(cli("transfer", "--help").out.split())
    for word in ("histogram", "reinhard", "gaussian", "sliced", "oklab", "lalphabeta"):
        assert word in text
    assert f"(default: {DEFAULT_LOOK})" in text


def test_the_package_its_help_and_usage_errors_do_not_load_jax():
    """A process of its own, for here jax is loaded already."""
    program = """
import sys
from jaxcolor.cli.main import COMMANDS, main
for argv in [[], *([name] for name in COMMANDS), ["lut", "apply"], ["transfer", "--method", "x"]]:
    try:
        main(argv if "x" in argv else [*argv, "--help"])
    except SystemExit as end:
        assert end.code == (2 if "x" in argv else 0), argv
slow = {"jax", "jaxlib", "numpy", "PIL", "OpenImageIO", "skimage"} & set(sys.modules)
assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
