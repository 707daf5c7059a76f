"""Every retriever by its name, over the documents of a run. Torch is imported by those that need it alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from lmindexer.config import IMPORTED
from lmindexer.errors import InputError
from lmindexer.indexers.store import load_documents
from lmindexer.retrievers.bm25 import Bm25Retriever
from lmindexer.retrievers.hits import How, Recommender, Retriever
from lmindexer.retrievers.hybrid import HybridRecommender, HybridRetriever, check_fusion
from lmindexer.runs import Run

if TYPE_CHECKING:
    from lmindexer.retrievers.dense import DenseRetriever
    from lmindexer.retrievers.generative import GenerativeRetriever
    from lmindexer.retrievers.recommender import GenerativeRecommender

DENSE = "dense.parquet"  # of a run: vectors of its documents by the bundled encoder


def load_retriever(
    run: str | Path,
    *,
    beams: int | None = None,
    exact: bool = False,
    renormalise: bool = False,
    novelty: float | None = None,
) -> "GenerativeRetriever | GenerativeRecommender":
    """What finds documents of a run by generating IDs, as `GenerativeRetriever` says.

    By default 20 `beams`, or as fine-tuned, and `novelty` as fine-tuning calibrated it; 0: documents that came later
    are not favoured. Raises InputError where the run has no model that can.
    """
    how: How = {"exact": exact, "renormalise": renormalise}
    if beams is not None:
        how["beams"] = beams
    if novelty is not None:
        how["novelty"] = novelty
    return generative(Path(run), **how)


def generative(run: Path, **how: Unpack[How]) -> "GenerativeRetriever | GenerativeRecommender":
    """Of a run of LMIndexer, or of any run that was fine-tuned. Raises InputError for another."""
    from lmindexer.indexers.lmindexer import LMIndexer
    from lmindexer.retrievers.finetuned import is_finetuned, load
    from lmindexer.retrievers.generative import GenerativeRetriever
    from lmindexer.retrievers.recommender import GenerativeRecommender, finetuned_search

    if is_finetuned(run):
        finetuned = load(run)
        is_recommender = finetuned.config.task == "recommend"
        return GenerativeRecommender(finetuned, **how) if is_recommender else finetuned_search(finetuned, **how)
    config = Run.open(run).config
    if "novelty" in how:
        raise InputError(f"novelty favours what came after fine-tuning, and {run} was not fine-tuned; leave it out")
    if config.indexer != "lmindexer" or config.given_vectors:
        made = (
            "was imported without a" if config.indexer == IMPORTED else f"was learned by {config.indexer}, which has no"
        )
        if config.indexer == "lmindexer":
            made = "was learned from vectors, so that no query can be read by its"
        raise InputError(
            f"{run} {made} model to generate IDs; fine-tune it first "
            "(lmindexer finetune), search a run of --indexer lmindexer, or choose --retriever bm25"
        )
    indexer = LMIndexer.load(run)
    assert indexer.model is not None
    assert indexer.ids is not None
    return GenerativeRetriever(
        indexer.model, indexer.ids, max_tokens=config.max_tokens, precision=config.precision, **how
    )


def bm25(run: Path) -> Bm25Retriever:
    """Raises InputError where the extra bm25 is not installed."""
    return Bm25Retriever(load_documents(Run.open(run)))


def dense(run: Path) -> "DenseRetriever":
    """By the bundled encoder as it is; vectors of documents are kept in the run."""
    from lmindexer.retrievers.dense import DenseRetriever

    opened = Run.open(run)
    config = opened.config
    return DenseRetriever(load_documents(opened), max_tokens=config.max_tokens, keep=run / DENSE, long=config.long)


def hybrid(
    run: Path,
    *,
    fusion: str = "score",
    weights: Sequence[float] | None = None,
    partner: str = "bm25",
    **how: Unpack[How],
) -> HybridRetriever:
    """`partner` and generated IDs, with `weights` in this order, fused by rank or by score.

    Raises InputError as `HybridRetriever`, and for a partner that is none of PARTNERS, before it reads any document.
    """
    check_fusion(weights, 2, fusion)
    if partner not in PARTNERS:
        raise InputError(f"{partner!r} is no partner of generated IDs; choose one of {', '.join(PARTNERS)}")
    ids = generative(run, **how)
    return HybridRetriever([PARTNERS[partner](run), ids], weights, fusion)


def recommender(run: Path, **how: Unpack[How]) -> "GenerativeRecommender":
    """Of a run that was fine-tuned to recommend. Raises InputError for another."""
    from lmindexer.retrievers.finetuned import is_finetuned, load, read_config
    from lmindexer.retrievers.recommender import GenerativeRecommender

    Run.open(run)
    if not is_finetuned(run) or read_config(run).task != "recommend":
        raise InputError(
            f"{run} was not taught to recommend; run lmindexer finetune on it, or on the run it was made from, "
            "or choose --retriever dense, which needs no teaching"
        )
    return GenerativeRecommender(load(run), **how)


def hybrid_recommender(
    run: Path,
    *,
    fusion: str = "score",
    weights: Sequence[float] | None = None,
    partner: str = "dense",
    **how: Unpack[How],
) -> HybridRecommender:
    """The nearest texts by the bundled encoder, which may be new, and generated IDs; else as `hybrid`."""
    check_fusion(weights, 2, fusion)
    if partner != "dense":
        raise InputError(f"{partner} answers words, not histories; to recommend, the partner of generated IDs is dense")
    ids = recommender(run, **how)
    return HybridRecommender([dense(run), ids], weights, fusion)


PARTNERS: dict[str, Callable[..., Retriever]] = {"bm25": bm25, "dense": dense}
RETRIEVERS: dict[str, Callable[..., Retriever]] = {
    "generative": generative,
    "bm25": bm25,
    "dense": dense,
    "hybrid": hybrid,
}
RECOMMENDERS: dict[str, Callable[..., Recommender]] = {
    "generative": recommender,
    "dense": dense,
    "hybrid": hybrid_recommender,
}
