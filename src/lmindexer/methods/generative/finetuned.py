"""Ask a fine-tuned model (section 4.3): texts, and histories where it was taught to recommend."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

from lmindexer.config import IMPORTED
from lmindexer.errors import InputError
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.store import has_ids, no_ids
from lmindexer.learn.histories import HistoryMemories
from lmindexer.methods.generative.folder import load
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.generative.retriever import Asked, GenerativeRetriever
from lmindexer.methods.retriever import How, history_rows
from lmindexer.methods.taught import read_config, taught_by
from lmindexer.questions.questions import HISTORY, TEXT
from lmindexer.questions.sequences import Sequences
from lmindexer.runs import Run


class FinetunedRetriever(GenerativeRetriever):
    """Searches with a fine-tuned model; `beams` as it was taught with and `novelty` as calibrated, unless given.

    One that recommends reads a text as it reads a document.
    """

    def __init__(self, model: GenerativeModel, **how: Unpack[How]) -> None:
        config = model.config
        how.setdefault("beams", config.beams)
        calibrated = "novelty" not in how
        if calibrated:
            how["novelty"] = model.novelty or 0.0
        super().__init__(
            model.model, model.ids, max_tokens=config.max_tokens, precision=config.precision, new=model.new, **how
        )
        if calibrated and model.new:
            self.settings["novelty"] = "calibrated"  # each model's own is one way to ask all of them
        self.finetuned = model
        self.reads = (HISTORY, TEXT) if config.task == "recommend" else (TEXT,)

    def read(self, questions: Sequence[Any], kind: str) -> Asked:
        if kind == TEXT:
            return super().read(questions, kind)
        corpus, reader, items = self.finetuned.corpus, self.finetuned.reader, self.finetuned.items
        rows = history_rows(questions, corpus.row_of)
        if reader is None or items is None:
            newest = self.finetuned.config.max_items
            texts = [written_out(corpus.texts(history[::-1][:newest])) for history in rows]
            return super().read(texts, TEXT)
        reader.eval()
        return HistoryMemories.of(reader, items, rows)


def written_out(texts: Iterable[str]) -> str:
    """A history as one text, the newest item first: what is too long loses the oldest."""
    return " ; ".join(" ".join(text.split()) for text in texts) or "-"


def open_run(run: Path, kind: str, sequences: Sequences | None, **how: Unpack[How]) -> GenerativeRetriever:
    """As `Method.open`: of a run of LMIndexer, or of any run that was fine-tuned. Raises InputError for another."""
    folder = Run.open(run)
    if not has_ids(folder):
        raise no_ids(folder)
    if taught_by(run) == "generative":
        config = read_config(run)
        if kind == HISTORY and config.task != "recommend":
            raise _not_taught(run)
        return FinetunedRetriever(load(run), **how)
    if kind == HISTORY:
        raise _not_taught(run)
    if "novelty" in how:
        raise InputError(
            f"novelty favours what came after fine-tuning, and {run} was not fine-tuned to give IDs; leave it out"
        )
    config_of_ids = folder.config
    name = config_of_ids.indexer
    if name != "lmindexer" or config_of_ids.given_vectors:
        origin = "was imported without a" if name == IMPORTED else f"was learned by {name}, which has no"
        if name == "lmindexer":
            origin = "was learned from vectors, so that no query can be read by its"
        raise InputError(
            f"{run} {origin} model to generate IDs; fine-tune it first (lmindexer finetune), search a run of --indexer "
            "lmindexer, or choose --method bm25"
        )
    indexer = LMIndexer.load(run)
    assert indexer.model is not None
    assert indexer.ids is not None
    return GenerativeRetriever(
        indexer.model,
        indexer.ids,
        max_tokens=config_of_ids.max_tokens,
        precision=config_of_ids.precision,
        **how,
    )


def _not_taught(run: Path) -> InputError:
    if other := taught_by(run):
        source = Run(run).facts.get("indexed_by", "the run it was made from")
        task = "" if other == "generative" else f" by {other}"
        return InputError(
            f"{run} was not taught to recommend by generated IDs but to {read_config(run).task}{task}; run lmindexer "
            f"finetune on {source}, or choose --method dense, which needs no teaching"
        )
    return InputError(
        f"{run} was not taught to recommend; run lmindexer finetune on it, or on the run it was made from, or choose "
        "--method dense, which needs no teaching"
    )
