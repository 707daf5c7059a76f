"""A BEIR folder, checked and counted, and written as one that every verb reads: dev is called dev."""

from collections.abc import Iterator
from pathlib import Path

from lmindexer.corpus.cells import id_of
from lmindexer.corpus.readers import JSON
from lmindexer.corpus.records import Record, sound_records
from lmindexer.errors import InputError
from lmindexer.evaluation.trec import read_qrels
from lmindexer.prepare.msmarco import Qrels, commands
from lmindexer.prepare.prepared import Count, Prepared, counted, run_name
from lmindexer.prepare.raw_files import find, matching, missing
from lmindexer.prepare.writing import BeirFolder
from lmindexer.progress import Progress
from lmindexer.questions.query_records import SPLITS, records_in, split_name, text_in

ID = "_id"


def prepare(raw: Path, folder: Path, progress: Progress, name: str = "") -> Prepared:
    """The same documents, queries and grades; what is judged but not there is told."""
    home = _home(raw, name)
    corpus, queries = find(home, "corpus.jsonl"), find(home, "queries.jsonl")
    files = _splits(home)
    qrels = {split: read_qrels(path) for split, path in files.items()}
    left = {doc_id for judged in qrels.values() for grades in judged.values() for doc_id in grades}
    empty = 0
    with BeirFolder(folder) as beir:
        for record in counted(_documents(corpus), progress, "reading documents", "documents"):
            beir.document(record)
            left.discard(record[ID])
            empty += not str(record.get("text") or "").strip() and not str(record.get("title") or "").strip()
        unjudged = _write_queries(queries, qrels, beir)
        notes = list(_notes(beir, qrels, left, empty, unjudged))
    splits = [split for split in (*SPLITS, *sorted(qrels.keys() - set(SPLITS))) if split in qrels]
    counts = [Count("documents", beir.documents)]
    for split in splits:
        counts += [Count(f"{split} queries", beir.queries[split]), Count(f"{split} labels", beir.labels[split])]
    return Prepared(
        sources=(corpus, queries, *files.values()),
        counts=tuple(counts),
        rules=("documents, queries, grades and splits are the published ones; val, valid and validation are dev",),
        commands=commands(run_name(name or home.resolve().name), " --keep-empty" * bool(empty)),
        notes=tuple(notes),
    )


def _home(raw: Path, name: str) -> Path:
    """The folder with the corpus: `raw` itself, or the one below it of this name."""
    homes = sorted({path.parent for path in matching(raw, "corpus.jsonl")})
    chosen = [home for home in homes if not name or home.name == name] or homes * (len(homes) == 1)
    if not homes:
        raise missing(raw, ["corpus.jsonl"])
    if len(chosen) != 1:
        raise InputError(f"{raw} has several sets; choose one with --name ({', '.join(home.name for home in homes)})")
    return chosen[0]


def _splits(home: Path) -> dict[str, Path]:
    """The file of judgements of every split, by its usual name."""
    found: dict[str, Path] = {}
    for path in sorted((home / "qrels").glob("*.tsv")):
        split = split_name(path.stem)
        if split in found:
            raise InputError(f"{home / 'qrels'} has {found[split].name} and {path.name}, which are one split; keep one")
        found[split] = path
    if not found:
        raise missing(home, ["qrels/test.tsv"])
    return found


def _documents(path: Path) -> Iterator[Record]:
    """The records as they are. Raises InputError for an id that is there twice."""
    lines: dict[str, int] = {}
    for number, record in sound_records(path, "line", JSON):
        doc_id = id_of(record, ID, f"{path}, line {number}")
        if lines.setdefault(doc_id, number) != number:
            raise InputError(f"{path}, line {number}: the id {doc_id!r} was already in line {lines[doc_id]}; keep one")
        yield record | {ID: doc_id}


def _write_queries(path: Path, qrels: dict[str, Qrels], beir: BeirFolder) -> int:
    """Write the queries that have judgements, and count the others."""
    unjudged = 0
    for where, query_id, record in records_in(path, numbered=False):
        splits = [split for split, judged in qrels.items() if query_id in judged]
        if splits:
            beir.query(query_id, text_in(record, where))
        else:
            unjudged += 1
        for split in splits:
            beir.label(split, query_id, qrels[split][query_id])
    return unjudged


def _notes(beir: BeirFolder, qrels: dict[str, Qrels], left: set[str], empty: int, unjudged: int) -> Iterator[str]:
    if left:
        yield f"{len(left):,} judged documents are not in the corpus (the first: {min(left)!r}), and count as not found"
    if empty:
        yield f"{empty:,} documents have neither title nor text; learn needs --keep-empty"
    if unjudged:
        yield f"{unjudged:,} queries have no judgement, and are left out"
    for split, judged in qrels.items():
        if unknown := len(judged) - beir.queries[split]:
            yield f"{unknown:,} judged {split} queries are not among the queries, and are left out"
