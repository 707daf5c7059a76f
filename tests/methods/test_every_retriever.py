"""What holds for every retriever, by its being listed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import learned, write_items
from lmindexer.cli.searching import search
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.changes import add_documents, remove_documents
from lmindexer.indexers.store import load_documents
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.dense import KEPT, DenseRetriever
from lmindexer.methods.registry import METHODS, TEXT
from lmindexer.methods.retriever import Hit, Retriever, best_hits
from lmindexer.runs import Run
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUIET, write_queries

QUERIES = ["rose in old soil", "thunder and storm", "a violin and a drum"]


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    learned(write_items(corpus, folder / "items.jsonl"), "--out", folder / "run", "--backbone", checkpoints["bert"])
    return folder / "run"


@pytest.fixture(scope="module", params=[name for name, method in METHODS.items() if TEXT in method.reads])
def retriever(request: pytest.FixtureRequest, run: Path, checkpoints: dict[str, Path]) -> Retriever:
    if METHODS[request.param].only_taught:
        quick = {"epochs": 1, "device": "cpu", "precision": "fp32", "backbone": str(checkpoints["bert"])}
        finetune(run, run.parent / request.param, queries=write_queries(run.parent / "queries.jsonl"),
                 method=request.param, **quick, progress=QUIET)  # fmt: skip
        return METHODS[request.param].open(run.parent / request.param, TEXT)
    return METHODS[request.param].open(run, TEXT)


def test_the_command_line_offers_them_all():
    (option,) = (each for each in search.params if each.name == "method")
    assert list(option.type.choices) == list(METHODS)  # type: ignore[attr-defined]


def test_the_best_come_first_each_once(retriever: Retriever, corpus: Corpus):
    for k in (1, 10, 1000):
        for hits in retriever.search(QUERIES, k):
            assert len({hit.doc_id for hit in hits}) == len(hits) <= min(k, len(corpus))
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert {hit.doc_id for hit in hits} <= set(corpus.doc_ids)


def test_a_restricted_search_finds_no_other(retriever: Retriever, corpus: Corpus):
    some = corpus.doc_ids[::7]
    for hits in retriever.search(QUERIES, 80, only=iter(some)):
        assert {hit.doc_id for hit in hits} <= set(some)


def test_bad_questions_are_refused(retriever: Retriever):
    with pytest.raises(InputError, match="query 2 is empty"):
        retriever.search(["rose", " "])
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        retriever.search(["rose"], 0)
    with pytest.raises(InputError, match="'nobody' is none of the 80 documents"):
        retriever.search(["rose"], only=["nobody"])
    with pytest.raises(InputError, match="restricted to no document at all"):
        retriever.search(["rose"], only=[])
    with pytest.raises(InputError, match=r"queries must be a list, not the one text 'rose'; put it .*: \['rose'\]"):
        retriever.search("rose")
    with pytest.raises(InputError, match="the documents of only= must be a list, not the one text 'doc1'"):
        retriever.search(["rose"], only="doc1")
    assert retriever.search([], 3) == []


def test_words_are_found_without_torch(run: Path):
    """BM25 answers in the time that torch alone takes to load."""
    asked = f"""
import sys
from lmindexer.cli import main
try:
    main(["search", {str(run)!r}, "rose", "--method", "bm25"])
except SystemExit as end:
    assert not end.code
print(sorted(sys.modules.keys() & {{"torch", "transformers", "sklearn"}}))
"""
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]"
    assert "doc" in told


def test_words_find_their_documents():
    texts = {"a": "red roses", "b": "a rose and another rose", "c": "thunder"}
    retriever = Bm25Retriever(Corpus.from_documents(Document(name, text) for name, text in texts.items()))
    (hits,) = retriever.search(["rose"], 3)
    assert [hit.doc_id for hit in hits] == ["b", "a"], "stemmed; and c, without the word, is no hit"
    assert retriever.search(["rose"], 3, only=["a", "c"])[0][0].doc_id == "a"
    assert retriever.search(["nothing here"], 3) == [[]]


def test_a_text_is_nearest_to_itself(corpus: Corpus, checkpoints: dict[str, Path]):
    retriever = DenseRetriever(corpus, str(checkpoints["bert"]))
    for row, hits in zip(range(5), retriever.search(corpus.texts(range(5)), 1), strict=True):
        assert hits[0].score == pytest.approx(1, abs=2e-3)
        assert corpus[corpus.row_of[hits[0].doc_id]].text == corpus[row].text


def test_kept_vectors_find_what_new_ones_do(run: Path, corpus: Corpus, tmp_path: Path):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    METHODS["dense"].open(folder)
    assert (folder / KEPT).exists()
    remove_documents(folder, ["doc3"])
    later = {"doc3": "thunder over the garden", "new": "an old violin"}  # doc3 with another text
    add_documents(folder, Corpus.from_documents(Document(*each) for each in later.items()))
    anew = DenseRetriever(load_documents(Run.open(folder)))
    for _ in range(2):
        for hits, expected in zip(
            METHODS["dense"].open(folder).search(QUERIES, 81), anew.search(QUERIES, 81), strict=True
        ):
            found = {hit.doc_id: hit.score for hit in hits}
            assert found == pytest.approx({hit.doc_id: hit.score for hit in expected}, abs=5e-3)


def test_best_hits_by_hand():
    import numpy as np

    scores = np.array([0.5, -np.inf, 2.0, 0.5])
    ranks = np.array([3, 0, 2, 1])
    assert best_hits(scores, "abcd", 2, ranks) == [Hit("c", 2.0), Hit("d", 0.5)]
    assert best_hits(scores, "abcd", 9, ranks) == [Hit("c", 2.0), Hit("d", 0.5), Hit("a", 0.5)]
