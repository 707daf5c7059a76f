"""The verb that finds: search."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import document_line, ids_in, lines_of, steps
from lmindexer.cli.methods import ABOUT, how_to_ask, note_of_novelty, note_of_teaching, options_of
from lmindexer.cli.options import option
from lmindexer.cli.questions import answer_lines
from lmindexer.errors import InputError, excerpt
from lmindexer.files import json_text
from lmindexer.methods.registry import HISTORY, METHODS, TEXT, method_for

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus
    from lmindexer.methods.retriever import Hit, Retriever


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("query", nargs=-1)
@option("--history", metavar="ID,ID,...",
        help="Instead of QUERY: what a user took, oldest first. An id with a comma stands in quotation "
             "marks.")  # fmt: skip
@option("--repeats", is_flag=True, help="Find also what is in the --history; without it that is left out.")
@option("-k", "k", default=10, type=click.IntRange(min=1), metavar="INT",
        help="How many documents to find.")  # fmt: skip
@option("--method", type=click.Choice(list(METHODS)),
        help=f"What answers. {ABOUT}. [as RUN was taught, else generative]")  # fmt: skip
@how_to_ask
@option("--only", "labels", multiple=True, metavar="LABEL",
        help="Search documents of this label alone ('Makeup > Nails'); several times: any of them.")  # fmt: skip
@option("--only-ids", "listed", type=click.Path(path_type=Path),
        help="Search the documents of this file alone, one id a line.")  # fmt: skip
@option("--format", "form", type=click.Choice(["text", "jsonl"]), default="text",
        help="Form of the output.")  # fmt: skip
def search(run: Path, query: tuple[str, ...], history: str | None, repeats: bool, k: int, method: str | None,
           labels: tuple[str, ...], listed: Path | None, form: str, **how: Any) -> None:  # fmt: skip
    """Find documents for QUERY, or for a user's --history.

    Scores of generated IDs are log P, in nats (--novelty included). Where fine-tuning found on dev that more is found
    by their sum with cosines and words (rescored), that answers unless another --method is named. A run that was not
    fine-tuned reads the query as if it were a document. bm25 and dense work on every run. A QUERY or --history that
    is - is read from standard input, one a line, and each is answered at once; a line that cannot be answered is named
    on standard error, the others are answered, and the exit status is 1.

    \b
    Examples:
      lmindexer search runs/beauty "gentle shampoo for curly hair" -k 5
      lmindexer search runs/beauty-rec --history B000142FVW,B0001TSI7A
      lmindexer search runs/beauty - --format jsonl < queries.txt
    """
    if bool(query) == (history is not None):
        raise InputError("give either words to search for, or --history; see lmindexer search --help")
    if repeats and history is None:
        raise InputError("--repeats finds also what is in a --history; give one, or leave --repeats out")
    from lmindexer.runs import Run

    opened = Run.open(run)
    method = method or method_for(run)
    from lmindexer.indexers.store import documents_and_perhaps_ids

    with steps() as progress:
        progress.doing("reading the documents")
        corpus, ids = documents_and_perhaps_ids(opened)
    only = _restricted(corpus, run, labels, listed)
    taken = ids_in(history, corpus.row_of) if history not in (None, "-") else []
    left_out = set() if repeats else set(taken)
    possible = len(set(corpus.doc_ids if only is None else only) - left_out)
    if not possible:
        raise InputError("the history has all documents that the search is restricted to; find them with --repeats")
    if k > possible:
        click.echo(f"note: there are only {possible:,} documents to find, not {k:,}", err=True)
    kind = TEXT if history is None else HISTORY
    with steps() as progress:
        progress.doing(f"loading what {method} needs")
        found_by = METHODS[method].open(run, kind, **options_of([method], how)[method])
    noted, most = False, min(k, possible)

    def answer(line: str) -> None:
        nonlocal noted
        question = line if history is None else ids_in(line, corpus.row_of)
        left_out = set() if history is None or repeats else set(question)
        found = found_by.answer([question], most + len(left_out), only=only)[0]
        hits = [hit for hit in found if hit.doc_id not in left_out][:most]
        if not noted:
            noted = True
            note_of_novelty([method], opened, how)
            if history is None:
                note_of_teaching([method], run)
            if found_by.formula:
                click.echo(f"note: scores are {found_by.formula}; --method generative searches by IDs alone", err=True)
        if history is None:
            _note_of_query(method, found_by, line, hits)
        if not hits:
            click.echo(f"note: nothing found for {excerpt(line)}: {_why_nothing(method, kind, only)}", err=True)
        for rank, hit in enumerate(hits, 1):
            document, path = corpus[corpus.row_of[hit.doc_id]], () if ids is None else ids[hit.doc_id]
            if form == "jsonl":
                record: dict[str, Any] = {"rank": rank, "id": hit.doc_id, "score": round(hit.score, 4)}
                record |= {"codes": path} if path else {}
                asked = {"query" if history is None else "history": question}
                click.echo(json_text(asked | record | {"text": document.text}, ensure_ascii=False))
            else:
                click.echo(f"{hit.score:8.4g}  {document_line(document, path)}")

    asked = " ".join(query) if history is None else history
    if asked != "-":
        answer(asked)
    elif not answer_lines(answer, behind="\n" if form == "text" else ""):
        sys.exit(1)


def _why_nothing(method: str, kind: str, only: list[str] | None) -> str:
    """Say in a clause why a question has no answer."""
    among = "the documents" if only is None else "the documents that the search is restricted to"
    if method == "seal":
        return f"no n-gram that was generated is in {among}; try more --beams"
    if METHODS[method].only_taught:
        return f"all that is in it, or {among}, came after the run was taught {method}; teach it anew"
    if kind == HISTORY:
        return f"{among} are all in the history; find them with --repeats"
    return f"no word of it is in {among}, stop words beside others not counted; --method dense needs none"


def _note_of_query(method: str, found_by: "Retriever", text: str, hits: "list[Hit]") -> None:
    """Say so where a query is longer than what the model reads, or no document has a word of it."""
    from lmindexer.methods.retriever import ByWords

    if method in ("generative", "rescored"):
        from lmindexer.methods.generative.retriever import GenerativeRetriever
        from lmindexer.methods.rescored.retriever import RescoredRetriever

        found_by = found_by.generated if isinstance(found_by, RescoredRetriever) else found_by
        if isinstance(found_by, GenerativeRetriever) and (tokens := found_by.tokens_of(text)) > found_by.tokens_read:
            click.echo(f"note: of the query's {tokens:,} tokens the first {found_by.tokens_read} are read", err=True)
    if hits and isinstance(found_by, ByWords) and found_by.without_words([text]):
        click.echo(f"note: no document has a word of {excerpt(text)}; generated IDs alone answer it", err=True)


def _restricted(corpus: "Corpus", run: Path, labels: tuple[str, ...], listed: Path | None) -> list[str] | None:
    """List the documents of --only and --only-ids; None where neither is given. Raises InputError for unknown ones."""
    from lmindexer.methods.retriever import rows_of

    only = _labelled(corpus, labels, run) if labels else None
    if listed is not None:
        named, allowed = lines_of(listed), None if only is None else set(only)
        only = [doc_id for doc_id in named if allowed is None or doc_id in allowed]
    if only is not None:
        rows_of(only, corpus.doc_ids)
    return only


def _labelled(corpus: "Corpus", labels: tuple[str, ...], run: Path) -> list[str]:
    """List the ids of the documents whose label begins with one of `labels`."""
    if corpus.labels is None:
        raise InputError(f"{run} has no labels to choose by; learn it with --label, or use --only-ids")
    from lmindexer.corpus.labels import rows_labelled

    found: list[str] = []
    for label in labels:
        some = [corpus.doc_ids[row] for row in rows_labelled(corpus.labels, label)]
        if not some:
            known = sorted({label_path[0] for label_path in corpus.labels if label_path})
            raise InputError(f"no document of {run} has the label {label!r}; labels begin with {', '.join(known[:8])}")
        found += some
    return found
