"""Lists fused by hand, by rank and by score, and what must always hold of both."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import learned, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.methods.ensemble import fuse
from lmindexer.methods.hybrid import FUSIONS, HybridRetriever
from lmindexer.methods.registry import METHODS, PARTNERS, TEXT
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.questions.questions import Questions
from small_tasks import teach_to_search

scores_of = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1e3, 1e3))
weights_of = st.lists(st.floats(0, 10), min_size=2, max_size=2).filter(any)


class Fixed(Retriever):
    """Always the same list: documents with their scores, or as many points as come behind them."""

    reads, doc_ids, settings = (TEXT,), "abcdefgh", {}

    def __init__(self, *doc_ids: str, scores: dict[str, float] | None = None) -> None:
        scores = scores or dict(zip(doc_ids, range(len(doc_ids), 0, -1), strict=True))
        self.hits = [Hit(doc_id, score) for doc_id, score in sorted(scores.items(), key=lambda item: -item[1])]

    def _answer(self, questions: list[Any], kind: str, k: int, rows: object) -> list[list[Hit]]:
        return [self.hits]


class Unasked(Fixed):
    def _answer(self, questions: list[Any], kind: str, k: int, rows: object) -> list[list[Hit]]:
        raise AssertionError("it was asked")


def test_by_rank_by_hand():
    fused = HybridRetriever([Fixed("a", "b"), Fixed("c", "b")], fusion="rank")
    assert fused.search(["x"], 2)[0] == [Hit("b", 2 / 62), Hit("a", 1 / 61)]
    weighted = HybridRetriever([Fixed("a", "b"), Fixed("c", "b")], [1.0, 9.0], "rank")
    assert [hit.doc_id for hit in weighted.search(["x"], 3)[0]] == ["b", "c", "a"]


def test_by_score_by_hand():
    words = Fixed(scores={"a": 12.0, "b": 7.0, "c": 2.0})  # 1, .5, 0
    paths = Fixed(scores={"c": -1.0, "b": -2.0, "d": -5.0})  # 1, .75, 0
    fused = HybridRetriever([words, paths], fusion="score")
    assert fused.search(["x"], 4)[0] == [Hit("b", 1.25), Hit("a", 1.0), Hit("c", 1.0), Hit("d", 0.0)]
    weighted = HybridRetriever([words, paths], [1.0, 3.0], "score")
    assert weighted.search(["x"], 3)[0] == [Hit("c", 3.0), Hit("b", 0.5 + 3 * 0.75), Hit("a", 1.0)]


def test_one_document_equal_scores_and_nothing_at_all():
    alone, equal, nothing = Fixed(scores={"a": -7.0}), Fixed(scores={"b": 2.0, "c": 2.0}), Fixed()
    fused = HybridRetriever([alone, equal, nothing], [1.0, 2.0, 5.0], "score")
    assert fused.search(["x"], 5)[0] == [Hit("b", 2.0), Hit("c", 2.0), Hit("a", 1.0)]
    assert HybridRetriever([nothing, nothing], fusion="score").search(["x"], 5)[0] == []


class Wordless(Fixed):
    def without_words(self, texts: Sequence[str]) -> list[str]:
        return list(texts[1:])


def test_it_tells_for_which_queries_it_has_no_words_to_go_by():
    asked = ["rose", "xylophone"]
    words, paths = Wordless("a"), Fixed("b")
    assert HybridRetriever([paths, words]).without_words(asked) == ["xylophone"]
    assert HybridRetriever([paths, words], [1.0, 0.0]).without_words(asked) == [], "words are not asked"
    assert HybridRetriever([paths, paths]).without_words(asked) == []


@pytest.mark.parametrize("fusion", FUSIONS)
@given(first=scores_of, second=scores_of, weights=weights_of, k=st.integers(1, 12))
def test_every_document_once_best_first_and_no_more_than_the_weights_allow(
    fusion: str, first: dict[str, float], second: dict[str, float], weights: list[float], k: int
):
    (hits,) = HybridRetriever([Fixed(scores=first), Fixed(scores=second)], weights, fusion).search(["x"], k)
    found = [hit.doc_id for hit in hits]
    there = {doc_id for scores, weight in zip((first, second), weights, strict=True) if weight for doc_id in scores}
    assert len(found) == len(set(found)) == min(k, len(there))
    assert set(found) <= there
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(0 <= hit.score <= sum(weights) * (1 + 1e-9) for hit in hits)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_retriever_of_weight_0_is_not_asked(fusion: str):
    fused = HybridRetriever([Unasked(), Fixed("a", "b", "c")], [0.0, 1.0], fusion)
    assert [hit.doc_id for hit in fused.search(["x"], 3)[0]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("weights", "fusion", "told"),
    [
        ([1.0], "rank", "1 weights for 2 retrievers; give one each"),
        ([1.0, -0.5], "score", "the weights 1, -0.5 are not all 0 or more"),
        ([0.0, 0.0], "score", "the weights 0, 0 are not all 0 or more with one above 0"),
        ([1.0, math.nan], "rank", "the weights 1, nan are not all 0 or more"),
        ([math.inf, 1.0], "rank", "the weights inf, 1 are not all 0 or more"),
        (None, "product", "'product' is no fusion; choose one of rank, score"),
    ],
)
def test_what_does_not_fit_is_refused(weights: list[float] | None, fusion: str, told: str):
    with pytest.raises(InputError, match=told):
        HybridRetriever([Fixed("a"), Fixed("b")], weights, fusion)


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    learned(write_items(corpus, folder / "items.jsonl"), "--out", folder / "run", "--backbone", checkpoints["bert"])
    return teach_to_search(folder / "run", folder / "taught", "dual-encoder", checkpoints["bert"])


def hybrid(run: Path, **how: Any) -> Retriever:
    return METHODS["hybrid"].open(run, TEXT, **how)


@pytest.mark.parametrize("partner", [name for name in PARTNERS if TEXT in METHODS[name].reads])
def test_one_partner_alone_gives_its_own_order(run: Path, partner: str):
    own = METHODS[partner].open(run).search(["rose in old soil"], 5)[0]
    (fused,) = hybrid(run, partner=partner, fusion="score", weights=[1.0, 0.0]).search(["rose in old soil"], 5)
    assert [hit.doc_id for hit in fused] == [hit.doc_id for hit in own]
    ids = (
        METHODS["hybrid"]
        .open(run, partner=partner, fusion="score", weights=[0.0, 1.0])
        .search(["rose in old soil"], 100)[0]
    )
    both = (
        METHODS["hybrid"]
        .open(run, partner=partner, fusion="score", weights=[1.0, 1.0])
        .search(["rose in old soil"], 100)[0]
    )
    (whole,) = (
        METHODS["hybrid"]
        .open(run, partner=partner, fusion="score", weights=[1.0, 0.0])
        .search(["rose in old soil"], 100)
    )
    worth = [{hit.doc_id: hit.score for hit in hits} for hits in (whole, ids)]
    assert {hit.doc_id: hit.score for hit in both} == pytest.approx(
        {doc_id: sum(each.get(doc_id, 0) for each in worth) for doc_id in {**worth[0], **worth[1]}}
    )


def test_an_unknown_partner_is_refused(tmp_path: Path):
    with pytest.raises(
        InputError, match="'tfidf' is no partner of generated IDs; choose one of bm25, dense, popular, dual-encoder"
    ):
        METHODS["hybrid"].open(tmp_path, TEXT, partner="tfidf")


class Told(Fixed):
    """Answers by question."""

    def __init__(self, **lists: dict[str, float]) -> None:
        super().__init__(scores=lists["x"])
        self.by_question = {text: Told.hits_of(scores) for text, scores in lists.items()}

    @staticmethod
    def hits_of(scores: dict[str, float]) -> list[Hit]:
        return [Hit(doc_id, score) for doc_id, score in sorted(scores.items(), key=lambda item: -item[1])]

    def _answer(self, questions: list[Any], kind: str, k: int, rows: object) -> list[list[Hit]]:
        return [self.by_question[text][:k] for text in questions]


def test_runs_are_fused_by_weights_picked_on_dev():
    """By score a has 1, b .9 and c 0 in the first list, and c 1, b .5 in the second: from .2 on b is first."""
    first, second = Told(x={"a": 10.0, "b": 9.0, "c": 0.0}), Told(x={"c": 1.0, "b": 0.5, "d": 0.0})
    together, picked = fuse({"one": first, "two": second}, Questions(("x",), ({"b": 1.0},)), "recall@1")
    assert picked.by_part == {"one": 1.0, "two": 0.3}
    assert (picked.value, picked.alone) == (1.0, {"one": 0.0, "two": 0.0})
    hits = {hit.doc_id: hit.score for hit in together.search(["x"], 4)[0]}
    assert hits == pytest.approx({"b": 1.05, "a": 1.0, "c": 0.3, "d": 0.0})


def test_runs_of_other_documents_are_not_fused():
    other = Fixed("a")
    other.doc_ids = "abc"
    with pytest.raises(InputError, match="two has other documents than one; fuse runs of the same documents"):
        fuse({"one": Fixed("a"), "two": other}, Questions(("x",), ({"b": 1.0},)), "recall@1")
    with pytest.raises(InputError, match="there is no dev question to pick weights by"):
        fuse({"one": Fixed("a"), "two": Fixed("b")}, Questions((), ()), "recall@1")
