"""The options that choose a method and say how it is asked, and notes on what it can tell."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmindexer.cli.options import option, together
from lmindexer.errors import InputError
from lmindexer.methods.registry import METHODS, PARTNERS, TEXT

if TYPE_CHECKING:
    from lmindexer.runs import Run

BY_IDS = {"generative", "rescored", "hybrid"}
ABOUT = ", ".join(f"{name}: {method.about}" for name, method in METHODS.items())


# How methods are asked; `options_of` reads the values.
how_to_ask = together(
    option("--beams", type=click.IntRange(min=1), metavar="INT",
           help="How many prefixes of IDs or n-grams the search keeps at each position. [20, or as fine-tuned; "
                "of rescored 100]"),
    option("--exact", is_flag=True, help="Find the true best, whatever it takes."),
    option("--renormalise", is_flag=True,
           help="Score a code among those that exist below its prefix, not among all."),
    option("--novelty", type=float, metavar="FLOAT",
           help="Nats that documents gain which came after fine-tuning; 0: none. [what fine-tuning found]"),
    option("--score", type=click.Choice(["sum", "ids", "dense", "words"]),
           help="What a document scores in generative after a history, and in rescored: log P of its ID, its nearness "
                "to the question, in rescored BM25, or their sum, weighed as dev chose. [sum, where RUN has several]"),
    option("--scoring", type=click.Choice(["intersective", "lm-fm", "lm"]),
           help="What documents score by n-grams: by all of theirs; by the best whole one, weighed by its frequency; "
                "or by how likely that is. [as fine-tuned]"),
    option("--fusion", type=click.Choice(["rank", "score"]),
           help="How hybrid fuses: by reciprocal rank, or by scores brought to 0 to 1. [score]"),
    option("--weights", metavar="FLOAT,FLOAT",
           help="How much the partner and generated IDs count in hybrid. [1,1]"),
    option("--k1", type=float, metavar="FLOAT",
           help="How soon repeating a word stops to count in bm25. [1.5, or as chosen on dev]"),
    option("--b", type=float, metavar="FLOAT",
           help="How much long texts pay in bm25, from 0 to 1. [0.75, or as chosen on dev]"),
    option("--stem", metavar="TEXT",
           help="Language in which bm25 stems words; none: as they are. [english]"),
    option("--stop-words", type=click.Choice(["english", "none"]),
           help="Words that do not count beside others in bm25. [english]"),
    option("--backbone", metavar="TEXT",
           help="The encoder of dense: 'bundled', a Hugging Face name or a local folder. [bundled]"),
    option("--seed", type=int, metavar="INT", help="Of random: another seed is another order. [0]"),
    option("--partner", type=click.Choice(PARTNERS),
           help="What hybrid fuses generated IDs with. [bm25; of histories dense]"),
)  # fmt: skip


def options_of(names: Iterable[str], how: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Sort the options of `how_to_ask` that were given by the methods `names` which take them.

    Raises InputError for one that none of them takes.
    """
    given = {flag: value for flag, value in how.items() if value is not None and value is not False}
    if "weights" in given:
        try:
            given["weights"] = [float(part) for part in given["weights"].split(",")]
        except ValueError:
            raise InputError(f"--weights must be numbers such as 1,0.3, not {how['weights']!r}") from None
    options = {name: {flag: value for flag, value in given.items() if flag in METHODS[name].options} for name in names}
    for flag in given:
        if not any(flag in taken for taken in options.values()):
            takers = " or ".join(name for name, method in METHODS.items() if flag in method.options)
            raise InputError(
                f"--{flag.replace('_', '-')} says how --method {takers} is asked; choose that or leave it out"
            )
    return options


def note_of_teaching(methods: Iterable[str], run: Path) -> None:
    """Say so where generated IDs answer words though the run was not taught to."""
    if not set(methods) & BY_IDS:
        return
    from lmindexer.methods.taught import read_config, taught_by

    taught = taught_by(run)
    if taught != "generative" and set(methods) & BY_IDS == {"hybrid"} and taught and TEXT in METHODS[taught].reads:
        return
    if taught != "generative":
        click.echo("note: this run is not fine-tuned; queries are read as if they were documents", err=True)
    elif read_config(run).task == "recommend":
        click.echo("note: this run was taught to recommend, not to search; --history asks it so", err=True)


def note_of_novelty(methods: Iterable[str], run: "Run", how: dict[str, Any]) -> None:
    """Say so where nothing tells how far generated IDs favour the documents that came after fine-tuning."""
    if not set(methods) & BY_IDS or how.get("novelty") is not None:
        return
    from lmindexer.methods.taught import calibrated_novelty, taught_by

    came_later = run.facts.get("changed_since_learned", False)
    if came_later and taught_by(run.path) == "generative" and calibrated_novelty(run.path) is None:
        reason = "an earlier version fine-tuned this run, so documents that came later are not favoured"
        click.echo(f"note: {reason}; give --novelty, or fine-tune anew", err=True)
