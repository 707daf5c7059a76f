"""One vector a document by any text encoder: what two-step indexers quantise, and who judges neighbours."""

from torch import Tensor

from lmindexer.corpus.documents import Corpus
from lmindexer.devices import choose_bf16, choose_device
from lmindexer.learn.memories import Memories
from lmindexer.learn.reading import Unseen, read_documents
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.progress import Progress


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
