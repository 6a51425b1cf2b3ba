"""The page: complete, self-contained, and safe against whatever names and messages hold."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from glowplug.profiling.bench.plots import Strip, strip_plot
from glowplug.profiling.bench.report import report, to_first_token
from glowplug.profiling.bench.statistics import summarise
from tests.profiling.bench.results import bad, good, results, series

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Collects texts, and every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data.strip())


@pytest.fixture
def page():
    repeats = [
        *series("m/cold", [10.0, 10.2, 9.8, 10.1, 9.9, 70.0]), *series("m/parked", [0.1] * 5),
        bad("m/cold", 9, f"{EVIL} & more"), good(f"{EVIL}/cold", 10, 3.0),
    ]  # fmt: skip
    return Page(report(results(repeats, closed={"n/parked": "no freezer"})))


def test_every_part_of_the_report_is_there(page):
    for heading in (
        "The engines side by side", "What has to be known", "Every start path in numbers", "What each tier is worth",
        "Where the time goes", "Conditions", "Method", "Every repeat, in the order in which they ran",
    ):  # fmt: skip
        assert heading in page.texts


def test_the_numbers_stand_where_they_belong(page):
    texts = " | ".join(page.texts)
    assert "10.05 s" in texts  # the median of the cold starts
    assert "0.00995 × cold" in texts
    assert "n/parked cannot be measured here: no freezer." in texts
    assert "fake 1.2" in page.texts
    assert page.texts.count("outlier") == 1
    assert "g (80 GiB, driver 5)" in page.texts


def test_nothing_is_fetched_and_nothing_of_the_input_becomes_markup(page):
    assert all(not (attributes.keys() & {"src", "href", "srcset"}) for _, attributes in page.tags)
    assert [tag for tag, _ in page.tags].count("script") == 1  # the page's own
    assert any(EVIL in text for text in page.texts)


def test_all_styles_are_those_that_the_policy_allows():
    text = report(results(series("m/cold", [1.0, 2.0])))
    policy = re.search(r'content="(default-src[^"]*)"', text)[1]
    assert len(set(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))) == policy.count("sha256") - 1
    assert " style=" not in text


def test_a_run_without_a_finished_repeat_has_a_report_too():
    texts = Page(report(results([bad("m/cold", 1, "nothing works")]))).texts
    assert any("nothing works" in text for text in texts)
    assert "There is no finished repeat, so nothing can be said." in texts


def test_a_waterfall_ends_with_the_first_token():
    start = to_first_token(good("m/cold", 1, 3.0, first=0.5))
    assert start.total == 3.0
    assert (start.spans[-1].phase, start.spans[-1].start, start.spans[-1].end) == ("first_token", 2.5, 3.0)


def plot(*samples, unit="s"):
    strips = [Strip(f"row {index}", summarise(values, seed=1, resamples=200)) for index, values in enumerate(samples)]
    return ElementTree.fromstring(strip_plot(strips, unit, "a caption"))


def dots(drawing):
    return [(circle, float(circle.get("cx"))) for circle in drawing.iter(f"{SVG}circle")]


def test_every_repeat_is_a_dot_at_its_value():
    drawing = plot([1.0, 2.0, 4.0])
    (_, one), (_, two), (_, four) = dots(drawing)
    assert two - one == pytest.approx((four - two) / 2, abs=0.05)


def test_values_of_different_magnitudes_get_a_logarithmic_axis():
    drawing = plot([0.1, 0.2], [100.0, 200.0])
    (_, a), (_, b), (_, c), (_, d) = dots(drawing)
    assert b - a == pytest.approx(d - c, abs=0.05)
    assert "logarithmic" in [text.text for text in drawing.iter(f"{SVG}text")]


def test_an_outlier_is_a_hollow_dot_and_says_so():
    drawing = plot([1.0, 1.1, 0.9, 1.05, 9.0])
    hollow = [circle for circle, _ in dots(drawing) if circle.get("fill") == "none"]
    (title,) = [circle.findtext(f"{SVG}title") for circle in hollow]
    assert title == "repeat 5: 9.00 s, an outlier"


def test_the_median_and_its_interval_are_drawn():
    drawing = plot([1.0, 2.0, 3.0])
    titles = [title.text for title in drawing.iter(f"{SVG}title")]
    assert "median 2.00 s" in titles
    assert "95 % of the resampled medians: 1.00 s to 3.00 s" in titles


@pytest.mark.parametrize("values", [[0.0, 0.0], [5e-7, 3e5], [1.0], [1e-9, 1e-9]])
def test_any_values_stay_inside_the_drawing(values):
    drawing = plot(values, unit="tokens/s")
    assert all(0 < x < 1040 for _, x in dots(drawing))
    ticks = [float(text.get("x")) for text in drawing.iter(f"{SVG}text")]
    assert all(0 < x <= 1040 for x in ticks)


def test_no_rows_are_no_drawing():
    assert strip_plot([], "s", "a caption") == ""
