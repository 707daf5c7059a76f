"""Whoever is asked: more documents are more of the same, and no document gains by where it stands in a file."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.evaluation.metrics import parse_metrics
from lmindexer.indexers.changes import add_documents
from lmindexer.indexers.store import load_documents
from lmindexer.judging.evaluation import evaluate_methods
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.dense import DenseRetriever
from lmindexer.methods.generative.folder import load
from lmindexer.methods.generative.retriever import GenerativeRetriever
from lmindexer.methods.hybrid import HybridRetriever
from lmindexer.methods.popular import PopularRetriever
from lmindexer.methods.registry import HISTORY, METHODS, TEXT
from lmindexer.methods.retriever import Hit
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.questions.queries import Queries
from lmindexer.questions.sequence_files import load_taught
from lmindexer.questions.sequences import held_out, next_items
from lmindexer.runs import Run
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, learn, teach_to_search, write_sequences

Ask = Callable[[int, "Iterable[str] | None"], "list[list[Hit]]"]

QUERIES = ["rose in old soil", "thunder and storm", "pan", "the a of"]
HISTORIES = [["doc1"], ["doc5", "doc2", "doc5"], ["doc7", "doc8", "twin3"]]
TWINS = 6  # documents that came later, with the text of others
THERE = [*(f"doc{n}" for n in range(80)), *(f"twin{n}" for n in range(TWINS))]
DEPTH = 7  # so much of each list is fused here, so that there is much behind it
GENERATIVE: list[dict[str, Any]] = [
    {"beams": 1}, {"beams": 3, "renormalise": True}, {"exact": True, "beams": 1}, {"beams": 2, "novelty": 4.0},
]  # fmt: skip
RETRIEVERS = [name for name, method in METHODS.items() if TEXT in method.reads]
TAUGHT_ALONE = [name for name in RETRIEVERS if METHODS[name].only_taught]
RECOMMENDERS = [name for name, method in METHODS.items() if HISTORY in method.reads and not method.only_taught]
WAYS: list[tuple[str, str, dict[str, Any]]] = [
    *(("search", name, {}) for name in RETRIEVERS),
    *(("recommend", name, {}) for name in RECOMMENDERS),
    *((task, "generative", how) for task in ("search", "recommend") for how in GENERATIVE),
    *((task, "hybrid", {"fusion": "rank", "beams": 2}) for task in ("search", "recommend")),
    ("search", "hybrid", {"partner": "dense", "weights": [1.0, 0.3]}),
    ("search", "seal", {}),
    ("search", "seal", {"beams": 2, "scoring": "lm"}),
]


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taught to recommend; then documents came that have the texts of others."""
    folder = tmp_path_factory.mktemp("stability")
    taken = write_sequences(folder / "taken.txt", corpus)
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    finetune(folder / "run", folder / "taught", sequences=taken, **(QUICK | {"warmup_epochs": 0}), progress=QUIET)
    for name in TAUGHT_ALONE:
        teach_to_search(folder / "run", folder / name, name, checkpoints["bert"])
    twins = Corpus.from_documents(Document(f"twin{n}", corpus[7 * n].text) for n in range(TWINS))
    for name in ("taught", *TAUGHT_ALONE):
        add_documents(folder / name, twins)
    return folder / "taught"


def run_with(run: Path, name: str) -> Path:
    """Beside the one that was taught to recommend: the run that was taught the method of this name."""
    return run.parent / name if name in TAUGHT_ALONE else run


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: "-".join(map(str, (*way[:2], *way[2].items()))))
def ask(request: pytest.FixtureRequest, run: Path) -> Ask:
    task, name, how = request.param
    if task == "search":
        retriever = METHODS[name].open(run_with(run, name), TEXT, **how)
        return lambda k, only: retriever.search(QUERIES, k, only=only)
    recommender = METHODS[name].open(run, HISTORY, **how)
    return lambda k, only: recommender.recommend(HISTORIES, k, only=only)


@settings(max_examples=15)
@given(
    st.lists(st.integers(1, 90), min_size=2, max_size=4, unique=True).map(sorted),
    st.none() | st.sets(st.sampled_from(THERE), min_size=1),
)
def test_the_first_documents_do_not_depend_on_how_many_are_asked_for(ask: Ask, ks: list[int], only: set[str] | None):
    with patch("lmindexer.methods.hybrid.DEPTH", DEPTH), patch("lmindexer.methods.rescored.retriever.DEPTH", DEPTH):
        lists = [ask(k, only) for k in ks]
    for (k, some), (_, more) in itertools.pairwise(zip(ks, lists, strict=True)):
        for hits, longer in zip(some, more, strict=True):
            assert [hit.doc_id for hit in hits] == [hit.doc_id for hit in longer[:k]]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in longer[:k]], rel=1e-4, abs=1e-6)
            assert len(hits) == min(k, len(longer))
    for hits in itertools.chain(*lists):
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len({hit.doc_id for hit in hits}) == len(hits)


def test_a_metric_does_not_depend_on_the_deepest_one(run: Path):
    """The fault that this is about: recall@10 of one model on the same queries, .74 or .66."""
    doc_ids = [f"doc{n}" for n in range(80)]
    asked = Queries(("a", "b", "c", "d"), tuple(QUERIES), tuple(dict.fromkeys(doc_ids[n::4], 1.0) for n in range(4)))
    retrievers = {name: METHODS[name].open(run_with(run, name), TEXT) for name in RETRIEVERS}
    retrievers |= {f"of {beams}": METHODS["generative"].open(run, TEXT, beams=beams) for beams in (1, 8)}
    alone = evaluate_methods(retrievers, asked, parse_metrics(["recall@10", "ndcg@10"])).first.judged
    beside = evaluate_methods(retrievers, asked, parse_metrics(["recall@10,50,80", "ndcg@10", "map@60"])).first.judged
    for name in retrievers:
        for metric in ("recall@10", "ndcg@10"):
            assert alone[name].values[metric].tolist() == beside[name].values[metric].tolist(), name


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_lists_without_the_own_history_do_not_depend_on_it_either(run: Path, name: str):
    doc_ids = load_documents(Run.open(run)).doc_ids
    sequences = load_taught(run / "sequences.jsonl", doc_ids)
    recommender, asked = METHODS[name].open(run, HISTORY), next_items(held_out(sequences, "test"), doc_ids)
    with patch("lmindexer.methods.hybrid.DEPTH", DEPTH):
        some, more = (
            evaluate_methods({name: recommender}, asked, parse_metrics([metric]))
            for metric in ("recall@4", "recall@40")
        )
    for shallow, deep in zip(some.tables.values(), more.tables.values(), strict=True):
        for hits, longer in zip(shallow.hits[name], deep.hits[name], strict=True):
            assert [hit.doc_id for hit in hits] == [hit.doc_id for hit in longer[:4]]


def lists_of(found: Sequence[Sequence[Hit]]) -> list[list[str]]:
    return [[hit.doc_id for hit in hits] for hits in found]


def test_the_order_of_the_corpus_is_no_matter(run: Path):
    finetuned = load(run)
    model, ids, corpus = finetuned.model, finetuned.ids, finetuned.corpus
    torch.manual_seed(0)
    without_suffix = SemanticIndexer(model.backbone, ids.sizes).eval()  # documents of one path score alike
    order = np.random.default_rng(3).permutation(len(corpus))
    other = Corpus.from_documents(corpus[row] for row in order)
    counts = np.arange(len(corpus)) // 9
    one, two = (
        [
            Bm25Retriever(documents),
            DenseRetriever(documents),
            GenerativeRetriever(model, table, max_tokens=32, beams=2),
            GenerativeRetriever(without_suffix, table, max_tokens=32, beams=2),
            PopularRetriever(documents.doc_ids, shares),
        ]
        for documents, table, shares in ((corpus, ids, counts), (other, ids.select(order), counts[order]))
    )
    one.append(HybridRetriever(one[:3]))
    two.append(HybridRetriever(two[:3]))
    for first, second in zip(one, two, strict=True):
        for k in (1, 10, 86):
            if isinstance(first, PopularRetriever):
                assert lists_of(first.recommend(HISTORIES, k)) == lists_of(second.recommend(HISTORIES, k))
            else:
                assert lists_of(first.search(QUERIES, k)) == lists_of(second.search(QUERIES, k)), type(first)


def test_equal_texts_are_no_better_for_coming_first():
    """Of twenty documents of one text the first in the file is the first found for one in twenty corpora."""
    first = 0
    for n in range(40):
        corpus = Corpus.from_documents(Document(f"{n}-{place}", "red rose") for place in range(20))
        first += Bm25Retriever(corpus).search(["rose"], 1)[0][0].doc_id == f"{n}-0"
    assert first < 10
