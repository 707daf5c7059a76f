"""Why a document was found or not: its path in the search by beams, and what other methods say of it."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.methods.dense import DenseRetriever
from lmindexer.methods.generative.explaining import explain_path, fell_off
from lmindexer.methods.generative.retriever import GenerativeRetriever
from lmindexer.methods.hybrid import HybridRetriever
from lmindexer.methods.rescored.retriever import RescoredRetriever
from lmindexer.methods.retriever import ByParts, Hit, Retriever
from lmindexer.questions.questions import TEXT
from lmindexer.serving.limits import MOST_HITS
from lmindexer.serving.snapshot import Question, Snapshot


def explain_by_model(
    snapshot: Snapshot, kind: str, asked: str | tuple[str, ...], doc_id: str, k: int
) -> dict[str, Any]:
    """What the method that answers says, as `schemas.Explanation`; this needs the model."""
    (answer,) = snapshot.answer(kind, [Question(asked, MOST_HITS, repeats=True)], None, False)
    rank = next((rank for rank, hit in enumerate(answer.hits, 1) if hit.doc_id == doc_id), None)
    score = answer.hits[rank - 1].score if rank is not None else None
    question = asked if isinstance(asked, str) else list(asked)
    retriever, found = snapshot.retriever, dict[str, float]()
    if score is not None and isinstance(retriever, ByParts):
        (found,) = retriever.score_parts(question, [Hit(doc_id, score)])
    explained = {"id": doc_id, "run": snapshot.name, "rank": rank, "score": score, "parts": found}
    return explained | _path(snapshot, question, doc_id, k)


def _path(snapshot: Snapshot, question: Any, doc_id: str, k: int) -> dict[str, Any]:
    """Each position of the document's path; none where no method by generated IDs is asked."""
    generative = _generative(snapshot.retriever)
    if generative is None:
        return {"path": [], "fell_off": None}
    steps = explain_path(generative, question, snapshot.row(doc_id), k)
    path = [step.code for step in steps]
    shown: list[dict[str, Any]] = []
    for position, step in enumerate(steps):
        numbers = {name: _finite(value) for name, value in asdict(step).items() if name not in ("kept", "lowest")}
        words = snapshot.words_of(path[: position + 1])
        shown.append(numbers | {"kept": step.kept, "lowest_kept": _finite(step.lowest), "words": words})
    fallen = None if generative.settings["exact"] else fell_off(steps)
    return {"path": shown, "fell_off": None if fallen is None else fallen + 1}


def _generative(retriever: Retriever) -> GenerativeRetriever | None:
    """The part of a retriever that generates IDs."""
    if isinstance(retriever, HybridRetriever):
        return next(filter(None, map(_generative, retriever.retrievers)), None)
    if isinstance(retriever, RescoredRetriever):
        return retriever.generated
    return retriever if isinstance(retriever, GenerativeRetriever) else None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def explain_by_words(snapshot: Snapshot, kind: str, asked: str | Sequence[str], doc_id: str) -> dict[str, Any]:
    """What BM25 and the bundled encoder say of the document, in a thread of its own; a note where they cannot."""
    if kind != TEXT or not isinstance(asked, str):
        note = {"note": "of histories only the method that answers is asked"}
        return {"bm25": note, "dense": note}
    return {"bm25": _noted(_bm25, snapshot, asked, doc_id), "dense": _noted(_dense, snapshot, asked, doc_id)}


def _noted(method: Any, snapshot: Snapshot, asked: str, doc_id: str) -> dict[str, Any]:
    try:
        return method(snapshot, asked, doc_id)
    except InputError as error:  # a package that is not installed
        return {"note": str(error)}


def _bm25(snapshot: Snapshot, asked: str, doc_id: str) -> dict[str, Any]:
    (hits,) = snapshot.bm25.answer([asked], len(snapshot.corpus))
    rank = next((rank for rank, hit in enumerate(hits, 1) if hit.doc_id == doc_id), None)
    score = hits[rank - 1].score if rank is not None else 0.0
    return {"rank": rank, "score": score, "words": snapshot.bm25.score_parts(asked, [Hit(doc_id, score)])[0]}


def _dense(snapshot: Snapshot, asked: str, doc_id: str) -> dict[str, Any]:
    """Of this document alone: vectors of all may not be there, and would take minutes."""
    document = Corpus.from_documents([snapshot.corpus[snapshot.row(doc_id)]], keep_empty=True)
    return {"cosine": DenseRetriever(document).answer([asked], 1)[0][0].score}
