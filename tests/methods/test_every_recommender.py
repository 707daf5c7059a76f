"""What holds for every recommender, by its being listed; and two of them as one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.methods.hybrid import HybridRetriever
from lmindexer.methods.popular import PopularRetriever
from lmindexer.methods.registry import HISTORY, METHODS
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, learn, write_sequences

RECOMMENDERS = [name for name, method in METHODS.items() if HISTORY in method.reads]
HISTORIES = [["doc1"], ["doc5", "doc2", "doc5"], ["doc7", "doc8", "doc9"]]


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recommenders")
    taken = write_sequences(folder / "taken.txt", corpus)
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    finetune(folder / "run", folder / "taught", sequences=taken, **(QUICK | {"warmup_epochs": 0}), progress=QUIET)
    return folder / "taught"


@pytest.fixture(scope="module", params=RECOMMENDERS)
def recommender(request: pytest.FixtureRequest, run: Path) -> Retriever:
    if METHODS[request.param].only_taught:
        quick = {"epochs": 1, "dim": 8, "device": "cpu", "precision": "fp32", "progress": QUIET}
        finetune(run.parent / "run", run.parent / request.param, sequences=run.parent / "taken.txt",
                 method=request.param, **quick)  # fmt: skip
        return METHODS[request.param].open(run.parent / request.param, HISTORY)
    return METHODS[request.param].open(run, HISTORY)


def test_the_best_come_first_each_once(recommender: Retriever, corpus: Corpus):
    for k in (1, 10, 1000):
        for hits in recommender.recommend(HISTORIES, k):
            assert len({hit.doc_id for hit in hits}) == len(hits) == min(k, len(corpus))
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_restricted_answer_has_no_other(recommender: Retriever, corpus: Corpus):
    some = corpus.doc_ids[::7]
    for hits in recommender.recommend(HISTORIES, 80, only=iter(some)):
        assert sorted(hit.doc_id for hit in hits) == sorted(some)


def test_bad_questions_are_refused(recommender: Retriever):
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        recommender.recommend(HISTORIES, 0)
    with pytest.raises(InputError, match="'nobody' is none of the 80 documents"):
        recommender.recommend(HISTORIES, only=["nobody"])
    with pytest.raises(InputError, match="restricted to no document at all"):
        recommender.recommend(HISTORIES, only=[])
    with pytest.raises(InputError, match="the documents of only= must be a list, not the one text 'doc1'"):
        recommender.recommend(HISTORIES, only="doc1")
    with pytest.raises(InputError, match="histories must be a list, not the one text 'doc1'"):
        recommender.recommend("doc1")
    with pytest.raises(InputError, match=r"a history must be a list, not the one text 'doc1'; .*: \['doc1'\]"):
        recommender.recommend(["doc1", "doc2"])
    assert recommender.recommend([], 3) == []


def test_bad_histories_are_refused(recommender: Retriever):
    if isinstance(recommender, PopularRetriever):
        pytest.skip("popular takes any history")
    reads_them = recommender
    with pytest.raises(InputError, match="'nobody' of a history is none of the 80 documents; leave it out"):
        reads_them.recommend([["doc1", "nobody"]])
    with pytest.raises(InputError, match="a history is empty"):
        reads_them.recommend([["doc1"], []])


def test_the_nearest_to_the_newest_is_itself(run: Path, corpus: Corpus):
    for hits, history in zip(METHODS["dense"].open(run).recommend(HISTORIES, 1), HISTORIES, strict=True):
        assert corpus[corpus.row_of[hits[0].doc_id]].text in {corpus[corpus.row_of[each]].text for each in history}


def test_an_item_weighs_less_than_the_one_after_it(run: Path, corpus: Corpus):
    """The cosines with a history of two are those with .7 of the older one and the whole of the newer, scaled."""
    histories = [["doc1", "doc8"], ["doc1"], ["doc8"]]
    lists = METHODS["dense"].open(run).recommend(histories, len(corpus))
    scores = [{hit.doc_id: hit.score for hit in hits} for hits in lists]
    both, older, newer = (np.array([each[doc_id] for doc_id in corpus.doc_ids]) for each in scores)
    expected = 0.7 * older + newer
    assert both / np.linalg.norm(both) == pytest.approx(expected / np.linalg.norm(expected), abs=1e-3)


class Fixed(Retriever):
    reads = (HISTORY,)

    def __init__(self, *hits: Hit) -> None:
        self.hits, self.doc_ids, self.settings = list(hits), "abcd", {}

    def _answer(self, questions: list[Any], kind: str, k: int, rows: object) -> list[list[Hit]]:
        return [self.hits] * len(questions)


def test_two_as_one_by_hand():
    texts, taken = Fixed(Hit("a", 0.9), Hit("b", 0.8), Hit("c", 0.7)), Fixed(Hit("c", -1), Hit("a", -4), Hit("d", -5))
    both = HybridRetriever([texts, taken], [1.0, 2.0]).recommend([["x"], ["y"]], 3)
    assert [[hit.doc_id for hit in hits] for hits in both] == [["c", "a", "b"]] * 2
    assert [hit.score for hit in both[0]] == pytest.approx([2.0, 1.5, 0.5])


def test_a_partner_that_reads_no_history_is_refused(run: Path):
    with pytest.raises(InputError, match="bm25 does not answer such questions; the partner of generated IDs is dense"):
        METHODS["hybrid"].open(run, HISTORY, partner="bm25")
