"""The views of Eq. 9: one memory a document, or one a view where the encoder's own dropout makes them differ."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.learn import stages
from lmindexer.learn.learner import Learner
from lmindexer.learn.memories import Memories, document_frequency
from lmindexer.learn.stages import train_position
from lmindexer.model.backbone import EncoderBackbone, load_backbone
from lmindexer.model.reconstructor import Reconstructor
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.progress import Progress
from lmindexer.training import Trainer
from small_learner import nothing_learned

ROWS = np.array([7, 3, 11])


def memories_of(checkpoint: Path, corpus: Corpus, encoder: str, dropout: float = 0.5) -> Memories:
    backbone = load_backbone(str(checkpoint), dropout=dropout, encoder=encoder)
    if encoder == "top" and backbone.layers is None:
        pytest.skip("its encoder cannot be cut")
    backbone.freeze(encoder, 1)
    memories = Memories(backbone, Tokens.build(corpus, lambda texts: backbone.tokenize(texts, 64)), bf16=False)
    memories.fill(Progress(None))
    backbone.train()
    return memories


@pytest.mark.parametrize("encoder", ["top", "full"])
@torch.no_grad()
def test_two_views_are_two_looks_of_an_encoder_that_learns(encoder: str, checkpoint: Path, corpus: Corpus):
    memories = memories_of(checkpoint, corpus, encoder)
    torch.manual_seed(0)
    memory = memories.memory(ROWS, views=2)
    assert torch.equal(memory.mask[::2], memory.mask[1::2])
    assert torch.equal(memory.weight[::2], memory.weight[1::2])
    assert torch.equal(memory.mask[::2], memories.memory(ROWS).mask)
    looks = memory.mask[::2].clone()
    looks[:, 0] &= not memories.backbone.is_one_stack  # a first token that sees itself alone may come out the same
    assert ((memory.states[::2] - memory.states[1::2])[looks].abs().amax(-1) > 1e-3).all()
    first = memory.first_of(len(ROWS))
    assert torch.equal(first.states, memory.states[::2])
    assert torch.equal(first.mask, memory.mask[::2])


@pytest.mark.parametrize(
    ("encoder", "dropout", "training"), [("frozen", 0.5, True), ("full", 0.0, True), ("full", 0.5, False)]
)
@torch.no_grad()
def test_views_that_would_be_equal_are_one_look(
    encoder: str, dropout: float, training: bool, checkpoint: Path, corpus: Corpus
):
    memories = memories_of(checkpoint, corpus, encoder, dropout)
    memories.backbone.train(training)
    memory = memories.memory(ROWS, views=2)
    assert len(memory.states) == len(ROWS)
    assert torch.equal(memory.states, memories.memory(ROWS).states)
    assert memory.first_of(len(ROWS)).states.shape == memory.states.shape


@pytest.mark.parametrize(("encoder", "differ"), [("frozen", False), ("top", True), ("full", True)])
def test_the_views_of_eq_9_come_from_two_masks_of_the_encoder(
    encoder: str,
    differ: bool,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """The decoder's own dropout is off here, so what differs between the views is the encoder's doing."""
    config = LearnConfig(sizes=(4,), epochs=1, batch_size=16, dropout=0.5, alignment=(0.0,))
    memories = memories_of(checkpoints["bert"], corpus, encoder)
    backbone = memories.backbone
    assert isinstance(backbone, EncoderBackbone)
    for layer in backbone.small_decoder.layers:
        layer.dropout = 0.0
    _, counts = document_frequency(memories.corpus_tokens, len(backbone.vocabulary))
    reconstructor = Reconstructor(backbone.vocabulary, 1, config.max_tokens, 0.0)
    reconstructor.start_from_frequencies(torch.from_numpy(counts).float())
    modules = torch.nn.ModuleDict({"indexer": SemanticIndexer(backbone, config.sizes), "reconstructor": reconstructor})
    trainer = Trainer(modules, tmp_path, 0, config.clip, False, 1e9, Progress(None), nothing_learned(len(corpus)))
    seen: list[tuple[Tensor, Tensor]] = []
    loss = stages.contrastive_loss

    def watched(hidden: Tensor, view: Tensor, prefix: Tensor, scale: float) -> Tensor:
        seen.append((hidden.detach(), view.detach()))
        return loss(hidden, view, prefix, scale)

    monkeypatch.setattr(stages, "contrastive_loss", watched)
    indexer = modules["indexer"]
    assert isinstance(indexer, SemanticIndexer)
    train_position(Learner(config, indexer, reconstructor, memories, trainer), 0)
    assert seen
    for hidden, view in seen:
        apart = (hidden - view).abs().amax(-1)
        assert (apart > 1e-3).all() if differ else (apart < 1e-5).all()
