"""Queries and the documents relevant to them: a BEIR folder, two files, or one JSONL file of both."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError, excerpt
from lmindexer.evaluation.trec import read_qrels
from lmindexer.files import json_text, write_text
from lmindexer.questions.query_records import documents_in, file_of_split, records_in, split_in, split_name, text_in
from lmindexer.questions.questions import Questions
from lmindexer.values import DocId, id_text, id_texts, plain

QUERIES = "queries.jsonl"  # of a run: what it was taught

Relevant = Iterable[DocId] | Mapping[Any, float]  # documents, or their grades


@dataclass(frozen=True, repr=False)
class Queries:
    """Q queries, each of another text; make some with `Queries.read` or `Queries.of`."""

    query_ids: tuple[str, ...]  # Q
    texts: tuple[str, ...]  # Q
    relevant: tuple[dict[str, float], ...]  # Q: document id -> grade, above 0; the corpus may lack the document
    notes: tuple[str, ...] = ()  # what was left out, joined or missing
    joined_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # query id -> others of the same text

    @classmethod
    def read(
        cls,
        path: str | Path,
        split: str = "test",
        *,
        qrels: str | Path | None = None,
        documents: Corpus | Iterable[str] | None = None,
    ) -> "Queries":
        """The queries of a BEIR folder, two files or one, as `load_queries` says.

        With `documents`, what of the relevant ones is not among these is told in `notes`.
        """
        doc_ids = documents.doc_ids if isinstance(documents, Corpus) else documents
        return load_queries(Path(path), None if qrels is None else Path(qrels), split, doc_ids)

    @classmethod
    def of(
        cls,
        data: "QueryData",
        *,
        documents: Iterable[str] | None = None,
        answerable: bool = False,
    ) -> "Queries":
        """Of {text: ids of the relevant documents}, {text: {id: grade}}, or queries as they are.

        Texts are joined and documents checked as in files, by `load_queries`. Raises InputError as it does.
        """
        source = "the queries"
        if isinstance(data, Queries):
            found = [Found(id, text, grades, data.joined_ids.get(id, ()))
                     for id, text, grades in zip(data.query_ids, data.texts, data.relevant, strict=True)]  # fmt: skip
        elif isinstance(data, Mapping):
            found = [Found(str(n), text_in({"text": text}, f"{source}, row {n}"), _grades(relevant, text))
                     for n, (text, relevant) in enumerate(data.items())]  # fmt: skip
        else:
            raise InputError(f"queries are {{text: ids}} or {{text: {{id: grade}}}}, not {excerpt(data)}; give a dict")
        notes = list(data.notes) if isinstance(data, Queries) else []
        return _of_found(source, found, documents, notes, answerable)

    def __len__(self) -> int:
        return len(self.query_ids)

    def __repr__(self) -> str:
        return f"Queries({len(self):,} queries, {sum(map(len, self.relevant)):,} relevant documents)"

    @property
    def questions(self) -> Questions:
        """The same as a method is asked."""
        return Questions(self.texts, self.relevant, self.query_ids, self.notes, self.joined_ids)

    def select(self, places: Iterable[int]) -> "Queries":
        """Some of them, in this order."""
        chosen = list(places)
        query_ids, texts = tuple(self.query_ids[n] for n in chosen), tuple(self.texts[n] for n in chosen)
        joined = {id: self.joined_ids[id] for id in query_ids if id in self.joined_ids}
        return Queries(query_ids, texts, tuple(self.relevant[n] for n in chosen), self.notes, joined)

    def within(self, doc_ids: Collection[str]) -> "Queries":
        """Those that these documents answer, without what else is relevant to them."""
        relevant = tuple({d: grade for d, grade in grades.items() if d in doc_ids} for grades in self.relevant)
        return replace(self, relevant=relevant).select(n for n, grades in enumerate(relevant) if grades)


def load_queries(
    queries: Path,
    qrels: Path | None,
    split: str,
    doc_ids: Iterable[str] | None,
    sources: Sequence[str] = (),
    *,
    answerable: bool = False,
) -> Queries:
    """The queries of `split` and the documents relevant to them, in the order of the file.

    - a BEIR folder: queries.jsonl or .jsonl.gz, and qrels/<split>.tsv unless `qrels` says otherwise;
    - JSONL of `_id` or `id` and `text` or `query`, beside `qrels`: a file, or a folder with <split>.tsv;
    - without `qrels`, JSONL of `query` or `text`, `item_ids` or `doc_ids`, and where there `_id` or `id` (else
      the line's number), `grades` (as many as documents; else 1), `split` (others are passed over) and `source`
      (of pseudo-queries; with `sources`, others are passed over).

    The dev split may be called val, valid or validation, too. Queries of the same text, whatever its case and white
    space, are one: with the id of the first, the documents of all, and the highest grades. Relevant documents that
    are not among `doc_ids`, the corpus, stay, and so do queries without a relevant one; with `answerable` both are
    left out; without `doc_ids` nothing is known to be missing. What was joined, is missing or left out is told in
    `notes`. Raises InputError that names file and line, also for an empty query and when documents of the corpus answer
    none.
    """
    if queries.is_dir():
        qrels = qrels or queries / "qrels"
        if not qrels.exists():
            raise InputError(f"{queries} is not a BEIR folder: there is no {qrels}; name the file of judgements, too")
        plain = queries / "queries.jsonl"
        queries = plain if plain.exists() else queries / "queries.jsonl.gz"
    notes = []
    if qrels is None:
        found = list(_with_documents(queries, split_name(split), sources))
    else:
        judgements = read_qrels(file_of_split(qrels, split) if qrels.is_dir() else qrels)
        found = list(_with_judgements(queries, judgements))
        known = {query.id for query in found}
        missing = [query_id for query_id in judgements if query_id not in known]
        if missing:
            notes.append(f"{len(missing):,} queries of {qrels} are not in {queries} (the first: {missing[0]!r})")
    return _of_found(queries, found, doc_ids, notes, answerable)


def text_key(text: str) -> str:
    """The same for texts that differ in case and white space alone."""
    return " ".join(text.casefold().split())


@dataclass(frozen=True)
class Found:
    """A query as it stands in a file, or several of the same text."""

    id: str
    text: str
    grades: dict[str, float]  # by document, also 0 and below
    joined_ids: tuple[str, ...] = ()


def _with_judgements(path: Path, judgements: dict[str, dict[str, float]]) -> Iterator[Found]:
    """The queries that have any; the others are of other splits."""
    for where, id, record in records_in(path, numbered=False):
        if id in judgements:
            yield Found(id, text_in(record, where), judgements[id])


def _with_documents(path: Path, split: str, sources: Sequence[str]) -> Iterator[Found]:
    """The queries of `split` and of none; with `sources`, of these alone."""
    splits: set[str] = set()
    marks: set[str] = set()
    for where, id, record in records_in(path, numbered=True):
        splits.add(its_split := split_in(record) or split)
        marks.add(mark := str(record.get("source", "")))
        if its_split == split and (not sources or mark in sources):
            joined = record.get("joined_ids")
            others = tuple(map(str, joined)) if isinstance(joined, list) else ()
            yield Found(id, text_in(record, where), documents_in(record, where), others)
    if split not in splits and splits:
        raise InputError(f"{path} has no split {split!r}, only {', '.join(map(repr, sorted(splits)))}; name one")
    if missing := set(sources) - marks:
        present = ", ".join(map(repr, sorted(marks - {""}))) or "none"
        raise InputError(f"{path} has no queries of the source {min(missing)!r}; the sources there are {present}")


def splits_of(queries: Path, qrels: Path | None) -> set[str]:
    """The splits that `load_queries` can be asked for; none where the queries are not parted.

    Raises InputError for a file in which some queries have a split and others none.
    """
    if queries.is_dir() or (qrels is not None and qrels.is_dir()):
        return {split_name(path.stem) for path in (qrels or queries / "qrels").glob("*.tsv")}
    if qrels is not None:
        return set()
    splits = {split_in(record) for _, _, record in records_in(queries, numbered=True)}
    if None in splits and len(splits) > 1:
        raise InputError(f"in {queries} some queries have no 'split', and would be in all of them; give each its own")
    return {split for split in splits if split is not None}


def save_queries(path: Path, splits: Mapping[str, Queries]) -> None:
    """All splits as one JSONL file that `load_queries` reads without qrels; an id may be in several splits."""
    lines = []
    for split, queries in splits.items():
        for id, text, grades in zip(queries.query_ids, queries.texts, queries.relevant, strict=True):
            record: dict[str, Any] = {"split": split, "_id": id, "text": text}
            record |= {"item_ids": list(grades), "grades": list(grades.values())}
            if id in queries.joined_ids:
                record["joined_ids"] = list(queries.joined_ids[id])
            lines.append(json_text(record, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))


def _joined(found: Iterable[Found]) -> list[Found]:
    """One of each text, at the place of the first."""
    alike: dict[str, list[Found]] = {}
    for query in found:
        alike.setdefault(text_key(query.text), []).append(query)
    joined = []
    for first, *others in alike.values():
        grades = dict(first.grades)
        for other in others:
            for doc_id, grade in other.grades.items():
                grades[doc_id] = max(grade, grades.get(doc_id, grade))
        ids = (*first.joined_ids, *(id for other in others for id in (other.id, *other.joined_ids)))
        joined.append(Found(first.id, first.text, grades, ids))
    return joined


def _grades(relevant: Relevant, text: str) -> dict[str, float]:
    """The grade of each document in a value of {text: relevant}. Raises InputError for what is no list and no dict."""
    if not isinstance(relevant, Mapping):
        return dict.fromkeys(id_texts(relevant, f"the documents of the query {excerpt(text)}"), 1.0)
    graded = {id_text(doc_id): plain(grade) for doc_id, grade in relevant.items()}
    return documents_in({"doc_ids": list(graded), "grades": list(graded.values())}, f"the query {excerpt(text)}")


def _of_found(
    source: object, found: list[Found], doc_ids: Iterable[str] | None, notes: list[str], answerable: bool
) -> Queries:
    """As Queries: of each text one, checked."""
    if not found:
        raise InputError(f"there is no query of this split in {source}; check that the files belong together")
    joined = _joined(found)
    if len(joined) < len(found):
        notes.append(
            f"{len(found) - len(joined):,} of {len(found):,} queries of {source} have the words of an earlier one "
            "and are joined with it, their answers together"
        )
    return _checked(source, joined, None if doc_ids is None else set(doc_ids), notes, answerable)


def _checked(source: object, found: list[Found], known: Set[str] | None, notes: list[str], answerable: bool) -> Queries:
    """As Queries with what is relevant to them; what of it the corpus lacks is told, and with `answerable` left out.

    `known` are the ids of the corpus; None: whatever is relevant is in it.
    """
    relevant = tuple({d: grade for d, grade in query.grades.items() if grade > 0} for query in found)
    known = {d for grades in relevant for d in grades} if known is None else known
    missing = [d for grades in relevant for d in grades if d not in known]
    judged = sum(map(len, relevant))
    without = [query.id for query, grades in zip(found, relevant, strict=True) if not grades.keys() & known]
    if missing:
        fate = "are left out" if answerable else "count as not found"
        notes.append(
            f"{len(missing):,} of {judged:,} relevant documents are not in the corpus and {fate} "
            f"(the first: {missing[0]!r})"
        )
    if len(without) == len(found):
        example = f"; of the corpus is, for example, {min(known)!r}" if known else ""
        raise InputError(
            f"to none of {len(found):,} queries of {source} is any document of the corpus relevant"
            f" ({'; '.join(notes) or 'no grade is above 0'}{example}); check that they belong together"
        )
    if without:
        fate = "are left out" if answerable else "count as 0"
        notes.append(
            f"{len(without):,} of {len(found):,} queries have no relevant document in the corpus and {fate} "
            f"(the first: {without[0]!r})"
        )
    joined = {query.id: query.joined_ids for query in found if query.joined_ids}
    ids, texts = tuple(query.id for query in found), tuple(query.text for query in found)
    queries = Queries(ids, texts, relevant, tuple(notes), joined)
    return queries.within(known) if answerable else queries


QueryData = Queries | Mapping[str, Relevant]
