"""Pseudo-queries of a run's documents, by every way there is: what `lmindexer pseudo` does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmindexer.config import WritingConfig
from lmindexer.errors import InputError, check_list
from lmindexer.indexers.store import load_documents
from lmindexer.methods.registry import TEXT, method_of
from lmindexer.methods.round_trip import found_again
from lmindexer.progress import Progress
from lmindexer.questions.pseudo_queries import (
    PseudoQuery,
    check_ways,
    column_queries,
    pseudo_queries,
    write_pseudo_queries,
)
from lmindexer.questions.written_queries import model_queries, part_of
from lmindexer.runs import Run
from lmindexer.settings import check_counting, parse


def make_pseudo_queries(
    run: str | Path,
    out: str | Path | None = None,
    *,
    ways: Sequence[str] = (),
    model: str | Path | None = None,
    column: str | None = None,
    files: str | Path | None = None,
    id: str = "",
    per_document: int = 3,
    keep_found: int = 0,
    by: str = "bm25",
    seed: int = 0,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> list[PseudoQuery]:
    """Queries for the documents of `run`: those in a `column` of `files`, what a `model` writes, and by `ways`.

    At most `per_document` of each way and of the model, which writes as the `settings` of `WritingConfig` say; of the
    column all. With `keep_found`, only those are kept with which the method `by` finds their document among so many
    first. They are written to the file `out`, where one is named; then a model's queries are kept as they come, and
    `resume` goes on with them. What is left out is told by `progress`.

    Raises InputError for what cannot be, as the functions do that make them, and where there is no query.
    """
    run, out, progress = Path(run), None if out is None else Path(out), progress or Progress()
    check_list(ways, "the ways of ways=")
    check_ways(ways)
    writing = parse(WritingConfig, settings | {"seed": seed})
    check_counting(writing, settings, "the settings")
    if model is None and (odd := settings.keys() - {"device", "precision"}):
        raise InputError(f"{min(odd)} says how a model writes; name one with --model, or leave it out")
    if not ways and model is None and column is None:
        raise InputError("no kind of query was asked for; give --ways (such as title,spans,words), --model or --column")
    if (column is None) != (files is None):
        raise InputError("--column and --files belong together; give the column's name and the file that has it")
    opened = Run.open(run)
    progress.doing("reading the documents")
    corpus = load_documents(opened)
    found: list[PseudoQuery] = []
    if column is not None and files is not None:  # first what a user may have got wrong
        progress.doing(f"reading {files}")
        of_column = column_queries(corpus, Path(files), column, id or opened.config.id)
        progress.note(*of_column.notes)
        found += of_column.queries
    retriever = method_of(by).open(run, TEXT) if keep_found else None
    if model is not None:
        found += model_queries(corpus, model, per_document, writing, out=out, resume=resume, progress=progress)
    if ways:
        progress.doing(f"making queries of {len(corpus):,} documents")
        found += pseudo_queries(corpus, list(dict.fromkeys(ways)), per_document, seed)
    if not found:
        raise InputError(f"no document of {run} gave a query; its texts are too short, so ask for another kind")
    if retriever is not None:
        found = _kept(found_again(found, retriever, keep_found, progress), len(found), keep_found, by, progress)
    if out is not None:
        write_pseudo_queries(out, found)
        part_of(out).unlink(missing_ok=True)
    return found


def _kept(kept: list[PseudoQuery], made: int, depth: int, by: str, progress: Progress) -> list[PseudoQuery]:
    """The queries that are kept, after how many are left out was told. Raises InputError where none is kept."""
    if not kept:
        raise InputError(f"{by} finds no document among the first {depth:,} by its query; make other queries")
    progress.note(
        f"{made - len(kept):,} of {made:,} queries are left out, as {by} does not find their document among the first "
        f"{depth:,}"
    )
    return kept
