"""The text of .cube files: what is written, what is read, what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcolor.image import cube, lut
from jaxcolor.image.bake import bake

RNG = np.random.default_rng(0)
UNIT = jnp.asarray(cube.UNIT)
RAMP = "0 0 0\n1 1 1\n"
CORNERS = "\n".join(f"{r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1)) + "\n"


def read(tmp_path, text):
    (tmp_path / "x.cube").write_bytes(text if isinstance(text, bytes) else text.encode())
    return lut.load(tmp_path / "x.cube")


def random_curves(size=7, domain=UNIT):
    return lut.Curves(jnp.asarray(RNG.uniform(-1, 2, (size, 3)), jnp.float32), jnp.asarray(domain))


def random_lut(size=4, domain=UNIT):
    table = RNG.uniform(-1, 2, (size, size, size, 3))
    return lut.Lut(jnp.asarray(table, jnp.float32), jnp.asarray(domain))


WIDE = np.array([[-0.5, -0.5, -0.5], [4, 4, 4]], np.float32)
UNEVEN = np.array([[-0.5, 0, 0.1], [1, 2, 1.5]], np.float32)


@pytest.mark.parametrize(
    "table",
    [
        random_curves(),
        random_curves(domain=UNEVEN),
        random_lut(domain=UNEVEN),
        lut.Shaped(random_curves(), random_lut()),
        lut.Shaped(random_curves(domain=WIDE), random_lut(domain=WIDE * 2)),
    ],
)
def test_round_trip(tmp_path, table):
    table.save(tmp_path / "x.cube")
    again = lut.load(tmp_path / "x.cube")
    assert type(again) is type(table)
    np.testing.assert_array_equal(again.domain, table.domain)
    x = jnp.asarray(RNG.uniform(-1, 5, (500, 3)), jnp.float32)
    np.testing.assert_allclose(again(x), table(x), atol=2e-6)


def test_curves_agree_with_numpy():
    one = random_curves(9, UNEVEN)
    x = RNG.uniform(-1, 3, (300, 3)).astype(np.float32)
    expected = [
        np.interp(x[:, c], np.linspace(*UNEVEN[:, c], 9), one.table[:, c]) for c in range(3)
    ]
    np.testing.assert_allclose(one(jnp.asarray(x)), np.stack(expected, 1), atol=1e-5)


@pytest.mark.parametrize("double", [False, True])
def test_maps_take_the_colours_dtype(double, request):
    if double:
        request.getfixturevalue("x64")
    x = jnp.zeros((2, 3), jnp.float64 if double else jnp.float32)
    for table in (random_curves(), random_lut(), lut.Shaped(random_curves(), random_lut())):
        assert table(x).dtype == x.dtype


def test_the_1d_table_acts_first(tmp_path):
    negative = "1 1 1\n0 0 0\n"
    dark = CORNERS.replace("1", "0.5")
    both = read(tmp_path, f"LUT_1D_SIZE 2\nLUT_3D_SIZE 2\n{negative}{dark}")
    # half of what is left to white, not what is left of half
    np.testing.assert_allclose(both(jnp.full((1, 3), 0.2)), 0.4, atol=1e-6)


def test_as_davinci_resolve_writes_it(tmp_path):
    text = (
        "TITLE look # 1\nLUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE -1.0 3.0\n"
        "LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0.0 2.0\n\n0 0 0\n1 1 1\n2 2 2\n" + CORNERS
    )
    both = read(tmp_path, text)
    np.testing.assert_array_equal(both.domain, [[-1] * 3, [3] * 3])
    # -1..3 to 0..2, and that to 0..1
    x = jnp.array([[-1.0, 1.0, 3.0], [0.0, 9.0, -9.0]])
    np.testing.assert_allclose(both(x), [[0, 0.5, 1], [0.25, 1, 0]], atol=1e-6)
    both.save(tmp_path / "y.cube")
    lines = (tmp_path / "y.cube").read_text().splitlines()
    assert "the 1-D table acts first" in lines[0]
    assert "in the range below" in lines[0]
    assert lines[2:6] == [
        *("LUT_1D_SIZE 3", "LUT_3D_SIZE 2", "LUT_1D_INPUT_RANGE -1 3", "LUT_3D_INPUT_RANGE 0 2")
    ]


def test_red_runs_fastest(tmp_path):
    bake(lambda colors: colors, 2).save(tmp_path / "x.cube")
    rows = [line for line in (tmp_path / "x.cube").read_text().splitlines() if line[0] in "01-"]
    assert [row.split()[0][0] for row in rows[:4]] == ["0", "1", "0", "1"]
    assert [row.split()[2][0] for row in rows] == list("00001111")


@pytest.mark.parametrize("kind", ["1D", "3D"])
def test_ranges_of_one_table(tmp_path, kind):
    rows = RAMP if kind == "1D" else CORNERS
    head = f"LUT_{kind}_SIZE 2\n"
    for limits in ("DOMAIN_MIN -1 -1 -1\nDOMAIN_MAX 3 3 3\n", f"LUT_{kind}_INPUT_RANGE -1 3\n"):
        table = read(tmp_path, head + limits + rows)
        np.testing.assert_allclose(table(jnp.array([[-2.0, 1.0, 2.0]])), [[0, 0.5, 0.75]])
    both = head + f"LUT_{kind}_INPUT_RANGE 0 1\nDOMAIN_MAX 2 2 4\n" + rows
    np.testing.assert_array_equal(read(tmp_path, both).domain, [[0, 0, 0], [2, 2, 4]])


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfLUT_1D_SIZE 2\r\n0 0 0\r\n1 1 1\r\n",
        b'# caf\xe9\nTITLE "caf\xe9"\nLUT_1D_SIZE 2\n0 0 0\n1 1 1',
        b"#Created by: x\n\n  LUT_1D_SIZE 2  # two\n\tMAKER some 1 2 3\n0\t0 0\n+1e0 1. 1 # end",
        b"0 0 0\n1 1 1\nLUT_1D_SIZE 2\n",
    ],
    ids=["BOM and CRLF", "code page", "comments and keywords", "rows first"],
)
def test_what_other_programs_write(tmp_path, text):
    table = read(tmp_path, text)
    assert isinstance(table, lut.Curves)
    np.testing.assert_array_equal(table.table, [[0] * 3, [1] * 3])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("LUT_1D_SIZE 3\n" + RAMP, "1-D .cube file .LUT_1D_SIZE 3, 2 rows"),
        ("LUT_1D_SIZE 2\nLUT_3D_SIZE 2\n" + CORNERS, "LUT_1D_SIZE 2, LUT_3D_SIZE 2, 8 rows"),
        ("LUT_1D_SIZE 1\n0 0 0", "line 1: expected a size within 2..65536"),
        ("LUT_1D_SIZE 65537\n0 0 0", "line 1: expected a size"),
        ("LUT_3D_SIZE 257\n0 0 0", "line 1: expected a size within 2..256"),
        ("LUT_1D_SIZE -2\n" + RAMP, "line 1: expected a size"),
        ("LUT_1D_SIZE 2\nLUT_1D_INPUT_RANGE 0\n" + RAMP, "line 2: expected two finite numbers"),
        ("LUT_1D_SIZE 2\nLUT_1D_INPUT_RANGE 0 inf\n" + RAMP, "line 2: expected two finite"),
        ("LUT_1D_SIZE 2\nLUT_1D_INPUT_RANGE 1 0\n" + RAMP, "must exceed"),
        ("", "not a 3-D .cube file"),
        (RAMP, "LUT_3D_SIZE missing, 2 rows"),
        ("LUT_1D_SIZE x\n" + RAMP, "line 1: "),
        ("LUT_1D_SIZE\n" + RAMP, "line 1: "),
        ("LUT_3D_SIZE 2\n0 0 0", "LUT_3D_SIZE 2, 1 rows"),
        ("LUT_3D_SIZE 2\nDOMAIN_MIN 1 1 1\n" + CORNERS, "DOMAIN_MAX must exceed"),
        ("LUT_1D_SIZE 2\n0 0\n1 1\n", "line 2: expected three finite numbers"),
        ("LUT_1D_SIZE 2\n0 0 nan\n1 1 1\n", "line 2: expected three finite numbers"),
        ("LUT_1D_SIZE 2\nnan 0 0\n1 1 1\n", "line 2: expected three finite numbers"),
        ("LUT_1D_SIZE 2\nDOMAIN_MAX 1 1\n" + RAMP, "line 2: expected three finite numbers"),
        ("LUT_1D_SIZE 2\n0 0 0\ninf 1 1\n", "line 3: expected three finite numbers"),
        (b"L\0U\0T\0", "not text"),
    ],
)
def test_broken_files_are_named(tmp_path, text, says):
    with pytest.raises(ValueError, match=says) as caught:
        read(tmp_path, text)
    assert "x.cube" in str(caught.value)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("cube") / "x.cube"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="cube"):
        lut.load(path)


@pytest.mark.parametrize(
    "title",
    ['a "b" c', "two\nlines", "LUT_3D_SIZE 4\u2028LUT_3D_SIZE 4", "half \udc80", "caf\xe9"],
)
def test_no_title_breaks_the_file(tmp_path, title):
    bake(lambda colors: colors, 2).save(tmp_path / "x.cube", title=title)
    line = (tmp_path / "x.cube").read_text(encoding="utf-8").splitlines()[1]
    assert line.startswith('TITLE "')
    assert line.endswith('"')
    assert line.count('"') == 2
    assert lut.load(tmp_path / "x.cube").size == 2
    assert title != "caf\xe9" or title in line


def test_the_header_says_what_the_numbers_are(tmp_path):
    for domain, says in ((UNIT, "as in the picture, 0..1"), (UNEVEN, "input in the range below")):
        random_curves(domain=domain).save(tmp_path / "x.cube")
        first = (tmp_path / "x.cube").read_text().splitlines()[0]
        assert first.startswith("# made by jaxcolor; input and output are encoded (gamma) RGB")
        assert first.endswith(says)


def test_what_no_reader_takes_is_not_written(tmp_path):
    bad = lut.Curves(jnp.full((2, 3), jnp.inf), UNIT)
    worse = lut.Lut(jnp.full((2, 2, 2, 3), jnp.nan), UNIT)
    uneven = lut.Shaped(random_curves(domain=UNEVEN), random_lut())
    for table, says in ((bad, "infinite"), (worse, "NaN"), (uneven, "one range for all channels")):
        with pytest.raises(ValueError, match=says) as caught:
            table.save(tmp_path / "x.cube")
        assert "x.cube" in str(caught.value)
    assert not list(tmp_path.iterdir())
