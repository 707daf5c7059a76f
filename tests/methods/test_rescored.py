"""IDs, cosines and words summed: the order by hand, the true best, and who answers where no method is named."""

import json
import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from command_line import lmindexer
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.changes import add_documents
from lmindexer.methods.registry import METHODS, load_retriever, method_for
from lmindexer.methods.rescored import retriever as rescored
from lmindexer.methods.rescored.candidates import NOWHERE, Candidates, Sum, candidates_of
from lmindexer.methods.rescored.retriever import RescoredRetriever
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.methods.taught import RESCORED, rescoring_of
from lmindexer.methods.weights import KEPT
from lmindexer.model.backbone import Memory
from lmindexer.questions.questions import TEXT
from lmindexer.serving.explaining import explain_by_model
from lmindexer.serving.snapshot import open_snapshot
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, learn, write_queries

ASKED = ["rose in old soil", "the drum", "thunder and storm and hail"]
RANKS = np.array([3, 1, 2, 0, 4])


def one_of(rows: list[int], scores: list[list[float]], places: list[list[int]]) -> Candidates:
    return Candidates(np.array(rows), np.array(scores), places=np.array(places))


# By hand


def test_the_sum_by_hand():
    found = one_of([0, 2, 3], [[-1.0, -2.0, -9.0], [0.0, 4.0, 6.0], [1.0, 0.0, 5.0]], [[0, 1, 2]] * 3)
    rows, scores = found.ranked(Sum(1.0, 0.5, 2.0), RANKS, ())
    assert rows.tolist() == [3, 0, 2]
    assert scores.tolist() == pytest.approx([-9 + 3 + 10, -1 + 2, -2 + 2])


def test_of_equal_sums_the_lower_rank_comes_first():
    found = one_of([0, 1, 3], [[-1.0] * 3, [0.0] * 3, [0.0] * 3], [[0, 1, 2]] * 3)
    assert found.ranked(Sum(), RANKS, ())[0].tolist() == [3, 1, 0]


def test_what_a_deeper_list_adds_stands_behind_and_scores_no_more():
    scores = [[-1.0, -5.0, -0.5], [0.0] * 3, [0.0] * 3]
    found = one_of([0, 1, 2], scores, [[0, 3, 7], [NOWHERE, 1, NOWHERE], [5, NOWHERE, 4]])
    rows, values = found.ranked(Sum(), RANKS, [4])
    assert rows.tolist() == [0, 1, 2], "document 2 is among the first 4 of no list"
    assert values.tolist() == pytest.approx([-1.0, -5.0, -5.0])


def test_a_share_of_every_id_bounds_what_log_p_can_cost():
    found = one_of([0, 1], [[-1.0, -200.0], [0.0, 4.0], [0.0, 0.0]], [[0, 1]] * 3)
    assert found.ranked(Sum(1.0, 1.0, 1.0), RANKS, ())[0].tolist() == [0, 1]
    rows, scores = found.ranked(Sum(1.0, 1.0, 1.0, least=np.exp(-3.0)), RANKS, ())
    assert rows.tolist() == [1, 0]
    assert scores.tolist() == pytest.approx([-3.0 + 4.0, np.log(np.exp(-1) + np.exp(-3))], abs=1e-5)


def test_candidates_are_in_any_list():
    rows, places = candidates_of([np.array([4, 0]), np.array([], dtype=np.int64), np.array([2, 4])])
    assert rows.tolist() == [0, 2, 4]
    assert places.tolist() == [[1, NOWHERE, 0], [NOWHERE] * 3, [NOWHERE, 0, 1]]


def test_the_formula_names_the_parts_that_count():
    assert Sum(1.0, 0.2, 0.5).formula == "log P + 10 cosine + BM25"
    assert Sum(1.0, 0.0, 0.1, least=1e-4).formula == "log(P + 0.0001) + 0.2 BM25"
    assert Sum(0.0, 1.0, 0.0).formula == "50 cosine"


# Against scoring every document


@pytest.fixture(scope="module")
def home(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run taught to search with vectors of its own; its two parts beside the IDs are said to be better."""
    folder = tmp_path_factory.mktemp("rescored")
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    queries = write_queries(folder / "queries.jsonl")
    finetune(folder / "run", folder / "taught", queries=queries, **QUICK, dense_loss=1.0, progress=QUIET)
    return folder


def with_weights(run: Path, to: Path, better: bool = True, **weights: float) -> Path:
    """A copy of a run that has these weights."""
    shutil.copytree(run, to)
    kept = {"weights": {"ids": 1.0, "dense": 0.2, "words": 0.4} | weights, "least": 0.0, "better": better}
    (to / KEPT).write_text(json.dumps({RESCORED: kept}))
    facts = json.loads((to / "run.json").read_text())
    facts["files"].pop(KEPT)
    (to / "run.json").write_text(json.dumps(facts))
    return to


class Fixed:
    """What a scorer says of all documents, whatever is asked."""

    def __init__(self, seed: int, documents: int) -> None:
        self.scores = np.random.default_rng(seed).normal(size=documents).astype(np.float32).round(3)

    def __call__(self, texts: list[str], memory: Memory) -> np.ndarray:
        return np.tile(self.scores, (len(texts), 1))


def opened(run: Path, **how: object) -> tuple[RescoredRetriever, dict[str, dict[str, float]]]:
    """A retriever with fixed scorers, and what all documents score for each of ASKED."""
    generated = METHODS["generative"].open(run, exact=True)
    dense, words = Fixed(1, 80), Fixed(2, 80)
    weighted = Sum(1.0, 0.03, 0.8)
    retriever = RescoredRetriever(
        METHODS["generative"].open(run, **how), {"dense": dense, "words": words}, weighted  # type: ignore[arg-type]
    )  # fmt: skip
    beside = 0.03 * 50 * dense.scores + 0.8 * 2 * words.scores
    row_of = {doc_id: row for row, doc_id in enumerate(retriever.doc_ids)}
    sums = [
        {hit.doc_id: hit.score + beside[row_of[hit.doc_id]] for hit in hits} for hits in generated.search(ASKED, 80)
    ]
    return retriever, dict(zip(ASKED, sums, strict=True))


def check(hits: list[Hit], sums: dict[str, float], k: int) -> None:
    best = sorted(sums.values(), reverse=True)[:k]
    assert [hit.score for hit in hits] == pytest.approx(best, abs=1e-3)
    assert [sums[hit.doc_id] for hit in hits] == pytest.approx(best, abs=1e-3)


def test_lists_of_all_documents_equal_scoring_every_document(home: Path):
    retriever, sums = opened(home / "taught", beams=100)
    for text, hits in zip(ASKED, retriever.search(ASKED, 80), strict=True):
        check(hits, sums[text], 80)


def test_the_parts_of_a_score_add_up_to_it(home: Path):
    retriever, _ = opened(home / "taught", beams=100)
    ((hits, parts),) = [(hits, retriever.score_parts(ASKED[0], hits)) for hits in retriever.search(ASKED[:1], 9)]
    row_of = {doc_id: row for row, doc_id in enumerate(retriever.doc_ids)}
    assert {name for part in parts for name in part} == {"ids", "dense", "words"}
    assert [sum(part.values()) for part in parts] == pytest.approx([hit.score for hit in hits], abs=1e-3)
    dense = [0.03 * 50 * Fixed(1, 80).scores[row_of[hit.doc_id]] for hit in hits]
    assert [part["dense"] for part in parts] == pytest.approx(dense, abs=1e-5)


def test_a_service_explains_by_the_sum_and_the_path(home: Path):
    snapshot = open_snapshot("search", home / "taught", RESCORED, {})
    (hits,) = snapshot.retriever.search(ASKED[:1], 5)
    why = explain_by_model(snapshot, TEXT, ASKED[0], hits[1].doc_id, 5)
    assert why["rank"] == 2
    assert sum(why["parts"].values()) == pytest.approx(why["score"], abs=1e-3)
    assert [step["code"] for step in why["path"]] == list(snapshot.ids[hits[1].doc_id])


@pytest.mark.parametrize("k", [1, 5, 30])
def test_an_exact_search_finds_the_true_best_by_the_sum(home: Path, k: int):
    retriever, sums = opened(home / "taught", exact=True)
    with patch.object(rescored, "DEPTH", 2):
        for text, hits in zip(ASKED, retriever.search(ASKED, k), strict=True):
            check(hits, sums[text], k)


def test_what_no_beam_finds_has_the_score_of_its_id_all_the_same(home: Path):
    retriever, sums = opened(home / "taught", beams=1)
    best = retriever.doc_ids[int(retriever.scorers["words"].scores.argmax())]  # type: ignore[attr-defined]
    with patch.object(rescored, "DEPTH", 1):
        for text in ASKED:
            (hits,) = retriever.search([text], 3)
            assert {hit.doc_id: hit.score for hit in hits[:1]} == pytest.approx(
                {hits[0].doc_id: sums[text][hits[0].doc_id]}, abs=1e-3
            )
            found = next(hit for hit in retriever.search([text], 80)[0] if hit.doc_id == best)
            assert found.score == pytest.approx(sums[text][best], abs=1e-3)


# Who answers


def test_it_answers_by_default_where_dev_says_that_it_is_better(home: Path, tmp_path: Path):
    run, other = with_weights(home / "taught", tmp_path / "run"), with_weights(home / "taught", tmp_path / "o", False)
    assert (method_for(run), method_for(other), method_for(home / "run")) == ("rescored", "generative", "generative")
    assert isinstance(load_retriever(run), RescoredRetriever)
    assert load_retriever(run).formula == "log P + 10 cosine + 0.8 BM25"
    hybrid = METHODS["hybrid"].open(run)
    assert "RescoredRetriever" not in str(hybrid.settings), "IDs alone are fused with words"


def test_the_answer_says_which_parts_were_used(home: Path, tmp_path: Path):
    run = with_weights(home / "taught", tmp_path / "run", dense=0.0)
    told = lmindexer("search", run, "rose", "-k", 3)
    assert told.err.count("note: scores are log P + 0.8 BM25; --method generative searches by IDs alone") == 1
    assert "scores are" not in lmindexer("search", run, "rose", "--method", "generative").err
    judged = lmindexer("evaluate", run, "--metrics", "ndcg@10")
    assert "Note: rescored scores log P + 0.8 BM25." in judged.out
    assert "| rescored |" in judged.out


def test_each_part_answers_alone(home: Path, tmp_path: Path):
    run = with_weights(home / "taught", tmp_path / "run")
    by_words = METHODS["rescored"].open(run, score="words").search(ASKED, 3)
    assert [[hit.doc_id for hit in hits] for hits in by_words] == [
        [hit.doc_id for hit in hits] for hits in METHODS["bm25"].open(run).search(ASKED, 3)
    ]
    by_ids = METHODS["rescored"].open(run, score="ids").search(ASKED, 5)
    assert [[hit.doc_id for hit in hits] for hits in by_ids] == [
        [hit.doc_id for hit in hits] for hits in METHODS["generative"].open(run, beams=100).search(ASKED, 5)
    ]
    assert METHODS["rescored"].open(run, score="dense").formula == "50 cosine"
    with pytest.raises(InputError, match="this run scores by sum, ids, dense, words, not 'paths'; choose one of these"):
        METHODS["rescored"].open(run, score="paths")


def test_a_part_that_does_not_count_is_not_read(home: Path, tmp_path: Path):
    run = with_weights(home / "taught", tmp_path / "run", dense=0.0)
    with patch.object(rescored, "TaughtVectors", side_effect=AssertionError):
        assert set(METHODS["rescored"].open(run).scorers) == {"words"}  # type: ignore[attr-defined]


def test_what_comes_later_is_found_by_its_words_and_its_vector_at_once(home: Path, tmp_path: Path):
    run = with_weights(home / "taught", tmp_path / "run", dense=1.0, words=5.0)
    add_documents(run, Corpus.from_documents([Document("later", "a xylophone beside a bassoon")]))
    retriever = load_retriever(run)
    assert retriever.search(["xylophone"], 1)[0][0].doc_id == "later"


def test_what_was_picked_is_kept_and_better_only_if_it_is(home: Path):
    kept = json.loads((home / "taught" / KEPT).read_text())[RESCORED]
    assert kept["metric"] == "ndcg@10"
    assert kept["better"] == (kept["dev"] > kept["alone"]["ids"])
    assert kept["dev"] >= max(kept["alone"].values())
    found = rescoring_of(home / "taught")
    assert found is not None
    assert found["weights"] == kept["weights"]


def test_without_rescoring_nothing_is_picked(home: Path, tmp_path: Path):
    how = QUICK | {"warmup_epochs": 0}
    found = finetune(
        home / "run", tmp_path / "out", queries=home / "queries.jsonl", **how, rescore=False, progress=QUIET
    )
    assert not (tmp_path / "out" / KEPT).exists()
    assert found.name == "generative"


def test_without_words_the_others_are_picked(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "Stemmer", None)
    how = QUICK | {"warmup_epochs": 0}
    finetune(home / "run", tmp_path / "out", queries=home / "queries.jsonl", **how, progress=QUIET)
    assert json.loads((tmp_path / "out" / KEPT).read_text())[RESCORED]["weights"]["words"] == 0.0


def test_its_vectors_are_those_of_the_encoder_that_was_taught(home: Path):
    """With `dense_loss` a query is read once, by the encoder of the IDs."""
    retriever = METHODS["rescored"].open(home / "taught")
    assert isinstance(retriever, Retriever)
    assert (home / "taught" / "taught_vectors.parquet").exists()
