"""How likely a question makes the path of a document, code by code."""

import torch
from torch import Tensor

from lmindexer.ids.trie import Trie
from lmindexer.model.backbone import Memory
from lmindexer.model.semantic_indexer import SemanticIndexer


@torch.no_grad()
def path_log_p(model: SemanticIndexer, memory: Memory, paths: Tensor, rows: Tensor, trie: Trie | None = None) -> Tensor:
    """log P_s (Eq. 2) of each code of `paths` (M, T) given the codes before it and the memory of one question: (M, T).

    With a `trie`, where they are those of documents `rows` (M,), the probabilities are over the codes which it allows,
    as of a search that renormalises.
    """
    read = model.reader(memory)
    above = torch.zeros(len(paths), dtype=torch.long, device=paths.device)
    nodes = [] if trie is None else trie.nodes_above(rows)
    found = []
    for t, codebook in enumerate(model.codebooks):
        logits = codebook.logits(read(paths[:, :t])).float()  # (M, K)
        if trie is not None:
            logits = logits.masked_fill(~trie.allowed(above, t), -torch.inf)
            above = nodes[t]
        found.append(logits.log_softmax(-1).gather(1, paths[:, t, None])[:, 0])
    return torch.stack(found, 1)
