"""LMIndexer: learn the IDs of a corpus, give IDs to documents never seen (sections 3.1 and 3.2)."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lmindexer import parallel
from lmindexer.checkpoints import are_finite, save_weights
from lmindexer.config import LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.vectors import Source, Vectors
from lmindexer.devices import choose_bf16, choose_device, device_to_load
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.judge import judge, judge_model
from lmindexer.indexers.kept_vectors import VECTORS, axes_for, save_axes, save_given
from lmindexer.indexers.sizes import say_sizes, with_sizes
from lmindexer.indexers.store import (
    NOT_LEARNED,
    begin_run,
    check_corpus,
    given_vectors,
    index_with,
    load_documents,
    load_ids,
    save_backbone,
    save_ids,
)
from lmindexer.learn.algorithm import learn_ids
from lmindexer.learn.learner import Learner, LearningState
from lmindexer.learn.memories import Memories, document_frequency
from lmindexer.learn.parts import parts_of
from lmindexer.learn.reading import Unseen, read_documents
from lmindexer.learn.vector_memories import VectorMemories
from lmindexer.learn.weighing import weigh_tokens
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.model.reconstructor import Reconstructor
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.progress import Progress
from lmindexer.runs import Run, writing
from lmindexer.settings import check_counting
from lmindexer.training import Trainer


class LMIndexer:
    """Learns semantic IDs from text alone.

    `LMIndexer(sizes=(256, 256), seed=1)` takes every setting of `LearnConfig` as a keyword.

    Raises:
        InputError: for an unknown setting, or one out of range.
    """

    def __init__(self, config: LearnConfig | None = None, **settings: Any) -> None:
        if config is not None and settings:
            raise InputError("give LMIndexer either a LearnConfig or keywords, not both")
        self.config = config or from_mapping(settings)
        check_counting(self.config, settings, "the settings")
        if self.config.indexer != "lmindexer":
            raise InputError(f"LMIndexer is not {self.config.indexer}; use TwoStepIndexer(indexer=...) for that")
        self._settings = self.config  # perhaps without sizes: each corpus has its own
        self.run: Run | None = None  # this and what follows: after fit or load
        self.ids: IdTable | None = None
        self.model: SemanticIndexer | None = None

    def fit(
        self,
        corpus: Corpus,
        out: str | Path,
        *,
        vectors: Source | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> "LMIndexer":
        """Algorithm 1 on `corpus`; everything is written to the run folder `out`.

        With `vectors` (or a file of them as `embeddings`), as `read_vectors` says, a document is read as one state,
        its vector; its text, if it has any, is only rebuilt.

        With `resume`, a run that was stopped goes on from its last checkpoint, and on a CPU ends with the
        same IDs as if it had not been stopped. Under torchrun all processes learn together, and the first one writes;
        how many they are may change from one resume to the next.

        Raises:
            InputError: when the corpus cannot carry these sizes, or `out` exists (or, with `resume`, does
                not hold a run on this corpus with these settings).
        """
        self._settings, given = given_vectors(self._settings, corpus, vectors)
        check_corpus(corpus, given)
        has_text = given is None or any(text for texts in corpus.text_batches(1024) for text in texts)
        if not has_text:
            self._settings = _without_text(self._settings)
        if self._settings.reads_parts:
            parallel.refuse("--view crop or --commit-crop")
        parallel.join()
        if not parallel.is_first():
            return self._fit(corpus, given, has_text, Path(out), resume, Progress(None))
        with writing(Path(out), wait=False, make=True):
            return self._fit(corpus, given, has_text, Path(out), resume, progress or Progress())

    def _fit(
        self, corpus: Corpus, given: Vectors | None, has_text: bool, out: Path, resume: bool, progress: Progress
    ) -> "LMIndexer":
        """As `fit`, by the only one that writes to `out`, and those that learn beside it."""
        began, began_cpu = time.monotonic(), time.process_time()
        self.config = with_sizes(self._settings, len(corpus), out if resume else None)
        device = choose_device(self.config.device)
        bf16 = choose_bf16(self.config.precision, device)
        torch.manual_seed(self.config.seed)
        progress.say(f"loading the model {self.config.backbone}")
        backbone = _loaded(self.config, self.config.backbone)
        backbone.texts.room(self.config.max_tokens)
        backbone.freeze(self.config.encoder, self.config.top_layers)
        if parallel.is_first():
            begin_run(self.config, corpus, out, resume, given, device=str(device), bf16=bf16)
        parallel.wait()
        run = Run.open(out, finished=False)
        bf16 = run.bf16  # as it began
        if run.facts["state"] == "finished":
            progress.say(f"{out} is finished already")
            return self._take(LMIndexer.load(out))
        say_sizes(self.config, self._settings.sizes, len(corpus), progress)
        learner, unseen = _learner(self.config, backbone, corpus, given, run, device, bf16, progress)
        embeddings = learner.memories.embeddings(progress) if parallel.is_first() else torch.empty(0)
        if resume and not learner.trainer.resume():
            progress.say("no checkpoint yet; starting from the beginning")
        earlier = run.seconds_logged
        ids = learn_ids(learner, corpus.doc_ids)
        parallel.leave()
        ids.check()
        self.run, self.ids, self.model = run, ids, learner.indexer
        if not parallel.is_first():
            return self
        _save(run, learner)
        save_ids(run, ids, corpus)
        if given is not None:
            save_given(run.path / VECTORS, corpus, given.array)
        progress.say("measuring the IDs")
        report = judge(self.config, ids, corpus, embeddings, unseen, given) | judge_model(learner, ids, has_text)
        progress.warn(*report["warnings"])
        seconds = {"seconds": round(earlier * resume + time.monotonic() - began, 1)}
        seconds["cpu_seconds"] = round(time.process_time() - began_cpu, 1)  # of this process: since it was resumed
        run.write_json("report.json", report | seconds)
        run.finish()
        return self

    @classmethod
    def load(cls, run: str | Path) -> "LMIndexer":
        """The indexer of a finished run folder. Raises InputError when it is none."""
        folder = Run.open(Path(run))
        config = folder.config
        backbone = _loaded(config, str(folder.folder("backbone") or config.backbone))
        model = SemanticIndexer(backbone, config.sizes)
        weights = folder.file("indexer.safetensors")
        try:
            tensors = load_file(weights)
            missing, unexpected = model.load_state_dict(tensors, strict=False)
            if not are_finite(tensors.values()):
                raise ValueError("a weight is no number")
        except (FileNotFoundError, SafetensorError, RuntimeError, ValueError) as error:
            raise InputError(f"{weights} cannot be read ({error}); learn the run anew") from None
        if unexpected or not set(missing) <= backbone.pretrained_names("backbone."):
            raise InputError(f"{weights} is not of this run; learn the run anew")
        indexer = cls(config)
        indexer.run, indexer.ids = folder, load_ids(folder)
        indexer.model = model.to(device_to_load(config.device)).eval()
        return indexer

    def index(self, corpus: Corpus, *, vectors: Source | None = None, progress: Progress | None = None) -> IdTable:
        """The IDs of the corpus' documents, in its order, without learning.

        A document whose id was learned keeps its ID. Every other gets codes from the final model in one
        pass, and a suffix that no learned document has. Where the run was learned from `vectors`, new documents bring
        theirs.
        """
        progress = progress or Progress(None)
        return index_with(self.run, self.ids, corpus, vectors, lambda new, given: self._generate(new, given, progress))

    def corpus(self) -> Corpus:
        """The documents the IDs were learned from, as the run folder keeps them."""
        if self.run is None:
            raise InputError(NOT_LEARNED)
        return load_documents(self.run)

    def _generate(self, corpus: Corpus, given: Vectors | None, progress: Progress) -> np.ndarray:
        """Final-model codes (N, T) of documents."""
        assert self.model is not None
        backbone, model = self.model.backbone, self.model.eval()
        assert self.run is not None
        memories: Memories | VectorMemories
        if given is not None:
            progress.note(*given.notes)
            memories = VectorMemories(backbone, given.array, axes_for(self.run, given.array, backbone.dim))
        else:
            tokens, unseen = read_documents(corpus, backbone, self.config.max_tokens, self.config.long)
            progress.note(*unseen.notes(self.config, learned=True))
            memories = Memories(backbone, tokens, self.run.bf16)  # as the other documents were read
        codes, done = np.empty((len(corpus), len(self.config.sizes)), np.int32), 0
        for rows in memories.batches(128):
            with torch.no_grad():
                memory = memories.memory(rows)
            codes[rows] = model.generate(memory).cpu().numpy()
            done += len(rows)
            progress.at("giving IDs", 0, 1, done / len(corpus))
        return codes

    def _take(self, other: "LMIndexer") -> "LMIndexer":
        self.config, self.run, self.ids, self.model = other.config, other.run, other.ids, other.model
        return self


def _loaded(config: LearnConfig, name: str) -> Backbone:
    """The pretrained model of these settings, by a name or in a folder."""
    return load_backbone(
        name, config.decoder_layers, config.dropout, encoder=config.encoder, held=config.backbone_dtype
    )


def _learner(
    config: LearnConfig,
    backbone: Backbone,
    corpus: Corpus,
    given: Vectors | None,
    run: Run,
    device: torch.device,
    bf16: bool,
    progress: Progress,
) -> tuple[Learner, Unseen | None]:
    """What learning works on, and what the model does not see of the documents."""
    progress.say(f"tokenising {len(corpus):,} documents")
    tokens, unseen = read_documents(corpus, backbone, config.max_tokens, config.long)
    progress.note(*(unseen.notes(config) if given is None else given.notes))
    frequency, counts = document_frequency(tokens, len(backbone.vocabulary))
    if config.weigh_tokens:
        reader = backbone.to(device)
        weigh_tokens(reader, tokens, torch.from_numpy(frequency).float(), config.weight_exponent, config.seed, bf16,
                     progress)  # fmt: skip
    indexer = SemanticIndexer(backbone, config.sizes)
    reconstructor = Reconstructor(backbone.vocabulary, config.reconstructor_layers, config.max_tokens, config.dropout)
    reconstructor.start_from_frequencies(torch.from_numpy(counts).float())
    modules = nn.ModuleDict({"indexer": indexer, "reconstructor": reconstructor}).to(device)
    progress.say(f"{len(corpus):,} documents, {tokens.read:,} tokens; {device}{', bfloat16' if bf16 else ''}")
    memories: Memories | VectorMemories
    if given is not None:
        axes = axes_for(run, given.array, backbone.dim)
        if axes is not None and parallel.is_first():
            save_axes(run, axes)
        memories = VectorMemories(backbone, given.array, axes, tokens)
    else:
        memories = Memories(backbone, tokens, bf16, run.path)
        if backbone.caches:
            progress.say(f"encoding {len(corpus):,} documents, once")
    memories.fill(progress)
    parts = None
    if config.reads_parts and isinstance(memories, Memories):
        parts = parts_of(memories, config.max_tokens)
        parts.fill(progress)
    trainer = Trainer(
        modules=modules,
        folder=run.path,
        seed=config.seed,
        clip=config.clip,
        bf16=bf16,
        checkpoint_seconds=config.checkpoint_seconds,
        progress=progress,
        frozen=backbone.frozen_names("indexer.backbone.") | {"reconstructor.vocabulary"},
        state=LearningState(torch.zeros(len(corpus), 0, dtype=torch.long, device=device)),
    )
    return Learner(config, indexer, reconstructor, memories, trainer, parts), unseen if given is None else None


def _without_text(config: LearnConfig) -> LearnConfig:
    """The settings where there is no text to rebuild (Eq. 4/8): the document's own vector alone is.

    Raises InputError where a position would have nothing to rebuild at all.
    """
    if not all(config.alignment):
        raise InputError(
            f"the documents have no text, so only their vectors can be rebuilt, and alignment is "
            f"{','.join(map(str, config.alignment))}; give one above 0, such as --alignment 20,1"
        )
    return config.replace(reconstruction=0.0)


def _save(run: Run, learner: Learner) -> None:
    """The weights. The pretrained model is copied unless it is the bundled one, unchanged."""
    elsewhere = learner.memories.backbone.pretrained_names("backbone.") | {"vocabulary"}
    for name, module in (("indexer", learner.indexer), ("reconstructor", learner.reconstructor)):
        save_weights(run.path / f"{name}.safetensors", module.state_dict(), elsewhere)
    if learner.config.backbone != "bundled" or learner.memories.backbone.learns:
        save_backbone(run, learner.indexer.backbone)
