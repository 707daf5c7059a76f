"""Recommenders asked once and judged three ways: as they are, masked, and on items new to them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import parse_metrics
from lmindexer.progress import Progress
from lmindexer.retrievers.hits import Hit
from lmindexer.retrievers.popular import PopularRecommender
from lmindexer.tasks.recommendation import RecommendationEvaluation, evaluate_recommenders
from lmindexer.tasks.sequences import Sequences, held_out, leave_one_out, load_sequences, training_counts

DOC_IDS = tuple("abcdefg")
METRICS = parse_metrics(["recall@1,2", "mrr@2"])


class InOrder:
    """Everyone gets the same list; what it was asked is kept."""

    def __init__(self, doc_ids: str) -> None:
        self.hits = [Hit(doc_id, -float(n)) for n, doc_id in enumerate(doc_ids)]
        self.asked: list[tuple[list[str], int]] = []

    def recommend(self, histories: Sequence[Sequence[str]], k: int = 10) -> list[list[Hit]]:
        self.asked += [(list(history), k) for history in histories]
        return [self.hits[:k] for _ in histories]


def sequences_of(tmp_path: Path, text: str) -> Sequences:
    (tmp_path / "all.txt").write_text(text)
    return load_sequences(tmp_path / "all.txt", DOC_IDS)


@pytest.fixture
def sequences(tmp_path: Path) -> Sequences:
    # test items: c, after a b; f, after b b c d, and in no training part; a, after a again; u4 is not evaluated
    return sequences_of(tmp_path, "u1 a b c\nu2 b b c d f\nu3 c a a\nu4 g\n")


def judged(sequences: Sequences, *recommenders: InOrder) -> RecommendationEvaluation:
    named = {f"r{n}": each for n, each in enumerate(recommenders, 1)}
    return evaluate_recommenders(named, held_out(sequences, "test"), DOC_IDS, METRICS)


def test_three_ways_by_hand(sequences: Sequences):
    found = judged(sequences, InOrder("abcdefg"))
    assert found.as_is.judged["r1"].query_ids == ("u1", "u2", "u3")
    assert {name: each.tolist() for name, each in found.as_is.judged["r1"].values.items()} == {
        "recall@1": [0, 0, 1],
        "recall@2": [0, 0, 1],
        "mrr@2": [0, 0, 1],
    }
    # masked: u1 sees c d, u2 sees a e, u3 sees b d
    assert found.masked.judged["r1"].values["recall@1"].tolist() == [1, 0, 0]
    assert [[hit.doc_id for hit in hits] for hits in found.masked.hits["r1"]] == [["c", "d"], ["a", "e"], ["b", "d"]]
    assert found.repeats == 1
    assert found.unseen is not None
    assert found.unseen.judged["r1"].query_ids == ("u2",)
    assert found.unseen.judged["r1"].means["recall@2"] == 0
    assert found.notes == sequences.notes


def test_new_items_are_judged_without_the_history(sequences: Sequences):
    found = judged(sequences, InOrder("bcdfa"))
    assert found.unseen is not None
    assert found.as_is.judged["r1"].values["recall@1"][1] == 0
    assert found.unseen.judged["r1"].means == {"recall@1": 1, "recall@2": 1, "mrr@2": 1}


def test_nothing_is_told_of_new_items_where_there_are_none(tmp_path: Path):
    found = judged(sequences_of(tmp_path, "u1 a b c\nu2 c b a\n"), InOrder("abc"))
    assert found.unseen is None
    assert list(found.to_dict()) == ["as_is", "masked", "notes"]
    assert "new to the recommender" not in found.to_markdown()


def test_each_history_is_asked_once_and_deep_enough(sequences: Sequences):
    recommender = InOrder("abcdefg")
    judged(sequences, recommender)
    asked = sorted(recommender.asked)
    assert asked == [(["a", "b"], 2 + 2), (["b", "b", "c", "d"], 2 + 3), (["c", "a"], 2 + 2)]


class ByHistory:
    """A random list for each history, the same whoever is asked beside it."""

    def recommend(self, histories: Sequence[Sequence[str]], k: int = 10) -> list[list[Hit]]:
        found = []
        for history in histories:
            order = np.random.default_rng([ord(item) for item in history]).permutation(len(DOC_IDS))[:k]
            found.append([Hit(DOC_IDS[row], -float(n)) for n, row in enumerate(order)])
        return found


@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=9), min_size=1, max_size=12))
def test_masking_leaves_no_item_of_the_history_and_never_lowers_the_score_of_another(lists: list[list[int]]):
    offsets = np.cumsum([0, *map(len, lists)])
    sequences = Sequences(tuple(map(str, range(len(lists)))), np.concatenate(lists).astype(np.int32), offsets,
                          leave_one_out(np.diff(offsets)))  # fmt: skip
    examples = held_out(sequences, "test")
    found = evaluate_recommenders({"x": ByHistory()}, examples, DOC_IDS, METRICS)
    for e, items in enumerate(lists):
        (whole,) = ByHistory().recommend([[DOC_IDS[row] for row in items[:-1]]], 7)
        assert found.as_is.hits["x"][e] == whole[:2]
        left = [hit for hit in whole if DOC_IDS.index(hit.doc_id) not in items[:-1]]
        assert found.masked.hits["x"][e] == left[:2]
        if items[-1] not in items[:-1]:
            assert found.masked.judged["x"].values["mrr@2"][e] >= found.as_is.judged["x"].values["mrr@2"][e]
    new = {str(e) for e, items in enumerate(lists) if items[-1] not in {row for each in lists for row in each[:-2]}}
    assert new == (set(found.unseen.judged["x"].query_ids) if found.unseen else set())


def test_many_are_asked_in_parts_and_none_is_mixed_up(tmp_path: Path):
    sequences = sequences_of(tmp_path, "".join(f"u{n} {'ab'[n % 2]} {'c' * (n % 3 > 0)} d e\n" for n in range(700)))
    examples = held_out(sequences, "test")
    found = evaluate_recommenders({"x": ByHistory()}, examples, DOC_IDS, METRICS, progress=Progress(None))
    histories = [[DOC_IDS[row] for row in examples.history(e)] for e in range(len(examples))]
    assert found.as_is.hits["x"] == ByHistory().recommend(histories, 2)


def test_others_are_compared_with_the_first(sequences: Sequences):
    found = judged(sequences, InOrder("abcdefg"), InOrder("cfabdeg"))
    assert list(found.as_is.differences) == ["r2"]
    assert found.as_is.differences["r2"]["recall@2"].mean == pytest.approx(2 / 3 - 1 / 3)
    assert 0 < found.as_is.differences["r2"]["recall@2"].p_value <= 1


def test_what_is_told(sequences: Sequences):
    found = judged(sequences, InOrder("abcdefg"), InOrder("cfabdeg"))
    told = json.loads(json.dumps(found.to_dict()))
    assert [told[name]["users"] for name in ("as_is", "masked", "unseen")] == [3, 3, 1]
    assert told["masked"]["recommenders"]["r1"]["metrics"]["recall@1"]["mean"] == pytest.approx(1 / 3)
    assert "difference_to_first" in told["as_is"]["recommenders"]["r2"]["metrics"]["mrr@2"]
    assert told["notes"] == list(sequences.notes)
    text = found.to_markdown()
    assert text.count("|  | r1 | r2 |") == 3
    assert "As recommended: 3 users" in text
    assert "1 of 3 users took an item again" in text
    assert "the next item of 1 of 3 users is in no training part" in text
    assert text.count(sequences.notes[0]) == 1


def test_popular_items_by_hand(sequences: Sequences):
    popular = PopularRecommender(DOC_IDS, training_counts(sequences, len(DOC_IDS)))  # b and c twice; a and g once
    found = evaluate_recommenders({"popular": popular}, held_out(sequences, "dev"), DOC_IDS, METRICS)
    assert [hit.doc_id for hit in found.as_is.hits["popular"][0]] == ["b", "c"]
    assert found.as_is.judged["popular"].values["mrr@2"].tolist() == [1, 0, 0]  # b after a, d, a


def test_nobody_to_evaluate_is_said(tmp_path: Path):
    with pytest.raises(InputError, match="no user took 3 items or more"):
        judged(sequences_of(tmp_path, "u1 a b\n"), InOrder("abc"))
