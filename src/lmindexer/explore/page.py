"""The ID tree as one HTML page that opens from disk: a map of the codes, their words and their documents.

The browser's half is in the folder `assets/`, plain JavaScript. The page carries its data in three parts: a
summary of the first position, read before anything else so that the picture is there at once, then the tree
and the documents, compressed.
"""

import base64
import hashlib
import html
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.explore.telling import WordCounts, words_of_all
from lmindexer.files import json_text, write_text
from lmindexer.ids.table import IdTable, path_ids

TEXT_LENGTH = 160  # characters of a document which the page keeps, and searches
LABEL_COLOURS = 8  # as many as can be told apart, also by the colour-blind; base.css has them
ONE_LABEL_SHARE = 0.9  # a level where one label has more than this tells too little to colour by
COLOURED_SHARE = 1 / 3  # a level whose coloured labels have less than this, too: nearly all would be "other labels"
ASSETS = files("lmindexer.explore") / "assets"
STYLES = ("base.css", "page.css")
SCRIPTS = (
    "data.js",
    "labels.js",
    "layout.js",
    "drawing.js",
    "picture.js",
    "elements.js",
    "list.js",
    "panel.js",
    "legend.js",
    "heading.js",
    "tip.js",
    "search.js",
    "address.js",
    "page.js",
)


@dataclass(frozen=True)
class Shown:
    """One run on the page; `texts` and `labels` in the row order of `table`."""

    name: str
    table: IdTable
    texts: Sequence[str]  # N
    labels: Sequence[tuple[str, ...]] | None = None  # N, from general to special


def write_page(path: Path, runs: Sequence[Shown]) -> None:
    """One self-contained page of one run, or of two side by side, whose documents are matched by their ids.

    Its title is the run's name, or both names. Raises InputError for no run or more than two, and for a run
    without documents or without a learned code.
    """
    if not 1 <= len(runs) <= 2:
        raise InputError(f"a page shows one run or two side by side, not {len(runs)}; choose which")
    for run in runs:
        _check(run)
    write_text(path, _page(runs))


@dataclass(frozen=True)
class _Documents:
    """The documents of all runs, each once: those of the first run in its order, then what else the second has."""

    ids: list[str]  # N
    texts: list[str]  # N
    labels: list[tuple[str, ...]]  # N
    rows: list[np.ndarray]  # a run's table row -> its document here, one array a run

    @classmethod
    def of(cls, runs: Sequence[Shown]) -> "_Documents":
        place: dict[str, int] = {}
        texts: list[str] = []
        labels: list[tuple[str, ...]] = []
        rows = []
        for run in runs:
            run_labels = run.labels if run.labels is not None else [()] * len(run.table)
            for doc_id, text, label in zip(run.table.doc_ids, run.texts, run_labels, strict=True):
                if place.setdefault(doc_id, len(texts)) == len(texts):
                    texts.append(text)
                    labels.append(label)
                else:
                    labels[place[doc_id]] = labels[place[doc_id]] or label
            rows.append(np.array([place[doc_id] for doc_id in run.table.doc_ids]))
        return cls(list(place), texts, labels, rows)


@dataclass(frozen=True)
class _Groups:
    """The labels cut after `level`, the most frequent first; ties in the order in which they appear. -1: no labels."""

    level: int
    names: list[tuple[str, ...]]  # G
    counts: np.ndarray  # (G,)
    of_document: np.ndarray  # (N,), -1 where there is no label

    @classmethod
    def of(cls, labels: Sequence[tuple[str, ...]], level: int) -> "_Groups":
        number: dict[tuple[str, ...], int] = {}
        found = [number.setdefault(label[: level + 1], len(number)) if label and level >= 0 else -1 for label in labels]
        of_document = np.array(found)
        counts = np.bincount(of_document[of_document >= 0], minlength=len(number))
        order = np.argsort(-counts, kind="stable")
        rank = np.append(np.argsort(order), -1)  # -1 stays -1
        names = list(number)
        return cls(level, [names[group] for group in order], counts[order], rank[of_document])


def _check(run: Shown) -> None:
    for what, given in (("texts", run.texts), ("labels", run.labels)):
        if given is not None and len(given) != len(run.table):
            raise ValueError(f"{len(run.table)} documents have IDs, but {len(given)} {what} came with them")
    if not len(run.table):
        raise InputError(f"{run.name} has no documents; there is nothing to show")
    if not run.table.sizes:
        raise InputError(f"the IDs of {run.name} have no learned code; there is no tree to show")


def _page(runs: Sequence[Shown]) -> str:
    documents = _Documents.of(runs)
    groups = _telling_level(documents.labels)
    counts = WordCounts.of(documents.texts)
    words = [words_of_all(counts.select(rows), run.table.codes) for run, rows in zip(runs, documents.rows, strict=True)]
    title = " and ".join(run.name for run in runs)
    script = script_of([ASSETS / name for name in SCRIPTS])
    style = "".join((ASSETS / name).read_text(encoding="utf-8") for name in STYLES)
    parts = {
        "TITLE": html.escape(title.encode("utf-8", "replace").decode("utf-8")),
        "SCRIPT_HASH": csp_hash(script),
        "STYLE_HASH": csp_hash(style),
        "STYLE": style,
        "SCRIPT": script,
        "SUMMARY": _json(_summary(runs, documents, groups, words)).replace("<", "\\u003c"),
        "TREE": _packed(_trees(runs, documents, words)),
        "DOCUMENTS": _packed({"ids": documents.ids, "texts": [_beginning(text) for text in documents.texts]}),
    }
    return filled((ASSETS / "page.html").read_text(encoding="utf-8"), parts)


def script_of(sources: Sequence[Traversable]) -> str:
    """Several scripts as one, which leaves no name behind."""
    script = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    return f'(() => {{\n"use strict";\n{script}}})();'


def filled(template: str, parts: Mapping[str, str]) -> str:
    """A page of the parts that it names between double percent signs; nothing is filled in twice."""
    pieces = template.split("%%")  # odd ones are names of parts
    return "".join(parts[piece] if at % 2 else piece for at, piece in enumerate(pieces))


def map_of(run: Shown, words: list[list[list[str]]]) -> dict[str, Any]:
    """What a page draws that fetches texts when it needs them: `summary` and `tree` as in `write_page`, and the ids.

    `words` are those of `words_of_all`. Raises InputError as `write_page`.
    """
    _check(run)
    documents = _Documents.of([run])
    summary = _summary([run], documents, _telling_level(documents.labels), [words])
    return {"summary": summary, "tree": _trees([run], documents, [words]), "ids": documents.ids}


def _summary(
    runs: Sequence[Shown], documents: _Documents, groups: _Groups, words: Sequence[list[list[list[str]]]]
) -> dict[str, Any]:
    """What the first picture needs: the first codes with size, most frequent label, its share, and words."""
    shown = []
    for run, rows, run_words in zip(runs, documents.rows, words, strict=True):
        codes, node, sizes = np.unique(run.table.codes[:, 0], return_inverse=True, return_counts=True)
        top, most = _most_frequent(groups.of_document[rows], node, len(codes))
        shown.append(
            {
                "name": run.name,
                "sizes": run.table.sizes,
                "documents": len(run.table),
                "paths": len(np.unique(path_ids(run.table.codes))),
                "codes": codes.tolist(),
                "counts": sizes.tolist(),
                "top": top.tolist(),
                "share": (most / sizes).round(3).tolist(),
                "words": run_words[0],
            }
        )
    return {
        "documents": len(documents.ids),
        "labels": [[n, int(c)] for n, c in zip(groups.names, groups.counts, strict=True)][:LABEL_COLOURS],
        "other": int(groups.counts[LABEL_COLOURS:].sum()),
        "unlabelled": int((groups.of_document < 0).sum()),
        "level": groups.level,
        "levels": max(map(len, documents.labels)),
        "textLength": TEXT_LENGTH,
        "runs": shown,
    }


def _trees(runs: Sequence[Shown], documents: _Documents, words: Sequence[list[list[list[str]]]]) -> dict[str, Any]:
    """Codes, labels, and the words of all nodes below the first position, each distinct one written once."""
    label_number: dict[tuple[str, ...], int] = {}
    word_number: dict[str, int] = {}
    label_of = [label_number.setdefault(label, len(label_number)) if label else -1 for label in documents.labels]
    shown = [
        {
            "documents": None if np.array_equal(rows, np.arange(len(documents.ids))) else rows.tolist(),
            "codes": run.table.codes.T.tolist(),
            "suffix": None if run.table.suffix is None else run.table.suffix.tolist(),
            "words": [
                [[word_number.setdefault(word, len(word_number)) for word in node] for node in position]
                for position in run_words[1:]
            ],
        }
        for run, rows, run_words in zip(runs, documents.rows, words, strict=True)
    ]
    return {"labels": list(label_number), "labelOf": label_of, "vocabulary": list(word_number), "runs": shown}


def _telling_level(labels: Sequence[tuple[str, ...]]) -> _Groups:
    """The most general level of the labels where not nearly all documents have the same one.

    Where it has so many labels that few documents would have a colour: none, as if there were no labels.
    """
    for level in range(max(map(len, labels))):
        groups = _Groups.of(labels, level)
        labelled, coloured = groups.counts.sum(), groups.counts[:LABEL_COLOURS].sum()
        if groups.counts[0] <= ONE_LABEL_SHARE * labelled:
            return groups if coloured >= COLOURED_SHARE * labelled else _Groups.of(labels, -1)
    return _Groups.of(labels, 0)


def _most_frequent(group: np.ndarray, node: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent group of each node's documents, -1 if none has one, and how many have it: (nodes,) each."""
    top, most = np.full(nodes, -1), np.zeros(nodes, dtype=np.int64)
    pairs, counts = np.unique(np.column_stack([node, group])[group >= 0], axis=0, return_counts=True)
    order = np.lexsort((-pairs[:, 1], counts))  # the last one written stays: most documents, then the lower group
    top[pairs[order, 0]], most[pairs[order, 0]] = pairs[order, 1], counts[order]
    return top, most


def _beginning(text: str) -> str:
    """At most TEXT_LENGTH characters; the last one says that there is more."""
    text = " ".join(text[: 4 * TEXT_LENGTH].split())
    return text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 1] + "…"


def _json(data: Any) -> str:
    return json_text(data, separators=(",", ":"))


def _packed(data: Any) -> str:
    """JSON, deflated, base64: nothing in it can end the script element which carries it."""
    text = json_text(data, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")


def csp_hash(source: str) -> str:
    """Name a script or style as a Content-Security-Policy does, which lets it alone run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode("utf-8")).digest()).decode("ascii")
