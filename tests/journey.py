"""What is done with a model from learning to the answer, on any device: a CPU, a GPU, or one made of a CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmindexer import Corpus
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.methods.generative.finetuned import FinetunedRetriever
from lmindexer.methods.generative.retriever import GenerativeRetriever
from lmindexer.methods.registry import load_retriever
from lmindexer.methods.retriever import Hit
from lmindexer.progress import Progress
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, write_queries, write_sequences

LEARN: dict[str, Any] = {
    "sizes": (4, 3), "epochs": 1, "warmup_epochs": 1, "reconstructor_epochs": 1, "settle_epochs": 1,
    "batch_size": 20, "precision": "fp32", "top_layers": 1,
}  # fmt: skip
QUESTIONS = ["the rose", "an old pan and a knife", "storm"]
HISTORIES = [["doc1", "doc7"], ["doc3"]]


class StoppedError(Exception):
    """The power goes."""


class Stop(Progress):
    """Silent; the power goes at step `last`."""

    def __init__(self, last: int) -> None:
        super().__init__(None)
        self.steps = last

    def at(self, stage: str, epoch: int, epochs: int, share: float) -> None:
        self.steps -= 1
        if self.steps == 0:
            raise StoppedError


@dataclass(frozen=True)
class Answers:
    """What the models of a journey say, on whatever device they are loaded to."""

    device: str
    codes: np.ndarray  # (N, T) of the documents' texts, as of later documents
    found: list[list[Hit]]
    recommended: list[list[Hit]]


def travel(
    corpus: Corpus, backbone: Path, folder: Path, device: str, *, history: str = "both", **settings: Any
) -> None:
    """Learn, then fine-tune to search and to recommend; runs are in the folder."""
    learn = LEARN | settings | {"device": device}
    LMIndexer(backbone=str(backbone), **learn).fit(corpus, folder / "run", progress=Progress(None))
    quick = QUICK | {name: learn[name] for name in ("device", "precision", "top_layers")}
    queries, sequences = write_queries(folder / "queries.jsonl"), write_sequences(folder / "sequences.txt", corpus)
    encoder = {"encoder": settings.get("encoder", "frozen")}
    finetune(folder / "run", folder / "search", queries=queries, progress=QUIET, **quick | encoder)
    items = {"items": history} | (encoder if history == "tokens" else {})
    finetune(folder / "run", folder / "recommend", sequences=sequences, progress=QUIET, **quick | items)


def ask(corpus: Corpus, folder: Path) -> Answers:
    """What the runs of a journey answer now."""
    indexer = LMIndexer.load(folder / "run")
    searcher, recommender = load_retriever(folder / "search", "generative"), load_retriever(folder / "recommend")
    assert isinstance(searcher, GenerativeRetriever)
    assert isinstance(recommender, FinetunedRetriever)
    texts = Corpus.from_documents(document.__class__(f"later {document.id}", document.text) for document in corpus)
    assert indexer.model is not None
    return Answers(
        next(indexer.model.parameters()).device.type,
        indexer.index(texts).codes,
        searcher.search(QUESTIONS, k=len(corpus)),
        recommender.recommend(HISTORIES, k=len(corpus)),
    )


def stop_and_resume(corpus: Corpus, backbone: Path, folder: Path, device: str, after: int) -> np.ndarray:
    """Learned codes (N, T) of a run that was stopped after so many steps, where a checkpoint had just been written."""
    learn = LEARN | {"device": device, "encoder": "full", "checkpoint_seconds": 0.0, "backbone": str(backbone)}
    try:
        LMIndexer(**learn).fit(corpus, folder, progress=Stop(after))
        raise AssertionError("it was not stopped")
    except StoppedError:
        pass
    ids = LMIndexer(**learn).fit(corpus, folder, resume=True, progress=Progress(None)).ids
    assert ids is not None
    ids.check()
    return ids.codes


def scores(hits: list[list[Hit]], corpus: Corpus) -> torch.Tensor:
    """The score of every document for every question, (questions, N)."""
    told = [{hit.doc_id: hit.score for hit in found} for found in hits]
    return torch.tensor([[score[doc_id] for doc_id in corpus.doc_ids] for score in told])
