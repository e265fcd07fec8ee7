"""What the controls say, and the command that says the same."""

import itertools
import shlex

import pytest

from jaxcolor.cli.main import build_parser
from jaxcolor.cli.matching import matching
from jaxcolor.image import SMOOTHINGS
from jaxcolor.recipes import METHODS
from jaxcolor.recipes.styles import LOOKS
from jaxcolor.studio.settings import Settings, command, plain_name, result_name, settings

EVERY = [
    *(dict(look=look, smooth=how) for look, how in itertools.product(LOOKS, ("", *SMOOTHINGS))),
    *(dict(method=one, smooth=how) for one, how in itertools.product(METHODS, ("", *SMOOTHINGS))),
]


def test_every_choice_is_a_command():
    for chosen in EVERY:
        asked = settings(chosen | {"strength": 0.25})
        words = shlex.split(command("a b.jpg", ["-c.png", "d.json"], asked))
        assert words[0] == "jaxcolor"
        args = build_parser().parse_args(words[1:])
        assert (args.source, args.references) == ("a b.jpg", ["./-c.png", "d.json"])
        assert args.strength == 0.25
        assert matching(args) == asked.style
        finish = asked.style.finish
        if chosen["smooth"]:
            assert finish.smooth == chosen["smooth"]


def test_only_the_fit_hangs_on_the_rest():
    assert Settings(strength=0.3).fit == Settings(strength=0.7).fit
    assert len({settings(one).fit for one in EVERY}) == len(EVERY)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"look": "natrual"}, "did you mean 'natural'"),
        ({"method": "slicd"}, "did you mean 'sliced'"),
        ({"smooth": ["guided"]}, "smoothing"),
        ({"strength": 1.01}, "within 0..1"),
        ({"strength": float("nan")}, "within 0..1"),
        ({"strength": "1"}, "must be a number"),
        ({"strength": True}, "must be a number"),
    ],
)
def test_nothing_else_is_taken(given, message):
    with pytest.raises(ValueError, match=message):
        settings(given)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\dir\\a.jpg", "a.jpg"),
        ("a\r\nset-cookie: x.jpg", "a set-cookie x.jpg"),
        ("x" * 300 + ".tiff", "x" * 85 + ".tiff"),
        ("\u6f22" * 60 + ".jpg", "\u6f22" * 28 + ".jpg"),
        ("..", "picture"),
        ("caf\u00e9.jpg", "caf\u00e9.jpg"),
    ],
)
def test_names_are_no_paths(given, name):
    assert plain_name(given) == name


def test_results_are_named_as_batch_names_them():
    assert result_name("a.TIF", ["b.jpg"]) == "a_as_b.TIF"
    assert result_name("a.bmp", ["b.jpg"]) == "a_as_b.png"
    assert result_name("a.jpg", ["b.jpg"], ".cube") == "a_as_b.cube"


@pytest.mark.parametrize("letter", ["b", "\u00e9", "\u6f22", "\U0001f305", "\udcff"])
def test_a_result_has_a_name_that_file_systems_take(letter):
    """They count bytes; and what cuts a name cuts no character."""
    for count, others in itertools.product((60, 250), (1, 8)):
        names = [letter * count + ".tiff", *[letter * count + ".jpg"] * others]
        name = result_name(names[0], names[1:])
        assert 180 < len(name.encode(errors="surrogatepass")) < 200 or letter == "b"
        assert set(name) <= set(letter + "_as.tiff")
        assert name.startswith(letter * 20)
        assert f"{letter}_as_{letter}" in name
        assert name in shlex.split(command(names[0], names[1:], Settings()))
    assert len(result_name("a.jpg", ["b" * 90 + ".jpg"] * 8)) < 200
