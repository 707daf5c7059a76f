"""Every retriever by its name, over the documents of a run."""

from collections.abc import Callable
from pathlib import Path

from lmindexer.errors import InputError
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.store import load_documents
from lmindexer.retrievers.bm25 import Bm25Retriever
from lmindexer.retrievers.dense import DenseRetriever
from lmindexer.retrievers.generative import GenerativeRetriever
from lmindexer.retrievers.hits import Retriever
from lmindexer.retrievers.hybrid import HybridRetriever
from lmindexer.runs import Run


def generative(run: Path, *, beams: int = 20, exact: bool = False) -> GenerativeRetriever:
    """Of a run of LMIndexer. Raises InputError for another."""
    config = Run.open(run).config
    if config.indexer != "lmindexer":
        raise InputError(
            f"{run} was learned by {config.indexer}, which has no model to generate IDs; "
            "search a run of --indexer lmindexer, or with --retriever bm25"
        )
    indexer = LMIndexer.load(run)
    assert indexer.indexer is not None
    assert indexer.ids is not None
    return GenerativeRetriever(
        indexer.indexer,
        indexer.ids,
        max_tokens=config.max_tokens,
        precision=config.precision,
        beams=beams,
        exact=exact,
    )


def bm25(run: Path, **_: object) -> Bm25Retriever:
    """Raises InputError where the extra bm25 is not installed."""
    return Bm25Retriever(load_documents(Run.open(run)))


def dense(run: Path, **_: object) -> DenseRetriever:
    """By the bundled encoder as it is."""
    opened = Run.open(run)
    return DenseRetriever(load_documents(opened), max_tokens=opened.config.max_tokens)


def hybrid(run: Path, *, beams: int = 20, exact: bool = False) -> HybridRetriever:
    """BM25 and generated IDs, fused by rank."""
    return HybridRetriever([bm25(run), generative(run, beams=beams, exact=exact)])


RETRIEVERS: dict[str, Callable[..., Retriever]] = {
    "generative": generative,
    "bm25": bm25,
    "dense": dense,
    "hybrid": hybrid,
}
