"""Embed, then quantise: the usual way to semantic IDs, and the paper's baselines (section 4.2, Table 1)."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lmindexer import parallel
from lmindexer.checkpoints import are_finite, save_weights
from lmindexer.config import LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.vectors import Source, Vectors
from lmindexer.devices import choose_bf16, choose_device, device_to_load
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.embeddings import read_with
from lmindexer.indexers.judge import judge
from lmindexer.indexers.kept_vectors import VECTORS, save_given
from lmindexer.indexers.quantisers import QUANTISERS, Quantiser
from lmindexer.indexers.random_codes import random_vectors
from lmindexer.indexers.rq_vae import residual_vq
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
    width_of,
)
from lmindexer.learn.memories import Memories
from lmindexer.learn.reading import Unseen, encoder_of
from lmindexer.learn.simcse import train_simcse
from lmindexer.model.backbone import Backbone, load_backbone
from lmindexer.progress import Progress
from lmindexer.runs import Run, writing
from lmindexer.settings import check_counting

WEIGHTS = "quantiser.safetensors"


class TwoStepIndexer:
    """Learns IDs by quantising what a text encoder says of each document.

    `TwoStepIndexer(indexer="rq-vae", embeddings="bundled")` takes every setting of `LearnConfig` as a keyword.

    Raises:
        InputError: for an unknown setting, or one out of range.
    """

    def __init__(self, config: LearnConfig | None = None, **settings: Any) -> None:
        if config is not None and settings:
            raise InputError("give TwoStepIndexer either a LearnConfig or keywords, not both")
        self.config = config or from_mapping({"indexer": "rq-kmeans"} | settings)
        check_counting(self.config, settings, "the settings")
        if self.config.indexer not in QUANTISERS:
            raise InputError(f"indexer must be one of {', '.join(QUANTISERS)} here, not {self.config.indexer!r}")
        self._settings = self.config  # perhaps without sizes: each corpus has its own
        self.run: Run | None = None  # this and what follows: after fit or load
        self.ids: IdTable | None = None
        self.encoder: Backbone | None = None  # none for random IDs
        self.quantiser: Quantiser | None = None

    def fit(
        self,
        corpus: Corpus,
        out: str | Path,
        *,
        vectors: Source | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> "TwoStepIndexer":
        """Embed the corpus (first training the encoder on it with `embeddings="simcse"`), then quantise.

        With `vectors` (or a file of them as `embeddings`) no text is read: a numpy array with a row a document, a
        mapping from id to vector, or a file, as `read_vectors` says.

        With `resume`, a run that was stopped goes on from the last checkpoint of SimCSE; all else is quick and
        starts anew, which gives the same IDs on a CPU.

        Raises:
            InputError: when the corpus cannot carry these sizes, or `out` exists (or, with `resume`, does
                not hold a run on this corpus with these settings).
        """
        parallel.refuse(f"--indexer {self.config.indexer}")
        self._settings, given = given_vectors(self._settings, corpus, vectors)
        check_corpus(corpus, given)
        with writing(Path(out), wait=False, make=True):
            return self._fit(corpus, given, Path(out), resume, progress or Progress())

    def _fit(
        self, corpus: Corpus, given: Vectors | None, out: Path, resume: bool, progress: Progress
    ) -> "TwoStepIndexer":
        """As `fit`, by the only one that writes to `out`."""
        began = time.monotonic()
        self.config = config = with_sizes(self._settings, len(corpus), out if resume else None)
        if config.indexer == "rq-vae":
            residual_vq()  # a missing extra is told now, not after embedding
        device = choose_device(config.device)
        bf16 = choose_bf16(config.precision, device)
        torch.manual_seed(config.seed)
        if config.indexer != "random" and given is None:
            _, name = encoder_of(config)
            progress.say(f"loading the model {name}")
            self.encoder = load_backbone(name, dropout=config.dropout, held=config.backbone_dtype).to(device).eval()
            self.encoder.texts.room(config.max_tokens)
        self.run = run = begin_run(config, corpus, out, resume, given, device=str(device), bf16=bf16)
        if run.facts["state"] == "finished":
            progress.say(f"{out} is finished already")
            return self._take(TwoStepIndexer.load(out))
        say_sizes(config, self._settings.sizes, len(corpus), progress)
        earlier = run.seconds_logged
        if resume:
            progress.say("embedding and quantising anew; only SimCSE keeps checkpoints")
        judging, unseen = None, None  # vectors that say which documents are near
        if given is not None:
            progress.note(*given.notes)
            judging = torch.from_numpy(given.array).to(device)
        elif self.encoder is not None:
            progress.say(f"tokenising {len(corpus):,} documents")
            memories, unseen = self._read(corpus)
            progress.note(*unseen.notes(config))
            if config.embeddings == "simcse":
                train_simcse(memories, config, run.path, resume, progress)
            progress.say(f"embedding {len(corpus):,} documents, {memories.corpus_tokens.read:,} tokens")
            judging = memories.embeddings(progress)
        vectors = judging
        if vectors is None or config.indexer == "random":
            vectors = random_vectors(corpus.doc_ids, len(config.sizes), config.seed)
        progress.say(f"{len(corpus):,} documents, vectors of {vectors.shape[1]}; {config.indexer} on {device}")
        self.quantiser = QUANTISERS[config.indexer].fit(vectors, config, progress)
        self.ids = IdTable(corpus.doc_ids, self.quantiser.codes(vectors), self.quantiser.sizes).with_suffix()
        self.ids.check()
        self._save(corpus, given)
        progress.say("measuring the IDs")
        report = judge(config, self.ids, corpus, judging, unseen, given)
        progress.warn(*report["warnings"])
        run.write_json("report.json", report | {"seconds": round(earlier * resume + time.monotonic() - began, 1)})
        run.finish()
        return self

    @classmethod
    def load(cls, run: str | Path) -> "TwoStepIndexer":
        """The indexer of a finished run folder. Raises InputError when it is none."""
        folder = Run.open(Path(run))
        indexer = cls(folder.config)
        weights, device = folder.file(WEIGHTS), device_to_load(indexer.config.device)
        try:
            tensors = load_file(weights, device=str(device))
        except SafetensorError as error:
            raise InputError(f"{weights} cannot be read ({error}); learn the run anew") from None
        with folder.trusting(WEIGHTS):
            if not are_finite(tensors.values()):
                raise ValueError("it holds what is no number")
            indexer.quantiser = QUANTISERS[indexer.config.indexer].of(tensors, indexer.config)
        if indexer.config.indexer != "random" and not indexer.config.given_vectors:
            name = str(folder.folder("backbone") or encoder_of(indexer.config)[1])
            indexer.encoder = load_backbone(name, held=indexer.config.backbone_dtype).to(device).eval()
        indexer.run, indexer.ids = folder, load_ids(folder)
        if indexer.quantiser.sizes != indexer.ids.sizes:
            raise InputError(f"{weights} is not of the run's IDs (other numbers of codes); learn the run anew")
        with folder.trusting(WEIGHTS):  # a text of which the encoder says nothing has codes, too
            dim = len(indexer.ids.sizes) if indexer.encoder is None else indexer.encoder.dim
            if indexer.config.given_vectors and indexer.config.indexer != "random":
                dim = width_of(folder)
            indexer.quantiser.codes(torch.zeros(1, dim, device=device))
        return indexer

    def index(self, corpus: Corpus, *, vectors: Source | None = None, progress: Progress | None = None) -> IdTable:
        """The IDs of the corpus' documents, in its order, without learning.

        A document whose id was learned keeps its ID. Every other gets the codes of its embedding, and a
        suffix that no learned document has. Where the run was learned from `vectors`, new documents bring theirs.
        """

        def codes(new: Corpus, given: Vectors | None) -> np.ndarray:
            assert self.quantiser is not None
            if given is None or self.config.indexer == "random":
                return self.quantiser.codes(self.vectors(new, progress))
            if progress is not None:
                progress.note(*given.notes)
            return self.quantiser.codes(torch.from_numpy(given.array).to(device_to_load(self.config.device)))

        return index_with(self.run, self.ids, corpus, vectors, codes)

    def corpus(self) -> Corpus:
        """The documents the IDs were learned from, as the run folder keeps them."""
        if self.run is None:
            raise InputError(NOT_LEARNED)
        return load_documents(self.run)

    def vectors(self, corpus: Corpus, progress: Progress | None = None) -> Tensor:
        """What is quantised of texts, (N, D): embeddings, or for random IDs numbers that know nothing of the text.

        Raises InputError where users brought the vectors.
        """
        if self.encoder is None:
            if self.config.indexer != "random":
                raise InputError("no encoder reads texts here: the IDs were learned from vectors; bring those")
            return random_vectors(corpus.doc_ids, len(self.config.sizes), self.config.seed)
        memories, unseen = self._read(corpus)
        if progress is not None:
            progress.note(*unseen.notes(self.config, learned=True))
        return memories.embeddings(progress)

    def _read(self, corpus: Corpus) -> tuple[Memories, Unseen]:
        assert self.encoder is not None
        precision = self.config.precision
        if self.run is not None:  # as the other documents were read
            precision = "bf16" if self.run.bf16 else "fp32"
        return read_with(self.encoder, corpus, self.config.max_tokens, precision, self.config.long)

    def _save(self, corpus: Corpus, given: Vectors | None) -> None:
        assert self.run is not None
        assert self.ids is not None
        assert self.quantiser is not None
        save_ids(self.run, self.ids, corpus)
        if given is not None:
            save_given(self.run.path / VECTORS, corpus, given.array)
        save_weights(self.run.path / WEIGHTS, self.quantiser.tensors())
        if self.encoder is not None and self.config.embeddings != "bundled":
            save_backbone(self.run, self.encoder)

    def _take(self, other: "TwoStepIndexer") -> "TwoStepIndexer":
        self.config, self.run, self.ids = other.config, other.run, other.ids
        self.encoder, self.quantiser = other.encoder, other.quantiser
        return self
