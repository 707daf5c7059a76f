"""One vector a document by any text encoder: what two-step indexers quantise, and who judges neighbours."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from lmindexer.config import VECTOR_FILE
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.vectors import read_vectors
from lmindexer.devices import choose_bf16, choose_device
from lmindexer.errors import InputError
from lmindexer.indexers.kept_vectors import load_given
from lmindexer.learn.memories import Memories
from lmindexer.learn.reading import Unseen, read_documents
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.progress import Progress
from lmindexer.runs import Run

GIVEN_VECTORS = "vectors"  # the name of those that a run was learned from


def read_with(
    encoder: Backbone, corpus: Corpus, max_tokens: int, precision: str, long: str = "cut"
) -> tuple[Memories, Unseen]:
    """The corpus as an encoder reads it, whose `embeddings()` are (N, D); and what it does not see of it."""
    tokens, unseen = read_documents(corpus, encoder, max_tokens, long)
    return Memories(encoder, tokens, choose_bf16(precision, next(encoder.parameters()).device)), unseen


def embed(corpus: Corpus, name: str, max_tokens: int = 128, progress: Progress | None = None) -> Tensor:
    """Embeddings (N, D) of the documents by 'bundled', a hub name or a folder.

    Raises InputError where there is no such encoder.
    """
    encoder = load_backbone(name).to(choose_device("auto")).eval()
    return read_with(encoder, corpus, max_tokens, "auto")[0].embeddings(progress)


def judging_vectors(runs: Sequence[Run], corpus: Corpus, name: str, progress: Progress) -> np.ndarray:
    """Vectors (N, D) of a corpus that say which documents are near: by an encoder as of `embed`, from a file of
    vectors, or "vectors", those that the first of `runs` was learned from that was learned from any.

    Raises InputError where there are none.
    """
    if name == GIVEN_VECTORS:
        run = next((run for run in runs if run.config.given_vectors), None)
        if run is None:
            raise InputError("none of the runs was learned from vectors; name an encoder, or a file of vectors")
        return load_given(run, corpus)
    if VECTOR_FILE.fullmatch(name):
        given = read_vectors(name, corpus)
        progress.note(*given.notes)
        return given.array
    progress.doing(f"loading {name} and embedding {len(corpus):,} documents")
    return embed(corpus, name, progress=progress).cpu().numpy()
