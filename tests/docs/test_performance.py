"""The page of figures shows what was measured, and its pictures draw it."""

import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from benchmarks.pictures import Bars, axis_of, rounded_up
from benchmarks.results import Table, spread

from benchmarks import report

DOCUMENTS = report.documents_in()


def test_the_page_is_what_the_committed_results_make() -> None:
    assert report.PAGE.read_text(encoding="utf-8") == report.page(DOCUMENTS)


def test_every_picture_is_drawn_from_the_committed_results() -> None:
    kept = {path.stem: path.read_text(encoding="utf-8") for path in report.FIGURES.glob("*.svg")}
    assert kept == report.drawn(DOCUMENTS)


def test_every_picture_of_the_page_is_there() -> None:
    named = re.findall(r"\]\((figures/[\w.]+)\)", report.PAGE.read_text(encoding="utf-8"))
    assert len(named) == len(report.drawn(DOCUMENTS))
    assert [name for name in named if not (report.DOCS / name).exists()] == []


def test_a_picture_is_well_formed_and_keeps_within_its_frame() -> None:
    text = Bars("A < B", "µs & more", ("one", "two"), [("first", [3.0, 4.0]), ("second", [0.0, 1.0])]).svg()
    root = ET.fromstring(text)  # noqa: S314 # our own
    width = float(root.attrib["viewBox"].split()[2])
    bars = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.attrib["height"] == "13"]
    assert len(bars) == 4
    assert all(float(one.attrib["x"]) + float(one.attrib["width"]) <= width for one in bars)
    assert float(bars[1].attrib["x"]) == pytest.approx(
        float(bars[0].attrib["x"]) + float(bars[0].attrib["width"]), abs=0.1
    )


@pytest.mark.parametrize(("value", "end"), [(0.7, 0.8), (1, 1), (37, 40), (41, 50), (999, 1000)])
def test_an_axis_ends_at_a_round_value_that_holds_the_longest(value: float, end: float) -> None:
    assert rounded_up(value) == pytest.approx(end)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1.7, 852.0], [1, 10, 100, 1000]),
        ([1.0, 1000.0], [1, 10, 100, 1000]),
        ([0.0, 0.04, 3.0], [0.01, 0.1, 1, 10]),
        ([5.0], [1, 10]),
        ([10.0], [10, 100]),
    ],
)
def test_a_logarithmic_axis_goes_from_a_power_of_ten_to_one(values: list[float], ticks: list[float]) -> None:
    axis = axis_of(values, log=True)
    assert axis.ticks == pytest.approx(ticks)
    pixels = [axis.pixels(one) for one in axis.ticks]
    steps = [after - before for before, after in itertools.pairwise(pixels)]
    assert pixels[0] == 0
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert axis.pixels(0) == 0, "what is too small for it has no bar"


def test_the_values_of_an_axis_are_written_out() -> None:
    text = Bars("Much", "things", ("one",), [("first", [17_000.0])]).svg()
    assert ">15,000<" in text
    assert "e+" not in text
    assert "<rect" not in text.split("first")[0], "one part needs no legend"


def test_a_cell_shows_the_median_and_the_range() -> None:
    assert spread([{"a": 3.0}, {"a": 1.0}, {"a": 2.0}], "a", ".1f") == "2.0 (1.0–3.0)"
    assert spread([{"a": 3.0}], "a") == "3"


def test_a_table_is_the_same_in_plain_text_and_in_markdown() -> None:
    table = Table("Title", ("setup", "x"), [("a", "1")], "note")
    assert table.markdown().splitlines() == ["**Title**", "", "| setup | x |", "| --- | --: |", "| a | 1 |", "", "note"]
    assert table.plain().splitlines() == ["Title", "setup  x", "a      1", "note"]
