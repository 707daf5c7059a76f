"""Recommenders asked once and judged three ways: as they are, masked, and on items new to them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import parse_metrics
from lmindexer.judging.evaluation import Evaluation, evaluate_methods
from lmindexer.methods.popular import PopularRetriever
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.progress import Progress
from lmindexer.questions.questions import HISTORY, Questions
from lmindexer.questions.sequence_files import load_sequences
from lmindexer.questions.sequences import Sequences, held_out, leave_one_out, next_items, training_counts

DOC_IDS = tuple("abcdefg")
METRICS = parse_metrics(["recall@1,2", "mrr@2"])


class InOrder(Retriever):
    """Everyone gets the same list; what it was asked is kept."""

    reads = (HISTORY,)

    def __init__(self, doc_ids: str) -> None:
        self.doc_ids, self.settings = DOC_IDS, {}
        self.hits = [Hit(doc_id, -float(n)) for n, doc_id in enumerate(doc_ids)]
        self.asked: list[tuple[list[str], int]] = []

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        self.asked += [(list(history), k) for history in questions]
        return [self.hits[:k] for _ in questions]


def sequences_of(tmp_path: Path, text: str) -> Sequences:
    (tmp_path / "all.txt").write_text(text)
    return load_sequences(tmp_path / "all.txt", DOC_IDS)


@pytest.fixture
def sequences(tmp_path: Path) -> Sequences:
    # test items: c, after a b; f, after b b c d, and in no training part; a, after a again; u4 is not evaluated
    return sequences_of(tmp_path, "u1 a b c\nu2 b b c d f\nu3 c a a\nu4 g\n")


def asked_of(sequences: Sequences) -> Questions:
    return next_items(held_out(sequences, "test"), DOC_IDS)


def judged(sequences: Sequences, *recommenders: InOrder) -> Evaluation:
    named = {f"r{n}": each for n, each in enumerate(recommenders, 1)}
    return evaluate_methods(named, asked_of(sequences), METRICS)


def test_three_ways_by_hand(sequences: Sequences):
    found = judged(sequences, InOrder("abcdefg"))
    assert found.tables["as_is"].judged["r1"].query_ids == ("u1", "u2", "u3")
    assert {name: each.tolist() for name, each in found.tables["as_is"].judged["r1"].values.items()} == {
        "recall@1": [0, 0, 1],
        "recall@2": [0, 0, 1],
        "mrr@2": [0, 0, 1],
    }
    # masked: u1 sees c d, u2 sees a e, u3 sees b d
    assert found.tables["masked"].judged["r1"].values["recall@1"].tolist() == [1, 0, 0]
    assert [[hit.doc_id for hit in hits] for hits in found.tables["masked"].hits["r1"]] == [
        ["c", "d"],
        ["a", "e"],
        ["b", "d"],
    ]
    assert "1 of 3 users took an item again" in found.tables["masked"].about
    assert found.tables["unseen"].judged["r1"].query_ids == ("u2",)
    assert found.tables["unseen"].judged["r1"].means["recall@2"] == 0
    assert found.notes == sequences.notes


def test_new_items_are_judged_without_the_history(sequences: Sequences):
    found = judged(sequences, InOrder("bcdfa"))
    assert found.tables["as_is"].judged["r1"].values["recall@1"][1] == 0
    assert found.tables["unseen"].judged["r1"].means == {"recall@1": 1, "recall@2": 1, "mrr@2": 1}


def test_nothing_is_told_of_new_items_where_there_are_none(tmp_path: Path):
    found = judged(sequences_of(tmp_path, "u1 a b c\nu2 c b a\n"), InOrder("abc"))
    assert list(found.to_dict()["tables"]) == ["as_is", "masked"]
    assert "new to the recommender" not in found.to_markdown()


def test_each_history_is_asked_once_and_deep_enough(sequences: Sequences):
    recommender = InOrder("abcdefg")
    judged(sequences, recommender)
    asked = sorted(recommender.asked)
    assert asked == [(["a", "b"], 2 + 2), (["b", "b", "c", "d"], 2 + 3), (["c", "a"], 2 + 2)]


class ByHistory(Retriever):
    """A random list for each history, the same whoever is asked beside it."""

    reads, doc_ids, settings = (HISTORY,), DOC_IDS, {}

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        found = []
        for history in questions:
            order = np.random.default_rng([ord(item) for item in history]).permutation(len(DOC_IDS))[:k]
            found.append([Hit(DOC_IDS[row], -float(n)) for n, row in enumerate(order)])
        return found


@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=9), min_size=1, max_size=12))
def test_masking_leaves_no_item_of_the_history_and_never_lowers_the_score_of_another(lists: list[list[int]]):
    offsets = np.cumsum([0, *map(len, lists)])
    sequences = Sequences(tuple(map(str, range(len(lists)))), np.concatenate(lists).astype(np.int32), offsets,
                          leave_one_out(np.diff(offsets)))  # fmt: skip
    found = evaluate_methods({"x": ByHistory()}, asked_of(sequences), METRICS)
    for e, items in enumerate(lists):
        (whole,) = ByHistory().recommend([[DOC_IDS[row] for row in items[:-1]]], 7)
        assert found.tables["as_is"].hits["x"][e] == whole[:2]
        left = [hit for hit in whole if DOC_IDS.index(hit.doc_id) not in items[:-1]]
        assert found.tables["masked"].hits["x"][e] == left[:2]
        if items[-1] not in items[:-1]:
            masked, as_is = (found.tables[name].judged["x"].values["mrr@2"] for name in ("masked", "as_is"))
            assert masked[e] >= as_is[e]
    new = {str(e) for e, items in enumerate(lists) if items[-1] not in {row for each in lists for row in each[:-2]}}
    assert new == (set(found.tables["unseen"].judged["x"].query_ids) if "unseen" in found.tables else set())


def test_many_are_asked_in_parts_and_none_is_mixed_up(tmp_path: Path):
    sequences = sequences_of(tmp_path, "".join(f"u{n} {'ab'[n % 2]} {'c' * (n % 3 > 0)} d e\n" for n in range(700)))
    asked = asked_of(sequences)
    found = evaluate_methods({"x": ByHistory()}, asked, METRICS, progress=Progress(None))
    assert found.tables["as_is"].hits["x"] == ByHistory().recommend(asked.asked, 2)


def test_others_are_compared_with_the_first(sequences: Sequences):
    found = judged(sequences, InOrder("abcdefg"), InOrder("cfabdeg"))
    assert list(found.tables["as_is"].differences) == ["r2"]
    assert found.tables["as_is"].differences["r2"]["recall@2"].mean == pytest.approx(2 / 3 - 1 / 3)
    assert 0 < found.tables["as_is"].differences["r2"]["recall@2"].p_value <= 1


def test_what_is_told(sequences: Sequences):
    found = judged(sequences, InOrder("abcdefg"), InOrder("cfabdeg"))
    told = json.loads(json.dumps(found.to_dict()))
    assert [told["tables"][name]["questions"] for name in ("as_is", "masked", "unseen")] == [3, 3, 1]
    assert told["kind"] == "history"
    assert told["tables"]["masked"]["methods"]["r1"]["metrics"]["recall@1"]["mean"] == pytest.approx(1 / 3)
    assert "difference_to_first" in told["tables"]["as_is"]["methods"]["r2"]["metrics"]["mrr@2"]
    assert told["notes"] == list(sequences.notes)
    text = found.to_markdown()
    assert text.count("|  | r1 | r2 |") == 3
    assert "As recommended: 3 users" in text
    assert "1 of 3 users took an item again" in text
    assert "the next item of 1 of 3 users is in no training part" in text
    assert text.count(sequences.notes[0]) == 1


def test_popular_items_by_hand(sequences: Sequences):
    popular = PopularRetriever(DOC_IDS, training_counts(sequences, len(DOC_IDS)))  # b and c twice; a and g once
    found = evaluate_methods({"popular": popular}, next_items(held_out(sequences, "dev"), DOC_IDS), METRICS)
    assert [hit.doc_id for hit in found.tables["as_is"].hits["popular"][0]] == ["b", "c"]
    assert found.tables["as_is"].judged["popular"].values["mrr@2"].tolist() == [1, 0, 0]  # b after a, d, a


def test_nobody_to_evaluate_is_said(tmp_path: Path):
    with pytest.raises(InputError, match="no question to evaluate with; users need 3 items or more"):
        judged(sequences_of(tmp_path, "u1 a b\n"), InOrder("abc"))
