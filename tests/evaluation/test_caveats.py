"""Each warning where it is due, with its numbers, and not elsewhere."""

import math
from dataclasses import replace

import pytest

from lmindexer.evaluation import caveats
from lmindexer.evaluation.bootstrap import Interval
from lmindexer.evaluation.rows import Row


def test_unlike_perplexities_are_told():
    def row(depth: int, *values: float) -> Row:
        return Row("Labels", "path_perplexity", "", values, "count", depth=depth)

    assert caveats.perplexity_caveat([row(1, 100.0, 149.0), row(2, 5.0, math.nan)]) == []
    told = caveats.perplexity_caveat([row(1, 100.0, 149.0), row(2, 1000.0, 4000.0, math.nan)])
    assert len(told) == 1
    assert "perplexity at (c1, c2) from 1,000 to 4,000)" in told[0]


def test_unused_codes_are_told():
    row = Row("Use", "used_share", "", (0.49, 0.5, math.nan), "share", depth=2)
    (told,) = caveats.use_caveats(["a", "b", "c"], [row])
    assert told.startswith("a uses only 49% of the codes at c2")


def test_few_and_uneven_labels_are_told():
    even = [("Hair", str(n % 5)) if n % 2 else ("Nails", str(n % 5)) for n in range(60)]
    assert caveats.label_caveats(even, [1, None]) == []
    (few,) = caveats.label_caveats([*even[:40], *[()] * 20], [1, None])
    assert few.startswith("Only 40 documents")
    (uneven,) = caveats.label_caveats([("Hair",)] * 90 + [("Nails",)] * 10, [None])
    assert uneven.startswith("90% of the labelled documents have the leaf label 'Hair'")
    (own,) = caveats.label_caveats([("Hair", str(n)) for n in range(100)], [2])
    assert own.startswith("At level 2 there are 100 labels for 100 documents")


def test_labels_in_the_text_by_hand():
    texts = ["Rose hair oil", "HAIR-OILS, large", "a comb for chair oil", "nails", "hair oil"]
    labels = [("Beauty", "Hair Oils"), ("Beauty", "Hair Oil"), ("Beauty", "Hair Oil"), ("Beauty", "Lipstick"), ()]
    own, _ = caveats.labels_in_text(texts, labels, None, seed=0)
    assert own == 2 / 4, "case, punctuation and plural do not count, but chair is not hair"
    assert caveats.labels_in_text(texts, labels, 1, seed=0) == (0, 0)


def test_labels_in_the_text_are_told_when_above_chance():
    names = ["rose", "soil", "storm", "anchor"]
    labels = [("x", names[n % 4]) for n in range(80)]
    copied = [f"the {names[n % 4]} of number {n}" for n in range(80)]
    (told,) = caveats.text_caveat(copied, labels, [None], seed=0)
    assert "leaf 100% (another document's: 0%)" in told
    everywhere = [" ".join(names)] * 80
    assert caveats.text_caveat(everywhere, labels, [None], seed=0) == [], "what stands everywhere tells nothing"
    assert caveats.labels_in_text(everywhere, labels, None, seed=0) == (1, 1)


def row(title: str, intervals: tuple[Interval, ...], *differences: Interval | None, is_shown: bool = True) -> Row:
    values = (0.5,) * len(intervals)
    return Row("Labels", "ami", title, values, "fraction", 1, 1, None, None, intervals, differences, is_shown)


def test_wide_intervals_are_told():
    narrow, wide, widest = Interval(0.5, 0.55), Interval(0.4, 0.55), Interval(0.3, 0.6)
    assert caveats.width_caveat(["a", "b"], [row("A", (narrow, narrow))]) == []
    (told,) = caveats.width_caveat(["a", "b"], [row("A", (narrow, wide)), row("B", (widest, narrow))])
    assert "2 of 4 intervals" in told
    assert "the widest that of B for a (.300\N{EN DASH}.600)" in told
    alone = replace(row("A", (wide, wide)), values=(0.5, math.nan))
    assert caveats.width_caveat(["a", "b"], [alone]) == [], "the table leaves out what one run alone has"


@pytest.mark.parametrize("is_shown", [True, False])
def test_what_does_not_tell_a_run_from_the_first(is_shown: bool):
    any_, less, both = Interval(0.1, 0.2), Interval(-0.2, -0.1), Interval(-0.1, 0.1)
    rows = [row("A", (any_,) * 3, None, less, both), row("B", (any_,) * 3, None, less, None)]
    rows.append(row("C", (any_,) * 3, None, both, less, is_shown=is_shown))
    told = caveats.not_told_apart(["x", "y", "z"], rows)
    of_z = f"z and x are not told apart by 1 of {1 + is_shown} measures, as 0 is in the interval of the difference: A."
    assert told[-1] == of_z
    assert [line[:7] for line in told] == (["y and x", "z and x"] if is_shown else ["z and x"])
