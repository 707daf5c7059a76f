"""Runs side by side: every number is that of `quality`, whatever the order of the rows."""

import json
import math

import numpy as np
import pytest

from lmindexer.errors import InputError
from lmindexer.evaluation.comparison import Compared, Comparison, compare
from lmindexer.evaluation.neighbours import embedding_neighbours, lexical_neighbours
from lmindexer.evaluation.rows import Row
from lmindexer.ids.quality import measure, neighbour_recall
from lmindexer.ids.table import IdTable

N = 120
WORDS = ["rose", "soil", "storm", "cloud", "anchor", "deck", "violin", "chord"]
DICE = np.random.default_rng(0)
TOPICS = DICE.integers(0, 4, N)
TEXTS = [" ".join(DICE.choice(WORDS[2 * topic : 2 * topic + 2], 5)) + f" n{n % 7}" for n, topic in enumerate(TOPICS)]
LABELS = [("all", f"topic{topic % 2}", f"topic{topic}") if n % 10 else () for n, topic in enumerate(TOPICS)]
EMBEDDINGS = np.eye(4)[TOPICS] + DICE.normal(size=(N, 4)) / 10


def table(*columns: np.ndarray, sizes: tuple[int, ...]) -> IdTable:
    ids = IdTable.empty(str(n) for n in range(N))
    for column, size in zip(columns, sizes, strict=True):
        ids = ids.append(column, size)
    return ids.with_suffix()


def runs() -> list[Compared]:
    good = table(TOPICS, DICE.integers(0, 8, N), sizes=(4, 8))
    chance = table(*DICE.integers(0, 4, (3, N)), sizes=(16, 4, 4))
    return [Compared("good", "lmindexer", good, 60.0, 0.97), Compared("chance", "random", chance)]


def row(comparison: Comparison, name: str, **of: object) -> Row:
    (found,) = [
        row for row in comparison.rows if row.measure == name and all(getattr(row, k) == v for k, v in of.items())
    ]
    return found


def test_the_numbers_are_those_of_quality():
    both = runs()
    comparison = compare(both, TEXTS, LABELS, embeddings=EMBEDDINGS, embeddings_name="eye", resamples=20)
    for n, run in enumerate(both):
        quality = measure(run.table, LABELS)
        for t, position in enumerate(quality.positions):
            for name in ("perplexity", "used_share", "gini"):
                assert row(comparison, name, depth=t + 1).values[n] == getattr(position, name)
        for level in quality.labels:
            for depth in range(1, len(run.table.sizes) + 1):
                told = {"depth": depth, "level": level.level or "leaf"}
                assert row(comparison, "ami", **told).values[n] == level.ami[depth - 1]
                precision = row(comparison, "hierarchical_precision", **told).values[n]
                assert precision == level.hierarchical_precision[depth - 1]
        assert row(comparison, "alone").values[n] == pytest.approx(1 - quality.sharing / N)
        assert row(comparison, "sharing").values[n] == quality.sharing
        assert row(comparison, "largest_bucket").values[n] == quality.largest_bucket
        for judge, nearest in (("BM25", lexical_neighbours(TEXTS)), ("eye", embedding_neighbours(EMBEDDINGS))):
            for depth in range(1, len(run.table.sizes) + 1):
                recall = row(comparison, "neighbour_recall", depth=depth, judge=judge).values[n]
                assert recall == pytest.approx(neighbour_recall(nearest, run.table.codes, depth))
    assert row(comparison, "agreement").values[0] == 0.97
    assert row(comparison, "seconds").values[0] == 60


def test_runs_of_unlike_length_leave_gaps():
    comparison = compare(runs(), TEXTS, LABELS, resamples=20)
    deepest = row(comparison, "ami", depth=3, level="leaf")
    assert math.isnan(deepest.values[0])
    assert (deepest.intervals[0], deepest.differences) == (None, (None, None)), "nothing to take the difference to"
    assert deepest.intervals[1] is not None
    shown = comparison.to_markdown()
    assert "codes used at c2" in shown
    assert "codes used at c3" not in shown, "there is nothing to compare it with"
    assert any(row.title == "codes used at c3" for row in comparison.rows)


def test_intervals_hold_the_values_and_tell_the_better_run():
    comparison = compare(runs(), TEXTS, LABELS, resamples=50)
    for name, level in (("ami", "leaf"), ("hierarchical_precision", "leaf"), ("neighbour_recall", None)):
        found = row(comparison, name, depth=1, level=level)
        for value, each in zip(found.values, found.intervals, strict=True):
            assert each is None or each.low <= value <= each.high
        assert found.differences[0] is None
        assert found.differences[1] is not None
        assert found.differences[1].high < 0, "chance is worse"
        assert found.like_best == (True, False)


@pytest.mark.parametrize("name", ["ami", "hierarchical_precision", "neighbour_recall"])
def test_differences_are_taken_in_the_same_halves(name: str):
    """Two runs that differ in three documents go up and down together."""
    codes = np.where(np.arange(N) % 3 == 0, np.arange(N) % 4, TOPICS)
    first = Compared("first", "lmindexer", table(codes, sizes=(4,)))
    codes = codes.copy()
    codes[[3, 40, 77]] = (codes[[3, 40, 77]] + 1) % 4
    second = Compared("near", "lmindexer", table(codes, sizes=(4,)))
    noisy = [(f"a{n % 3 if n % 4 else topic}",) for n, topic in enumerate(TOPICS)]
    comparison = compare([first, second], TEXTS, noisy, resamples=50)
    found = row(comparison, name, depth=1)
    of_first, difference = found.intervals[0], found.differences[1]
    assert of_first is not None
    assert difference is not None
    assert difference.high - difference.low < 0.75 * (of_first.high - of_first.low)
    assert difference.low <= found.values[1] - found.values[0] <= difference.high
    assert found.like_best == (
        (True, True) if difference.has_zero else tuple(v == max(found.values) for v in found.values)
    )


def test_a_run_and_itself_are_the_same():
    good = runs()[0]
    comparison = compare([good, Compared("again", "lmindexer", good.table)], TEXTS, LABELS, resamples=20)
    for each in comparison.rows:
        if each.measure not in ("seconds", "agreement"):
            assert each.values[0] == each.values[1]
            assert each.intervals == () or each.intervals[0] == each.intervals[1]
            if each.measure == "neighbour_recall":
                low, high = each.differences[1].low, each.differences[1].high
                assert low < 0 < high
                assert low + high == pytest.approx(0, abs=0.02), "the second may be better or worse"
            assert "**" not in "".join(each.cells())


def test_the_order_of_the_documents_in_a_run_does_not_matter():
    first, second = runs()
    mixed = Compared(second.name, second.indexer, second.table.select(np.random.default_rng(1).permutation(N)))
    expected = compare([first, second], TEXTS, LABELS, resamples=20)
    assert compare([first, mixed], TEXTS, LABELS, resamples=20).to_markdown() == expected.to_markdown()


def test_other_documents_are_refused():
    first, second = runs()
    fewer = Compared("fewer", "random", second.table.select(np.arange(5, N)))
    with pytest.raises(InputError, match=r"'fewer' and 'good' .* 5 stand in one only, such as '0'; compare"):
        compare([first, fewer], TEXTS, LABELS)
    with pytest.raises(InputError, match="name at least one run"):
        compare([], TEXTS, LABELS)


def test_markdown_shows_three_levels_and_json_all():
    labels = [("a", f"b{t % 2}", f"c{t % 3}", f"d{t}", f"e{n % 9}") for n, t in enumerate(TOPICS)]
    comparison = compare(runs(), TEXTS, labels, resamples=0)
    lines = comparison.to_markdown().splitlines()
    shown = [line.split(":")[0] for line in lines if line.startswith("| AMI(c1,")]
    assert shown == ["| AMI(c1, level 2", "| AMI(c1, level 4", "| AMI(c1, leaf"]
    told = [
        each["level"] for each in comparison.to_dict()["rows"] if (each["measure"], each.get("depth")) == ("ami", 1)
    ]
    assert told == [2, 3, 4, "leaf"]
    at = next(n for n, line in enumerate(lines) if line.startswith("| AMI(c1,"))
    assert lines[at - 1].startswith("| perplexity of c1 |"), "beside it, as AMI rises when few codes are used"


@pytest.mark.parametrize("labels", [LABELS, None], ids=["labels", "none"])
@pytest.mark.parametrize("resamples", [0, 20])
def test_json_is_json_and_always_the_same(labels: list[tuple[str, ...]] | None, resamples: int):
    both = runs()
    told = [compare(both, TEXTS, labels, resamples=resamples, seed=4).to_dict() for _ in range(2)]
    assert told[0] == told[1] == json.loads(json.dumps(told[0], allow_nan=False))
    has_labels = any(each["measure"] == "ami" for each in told[0]["rows"])
    assert has_labels == (labels is not None)
    has_intervals = any(each for line in told[0]["rows"] for each in line.get("intervals", []))
    assert has_intervals == bool(resamples)


def test_warnings_are_told():
    comparison = compare(runs(), TEXTS, LABELS, resamples=20)
    told = " ".join(comparison.warnings)
    assert "chance uses only 25% of the codes at c1" in told
    assert "unlike numbers of codes (perplexity at " in told
    assert all(warning in comparison.to_markdown() for warning in comparison.warnings)


def test_without_labels_no_row_stands_under_labels():
    comparison = compare(runs(), TEXTS, None, resamples=0)
    assert row(comparison, "path_perplexity", depth=2).section == "Uniqueness"
    assert "Labels" not in {row.section for row in comparison.rows}
    assert "AMI**" not in comparison.to_markdown()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_almost_nothing_can_be_compared(size: int):
    tiny = IdTable.empty(map(str, range(size))).append(np.zeros(size, dtype=int), 2).with_suffix()
    comparison = compare([Compared("x", "random", tiny)], [""] * size, [("a",)] * size)
    assert comparison.to_markdown().startswith(f"{size} documents")
    json.dumps(comparison.to_dict(), allow_nan=False)
