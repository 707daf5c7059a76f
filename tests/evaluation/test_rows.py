"""One row of the comparison, as people and as programs read it."""

import json
import math

import pytest

from lmindexer.evaluation.bootstrap import Interval
from lmindexer.evaluation.rows import FORMS, Row, path_name, to_table


def row(values: tuple[float, ...], better: int, form: str = "fraction") -> Row:
    return Row("Use", "m", "M", values, form, better)


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.4721, ".472"), (-0.003, "-.003"), (-0.0001, ".000"), (0.9999, "1.000"), (1.0, "1.000"), (-1.0, "-1.000")],
)
def test_fractions_have_three_decimals(value: float, told: str):
    assert FORMS["fraction"](value) == told


def test_the_best_is_bold_by_what_is_printed():
    assert row((0.5, 0.7, math.nan), 1).cells() == [".500", "**.700**", "-"]
    assert row((0.5, 0.7), -1).cells() == ["**.500**", ".700"]
    assert row((0.70001, 0.5, 0.70002), 1).cells() == ["**.700**", ".500", "**.700**"]
    assert row((12.0, 3456.0), -1, "count").cells() == ["**12**", "3,456"]


def test_nothing_is_bold_where_nothing_is_better():
    assert row((0.5, 0.7), 0).cells() == [".500", ".700"]
    assert row((0.7, 0.7), 1).cells() == [".700", ".700"]
    assert row((0.7,), 1).cells() == [".700"]
    assert row((math.nan, math.nan), 1).cells() == ["-", "-"]


def test_what_is_not_told_apart_from_the_best_is_bold_too():
    values = (0.5, 0.7, 0.69, math.nan)
    apart = Row("Labels", "ami", "AMI", values, "fraction", 1, like_best=(False, True, True, False))
    assert apart.cells() == [".500", "**.700**", "**.690**", "-"]
    alike = Row("Labels", "ami", "AMI", values, "fraction", 1, like_best=(True, True, True, False))
    assert alike.cells() == [".500", ".700", ".690", "-"], "bold would tell nothing"


def test_intervals_stand_behind_their_value():
    both = Row("Labels", "ami", "AMI", (0.472, 0.1), "fraction", 1, intervals=(Interval(0.461, 0.483), None))
    assert both.cells() == ["**.472** (.461\N{EN DASH}.483)", ".100"]


def test_a_table_by_hand():
    hidden = Row("Use", "h", "H", (1.0,), "fraction", is_shown=False)
    rows = [Row("Use", "m", "M", (1.0,), "share"), hidden, Row("Labels", "l", "L", (0.25,), "fraction")]
    assert to_table(["a|b"], rows) == [
        "|  | a\\|b |",
        "| --- | ---: |",
        "| *Use* |  |",
        "| M | 100.0% |",
        "| *Labels* |  |",
        "| L | .250 |",
    ]


def test_a_row_as_json_says_only_what_it_has():
    plain = Row("Use", "gini", "Gini at c1", (0.5, math.nan), "fraction", depth=1)
    assert plain.to_dict() == {
        "section": "Use", "measure": "gini", "title": "Gini at c1", "depth": 1, "values": [0.5, None]
    }  # fmt: skip
    judged = Row(
        "Labels", "ami", "AMI", (0.5, 0.4), "fraction", 1, 1, "leaf",
        intervals=(Interval(0.4, 0.6), None), differences=(None, Interval(-0.2, 0.1)),
    ).to_dict()  # fmt: skip
    assert (judged["level"], judged["intervals"]) == ("leaf", [[0.4, 0.6], None])
    assert judged["differences_to_first"] == [None, [-0.2, 0.1]]
    json.dumps(judged, allow_nan=False)


def test_paths_have_names():
    assert [path_name(depth) for depth in (1, 2)] == ["c1", "(c1, c2)"]


@pytest.mark.parametrize(("values", "compares"), [((1.0, 2.0), True), ((1.0, math.nan), False), ((1.0,), True)])
def test_a_row_of_one_run_among_several_compares_nothing(values: tuple[float, ...], compares: bool):
    assert Row("Use", "gini", "Gini", values, "fraction").compares is compares
