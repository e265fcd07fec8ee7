"""Labels carried between drawings: the draw, the labels, GeomLoss's own."""

import jax
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.spatial import KDTree
from scipy.stats import spearmanr

from jaxcolor.measure import point_cloud
from jaxcolor.recipes import LABELS
from jaxcolor.recipes.labels import carry, classes, couple, draw, plot, read
from jaxcolor.transport.coupling import average
from jaxcolor.transport.solvers import solve

KEY = jax.random.key(0)
BLUR, REACH = 0.05, 0.2
INKS = {"red": (14, 20, 40, 70), "lime": (55, 4, 95, 35), "blue": (30, 72, 60, 96)}


def drawing(inks: dict[str, tuple[int, int, int, int]]) -> np.ndarray:
    """Ellipses on a white page, (100, 100, 3) uint8."""
    page = Image.new("RGB", (100, 100), "white")
    for ink, box in inks.items():
        ImageDraw.Draw(page).ellipse(box, fill=ink)
    return np.asarray(page)


@pytest.fixture(scope="module")
def clouds():
    """300 points of a disc, and 260 of three blobs about it, with these' colours."""
    keys = jax.random.split(KEY)
    points, _ = draw(drawing({"black": (25, 25, 75, 75)}), 300, keys[0])
    return points, *draw(drawing(INKS), 260, keys[1])


class TestDraw:
    def test_in_proportion_to_ink_y_up(self):
        page = np.full((40, 40, 3), 255, np.uint8)
        page[:20, :20] = 0  # top left: ink 1
        page[20:, 20:] = 255, 0, 0  # bottom right: 2/3
        page[20:, :20] = 204  # bottom left: 1/5
        points, colours = draw(page, 20_000, KEY)
        right, up = points.T > 0.5
        shares = [(~right & up).mean(), (right & ~up).mean(), (~right & ~up).mean()]
        np.testing.assert_allclose(shares, np.array([15, 10, 3]) / 28, atol=0.015)
        assert (right & up).mean() < 0.01  # by the noise alone
        inside = (np.abs(points - [0.75, 0.25]) < 0.2).all(1)
        np.testing.assert_array_equal(
            colours[inside], np.broadcast_to([1, 0, 0], (inside.sum(), 3))
        )

    def test_places_and_noise(self):
        page = np.full((10, 20, 3), 255, np.uint8)
        page[2, 15] = 0
        points, colours = draw(page, 4000, KEY)
        assert points.dtype == colours.dtype == np.float32
        np.testing.assert_allclose(points.mean(0), [15.5 / 20, 7.5 / 20], atol=2e-3)
        np.testing.assert_allclose(points.std(0), 0.5 / 20, rtol=0.05)
        np.testing.assert_array_equal(colours, 0)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_kinds_of_pictures(self, dtype):
        scale = 1 if dtype == "float32" else np.iinfo(dtype).max
        page = (drawing(INKS) / 255 * scale).astype(dtype)
        points, colours = draw(page, 50, KEY)
        expected = draw(drawing(INKS), 50, KEY)
        np.testing.assert_allclose(points, expected[0])
        np.testing.assert_allclose(colours, expected[1], atol=1e-4)

    def test_transparent_is_white(self):
        page = np.dstack([np.zeros((8, 8, 3)), np.tile([1.0, 0.0], (8, 4))])
        page[..., 0] = 1.0  # red, every other column transparent
        points, colours = draw(page, 200, KEY)
        assert (colours == [1, 0, 0]).all()
        column = 8 * points[:, 0]
        assert (np.abs(column % 2 - 0.5) < 0.5).mean() > 0.6

    def test_keys(self):
        first, again = (draw(drawing(INKS), 20, KEY)[0] for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert (draw(drawing(INKS), 20, jax.random.key(1))[0] != first).any()

    def test_refusals(self):
        with pytest.raises(ValueError, match=r"sky\.png: has no ink"):
            draw(np.full((4, 4, 3), 255, np.uint8), 10, KEY, "sky.png")
        with pytest.raises(ValueError, match="has no ink"):
            draw(np.zeros((4, 4, 4)), 10, KEY)
        with pytest.raises(ValueError, match="at least 1 point"):
            draw(drawing(INKS), 0, KEY)


class TestCarry:
    def test_balanced_rows_sum_to_one(self, clouds):
        found = carry(*clouds)
        np.testing.assert_allclose(found.confidence, 1, atol=1e-3)
        assert found.values.shape == (300, 3)
        np.testing.assert_allclose(
            found.values, carry(*clouds, kind="normalised").values, atol=1e-3
        )

    def test_kinds(self, clouds):
        raw, mean, largest = (carry(*clouds, reach=REACH, kind=kind) for kind in LABELS)
        np.testing.assert_allclose(raw.values, mean.values * mean.confidence[:, None], atol=1e-6)
        some = mean.confidence >= 0.5
        assert 0 < some.sum() < 300
        np.testing.assert_array_equal(largest.values.sum(1), some)
        assert (largest.values[some].argmax(1) == mean.values[some].argmax(1)).all()
        assert carry(*clouds, reach=REACH, kind="argmax", least=0).values.sum() == 300

    def test_what_is_far_fades_to_black(self, clouds):
        points, labelled, colours = clouds
        found = carry(points, labelled, colours, reach=REACH)
        distance = KDTree(labelled).query(points)[0]
        near, far = (pick for pick in (distance < 0.05, distance > 0.15))
        assert found.confidence[near].mean() > 1.5 * found.confidence[far].mean()
        assert found.values[far].max() < found.values[near].max()
        assert spearmanr(distance, found.confidence).statistic < -0.8

    @pytest.mark.parametrize("reach", [None, REACH])
    def test_scaling_changes_the_way_not_the_labels(self, clouds, reach):
        newton = carry(*clouds, reach=reach)
        for scaling in (0.5, 0.9):
            other = carry(*clouds, reach=reach, scaling=scaling)
            np.testing.assert_allclose(other.values, newton.values, atol=1e-3)
            np.testing.assert_allclose(other.confidence, newton.confidence, atol=1e-3)

    @pytest.mark.parametrize("reach", [None, REACH])
    def test_against_the_definition(self, clouds, reach):
        """GeomLoss's problem, by its own update (C = |x - y|^2 / 2, blur^2, reach^2) in float64."""
        points, labelled, colours = (part.astype(np.float64) for part in clouds)
        cost = ((points[:, None] - labelled) ** 2).sum(2) / 2
        damping = 1 if reach is None else 1 / (1 + BLUR**2 / reach**2)
        g = np.zeros(260)
        for _ in range(2000):
            f = -damping * BLUR**2 * np.log(np.exp((g - cost) / BLUR**2).mean(1))
            g = -damping * BLUR**2 * np.log(np.exp((f[:, None] - cost) / BLUR**2).mean(0))
        plan = np.exp((f[:, None] + g - cost) / BLUR**2) / 260
        found = carry(*clouds, reach=reach)
        np.testing.assert_allclose(found.values, plan @ colours, atol=1e-3)
        np.testing.assert_allclose(found.confidence, plan.sum(1), atol=1e-3)

    def test_refusals(self, clouds):
        points, labelled, colours = clouds
        for options, message in (
            ({"kind": "mode"}, "unknown kind of labels 'mode'"),
            ({"blur": 0}, "blur must be a positive number"),
            ({"reach": -1.0}, "reach must be a positive number"),
            ({"reach": float("nan")}, "reach must be a positive number"),
            ({"scaling": 1.0}, "scaling must be between 0 and 1"),
        ):
            with pytest.raises(ValueError, match=message):
                carry(points, labelled, colours, **options)
        with pytest.raises(ValueError, match=r"labels must be \(260, k\)"):
            carry(points, labelled, colours[:9])
        with pytest.raises(ValueError, match="differ in dimension"):
            carry(points, labelled[:, :1], colours)

    def test_a_plan_that_was_not_found_is_an_error(self, clouds):
        with pytest.raises(RuntimeError, match="ended with"):
            couple(*clouds[:2], blur=1e-5)


class TestClasses:
    def test_main_colours_with_noise_and_edges(self):
        rng = np.random.default_rng(0)
        flat = np.repeat([[1, 0.5, 0], [0, 0.5, 0.5]], [600, 380], 0)
        noisy = flat + rng.integers(-6, 7, flat.shape) / 255
        colours = np.concatenate([noisy, rng.uniform(0.9, 1, (5, 3))]).clip(0, 1)
        main, one_hot = classes(colours)
        np.testing.assert_allclose(main, [[1, 0.5, 0], [0, 0.5, 0.5]], atol=0.05)
        assert one_hot.shape == (985, 2)
        np.testing.assert_array_equal(one_hot[:980].argmax(1), np.repeat([0, 1], [600, 380]))

    def test_one_colour_is_one_class(self):
        main, one_hot = classes(np.full((4, 3), 0.25))
        assert main.tolist() == [[0.25, 0.25, 0.25]]
        assert one_hot.tolist() == [[1.0]] * 4


class TestPlot:
    def test_discs(self):
        points, colours = np.array([[0.2, 0.8], [0.8, 0.2]]), np.array([[1, 0, 0], [np.nan] * 3])
        picture = plot(points, colours)
        assert picture.shape == (960, 960, 3)
        assert picture[192, 192].tolist() == [255, 0, 0]
        assert len(set(picture[768, 768].tolist())) == 1  # grey
        assert picture[480, 480].tolist() == [255, 255, 255]

    def test_edges_are_smooth_and_colours_clipped(self):
        picture = plot(np.array([[0.5, 0.5]]), np.array([[1.5, -1, 0]]), (1, 1))
        levels = np.unique(picture[..., 1])
        assert {0, 255} < set(levels.tolist())
        assert picture[480, 480].tolist() == [255, 0, 0]


class TestThreeBlobs:
    """The pictures of GeomLoss's own page."""

    @pytest.fixture
    def shared(self, shared_data):
        def clouds(n: int):
            keys = jax.random.split(KEY)
            pictures = (shared_data(f"threeblobs_{k}.png") for k in "ab")
            (x, _), (y, colours) = (draw(p, n, k) for p, k in zip(pictures, keys, strict=True))
            return x, y, colours

        return clouds

    @pytest.mark.slow
    def test_largest_labels_are_those_of_exact_transport(self, shared):
        """By blob: single labelled points on these pictures are noise, which a plan averages."""
        x, y, colours = shared(500)
        drawn = classes(colours)[1]
        assert drawn.shape[1] == 3
        blob = drawn[KDTree(y).query(y, 15)[1]].sum(1).argmax(1)
        labels = np.eye(3, dtype=np.float32)[blob]
        exact = solve(point_cloud(x), point_cloud(y), method="exact")
        expected = np.asarray(average(exact, labels)).argmax(1)
        found = read(couple(x, y), labels, kind="argmax")
        assert (found.values.argmax(1) == expected).mean() >= 0.98

    @pytest.mark.slow
    @pytest.mark.parametrize("reach", [None, REACH])
    def test_geomloss_converges_to_the_same_labels(self, shared, reach):
        torch, geomloss = (pytest.importorskip(name) for name in ("torch", "geomloss"))
        torch.set_num_threads(1)
        x, y, colours = (part.astype(np.float64) for part in shared(500))
        one, other, values = (torch.tensor(part) for part in (x, y, colours))
        loss = geomloss.SamplesLoss(
            "sinkhorn", p=2, blur=BLUR, reach=reach, scaling=0.9, debias=False, potentials=True,
            backend="tensorized",
        )  # fmt: skip
        f, g = (part.ravel() for part in loss(one, other))
        cost = (one[:, None] - other).square().sum(2) / 2

        def labels(f, g):
            return (torch.exp((f[:, None] + g - cost) / BLUR**2) @ values / 500).numpy()

        found = carry(*shared(500), reach=reach).values
        early = np.abs(labels(f, g) - found).max()
        damping = 1 if reach is None else 1 / (1 + BLUR**2 / reach**2)
        for _ in range(1500):  # its update, from its potentials on
            f = -damping * BLUR**2 * (torch.logsumexp((g - cost) / BLUR**2, 1) - np.log(500))
            back = (f[:, None] - cost) / BLUR**2
            g = -damping * BLUR**2 * (torch.logsumexp(back, 0) - np.log(500))
        late = np.abs(labels(f, g) - found).max()
        assert late < 1e-3
        assert early > 10 * late  # as on the page, one update at each blur, it is not there yet

    @pytest.mark.parametrize(
        "count",
        [
            pytest.param(2_000, marks=pytest.mark.slow),
            pytest.param(10_000, marks=pytest.mark.long),  # as on the page
        ],
    )
    @pytest.mark.parametrize("reach", [None, REACH])
    def test_many_points(self, shared, reach, count):
        """float32 is as good as float64, and the plan's rows are what the marginals demand."""
        clouds = shared(count)
        found = carry(*clouds, reach=reach)
        with jax.enable_x64(True):
            double = carry(*(part.astype(np.float64) for part in clouds), reach=reach)
        np.testing.assert_allclose(found.values, double.values, atol=1e-3)
        np.testing.assert_allclose(found.confidence, double.confidence, atol=1e-3)
        if reach is None:
            np.testing.assert_allclose(found.confidence, 1, atol=1e-3)
        else:
            assert found.confidence.min() < 0.3
