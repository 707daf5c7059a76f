"""Every retriever by its name, over the documents of a run."""

from collections.abc import Callable, Sequence
from pathlib import Path

from lmindexer.errors import InputError
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.store import load_documents
from lmindexer.retrievers.bm25 import Bm25Retriever
from lmindexer.retrievers.dense import DenseRetriever
from lmindexer.retrievers.finetuned import is_finetuned, load
from lmindexer.retrievers.generative import GenerativeRetriever
from lmindexer.retrievers.hits import Retriever
from lmindexer.retrievers.hybrid import HybridRetriever
from lmindexer.retrievers.recommender import GenerativeRecommender, finetuned_search
from lmindexer.runs import Run


def load_retriever(
    run: str | Path, *, beams: int | None = None, exact: bool = False, renormalise: bool = False
) -> GenerativeRetriever | GenerativeRecommender:
    """What finds documents of a run by generating IDs. Raises InputError where the run has no model that can."""
    return generative(Path(run), beams=beams, exact=exact, renormalise=renormalise)


def generative(
    run: Path, *, beams: int | None = None, exact: bool = False, renormalise: bool = False
) -> GenerativeRetriever | GenerativeRecommender:
    """Of a run of LMIndexer, or of any run that was fine-tuned. Raises InputError for another."""
    if is_finetuned(run):
        finetuned = load(run)
        if finetuned.config.task == "recommend":
            return GenerativeRecommender(finetuned, beams=beams, exact=exact, renormalise=renormalise)
        return finetuned_search(finetuned, beams=beams, exact=exact, renormalise=renormalise)
    config = Run.open(run).config
    if config.indexer != "lmindexer":
        raise InputError(
            f"{run} was learned by {config.indexer}, which has no model to generate IDs; fine-tune it first "
            "(lmindexer finetune), search a run of --indexer lmindexer, or choose --retriever bm25"
        )
    indexer = LMIndexer.load(run)
    assert indexer.indexer is not None
    assert indexer.ids is not None
    return GenerativeRetriever(
        indexer.indexer,
        indexer.ids,
        max_tokens=config.max_tokens,
        precision=config.precision,
        beams=beams or 20,
        exact=exact,
        renormalise=renormalise,
    )


def bm25(run: Path, **_: object) -> Bm25Retriever:
    """Raises InputError where the extra bm25 is not installed."""
    return Bm25Retriever(load_documents(Run.open(run)))


def dense(run: Path, **_: object) -> DenseRetriever:
    """By the bundled encoder as it is."""
    opened = Run.open(run)
    return DenseRetriever(load_documents(opened), max_tokens=opened.config.max_tokens)


def hybrid(
    run: Path,
    *,
    beams: int | None = None,
    exact: bool = False,
    renormalise: bool = False,
    fusion: str = "score",
    weights: Sequence[float] | None = None,
    partner: str = "bm25",
) -> HybridRetriever:
    """`partner` and generated IDs, with `weights` in this order, fused by rank or by score.

    Raises InputError as `HybridRetriever`, and for a partner that is none of PARTNERS.
    """
    if partner not in PARTNERS:
        raise InputError(f"{partner!r} is no partner of generated IDs; choose one of {', '.join(PARTNERS)}")
    return HybridRetriever(
        [PARTNERS[partner](run), generative(run, beams=beams, exact=exact, renormalise=renormalise)], weights, fusion
    )


PARTNERS: dict[str, Callable[..., Retriever]] = {"bm25": bm25, "dense": dense}
RETRIEVERS: dict[str, Callable[..., Retriever]] = {
    "generative": generative,
    "bm25": bm25,
    "dense": dense,
    "hybrid": hybrid,
}
