"""Documents, answers and the ID tree of a snapshot, ready for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmindexer.errors import InputError, excerpt
from lmindexer.serving.snapshot import Answer, Snapshot

NEIGHBOURS = 10  # of a document, and examples of a node
TEXT_SHOWN = 2_000  # characters of a document in a list


def answers_of(snapshot: Snapshot, answers: Sequence[Answer], explain: bool) -> dict[str, Any]:
    """As `schemas.Answers`."""
    return {
        "run": snapshot.name,
        "snapshot": snapshot.number,
        "version": snapshot.version,
        "method": snapshot.method,
        "answers": [{"hits": _hits(snapshot, answer, explain)} for answer in answers],
    }


def _hits(snapshot: Snapshot, answer: Answer, explain: bool) -> list[dict[str, Any]]:
    hits = []
    for rank, hit in enumerate(answer.hits, 1):
        row = snapshot.row(hit.doc_id)
        found = {"rank": rank, "score": hit.score} | brief(snapshot, row)
        found |= {"label": list(snapshot.corpus[row].label), "new": hit.doc_id in snapshot.new}
        if explain:
            found["parts"] = answer.parts[rank - 1] if answer.parts else {}
        hits.append(found)
    return hits


def brief(snapshot: Snapshot, row: int) -> dict[str, Any]:
    """As `schemas.Brief`."""
    document = snapshot.corpus[row]
    return {"id": document.id, "text": document.text[:TEXT_SHOWN], "path": codes_of(snapshot, row)}


def codes_of(snapshot: Snapshot, row: int) -> list[dict[str, Any]]:
    """The ID of a document, as `schemas.Code`; none of a run without IDs."""
    if snapshot.ids is None:
        return []
    path = [*snapshot.ids.codes[row].tolist()]
    codes = [{"code": code, "words": snapshot.words_of(path[: t + 1])} for t, code in enumerate(path)]
    suffix = snapshot.ids.suffix
    return codes if suffix is None else [*codes, {"code": int(suffix[row]), "words": []}]


def whole(snapshot: Snapshot, row: int) -> dict[str, Any]:
    """As `schemas.Whole`: neighbours share as many codes as others do."""
    document = snapshot.corpus[row]
    neighbours = _neighbours(snapshot, row)
    return brief(snapshot, row) | {
        "text": document.text,
        "label": list(document.label),
        "new": document.id in snapshot.new,
        "neighbours": [brief(snapshot, other) for other in neighbours],
    }


def _neighbours(snapshot: Snapshot, row: int) -> list[int]:
    """Of the deepest code that other documents have, too: the nearest rows first."""
    if snapshot.ids is None:
        return []
    path = snapshot.ids.codes[row].tolist()
    for depth in range(len(path), 0, -1):
        rows = snapshot.ids.rows_below(path[:depth])
        others = rows[rows != row]
        if len(others):
            return others[np.argsort(np.abs(others - row), kind="stable")][:NEIGHBOURS].tolist()
    return []


def node(snapshot: Snapshot, path: Sequence[int]) -> dict[str, Any]:
    """As `schemas.Node`. Raises InputError for a path that no document has, and where there are no IDs."""
    if snapshot.ids is None:
        raise InputError(f"{snapshot.name} has no IDs, so there is no tree to show")
    rows = snapshot.ids.rows_below(path)
    if not len(rows):
        raise InputError(f"no document has an ID that begins with {excerpt('.'.join(map(str, path)))}")
    children = []
    if len(path) < len(snapshot.ids.sizes):
        codes, sizes = np.unique(snapshot.ids.codes[rows, len(path)], return_counts=True)
        order = np.argsort(-sizes, kind="stable")
        children = [
            {"code": code, "documents": size, "words": snapshot.words_of([*path, code])}
            for code, size in zip(codes[order].tolist(), sizes[order].tolist(), strict=True)
        ]
    return {
        "path": list(path),
        "documents": len(rows),
        "words": snapshot.words_of(path),
        "children": children,
        "examples": [brief(snapshot, row) for row in rows[:NEIGHBOURS].tolist()],
    }


def run_of(snapshot: Snapshot) -> dict[str, Any]:
    """What there is to know of a run before it is asked."""
    return {
        "name": snapshot.name,
        "snapshot": snapshot.number,
        "version": snapshot.version,
        "method": snapshot.method,
        "reads": list(snapshot.retriever.reads),
        "documents": len(snapshot.corpus),
        "has_ids": snapshot.ids is not None,
        "labels": [{"label": label, "documents": count} for label, count in snapshot.label_counts],
    }
