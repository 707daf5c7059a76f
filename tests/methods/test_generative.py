"""Search by generating IDs: what is found exists, exact is exact, and a restricted search is no filter."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.methods.generative.retriever import GenerativeRetriever
from lmindexer.progress import Progress

QUERIES = ["rose in old soil", "thunder", "a violin and a drum", "pan"]


@pytest.fixture(scope="module", params=["bert", "t5"])
def retriever(
    request: pytest.FixtureRequest,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> GenerativeRetriever:
    indexer = LMIndexer(
        backbone=str(checkpoints[request.param]), sizes=(6, 5), epochs=1, warmup_epochs=1, reconstructor_epochs=1,
        settle_epochs=1, batch_size=32, device="cpu", precision="fp32", encoder="frozen",
    )  # fmt: skip
    indexer.fit(corpus, tmp_path_factory.mktemp("runs") / "run", progress=Progress(None))
    assert indexer.model is not None
    assert indexer.ids is not None
    return GenerativeRetriever(indexer.model, indexer.ids, max_tokens=64, beams=4)


def changed(retriever: GenerativeRetriever, **how: Any) -> GenerativeRetriever:
    return GenerativeRetriever(retriever.model, retriever.ids, **{"max_tokens": 64, "beams": 4} | how)


def test_it_finds_k_distinct_documents_best_first(retriever: GenerativeRetriever, corpus: Corpus):
    for k in (1, 7, 80, 1000):
        for hits in retriever.search(QUERIES, k):
            assert len({hit.doc_id for hit in hits}) == len(hits) == min(k, len(corpus))
            assert {hit.doc_id for hit in hits} <= set(corpus.doc_ids)
            scores = [hit.score for hit in hits]
            assert scores == sorted(scores, reverse=True)
            assert np.isfinite(scores).all()


def test_documents_of_one_path_share_a_score(retriever: GenerativeRetriever):
    (hits,) = changed(retriever, exact=True).search(QUERIES[:1], 80)
    scores: dict[tuple[int, ...], set[float]] = {}
    for hit in hits:
        scores.setdefault(retriever.ids[hit.doc_id][:-1], set()).add(hit.score)
    assert all(len(each) == 1 for each in scores.values())


def test_a_query_does_not_depend_on_its_company(retriever: GenerativeRetriever):
    exact = changed(retriever, exact=True)
    together = exact.search(QUERIES, 5)
    for query, hits in zip(QUERIES, together, strict=True):
        (alone,) = exact.search([query], 5)
        assert [hit.score for hit in alone] == pytest.approx([hit.score for hit in hits], rel=1e-4)


def test_a_restricted_search_is_exact_and_no_filter(retriever: GenerativeRetriever, corpus: Corpus):
    some = corpus.doc_ids[5:80:9]
    exact = changed(retriever, exact=True)
    everything = exact.search(QUERIES, len(corpus))
    restricted = exact.search(QUERIES, 4, only=some)
    for all_hits, hits in zip(everything, restricted, strict=True):
        best = [hit for hit in all_hits if hit.doc_id in some][:4]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in best], rel=1e-4)
        assert {hit.doc_id for hit in hits} <= set(some)


def test_a_wide_beam_is_exact(retriever: GenerativeRetriever):
    for renormalise in (False, True):
        wide = changed(retriever, beams=200, renormalise=renormalise).search(QUERIES, 10)
        exact = changed(retriever, exact=True, renormalise=renormalise).search(QUERIES, 10)
        for one, other in zip(wide, exact, strict=True):
            assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], rel=1e-4)


def test_bad_questions_are_refused(retriever: GenerativeRetriever):
    with pytest.raises(InputError, match="query 2 is empty; give it at least one word"):
        retriever.search(["rose", "  "])
    with pytest.raises(InputError, match="it must be at least 1, not 0"):
        retriever.search(["rose"], 0)
    with pytest.raises(InputError, match="'nobody' is none of the 80 documents"):
        retriever.search(["rose"], only=["nobody"])
    with pytest.raises(InputError, match="restricted to no document at all"):
        retriever.search(["rose"], only=[])
    assert retriever.search([], 3) == []
