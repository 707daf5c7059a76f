"""The verb that finds: search."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.cli.app import app
from lmindexer.cli.common import document_line, ids_in, lines_of, steps
from lmindexer.cli.questions import answer_lines
from lmindexer.errors import InputError, excerpt
from lmindexer.files import json_text

if TYPE_CHECKING:
    from lmindexer.corpus.documents import Corpus
    from lmindexer.retrievers.hits import Hit, Retriever
    from lmindexer.runs import Run

NAMES = ("generative", "bm25", "dense", "hybrid")


def how_to_search(command: Any) -> Any:
    """The options that say how a retriever searches; `asked_with` reads them."""
    for option in reversed(
        [
            click.option("--beams", type=click.IntRange(min=1), metavar="INT",
                         help="How many prefixes of IDs the search keeps at each position. "
                              "[20, or as fine-tuned]"),
            click.option("--exact", is_flag=True, help="Find the true best, whatever it takes."),
            click.option("--renormalise", is_flag=True,
                         help="Score a code among those that exist below its prefix, not among all."),
            click.option("--novelty", type=float, metavar="FLOAT",
                         help="Nats that documents gain which came after fine-tuning; 0: none. "
                              "[what fine-tuning found]"),
            click.option("--fusion", type=click.Choice(["rank", "score"]),
                         help="hybrid: by reciprocal rank, or by scores brought to 0 to 1. [score]"),
            click.option("--weights", metavar="FLOAT,FLOAT",
                         help="hybrid: of the partner and of generated IDs. [1,1]"),
            click.option("--partner", type=click.Choice(["bm25", "dense"]),
                         help="hybrid: what generated IDs are fused with. [bm25; of histories dense]"),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


TAKEN_BY: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("beams", "exact", "renormalise", "novelty"), ("generative", "hybrid")
)
TAKEN_BY |= dict.fromkeys(("fusion", "weights", "partner"), ("hybrid",))


def asked_with(names: Iterable[str], how: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By retriever, what each of `names` takes of the options of `how_to_search` that were given.

    Raises InputError for one that none of them takes.
    """
    given = {option: value for option, value in how.items() if value is not None and value is not False}
    asked = {name: {option: given[option] for option in given if name in TAKEN_BY[option]} for name in names}
    for option in given:
        if not any(option in each for each in asked.values()):
            takers = " or ".join(TAKEN_BY[option])
            raise InputError(f"--{option} says how --retriever {takers} searches; choose that or leave it out")
    if "weights" in given:
        try:
            asked["hybrid"]["weights"] = [float(part) for part in given["weights"].split(",")]
        except ValueError:
            raise InputError(f"--weights must be numbers such as 1,0.3, not {given['weights']!r}") from None
    return asked


@app.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("query", nargs=-1)
@click.option("--history", metavar="ID,ID,...",
              help="Instead of QUERY: what a user took, oldest first. An id with a comma stands in quotation "
                   "marks.")  # fmt: skip
@click.option("--repeats", is_flag=True, help="Find also what is in the --history; without it that is left out.")
@click.option("-k", "k", default=10, show_default=True, type=click.IntRange(min=1), metavar="INT",
              help="How many documents to find.")  # fmt: skip
@click.option("--retriever", type=click.Choice(NAMES), default="generative", show_default=True,
              help="Generated IDs, words, the bundled encoder, or IDs fused with one of these.")  # fmt: skip
@how_to_search
@click.option("--only", "labels", multiple=True, metavar="LABEL",
              help="Search documents of this label alone ('Makeup > Nails'); several times: any of them.")  # fmt: skip
@click.option("--only-ids", "listed", type=click.Path(path_type=Path),
              help="Search the documents of this file alone, one id a line.")  # fmt: skip
@click.option("--format", "kind", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
def search(run: Path, query: tuple[str, ...], history: str | None, repeats: bool, k: int, retriever: str,
           labels: tuple[str, ...], listed: Path | None, kind: str, **how: Any) -> None:  # fmt: skip
    """Find documents for QUERY, or for a user's --history, by generating their IDs.

    Scores of generated IDs are log P, in nats (--novelty included). A run that was not fine-tuned reads the query
    as if it were a document. Retrievers other than generative and hybrid work on every run. A QUERY or --history
    that is - is read from standard input, one a line, and each is answered at once; a line that cannot be answered is
    named on standard error, the others are answered, and the exit status is 1.

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
    from lmindexer.indexers.store import documents_and_ids
    from lmindexer.retrievers.hits import rows_of

    with steps() as progress:
        progress.doing("reading the documents")
        corpus, ids = documents_and_ids(opened)
    only = _labelled(corpus, labels, run) if labels else None
    if listed is not None:
        named, allowed = lines_of(listed), None if only is None else set(only)
        only = [doc_id for doc_id in named if allowed is None or doc_id in allowed]
    if only is not None:
        rows_of(only, corpus.doc_ids)  # what is wrong with it is told before any question
    taken = ids_in(history, corpus.row_of) if history not in (None, "-") else []
    left_out = set() if repeats else set(taken)
    possible = len(set(corpus.doc_ids if only is None else only) - left_out)
    if not possible:
        raise InputError("the history has all documents that the search is restricted to; find them with --repeats")
    if k > possible:
        click.echo(f"note: there are only {possible:,} documents to find, not {k:,}", err=True)
    with steps() as progress:
        progress.doing(f"loading what {retriever} needs")
        ask = _answering(run, retriever, history is not None, only, how)
    noted = False

    def answer(text: str) -> None:
        nonlocal noted
        question = text if history is None else ids_in(text, corpus.row_of)
        hits = ask(question, min(k, possible), not repeats)
        if not noted:
            noted = True
            note_of_novelty([retriever], opened, how)
            if history is None:
                note_of_teaching([retriever], run)
        if not hits:
            click.echo(f"note: nothing found for {excerpt(text)}: {_why_nothing(history is not None, only)}", err=True)
        name = "query" if history is None else "history"
        for rank, hit in enumerate(hits, 1):
            document, path = corpus[corpus.row_of[hit.doc_id]], ids[hit.doc_id]
            if kind == "jsonl":
                found = {"rank": rank, "id": hit.doc_id, "score": round(hit.score, 4), "codes": path}
                click.echo(json_text({name: question} | found | {"text": document.text}, ensure_ascii=False))
            else:
                click.echo(f"{hit.score:8.4g}  {document_line(document, path)}")

    asked = " ".join(query) if history is None else history
    if asked != "-":
        answer(asked)
    elif not answer_lines(answer, behind="\n" if kind == "text" else ""):
        sys.exit(1)


def _why_nothing(by_history: bool, only: list[str] | None) -> str:
    """Why a question has no answer, as a clause."""
    among = "the documents" if only is None else "the documents that the search is restricted to"
    if by_history:
        return f"{among} are all in the history; find them with --repeats"
    return f"no word of it is in {among}, stop words beside others not counted; --retriever dense needs none"


def _answering(run: Path, retriever: str, by_history: bool, only: list[str] | None,
               how: dict[str, Any]) -> "Callable[[Any, int, bool], list[Hit]]":  # fmt: skip
    """What answers a text, or the ids of a history, by k documents, perhaps without those of the history."""
    from lmindexer.retrievers.registry import RECOMMENDERS, RETRIEVERS

    asked = asked_with([retriever], how)[retriever]
    if by_history:
        if retriever not in RECOMMENDERS:
            names = ", ".join(RECOMMENDERS)
            raise InputError(f"{retriever} answers words, not a --history; choose --retriever {names}")
        recommender = RECOMMENDERS[retriever](run, **asked)

        def recommend(taken: list[str], k: int, no_repeats: bool) -> "list[Hit]":
            left_out = set(taken) if no_repeats else set()
            hits = recommender.recommend([taken], k + len(left_out), only=only)[0]
            return [hit for hit in hits if hit.doc_id not in left_out][:k]

        return recommend
    found_by = RETRIEVERS[retriever](run, **asked)

    def search(text: str, k: int, no_repeats: bool) -> "list[Hit]":
        hits = found_by.search([text], k, only=only)[0]
        if retriever == "generative":
            _note_of_length(found_by, text)
        if hits:
            _note_of_words(found_by, text)
        return hits

    return search


def _note_of_length(found_by: "Retriever", line: str) -> None:
    """Say so where a query is longer than what the model reads."""
    from lmindexer.retrievers.generative import GenerativeRetriever

    if isinstance(found_by, GenerativeRetriever) and (tokens := found_by.tokens_of(line)) > found_by.reads:
        click.echo(f"note: of the query's {tokens:,} tokens the first {found_by.reads} are read", err=True)


def _note_of_words(found_by: "Retriever", text: str) -> None:
    """Say so where one that goes by words, too, has found documents without any."""
    from lmindexer.retrievers.hits import ByWords

    if isinstance(found_by, ByWords) and found_by.without_words([text]):
        click.echo(f"note: no document has a word of {excerpt(text)}; generated IDs alone answer it", err=True)


def note_of_teaching(retrievers: Iterable[str], run: Path) -> None:
    """Say so where generated IDs answer words though the run was not taught to."""
    if not set(retrievers) & {"generative", "hybrid"}:
        return
    from lmindexer.retrievers.finetuned import is_finetuned, read_config

    if not is_finetuned(run):
        click.echo("note: this run is not fine-tuned; queries are read as if they were documents", err=True)
    elif read_config(run).task == "recommend":
        click.echo("note: this run was taught to recommend, not to search; --history asks it so", err=True)


def note_of_novelty(retrievers: Iterable[str], run: "Run", how: dict[str, Any]) -> None:
    """Say so where nothing tells how far generated IDs favour the documents that came after fine-tuning."""
    if not set(retrievers) & {"generative", "hybrid"} or how.get("novelty") is not None:
        return
    from lmindexer.retrievers.finetuned import calibrated_novelty, is_finetuned

    came_later = run.facts.get("changed_since_learned", False)
    if came_later and is_finetuned(run.path) and calibrated_novelty(run.path) is None:
        told = "an earlier version fine-tuned this run, so documents that came later are not favoured"
        click.echo(f"note: {told}; give --novelty, or fine-tune anew", err=True)


def _labelled(corpus: "Corpus", labels: tuple[str, ...], run: Path) -> list[str]:
    """Ids of the documents whose label begins with one of `labels`."""
    if corpus.labels is None:
        raise InputError(f"{run} has no labels to choose by; learn it with --label, or use --only-ids")
    from lmindexer.corpus.labels import parse_label

    found: list[str] = []
    for label in labels:
        paths = {parse_label(label), (label.strip(),)}  # the second: made in Python, with a > in it
        some = [
            doc_id
            for doc_id, own in zip(corpus.doc_ids, corpus.labels, strict=True)
            if any(own[: len(path)] == path for path in paths if path)
        ]
        if not some:
            known = sorted({own[0] for own in corpus.labels if own})
            raise InputError(f"no document of {run} has the label {label!r}; labels begin with {', '.join(known[:8])}")
        found += some
    return found
