"""Charts as inline SVG."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.report.charts import Chart, Series, band_chart, line_chart, series, stack_chart
from pplr_cli.report.page import templates

NUMBERS = st.floats(-1e7, 1e7, allow_nan=False).map(lambda value: round(value, 6))


def drawn(chart: Chart) -> ET.Element:
    macro: Any = templates().get_template("chart.html").module
    svg = ET.fromstring(macro.chart(chart)).find("svg")
    assert svg is not None
    return svg


def ticks(chart: Chart) -> list[float]:
    """The numbers on the y axis, bottom first."""
    texts = [each for each in drawn(chart).iter("text") if each.get("text-anchor") == "end"]
    return [float((each.text or "").replace(",", "")) for each in texts]


@given(st.lists(NUMBERS, min_size=1, max_size=70))
def test_every_point_is_inside_and_between_its_ticks(values: list[float]) -> None:
    chart = line_chart("c", [Series("x", list(enumerate(values)))])
    points = drawn(chart).find("svg/polyline")
    assert points is not None
    places = [tuple(map(float, place.split(","))) for place in points.get("points", "").split()]
    assert len(places) == len(values)
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in places)
    marks = ticks(chart)
    assert 2 <= len(marks) <= 12
    slack = 1e-2 * (marks[-1] - marks[0])  # ticks are written with few digits
    assert marks[0] - slack <= min(values)
    assert max(values) <= marks[-1] + slack


@pytest.mark.parametrize(
    ("value", "marks"),
    [
        (3.5e-4, [0, 1e-4, 2e-4, 3e-4, 4e-4]),
        (0.83, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (83.7, [0, 20, 40, 60, 80, 100]),
        (12936, [0, 5000, 10000, 15000]),
        (0.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks_are_round(value: float, marks: list[float]) -> None:
    assert ticks(line_chart("c", [Series("x", [(1, value)])])) == pytest.approx(marks)


def test_points_say_what_they_are() -> None:
    rows = [{"epoch": 0, "mAP": 0.5}, {"epoch": 1}, {"epoch": 2, "mAP": 0.75}]
    chart = line_chart("scores", [series(rows, "mAP", "m<AP", 100), series(rows, "none", "none")])
    titles = [each.text for each in drawn(chart).iter("title")]
    assert titles == ["epoch 0, m<AP: 50", "epoch 2, m<AP: 75"]
    assert [curve.label for curve in chart.curves] == ["m<AP"]
    assert drawn(chart).get("aria-label") == "scores: m<AP 50 at epoch 0, 75 at epoch 2"


def test_values_can_be_read_without_a_mouse() -> None:
    macro: Any = templates().get_template("chart.html").module
    rows = [{"epoch": 1, "a": 0.5, "b": 2.0}, {"epoch": 2, "a": 0.25}]
    chart = line_chart("c", [series(rows, "a", "first"), series(rows, "b", "second")])
    figure = ET.fromstring(macro.chart(chart))
    legend = ["".join(each.itertext()).split() for each in figure.findall("ul/li")]
    assert legend == [["first", "0.25"], ["second", "2"]]
    table = [[cell.text or "" for cell in row] for row in figure.findall(".//tr")]
    assert table == [["epoch", "first", "second"], ["1", "0.5", "2"], ["2", "0.25", ""]]


def test_long_curves_have_no_dots() -> None:
    chart = line_chart("c", [Series("x", [(n, n) for n in range(Chart.most_dots + 1)])])
    assert not drawn(chart).findall("circle")


def test_bands_lie_in_one_another() -> None:
    values = {"p10": 0.1, "p25": 0.2, "p50": 0.4, "p75": 0.6, "p90": 0.9}
    rows = [{"epoch": n, **{f"a_{k}": v for k, v in values.items()}} for n in (1, 2)]
    outer, inner = drawn(band_chart("part 1", rows, "a", 0.0, 1.0)).findall("svg/polygon")
    heights = [
        [float(place.split(",")[1]) for place in each.get("points", "").split()]
        for each in (outer, inner)
    ]
    assert min(heights[0]) < min(heights[1]) < max(heights[1]) < max(heights[0])


def test_a_single_epoch_can_be_seen() -> None:
    rows = [{"epoch": 3, "a_p10": 0.1, "a_p25": 0.2, "a_p50": 0.4, "a_p75": 0.6, "a_p90": 0.9}]
    bands = band_chart("part 1", rows, "a", 0.0, 1.0)
    for polygon in drawn(bands).findall("svg/polygon"):
        xs = {float(place.split(",")[0]) for place in polygon.get("points", "").split()}
        assert xs == {40, 60}  # a column of 0.4 epochs on each side
    (column,) = drawn(stack_chart("time", rows, {"a_p10": "first"})).findall("rect")
    assert (column.get("x"), column.get("width")) == ("40.0%", "20.0%")
    assert bands.x_ticks == [3]
    assert drawn(bands).get("aria-label") == "part 1: median 0.4 at epoch 3"
    (dot,) = drawn(bands).findall("circle")
    assert (dot.get("cx"), dot.get("r")) == ("50.0%", "5")


def test_stacks_add_up() -> None:
    rows = [{"epoch": 1, "a": 1.0, "b": 3.0}, {"epoch": 2, "a": 2.0}]
    chart = stack_chart("time", rows, {"a": "first", "b": "second", "c": "never"})
    assert [curve.label for curve in chart.curves] == ["first", "second"]
    bars = [float(each.get("height", "").rstrip("%")) for each in drawn(chart).findall("rect")]
    assert bars == pytest.approx([bars[0], 2 * bars[0], 3 * bars[0]], abs=0.11)
