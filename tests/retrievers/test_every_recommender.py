"""What holds for every recommender, by its being listed; and two of them as one."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.retrievers.hits import Hit, Recommender
from lmindexer.retrievers.hybrid import HybridRecommender
from lmindexer.retrievers.registry import RECOMMENDERS, hybrid_recommender
from lmindexer.tasks.finetune import finetune
from lmindexer.tasks.recommendation import recommender_of
from lmindexer.tasks.sequences import Sequences, load_taught
from small_tasks import QUICK, QUIET, learn, write_sequences

HISTORIES = [["doc1"], ["doc5", "doc2", "doc5"], ["doc7", "doc8", "doc9"]]


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recommenders")
    taken = write_sequences(folder / "taken.txt", corpus)
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    finetune(folder / "run", folder / "taught", sequences=taken, **(QUICK | {"warmup_epochs": 0}), progress=QUIET)
    return folder / "taught"


@pytest.fixture(scope="module")
def sequences(run: Path, corpus: Corpus) -> Sequences:
    return load_taught(run / "sequences.jsonl", corpus.doc_ids)


@pytest.fixture(scope="module", params=[*RECOMMENDERS, "popular"])
def recommender(request: pytest.FixtureRequest, run: Path, sequences: Sequences) -> Recommender:
    return recommender_of(request.param, run, sequences)


def test_the_best_come_first_each_once(recommender: Recommender, corpus: Corpus):
    for k in (1, 10, 1000):
        for hits in recommender.recommend(HISTORIES, k):
            assert len({hit.doc_id for hit in hits}) == len(hits) == min(k, len(corpus))
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_restricted_answer_has_no_other(recommender: Recommender, corpus: Corpus):
    some = corpus.doc_ids[::7]
    for hits in recommender.recommend(HISTORIES, 80, only=iter(some)):
        assert sorted(hit.doc_id for hit in hits) == sorted(some)


def test_bad_questions_are_refused(recommender: Recommender):
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


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_bad_histories_are_refused(run: Path, sequences: Sequences, name: str):
    reads_them = recommender_of(name, run, sequences)
    with pytest.raises(InputError, match="'nobody' of a history is none of the 80 documents; leave it out"):
        reads_them.recommend([["doc1", "nobody"]])
    with pytest.raises(InputError, match="a history is empty"):
        reads_them.recommend([["doc1"], []])


def test_the_nearest_to_the_newest_is_itself(run: Path, sequences: Sequences, corpus: Corpus):
    for hits, history in zip(recommender_of("dense", run, sequences).recommend(HISTORIES, 1), HISTORIES, strict=True):
        assert corpus[corpus.row_of[hits[0].doc_id]].text in {corpus[corpus.row_of[each]].text for each in history}


def test_an_item_weighs_less_than_the_one_after_it(run: Path, sequences: Sequences, corpus: Corpus):
    """The cosines with a history of two are those with .7 of the older one and the whole of the newer, scaled."""
    histories = [["doc1", "doc8"], ["doc1"], ["doc8"]]
    lists = recommender_of("dense", run, sequences).recommend(histories, len(corpus))
    scores = [{hit.doc_id: hit.score for hit in hits} for hits in lists]
    both, older, newer = (np.array([each[doc_id] for doc_id in corpus.doc_ids]) for each in scores)
    expected = 0.7 * older + newer
    assert both / np.linalg.norm(both) == pytest.approx(expected / np.linalg.norm(expected), abs=1e-3)


class Fixed:
    def __init__(self, *hits: Hit) -> None:
        self.hits = list(hits)

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, only: Iterable[str] | None = None
    ) -> list[list[Hit]]:
        return [self.hits] * len(histories)


def test_two_as_one_by_hand():
    texts, taken = Fixed(Hit("a", 0.9), Hit("b", 0.8), Hit("c", 0.7)), Fixed(Hit("c", -1), Hit("a", -4), Hit("d", -5))
    both = HybridRecommender([texts, taken], [1.0, 2.0]).recommend([["x"], ["y"]], 3)
    assert [[hit.doc_id for hit in hits] for hits in both] == [["c", "a", "b"]] * 2
    assert [hit.score for hit in both[0]] == pytest.approx([2.0, 1.5, 0.5])


def test_a_partner_that_reads_no_history_is_refused(run: Path):
    with pytest.raises(InputError, match="bm25 answers words, not histories"):
        hybrid_recommender(run, partner="bm25")
