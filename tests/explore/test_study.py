"""Figures of a setting: what is drawn is what is written beside it."""

from pathlib import Path

import pytest

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import Interval
from lmindexer.explore.study import Panel, setting_curves, write_points

PANELS = [
    Panel("beauty, recommend", "codes", {"recall@5": {128: (0.25, Interval(0.2, 0.375)), 256: (0.5, None)}}),
    Panel("beauty, search", "codes", {"ndcg@5": {128: (0.125, Interval(0.0, 0.25))}}),
]


def test_points_as_csv_and_as_a_table(tmp_path: Path):
    lines = write_points(PANELS, tmp_path / "new/points.csv")
    assert (tmp_path / "new/points.csv").read_text().splitlines() == [
        "data,setting,value,metric,mean,low,high",
        '"beauty, recommend",codes,128,recall@5,0.25,0.2,0.375',
        '"beauty, recommend",codes,256,recall@5,0.5,,',
        '"beauty, search",codes,128,ndcg@5,0.125,0.0,0.25',
    ]
    assert lines[3] == "| beauty, recommend | codes | 256 | recall@5 | 0.5000 |  |  |"
    assert PANELS[1].to_dict()["points"] == [
        {"value": 128, "metric": "ndcg@5", "mean": 0.125, "low": 0.0, "high": 0.25}
    ]


def test_the_picture_is_the_same_each_time(tmp_path: Path):
    first = setting_curves(PANELS, tmp_path / "one")
    again = setting_curves(PANELS, tmp_path / "two")
    assert [path.suffix for path in first] == [".svg", ".png"]
    assert first[0].read_bytes() == again[0].read_bytes()
    assert all(text in first[0].read_text() for text in ("recall@5", "beauty, search"))


def test_bars_reach_from_low_to_high():
    from lmindexer.explore.study import _bars

    assert _bars([(0.25, Interval(0.125, 0.5)), (0.5, None)]) == [[0.125, 0.0], [0.25, 0.0]]


def test_nothing_to_draw(tmp_path: Path):
    with pytest.raises(InputError, match="no point to draw"):
        setting_curves([Panel("x", "y", {})], tmp_path / "x")
