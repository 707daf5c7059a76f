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
from lmindexer.learn.memories import Memories, document_frequency
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


def test_what_is_kept_is_what_the_encoder_said(corpus: Corpus, checkpoints: dict[str, Path]):
    backbone = load_backbone(str(checkpoints["bert"])).eval()
    backbone.freeze("frozen", 1)
    memories = Memories(backbone, Tokens.build(corpus, lambda texts: backbone.tokenize(texts, 32)), bf16=False)
    rows = np.array([7, 0, 31, 7])
    said = memories.memory(rows)
    memories.fill(Progress(None))
    kept = memories.memory(rows)
    torch.testing.assert_close(kept.states[kept.mask], said.states[said.mask], atol=5e-3, rtol=5e-3)  # half precision
    assert not kept.states[~kept.mask].any(), "nothing stands where a document has ended"
    assert len(set(memories.lengths[rows].tolist())) > 1


def test_tokens_are_counted_part_by_part_as_at_once(monkeypatch: pytest.MonkeyPatch):
    generator = np.random.default_rng(0)
    lists = [generator.integers(0, 9, size).tolist() for size in generator.integers(1, 6, 50)]
    share, counts = document_frequency(Tokens.of(lists), 12)
    monkeypatch.setattr(memories_module, "COUNTED", 7)
    for whole, parts in zip((share, counts), document_frequency(Tokens.of(lists), 12), strict=True):
        np.testing.assert_array_equal(whole, parts)
    assert share.tolist() == [sum(token in tokens for tokens in lists) / 50 for token in range(12)]
    assert counts.tolist() == [sum(tokens.count(token) for tokens in lists) for token in range(12)]
