"""A generative model in a run folder: made from an indexer's run, kept in one, and loaded."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lmindexer.checkpoints import are_finite, save_weights
from lmindexer.config import IMPORTED, FinetuneConfig, LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.devices import choose_device, device_to_load
from lmindexer.errors import InputError
from lmindexer.files import write_folder
from lmindexer.ids.table import IdTable
from lmindexer.indexers.kept_vectors import (
    Key,
    axes_for,
    keys_of,
    load_given,
    save_axes,
    save_vectors,
    vectors_of,
)
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.store import check_agreement, load_documents, load_ids
from lmindexer.learn.memories import Memories
from lmindexer.learn.reading import encoder_of, read_documents
from lmindexer.learn.vector_memories import states_of
from lmindexer.methods.generative.histories import item_vectors
from lmindexer.methods.generative.history import HistoryReader, Items
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.generative.retriever import known_paths
from lmindexer.methods.known import load_known, save_known
from lmindexer.methods.taught import calibrated_novelty, is_finetuned, open_taught
from lmindexer.methods.weights import kept as kept_weights
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.questions.questions import HISTORY, TEXT
from lmindexer.runs import Run

WEIGHTS, BACKBONE, ITEMS = "retriever.safetensors", "retriever_backbone", "items.parquet"
EMBEDDING = "embedding.weight"  # of what reads histories: a row a document that was learned from


def begin_model(run: Run, config: FinetuneConfig) -> GenerativeModel:
    """What fine-tuning starts from: the model of LMIndexer, or the encoder of another indexer with a new decoder.

    Its codebooks are the learned ones and, with `config.suffix`, one more for the suffix.
    """
    learned, ids = run.config, load_ids(run)
    assert ids.suffix is not None
    sizes = (*ids.sizes, int(ids.suffix.max()) + 1) if config.suffix else ids.sizes
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    if learned.indexer == "lmindexer":
        start = LMIndexer.load(run.path).model
        assert start is not None
        model = SemanticIndexer(start.backbone, sizes)
        weights = start.state_dict()
        centre = torch.zeros_like(model.centre)
        centre[: len(ids.sizes)] = weights.pop("centre")
        model.load_state_dict(weights | {"centre": centre}, strict=False)
        if config.suffix:
            nn.init.normal_(model.codebooks[len(ids.sizes)].weight, std=0.02)
    else:
        model = SemanticIndexer(_backbone(run, learned, config), sizes)
    return _finetuned(run, config, model.to(device), ids)


def load(run: Path) -> GenerativeModel:
    """The fine-tuned model of a finished run folder. Raises InputError when it has none."""
    folder, config = open_taught(run)
    learned, ids = folder.config, load_ids(folder)
    weights, kept = folder.file(WEIGHTS), folder.folder(BACKBONE)
    try:
        tensors = load_file(weights)
    except (FileNotFoundError, SafetensorError) as error:
        raise InputError(f"{weights} cannot be read ({error}); fine-tune anew") from None
    backbone = (
        load_backbone(str(kept), learned.decoder_layers, config.dropout, encoder=_encoder_at_first(learned, config))
        if kept is not None
        else _backbone(folder, learned, config)
    )
    if kept is None and backbone.learns_with(encoder_that_learns(config)):
        raise InputError(f"{run / BACKBONE} is missing; fine-tune anew")
    positions = sum(name.startswith("indexer.codebooks.") and name.endswith("weight") for name in tensors)
    if positions not in (len(ids.sizes), len(ids.sizes) + 1):
        raise InputError(f"{weights} is not of this run; fine-tune anew")
    device = device_to_load(config.device)
    try:
        model = SemanticIndexer(backbone, [len(tensors[f"indexer.codebooks.{t}.weight"]) for t in range(positions)])
        loaded = model.load_state_dict(_below("indexer.", tensors), strict=False)  # items are read with these weights
        if not are_finite(tensors.values()):
            raise KeyError("a weight is no number")
        missing = sorted(set(loaded.missing_keys) - backbone.pretrained_names("backbone."))
        if missing or loaded.unexpected_keys:
            raise KeyError((missing or loaded.unexpected_keys)[0])
        finetuned = _finetuned(folder, config, model.to(device), ids)
        if finetuned.reader is not None:
            _load_reader(finetuned, _below("history.", tensors), load_known(folder))
    except (RuntimeError, KeyError):
        raise InputError(f"{weights} is not of this run; fine-tune anew") from None
    finetuned.modules.eval()
    picked = kept_weights(folder, HISTORY if config.task == "recommend" else TEXT, finetuned.parts)
    return replace(finetuned, new=_new(folder, finetuned.corpus), novelty=calibrated_novelty(run), weights=picked)


def _new(run: Run, corpus: Corpus) -> tuple[int, ...]:
    """Rows of the documents that came after teaching."""
    known = set(load_known(run))
    return tuple(row for row, key in enumerate(keys_of(corpus)) if key not in known)


def _load_reader(finetuned: GenerativeModel, tensors: dict[str, torch.Tensor], known: Sequence[Key]) -> None:
    """What reads histories, from tensors whose embeddings are of the `known` documents, in this order."""
    assert finetuned.reader is not None
    assert finetuned.items is not None
    place_of = {key: place for place, key in enumerate(known)}
    places = torch.tensor([place_of.get(key, -1) for key in keys_of(finetuned.corpus)])
    finetuned.items.known.copy_(places >= 0)
    if EMBEDDING in tensors:
        kept = tensors[EMBEDDING]
        if len(kept) != len(known):
            raise KeyError(f"{EMBEDDING} of other documents")
        tensors = tensors | {EMBEDDING: kept[places.clamp_min(0)] * (places >= 0)[:, None]}
    finetuned.reader.load_state_dict(tensors)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def save(run: Run, finetuned: GenerativeModel) -> None:
    """Weights, the encoder where it has learned, the vectors of items, and which documents it was trained to give."""
    keys, new = list(keys_of(finetuned.corpus)), set(finetuned.new)
    save_known(run, [key for row, key in enumerate(keys) if row not in new])
    pretrained = finetuned.model.backbone.pretrained_names("indexer.backbone.")
    weights, embedding = finetuned.modules.state_dict(), f"history.{EMBEDDING}"
    if embedding in weights:
        weights[embedding] = weights[embedding][[row for row in range(len(keys)) if row not in new]]
    save_weights(run.path / WEIGHTS, weights, pretrained)
    if finetuned.model.backbone.learns:
        write_folder(run.path / BACKBONE, finetuned.model.backbone.save)
    if finetuned.axes is not None:
        save_axes(run, finetuned.axes)
    if finetuned.items is not None and finetuned.config.items != "ids" and not finetuned.given:
        save_vectors(run.path / ITEMS, keys, finetuned.items.vectors)


def encoder_that_learns(config: FinetuneConfig) -> str:
    """How much of the encoder: as `config.encoder`, but "frozen" where items are read once, as vectors."""
    return "frozen" if config.reads_vectors else config.encoder


def _encoder_at_first(learned: LearnConfig, config: FinetuneConfig) -> str:
    """How much of the encoder learned when the decoder was made: with LMIndexer's IDs, or here."""
    return learned.encoder if learned.indexer == "lmindexer" else encoder_that_learns(config)


def _backbone(run: Run, learned: LearnConfig, config: FinetuneConfig) -> Backbone:
    """The encoder that the IDs were made with; the bundled one for IDs that were made without."""
    kept = run.folder("backbone")
    without = learned.indexer in ("random", IMPORTED) or (learned.given_vectors and learned.indexer != "lmindexer")
    name = "bundled" if without else encoder_of(learned)[1]
    return load_backbone(
        str(kept) if kept is not None else name,
        learned.decoder_layers,
        learned.dropout,
        encoder=_encoder_at_first(learned, config),
        held=learned.backbone_dtype,
    )


def _finetuned(run: Run, config: FinetuneConfig, model: SemanticIndexer, ids: IdTable) -> GenerativeModel:
    model.backbone.set_dropout(config.dropout)
    corpus = load_documents(run)
    check_agreement(run, corpus, ids)
    finetuned = GenerativeModel(config, model, corpus, ids, run.config.max_tokens, run.config.long)
    if not config.reads_vectors:
        return finetuned
    sizes = model.sizes if config.items in ("ids", "both") else ()
    reader = HistoryReader(config, model.backbone.dim, sizes, len(corpus)).to(finetuned.device)

    def read(rows: list[int]) -> torch.Tensor:
        part = Corpus.from_documents((corpus[row] for row in rows), keep_empty=True)
        tokens, _ = read_documents(part, model.backbone, finetuned.document_tokens, finetuned.long)
        return item_vectors(Memories(model.backbone, tokens, finetuned.bf16))

    axes = None
    if run.config.given_vectors:
        given = load_given(run, corpus)
        axes = axes_for(run, given, model.backbone.dim)
        vectors = states_of(torch.from_numpy(given), model.backbone.dim, axes).half()
    elif config.items != "ids":
        vectors = vectors_of(corpus, run.path / ITEMS, model.backbone.dim, read, keep=is_finetuned(run.path))
    else:
        vectors = torch.zeros(len(corpus), model.backbone.dim, dtype=torch.float16)
    paths = torch.from_numpy(known_paths(ids, model.sizes)).long()
    known = torch.ones(len(corpus), dtype=torch.bool)
    items = Items(vectors.to(finetuned.device), paths.to(finetuned.device), known.to(finetuned.device))
    reader.centre.copy_(items.vectors.float().mean(0))
    return replace(finetuned, reader=reader, items=items, given=run.config.given_vectors, axes=axes)
