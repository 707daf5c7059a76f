"""The paper's figures: what they count by hand, what they draw, and that the same data is the same file."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from lmindexer.errors import InputError
from lmindexer.explore import figures
from lmindexer.explore.figures import (
    FEW_LABELS,
    MOST_LABELS,
    count_labels,
    curve_points,
    duplicate_shares,
    duplication_density,
    label_distribution,
    training_curves,
)
from lmindexer.ids.table import IdTable

LABELS = [("Nails", "Polish"), ("Nails", "Tools"), ("Bath", "Soap"), (), ("Bath", "Soap"), ("Hair",), ("Bath", "Oil")]


def table(*columns: list[int]) -> IdTable:
    ids = IdTable.empty(f"d{row}" for row in range(len(columns[0])))
    for column in columns:
        ids = ids.append(np.array(column), 99)
    return ids


IDS = table([4, 4, 7, 7, 7, 1, 7], [0, 1, 5, 5, 6, 3, 5])
TEXTS = ["rose polish", "steel tools", "soft soap", "nothing", "rough soap", "hair comb", "bath oil"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures which were saved, to look inside."""
    kept: list[Figure] = []
    save = figures.save
    monkeypatch.setattr(figures, "save", lambda drawing, stem: (kept.append(drawing), save(drawing, stem))[1])
    return kept


def log(*epochs: dict[str, Any], stage: str = "c1: training") -> list[dict[str, Any]]:
    return [{"stage": stage, "epoch": epoch, **numbers} for epoch, numbers in enumerate(epochs, 1)]


def test_labels_are_counted_by_hand():
    counts = count_labels(IDS, LABELS, level=1, codes=[7, 4])
    assert counts.labels == ("Bath", "Nails", "Hair")
    assert counts.total.tolist() == [3, 2, 1]
    assert counts.unlabelled == 1
    assert counts.codes == (7, 4)
    assert counts.seconds == ((5, 6), (0, 1))
    assert counts.others == (0, 0)
    assert counts.below[0].tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert counts.below[1].tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert count_labels(IDS, LABELS).codes == (7, 4, 1), "the largest first"
    assert count_labels(IDS, LABELS).labels == ("Soap", "Oil", "Hair", "Polish", "Tools"), "the level with the most"


def test_labels_that_end_alike_are_told_apart():
    labels = [("Skin", "Eyes"), ("Makeup", "Eyes"), ("Makeup", "Lips")]
    assert count_labels(table([0, 0, 1]), labels, level=2).labels == ("Makeup > Eyes", "Lips", "Skin > Eyes")


def test_rare_labels_and_second_codes_are_folded():
    labels = [(f"{row % 40:02}",) for row in range(100)]
    counts = count_labels(table([0] * 100, [*range(90), *[3] * 6, *[8] * 4]), labels)
    assert counts.labels[-1] == "11 other labels"
    assert len(counts.labels) == MOST_LABELS
    assert counts.total.tolist() == [3] * 20 + [2] * 9 + [22]
    assert counts.seconds == ((3, 8, 0),)
    assert counts.others == (87,)
    assert counts.below[0].sum(axis=0).tolist() == [7, 5, 1, 87]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(0, 40)), min_size=1, max_size=60))
def test_counts_are_those_of_a_loop(documents: list[tuple[int, int, int]]):
    first, second, names = map(list, zip((0, 0, 1), *documents, strict=True))  # one at least has a label
    told = [str(name or "") for name in names]
    counts = count_labels(table(first, second), [(name,) if name else () for name in told])
    assert counts.total.sum() == sum(map(bool, told))
    for code, seconds, below in zip(counts.codes, counts.seconds, counts.below, strict=True):
        for row, label in enumerate(counts.labels):
            if not label.endswith("other labels"):
                inside = [c2 for c1, c2, name in zip(first, second, told, strict=True) if (c1, name) == (code, label)]
                expected = [inside.count(c2) for c2 in seconds]
                assert below[row].tolist() == [*expected, len(inside) - sum(expected)]


def test_the_level_is_the_first_with_enough_labels():
    wide = [("All", f"{row % FEW_LABELS}", f"{row}") for row in range(20)]
    assert len(count_labels(table([0] * 20), wide).labels) == FEW_LABELS


def test_figure_3_draws_what_was_counted(tmp_path: Path, drawn: list[Figure]):
    written = label_distribution(IDS, LABELS, tmp_path / "new" / "fig.3", level=1, texts=TEXTS)
    assert [path.name for path in written] == ["fig.3.svg", "fig.3.png"]
    assert all(path.stat().st_size > 5000 for path in written)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["fig.3.png", "fig.3.svg"]
    overall, *panels = drawn[0].axes
    ends = {"Bath": 3, "Nails": 2, "Hair": 1}
    assert [tick.get_text() for tick in overall.get_yticklabels()] == list(ends)
    assert [bar.get_x() + bar.get_width() for bar in overall.containers[-1]] == list(ends.values())
    assert [[bar.get_width() for bar in bars] for bars in overall.containers[:3]] == [[3, 0, 0], [0, 2, 0], [0, 0, 1]]
    assert [[bar.get_width() for bar in bars] for bars in panels[0].containers] == [[2, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert panels[0].get_title(loc="left").startswith("(b) c1 = 7\nsoap")
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == ["c2 = 5", "c2 = 6"]


def test_figure_3_of_little(tmp_path: Path, drawn: list[Figure]):
    label_distribution(table([0, 0, 1]), [("A",), ("$x$ & $y$ <b>",), ("Кремы 日本 عربي" * 9,)], tmp_path / "a")
    label_distribution(table([3], [2]), [("A",)], tmp_path / "b", texts=["the"])
    assert len(drawn[0].axes) == 3
    assert drawn[0].axes[0].get_yticklabels()[0].get_text() == "$x$ & $y$ <b>"
    assert len(drawn[1].axes) == 2


@pytest.mark.parametrize(
    ("more", "labels", "message"),
    [
        ({}, [()] * 7, "no labels to draw; learn with --label"),
        ({"codes": [50]}, LABELS, "no labelled document has the first code 50"),
        ({"codes": []}, LABELS, "0 first codes cannot be told apart"),
        ({"codes": range(9)}, LABELS, "9 first codes cannot be told apart"),
        ({"level": 3}, LABELS, "no level 3; choose one of 1 to 2"),
    ],
)
def test_figure_3_of_nothing_is_refused(tmp_path: Path, more: dict[str, Any], labels: list[Any], message: str):
    with pytest.raises(InputError, match=message):
        label_distribution(IDS, labels, tmp_path / "fig", **more)
    assert not list(tmp_path.iterdir())


def test_points_by_hand():
    records = [
        *log({"macro_f1": 0.9}, stage="c1: warm-up"),
        *log({"macro_f1": 0.1}, {"macro_f1": math.nan}, {"macro_f1": None}, {}, {"macro_f1": 1}),
        *log({"macro_f1": 0.7}, stage="c2: training"),
    ]
    assert curve_points(records, 0, "macro_f1") == [(1, 0.1), (5, 1.0)]
    assert curve_points(records, 1, "macro_f1") == [(1, 0.7)]
    assert curve_points(records, 2, "macro_f1") == []


def test_figure_4_draws_the_log(tmp_path: Path, drawn: list[Figure]):
    with_trick = log({"macro_f1": 0.1, "perplexity": 9.0}, {"macro_f1": 0.2, "perplexity": 8.0})
    without = log({"macro_f1": 0.05, "perplexity": 2.0})
    second = log({"macro_f1": 0.3, "perplexity": 7.0, "difference_ratio": 0.9}, stage="c2: training")
    training_curves({"with": with_trick + second, "without": without}, tmp_path / "fig4")
    lines = [[line.get_xydata().tolist() for line in axis.lines] for axis in drawn[0].axes]
    assert lines == [
        [[[1, 0.1], [2, 0.2]], [[1, 0.05]]],
        [[[1, 0.3]]],
        [[[1, 9], [2, 8]], [[1, 2]]],
        [[[1, 7]]],
        [],
        [[[1, 0.9]]],
    ]
    assert drawn[0].axes[4].texts[0].get_text() == "not logged"
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["with", "without"]
    training_curves({"without": without}, tmp_path / "one")
    assert len(drawn[1].axes) == 2, "one position, no ratio"


def test_figure_4_of_nothing_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="kmeans has logged no training"):
        training_curves({"lm": log({"perplexity": 2.0}), "kmeans": []}, tmp_path / "fig4")
    with pytest.raises(InputError, match="no run has logged no training"):
        training_curves({}, tmp_path / "fig4")


def test_duplicates_by_hand():
    sizes, shares, below = duplicate_shares(np.array([[0, 0], [0, 0], [0, 1], [1, 0], [2, 2], [2, 2], [2, 2], [3, 1]]))
    assert sizes.tolist() == [1, 2, 3]
    assert shares.tolist() == [3 / 5, 1 / 5, 1 / 5]
    assert below.tolist() == [3 / 8, 5 / 8, 1]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50))
def test_duplicates_are_those_of_a_loop(codes: list[int]):
    buckets = Counter(codes).values()
    found = zip(*(column.tolist() for column in duplicate_shares(np.array(codes)[:, None])), strict=True)
    for size, share, below in found:
        assert share == sum(each == size for each in buckets) / len(buckets)
        assert below == pytest.approx(sum(each for each in buckets if each <= size) / len(codes))


def test_figure_6_draws_every_method(tmp_path: Path, drawn: list[Figure]):
    crowd = table([0] * 6 + [1] * 2 + [2, 3])
    duplication_density({"ours": IDS, "日本": crowd, "one": table([0])}, tmp_path / "fig6")
    by_id, by_document = drawn[0].axes
    assert by_id.lines[1].get_xydata().tolist() == [[1, 0.5], [2, 0.25], [6, 0.25]]
    assert by_document.lines[1].get_ydata().tolist() == pytest.approx([0, 0.2, 0.4, 1])
    told = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert told[1] == "日本 (40.0% of documents at most 5 together)"
    assert len(told) == 3
    with pytest.raises(InputError, match="no documents whose duplicates"):
        duplication_density({}, tmp_path / "none")


def test_the_same_data_is_the_same_file(tmp_path: Path):
    written = [
        (
            *label_distribution(IDS, LABELS, tmp_path / f"{n}a", texts=TEXTS),
            *training_curves({"with": log({"perplexity": 2.0})}, tmp_path / f"{n}b"),
            *duplication_density({"ours": IDS}, tmp_path / f"{n}c"),
        )
        for n in range(2)
    ]
    assert [path.read_bytes() for path in written[0]] == [path.read_bytes() for path in written[1]]
    assert b"<dc:date>" not in written[0][0].read_bytes()
