"""Whether a run folder is whole: its files as they were written, IDs and documents that agree; and mending it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.kept_vectors import VECTORS, load_given
from lmindexer.indexers.registry import load_indexer
from lmindexer.indexers.store import has_ids, keep, load_documents, load_ids, save_table
from lmindexer.progress import Progress
from lmindexer.runs import Change, Run, changing
from lmindexer.runs.contents import leftovers, listed_names

MADE_ANEW = ("dense.parquet", "dense-*.parquet", "items.parquet", "dual_encoder.parquet")  # by who needs them
TWINS = {"ids.parquet": "ids.jsonl", "ids.jsonl": "ids.parquet"}  # each can be made from the other
EVALUATE = "deleted; evaluate again"


@dataclass(frozen=True)
class Fault:
    """Something wrong with a run: `mending` says what `mend_run` does about it, or is empty where nothing helps."""

    what: str
    mending: str = ""


def check_run(path: Path) -> list[Fault]:
    """All that is wrong with the run at `path`, an empty list when it is whole. Nothing is changed.

    Raises:
        InputError: when there is no run, or its run.json cannot be read.
    """
    run = Run.open(path, finished=False)
    if run.facts["state"] != "finished":
        return [Fault(f"it is not finished; go on with: {run.way_on}")]
    return [*_file_faults(run), *_cache_faults(run), *_agreement_faults(run), *_left(run)]


def mend_run(path: Path, progress: Progress | None = None) -> list[Fault]:
    """Mend what can be mended; the faults that stay. Where there is one that cannot be, nothing is changed.

    A damaged one of ids.parquet and ids.jsonl is made from the other; an ID without its document goes, a document
    without an ID gets one from the run's model; caches and evaluations that cannot be read are deleted.

    Raises:
        InputError: as `check_run`, and when another process goes on writing to the run.
    """
    faults = check_run(path)
    if not faults or any(not fault.mending for fault in faults):
        return faults
    with changing(path, progress) as change:
        for name in [*_caches(change.run), *_results(change.run)]:
            if not _is_parquet(change.run.path / name):
                (change.run.path / name).unlink()
        _mend_table(change)
    with changing(path, progress) as change:
        _mend_agreement(change)
    return check_run(path)


def _file_faults(run: Run) -> Iterator[Fault]:
    """Files that are not the ones that were written; in a folder of the first format, files that cannot be read."""
    for name in run.files:
        if fault := run.fault(name):
            other = TWINS.get(name, "")
            sound = other in run.files and not run.fault(other)
            yield Fault(f"{name} {fault}", f"made from {other}" if sound else "")
    for name in listed_names(run.path) if not run.files else ():
        if name.endswith(".safetensors") and not _is_safetensors(run.path / name):
            yield Fault(f"{name} cannot be read")


def _cache_faults(run: Run) -> Iterator[Fault]:
    for name in _caches(run):
        if not _is_parquet(run.path / name):
            yield Fault(f"{name} cannot be read", "deleted; it is made again when it is needed")
    for name in _results(run):
        if not _is_parquet(run.path / name):
            yield Fault(f"{name} cannot be read", EVALUATE)


def _agreement_faults(run: Run) -> Iterator[Fault]:
    try:
        corpus = load_documents(run)
        ids = load_ids(run) if has_ids(run) else None
    except InputError as error:
        if not run.fault("ids.parquet") and not run.fault("documents.parquet"):  # these are told already
            yield Fault(str(error))
        return
    if run.facts["corpus"]["fingerprint"] != corpus.fingerprint:
        yield Fault("run.json names other documents than documents.parquet holds", "run.json follows")
    if ids is None:
        return
    foreign, bare = set(ids.doc_ids) - set(corpus.doc_ids), set(corpus.doc_ids) - set(ids.doc_ids)
    if foreign:
        yield Fault(f"{len(foreign):,} IDs have no document, such as that of {min(foreign)!r}", "these IDs go")
    if bare:
        yield Fault(f"{len(bare):,} documents have no ID, such as {min(bare)!r}", "the model gives them one")
    if not foreign and not bare and ids.doc_ids != corpus.doc_ids:
        yield Fault("IDs and documents stand in different orders", "brought into that of the IDs")
    if run.has(VECTORS) and not run.fault(VECTORS):
        try:
            load_given(run, corpus)
        except InputError as error:
            yield Fault(str(error))


def _left(run: Run) -> Iterator[Fault]:
    found = leftovers(run.path, run.files)
    if found:
        yield Fault(f"{len(found):,} files of killed writers are left, such as {found[0].name}", "deleted")


def _mend_table(change: Change) -> None:
    """ids.parquet from ids.jsonl, or the reverse, where one of them is damaged."""
    run = change.run
    if not has_ids(run):
        return
    if run.fault("ids.parquet"):
        save_table(change.path, IdTable.of_jsonl(run.file("ids.jsonl"), tuple(run.facts["sizes"])))
    elif run.fault("ids.jsonl"):
        save_table(change.path, load_ids(run))


def _mend_agreement(change: Change) -> None:
    """IDs and documents of the same rows, where they are not."""
    run = change.run
    if not has_ids(run):
        corpus = load_documents(run)
        if run.facts["corpus"]["fingerprint"] != corpus.fingerprint:
            keep(change, None, corpus)
        return
    ids, corpus = load_ids(run), load_documents(run)
    if ids.doc_ids == corpus.doc_ids and run.facts["corpus"]["fingerprint"] == corpus.fingerprint:
        return
    ids = ids.select([row for row, doc_id in enumerate(ids.doc_ids) if doc_id in corpus.row_of])
    bare = [row for row, doc_id in enumerate(corpus.doc_ids) if doc_id not in ids]
    given = run.has(VECTORS)
    if bare:
        new = Corpus.from_documents((corpus[row] for row in bare), keep_empty=True)
        found = load_indexer(run.path).index(new, vectors=load_given(run, new) if given else None)
        ids = ids.add(found.doc_ids, found.codes)
    corpus = Corpus.from_documents((corpus[corpus.row_of[doc_id]] for doc_id in ids.doc_ids), keep_empty=True)
    keep(change, ids, corpus, load_given(run, corpus) if given else None)


def _caches(run: Run) -> list[str]:
    return sorted(path.name for name in MADE_ANEW for path in run.path.glob(name))


def _results(run: Run) -> list[str]:
    return sorted(path.name for path in run.path.glob("results-*.parquet"))


def _is_parquet(path: Path) -> bool:
    try:
        pq.read_table(path, page_checksum_verification=True)
    except (OSError, ValueError, pa.ArrowException):
        return False
    return True


def _is_safetensors(path: Path) -> bool:
    try:
        with safe_open(path, "np") as file:
            return bool(list(file.keys()))
    except (OSError, SafetensorError):
        return False
