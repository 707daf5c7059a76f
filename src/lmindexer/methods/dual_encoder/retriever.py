"""Ask a dual encoder: the documents whose vectors are nearest to that of a text."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lmindexer.corpus.documents import Corpus
from lmindexer.devices import choose_bf16, device_to_load
from lmindexer.errors import InputError
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.kept_vectors import vectors_of
from lmindexer.indexers.store import load_documents
from lmindexer.methods.dual_encoder.encoder import load_encoder, vectors
from lmindexer.methods.nearest import BATCH, Nearest
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.methods.taught import open_taught
from lmindexer.questions.questions import TEXT
from lmindexer.questions.sequences import Sequences

ENCODER = "dual_encoder"  # the folder in a run
KEPT = "dual_encoder.parquet"  # vectors of the run's documents by it


def open_run(run: Path, kind: str, sequences: Sequences | None) -> "DualEncoderRetriever":
    """As `Method.open`; vectors of documents are kept in the run, and of those that came later they are made here."""
    folder, config = open_taught(run)
    kept = folder.folder(ENCODER)
    if kept is None:
        raise InputError(f"{run / ENCODER} is missing; fine-tune anew")
    device = device_to_load(config.device)
    model = load_encoder(str(kept), config.max_tokens, device, choose_bf16(config.precision, device))
    return DualEncoderRetriever(model, load_documents(folder), run / KEPT)


class DualEncoderRetriever(Retriever):
    """`model` is a SentenceTransformer that reads queries and documents. Scores are cosines; search is exact."""

    reads = (TEXT,)

    def __init__(self, model: Any, corpus: Corpus, keep: Path | None = None) -> None:
        """With a file to `keep` them in, vectors of documents are made once; it belongs to this model."""
        self.doc_ids, self.settings, self._model = corpus.doc_ids, {"max_tokens": model.max_seq_length}, model

        def read(rows: list[int]) -> torch.Tensor:
            return vectors(model, corpus.texts(rows), "document")

        if keep is None:
            documents = read(list(range(len(corpus)))).half()
        else:
            documents = vectors_of(corpus, keep, len(vectors(model, ["a text"], "query")[0]), read, keep=True)
        unit = F.normalize(documents.to(model.device).float(), dim=1)
        self._nearest = Nearest(unit, self.doc_ids, tie_ranks(self.doc_ids))

    def _answer(self, questions: list[str], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        hits: list[list[Hit]] = []
        for at in range(0, len(questions), BATCH):
            hits += self._nearest.hits(vectors(self._model, questions[at : at + BATCH], "query"), k, rows)
        return hits
