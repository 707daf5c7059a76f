"""Weights of a summed score: worked by hand, picked on what is asked, kept in a run and read again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lmindexer.config import LearnConfig
from lmindexer.errors import InputError
from lmindexer.methods import weights
from lmindexer.methods.weights import Scored, Together, Weights, grid, keep, kept, pick, weights_for
from lmindexer.questions.questions import Question, Questions
from lmindexer.runs import Run

IDS, DENSE = (-1.0, -2.0, -3.0), (0.0, 3.0, 4.0)  # of documents a, b, c


class Sums:
    """Every question has the same three documents, with the same scores."""

    parts, doc_ids = ("ids", "dense"), ("a", "b", "c")

    def __init__(self) -> None:
        self.asked = 0

    def scored(self, questions: Sequence[Question], kind: str, k: int) -> list[Scored]:
        self.asked += 1
        return [Scored(np.arange(3), np.array([IDS, DENSE])) for _ in questions]


def test_the_best_sum_by_hand():
    one, ranks = Scored(np.arange(3), np.array([IDS, DENSE])), np.arange(3)
    together = Together([one], ranks)
    assert together.best((1.0, 0.0), 2).tolist() == [[0, 1]]
    assert together.best((0.0, 1.0), 1).tolist() == [[2]]
    assert together.best((1.0, 0.5), 3).tolist() == [[1, 0, 2]], "-1, -.5, -1"
    assert Together([one], np.array([2, 1, 0])).best((1.0, 0.5), 3).tolist() == [[1, 2, 0]], "equal ones by rank"


def test_every_weight_and_each_part_alone_is_tried():
    assert grid(1) == [(1.0,)]
    assert grid(2)[:2] == [(1.0, 0.0), (1.0, 0.1)]
    assert grid(2)[-1] == (0.0, 1.0)
    assert len(grid(3)) == len(weights.STEPS) ** 2 + 2


def test_what_is_picked_is_the_first_of_the_best_and_asks_once():
    sums = Sums()
    found = pick(sums, Questions(("x", "y"), ({"b": 1.0}, {"b": 1.0})), "recall@1")
    assert found.by_part == {"ids": 1.0, "dense": 0.5}, "from a third on b is before a"
    assert (found.value, found.alone) == (1.0, {"ids": 0.0, "dense": 0.0})
    assert sums.asked == 1
    alone = pick(sums, Questions(("x",), ({"a": 1.0},)), "recall@1")
    assert alone.by_part == {"ids": 1.0, "dense": 0.0}, "of equal ones the first"


def test_what_was_kept_is_read_by_kind(tmp_path: Path):
    run = Run.create(tmp_path / "run", LearnConfig(), {"state": "fine-tuning"})
    assert kept(run, "text", ("ids", "dense")) is None
    keep(run, "text", Weights({"ids": 1.0, "dense": 0.3}, "recall@10", 0.5, {"ids": 0.4, "dense": 0.1}).to_dict())
    keep(run, "history", Weights({"ids": 1.0, "dense": 2.0}, "recall@10", 0.5, {"ids": 0.4, "dense": 0.1}).to_dict())
    assert kept(run, "text", ("dense", "ids")) == (0.3, 1.0)
    assert kept(run, "history", ("ids", "dense")) == (1.0, 2.0)
    with pytest.raises(InputError, match="weights of other scores than ids, bm25; fine-tune anew"):
        kept(run, "text", ("ids", "bm25"))


def test_a_score_is_a_part_or_the_sum():
    parts = ("ids", "dense")
    assert weights_for("sum", parts, (1.0, 0.3)) == (1.0, 0.3)
    assert weights_for("sum", parts, None) == (1.0, 1.0)
    assert weights_for("dense", parts, (1.0, 0.3)) == (0.0, 1.0)
    with pytest.raises(InputError, match="scores by sum, ids, dense, not 'bm25'"):
        weights_for("bm25", parts, None)
