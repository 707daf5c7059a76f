"""All that is done with a model, on any device: the same for a real GPU and for one that is made of a CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer import Corpus, LMIndexer
from lmindexer.progress import Progress
from lmindexer.retrievers.generative import GenerativeRetriever
from lmindexer.retrievers.hits import Hit
from lmindexer.retrievers.recommender import GenerativeRecommender
from lmindexer.tasks.finetune import finetune
from small_tasks import QUICK, QUIET, write_queries, write_sequences

LEARN: dict[str, Any] = {
    "sizes": (4, 3), "epochs": 2, "warmup_epochs": 1, "reconstructor_epochs": 1, "settle_epochs": 1,
    "batch_size": 32, "precision": "fp32",
}  # fmt: skip
QUESTIONS = ["the rose", "an old pan and a knife", "storm"]
HISTORIES = [["doc1", "doc7"], ["doc3"]]


@dataclass(frozen=True)
class Journey:
    """What came of it."""

    codes: np.ndarray  # (N, T), learned
    indexed: np.ndarray  # (N, T + 1), of the same texts, as later documents
    found: list[list[Hit]]
    recommended: list[list[Hit]]


def travel(corpus: Corpus, backbone: Path, folder: Path, device: str, *, encoder: str, **settings: Any) -> Journey:
    """Learn, index, fine-tune to search and to recommend, and ask."""
    part = {"encoder": encoder, "top_layers": 1, "device": device}
    indexer = LMIndexer(backbone=str(backbone), **LEARN | part | settings)
    indexer.fit(corpus, folder / "run", progress=Progress(None))
    assert indexer.ids is not None
    quick = QUICK | part | {name: settings[name] for name in ("precision", "dropout") if name in settings}
    searcher = finetune(
        folder / "run", folder / "search", queries=write_queries(folder / "queries.jsonl"), progress=QUIET, **quick
    )
    vectors = {name: value for name, value in quick.items() if name not in ("encoder", "documents")}
    sequences = write_sequences(folder / "sequences.txt", corpus)
    recommender = finetune(folder / "run", folder / "recommend", sequences=sequences, progress=QUIET, **vectors)
    assert isinstance(searcher, GenerativeRetriever)
    assert isinstance(recommender, GenerativeRecommender)
    return Journey(
        indexer.ids.codes,
        LMIndexer.load(folder / "run").index(corpus).codes,
        searcher.search(QUESTIONS, k=5),
        recommender.recommend(HISTORIES, k=5),
    )
