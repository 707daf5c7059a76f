"""One vector a document by any text encoder: what two-step indexers quantise, and who judges neighbours."""

from torch import Tensor

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import choose_bf16, choose_device
from lmindexer.learn.memories import Memories
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.progress import Progress


def read_with(encoder: Backbone, corpus: Corpus, max_tokens: int, precision: str) -> Memories:
    """The corpus as an encoder reads it; `embeddings()` of the answer is (N, D)."""
    tokens = Tokens.build(corpus, lambda texts: encoder.tokenize(texts, max_tokens))
    return Memories(encoder, tokens, choose_bf16(precision, next(encoder.parameters()).device))


def embed(corpus: Corpus, name: str, max_tokens: int = 128, progress: Progress | None = None) -> Tensor:
    """Embeddings (N, D) of the documents by 'bundled', a hub name or a folder.

    Raises InputError where there is no such encoder.
    """
    encoder = load_backbone(name).to(choose_device("auto")).eval()
    return read_with(encoder, corpus, max_tokens, "auto").embeddings(progress)
