"""A model fine-tuned to give IDs to queries or histories (Eq. 14): made from an indexer's run, kept in one."""

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lmindexer.checkpoints import are_finite
from lmindexer.config import IMPORTED, FinetuneConfig, LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.devices import choose_bf16, choose_device, device_to_load
from lmindexer.errors import InputError
from lmindexer.files import write_atomically
from lmindexer.ids.table import IdTable
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.store import check_agreement, load_documents, load_ids
from lmindexer.learn.histories import Items, item_vectors
from lmindexer.learn.memories import Memories
from lmindexer.learn.reading import encoder_of, read_documents
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.model.history import HistoryReader
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.retrievers.generative import known_paths
from lmindexer.retrievers.vectors import UNREADABLE, keys_of, load_keys, save_keys, save_vectors, vectors_of
from lmindexer.runs import Run
from lmindexer.settings import parse, read_toml

CONFIG, WEIGHTS, BACKBONE, ITEMS = "finetune.toml", "retriever.safetensors", "retriever_backbone", "items.parquet"
FACTS = "finetune.json"  # how training went
KNOWN = "known.parquet"  # the documents that were there in training


@dataclass(frozen=True, eq=False)
class Finetuned:
    """Model, documents and IDs; `reader` and `items` where histories are read as one vector an item."""

    config: FinetuneConfig
    model: SemanticIndexer
    corpus: Corpus
    ids: IdTable
    document_tokens: int  # of a document so many are read at a time
    long: str  # what becomes of a longer one
    reader: HistoryReader | None = None
    items: Items | None = None
    new: tuple[int, ...] = ()  # rows of documents that came after training
    novelty: float | None = None  # nats that these gain, as calibrated; None: of an earlier version, which did not

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def bf16(self) -> bool:
        return choose_bf16(self.config.precision, self.device)

    @property
    def modules(self) -> nn.ModuleDict:
        """All that learns, as the trainer and the weights' file call it."""
        modules: dict[str, nn.Module] = {"indexer": self.model}
        return nn.ModuleDict(modules | ({"history": self.reader} if self.reader is not None else {}))

    def documents(self, folder: Path | None = None) -> Memories:
        """Memories of all documents' texts."""
        backbone = self.model.backbone
        tokens, _ = read_documents(self.corpus, backbone, self.document_tokens, self.long)
        return Memories(backbone, tokens, self.bf16, folder)


def is_finetuned(run: Path) -> bool:
    """Whether a run folder holds a fine-tuned model."""
    return Run.is_begun(run) and Run(run).has(CONFIG)


def begin(run: Run, config: FinetuneConfig) -> Finetuned:
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
        told = start.state_dict()
        centre = torch.zeros_like(model.centre)
        centre[: len(ids.sizes)] = told.pop("centre")
        model.load_state_dict(told | {"centre": centre}, strict=False)
        if config.suffix:
            nn.init.normal_(model.codebooks[len(ids.sizes)].weight, std=0.02)
    else:
        model = SemanticIndexer(_backbone(run, learned, config), sizes)
    return _finetuned(run, config, model.to(device), ids)


def load(run: Path) -> Finetuned:
    """The fine-tuned model of a finished run folder. Raises InputError when it has none."""
    folder = Run.open(run)
    if folder.facts["state"] != "finished":
        raise InputError(f"the fine-tuning of {run} is not finished; go on with: {folder.way_on}")
    config, learned = read_config(run), folder.config
    ids = load_ids(folder)
    weights, own = folder.file(WEIGHTS), folder.folder(BACKBONE)
    try:
        tensors = load_file(weights)
    except (FileNotFoundError, SafetensorError) as error:
        raise InputError(f"{weights} cannot be read ({error}); fine-tune anew") from None
    backbone = (
        load_backbone(str(own), learned.decoder_layers, config.dropout, encoder=_encoder_at_first(learned, config))
        if own is not None
        else _backbone(folder, learned, config)
    )
    if own is None and backbone.learns_with(encoder_that_learns(config)):
        raise InputError(f"{run / BACKBONE} is missing; fine-tune anew")
    positions = sum(name.startswith("indexer.codebooks.") and name.endswith("weight") for name in tensors)
    if positions not in (len(ids.sizes), len(ids.sizes) + 1):
        raise InputError(f"{weights} is not of this run; fine-tune anew")
    device = device_to_load(config.device)
    try:
        model = SemanticIndexer(backbone, [len(tensors[f"indexer.codebooks.{t}.weight"]) for t in range(positions)])
        told = model.load_state_dict(_below("indexer.", tensors), strict=False)  # items are read with these weights
        if not are_finite(tensors.values()):
            raise KeyError("a weight is no number")
        missing = sorted(set(told.missing_keys) - backbone.pretrained_names("backbone."))
        if missing or told.unexpected_keys:
            raise KeyError((missing or told.unexpected_keys)[0])
        finetuned = _finetuned(folder, config, model.to(device), ids)
        if finetuned.reader is not None:
            finetuned.reader.load_state_dict(_below("history.", tensors))
    except (RuntimeError, KeyError):
        raise InputError(f"{weights} is not of this run; fine-tune anew") from None
    finetuned.modules.eval()
    return replace(finetuned, new=_new(folder.file(KNOWN), finetuned.corpus), novelty=calibrated_novelty(run))


def calibrated_novelty(run: Path) -> float | None:
    """What documents that came after fine-tuning gain, in nats; None where an earlier version fine-tuned the run."""
    opened = Run(run)
    facts = opened.read_json(FACTS) if opened.has(FACTS) else {}
    with opened.trusting(FACTS):
        return float(facts["novelty"]) if "novelty" in facts else None


def _new(path: Path, corpus: Corpus) -> tuple[int, ...]:
    """Rows of the documents that are not in the file."""
    try:
        known = set(load_keys(path)[0])
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read ({error}); fine-tune anew") from None
    return tuple(row for row, key in enumerate(keys_of(corpus)) if key not in known)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def save(run: Run, finetuned: Finetuned) -> None:
    """Weights, the encoder where it has learned, the vectors of items, and which documents it was trained to give."""
    keys, new = list(keys_of(finetuned.corpus)), set(finetuned.new)
    save_keys(run.path / KNOWN, [key for row, key in enumerate(keys) if row not in new])
    pretrained = finetuned.model.backbone.pretrained_names("indexer.backbone.")
    tensors = {
        name: x.detach().cpu().contiguous().clone()
        for name, x in finetuned.modules.state_dict().items()
        if name not in pretrained
    }
    write_atomically(run.path / WEIGHTS, partial(save_file, tensors))
    if finetuned.model.backbone.learns:
        folder, part = run.path / BACKBONE, run.path / f".{BACKBONE}"
        for old in (folder, part):  # of a stop in the middle of this
            shutil.rmtree(old, ignore_errors=True)
        finetuned.model.backbone.save(part)
        part.rename(folder)
    if finetuned.items is not None and finetuned.reader is not None and finetuned.reader.text:
        save_vectors(run.path / ITEMS, keys, finetuned.items.vectors)


def read_config(run: Path) -> FinetuneConfig:
    """The settings that a fine-tuned run was made with."""
    return parse(FinetuneConfig, read_toml(Run(run).file(CONFIG)), str(run / CONFIG))


def encoder_that_learns(config: FinetuneConfig) -> str:
    """How much of the encoder: as `config.encoder`, but "frozen" where items are read once, as vectors."""
    return "frozen" if config.reads_vectors else config.encoder


def _encoder_at_first(learned: LearnConfig, config: FinetuneConfig) -> str:
    """How much of the encoder learned when the decoder was made: with LMIndexer's IDs, or here."""
    return learned.encoder if learned.indexer == "lmindexer" else encoder_that_learns(config)


def _backbone(run: Run, learned: LearnConfig, config: FinetuneConfig) -> Backbone:
    """The encoder that the IDs were made with; the bundled one for IDs that were made without."""
    own = run.folder("backbone")
    name = "bundled" if learned.indexer in ("random", IMPORTED) else encoder_of(learned)[1]
    return load_backbone(
        str(own) if own is not None else name,
        learned.decoder_layers,
        learned.dropout,
        encoder=_encoder_at_first(learned, config),
        held=learned.backbone_dtype,
    )


def _finetuned(run: Run, config: FinetuneConfig, model: SemanticIndexer, ids: IdTable) -> Finetuned:
    model.backbone.set_dropout(config.dropout)
    corpus = load_documents(run)
    check_agreement(run, corpus, ids)
    finetuned = Finetuned(config, model, corpus, ids, run.config.max_tokens, run.config.long)
    if not config.reads_vectors:
        return finetuned
    read_ids = config.history in ("ids", "both")
    reader = HistoryReader(
        model.backbone.dim,
        model.sizes if read_ids else (),
        config.max_items,
        config.history_layers,
        config.dropout,
        text=config.history != "ids",
    ).to(finetuned.device)

    def read(rows: list[int]) -> torch.Tensor:
        part = Corpus.from_documents((corpus[row] for row in rows), keep_empty=True)
        tokens, _ = read_documents(part, model.backbone, finetuned.document_tokens, finetuned.long)
        return item_vectors(Memories(model.backbone, tokens, finetuned.bf16))

    if reader.text:
        vectors = vectors_of(corpus, run.path / ITEMS, model.backbone.dim, read, keep=is_finetuned(run.path))
    else:
        vectors = torch.zeros(len(corpus), model.backbone.dim, dtype=torch.float16)
    paths = torch.from_numpy(known_paths(ids, model.sizes)).long()
    items = Items(vectors.to(finetuned.device), paths.to(finetuned.device))
    return Finetuned(config, model, corpus, ids, run.config.max_tokens, run.config.long, reader, items)
