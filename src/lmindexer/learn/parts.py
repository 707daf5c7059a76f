"""Parts of documents, read by the encoder as if each were a text of its own.

Who asks for a document knows a part of it: as the second view of Eq. 9 and in Eq. 10 a part must lead where the whole
does.
"""

from itertools import pairwise

import numpy as np
import torch

from lmindexer.corpus.tokens import Tokens
from lmindexer.learn.memories import Memories

WINDOWS = 4  # parts of each document that may be drawn: few, so that a frozen encoder reads them once


def windows(tokens: Tokens, special: np.ndarray, longest: int) -> Tokens:
    """WINDOWS parts of each document, side by side: stretches of half its tokens, evenly spaced from the first to the
    last, of at most `longest` tokens.

    What is `special` (V,) and stands around a document stands around each part, too. A document of a single token, or
    of none, is its own part. Of one that is read in pieces the parts are taken of all its tokens.
    """
    source, bounds = tokens.ids, tokens.offsets
    if tokens.pieces is not None:
        source, bounds = tokens.pieces.tokens.ids, tokens.pieces.tokens.offsets[tokens.pieces.first]
    parts: list[list[int]] = []
    for begin, end in pairwise(bounds):
        ids = np.asarray(source[begin:end])
        places = np.flatnonzero(~special[ids])
        if not len(places):
            parts += [ids[:longest].tolist()] * WINDOWS
            continue
        before, after, content = ids[: places[0]], ids[places[-1] + 1 :], ids[places]
        size = max(min(-(-len(content) // 2), longest - len(before) - len(after)), 1)
        starts = np.linspace(0, len(content) - size, WINDOWS).round().astype(int)
        parts += [[*before.tolist(), *content[at : at + size].tolist(), *after.tolist()] for at in starts]
    return Tokens.of(parts)


def parts_of(memories: Memories, longest: int) -> Memories:
    """Memories of the parts of all documents: those of row n are n * WINDOWS and the next ones."""
    backbone = memories.backbone
    tokens = windows(memories.corpus_tokens, backbone.special.cpu().numpy(), min(longest, backbone.longest))
    return Memories(backbone, tokens, memories.bf16, memories.folder)


def drawn(rows: np.ndarray) -> np.ndarray:
    """A part of each of the rows at random (B,), as a row of `parts_of`."""
    return rows * WINDOWS + torch.randint(WINDOWS, (len(rows),)).numpy()
