"""What the encoder says of a document: the same whoever asks, in learning and after it."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.errors import InputError
from lmindexer.learn import memories as memories_module
from lmindexer.learn.memories import Memories
from lmindexer.model.backbone import load_backbone
from lmindexer.model.decoder import pool
from lmindexer.progress import Progress


@pytest.mark.parametrize("encoder", ["frozen", "top", "full"])
def test_the_states_are_the_same_inside_and_outside_of_autocast(
    encoder: str, corpus: Corpus, checkpoints: dict[str, Path]
):
    backbone = load_backbone(str(checkpoints["bert"])).eval()
    backbone.freeze(encoder, 1)
    memories = Memories(backbone, Tokens.build(corpus, lambda texts: backbone.tokenize(texts, 32)), bf16=True)
    memories.fill(Progress(None))
    rows = np.arange(10)
    with torch.autocast("cpu", torch.bfloat16):
        learning = memories.memory(rows).states
    asking = memories.memory(rows).states
    assert learning.dtype == asking.dtype == torch.float32
    assert torch.equal(learning, asking)


def test_documents_are_pooled_in_single_precision_under_autocast():
    torch.manual_seed(0)
    states, weight = torch.randn(3, 20, 8), torch.rand(3, 20)
    full = pool(states, weight)
    torch.testing.assert_close(full, (states * weight[..., None]).sum(1) / weight.sum(1, keepdim=True))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(pool(states, weight), full)


def test_a_cache_that_the_disk_has_no_room_for_is_told_before_it_is_written(
    corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(memories_module, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    backbone = load_backbone(str(checkpoints["bert"])).eval()
    backbone.freeze("frozen", 1)
    tokens = Tokens.build(corpus, lambda texts: backbone.tokenize(texts, 32))
    with pytest.raises(InputError, match=r"no space left in .* GB of encoder states; free some"):
        Memories(backbone, tokens, bf16=False, folder=tmp_path).fill(Progress(None))
    assert list(tmp_path.iterdir()) == []
