"""A network that reads sequences, with the items it knows: kept in a run folder, loaded, asked and taught."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lmindexer.checkpoints import are_finite, save_weights
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.devices import choose_device, device_to_load
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.embeddings import read_with
from lmindexer.indexers.kept_vectors import keys_of, load_given
from lmindexer.indexers.store import load_documents
from lmindexer.methods.known import load_known, save_known
from lmindexer.methods.retriever import Hit, Retriever, best_hits, history_rows
from lmindexer.methods.sequential.losses import next_item_loss
from lmindexer.methods.sequential.networks import NETWORKS, READ_TEXTS, Bert4Rec, SequenceNetwork
from lmindexer.methods.taught import open_taught, reading_weights
from lmindexer.methods.teachable import Lesson, OneStage
from lmindexer.model.backbone import load_backbone
from lmindexer.progress import Progress
from lmindexer.questions.questions import HISTORY
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.sequences import Sequences
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.training import adamw_groups

WEIGHTS = "sequence.safetensors"
BATCH = 256  # histories scored together
READ_TOGETHER = 128  # sequences of like length of a batch
EPSILON = 1e-8  # of Adam: gradients of rarely taken items are small


class SequenceRetriever(Retriever):
    """What a network finds after a history, among the documents that it was taught with.

    Documents are known by their ids. Those that came later have no embedding: they are never found, and are passed over
    in a history. A history without any known item has no answer.
    """

    reads = (HISTORY,)

    def __init__(self, network: SequenceNetwork, config: FinetuneConfig, corpus: Corpus, rows: np.ndarray) -> None:
        """`rows` (N,) of the corpus are those of the network's items 1 to N; -1: the document left."""
        self.network, self.config, self.doc_ids, self.settings = network, config, corpus.doc_ids, {}
        self._row_of, self._ranks = corpus.row_of, tie_ranks(corpus.doc_ids)
        self._rows, self._present = rows, rows >= 0
        self._item_of = np.zeros(len(corpus), np.int64)
        self._item_of[rows[self._present]] = np.flatnonzero(self._present) + 1

    @torch.no_grad()
    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        self.network.eval()
        known = [self._item_of[history] for history in history_rows(questions, self._row_of)]
        allowed = np.ones(len(self.doc_ids), bool)
        if rows is not None:
            allowed[:] = False
            allowed[rows] = True
        hits: list[list[Hit]] = []
        for at in range(0, len(known), BATCH):
            part = [items[items > 0] for items in known[at : at + BATCH]]
            for items, scores in zip(part, self._scores(part), strict=True):
                of_documents = np.full(len(self.doc_ids), -np.inf, np.float32)
                if len(items):
                    of_documents[self._rows[self._present]] = scores[self._present]
                of_documents[~allowed] = -np.inf
                hits.append(best_hits(of_documents, self.doc_ids, k, self._ranks))
        return hits

    def _scores(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """Of all items (b, N) after each of b histories of items from 1 on."""
        network, most = self.network, self.config.max_items
        newest = [items[-most:] for items in histories]
        if isinstance(network, Bert4Rec):
            newest = [np.append(items, network.mask) for items in newest]
        device = network.embedding.weight.device
        padded = _padded(newest).to(device)
        last = torch.tensor([max(len(items) - 1, 0) for items in newest], device=device)
        states = network(padded)[torch.arange(len(newest), device=device), last]
        return (states @ network.catalogue().T).float().cpu().numpy()


def _padded(sequences: Sequence[np.ndarray]) -> Tensor:
    """(B, L) int64, 0 where nothing is."""
    padded = np.zeros((len(sequences), max([1, *map(len, sequences)])), np.int64)
    for row, items in zip(padded, sequences, strict=True):
        row[: len(items)] = items
    return torch.from_numpy(padded)


def open_run(run: Path, kind: str, sequences: Sequences | None) -> SequenceRetriever:
    """As `Method.open`, of a run that was taught by such a network. Raises InputError for another."""
    folder, config = open_taught(run)
    corpus = load_documents(folder)
    doc_ids = [doc_id for doc_id, _ in load_known(folder)]
    rows = np.array([corpus.row_of.get(doc_id, -1) for doc_id in doc_ids])
    weights = folder.file(WEIGHTS)
    with reading_weights(weights):
        tensors = load_file(weights)
        texts = tensors.pop("texts") if "texts" in tensors else None
        network = NETWORKS[config.method](len(doc_ids), config, texts)
        network.load_state_dict(tensors)
        if not are_finite(tensors.values()):
            raise ValueError("a weight is no number")
    return SequenceRetriever(network.to(device_to_load(config.device)).eval(), config, corpus, rows)


class TeachableSequence(OneStage):
    """The `Teachable` of these networks: every item of a training part is wanted after those before it."""

    def __init__(self, run: Run, config: FinetuneConfig) -> None:
        self.config, self.corpus = config, load_documents(run)
        self.device = choose_device(config.device)
        texts, learned = None, run.config
        if config.method in READ_TEXTS and learned.given_vectors:
            texts = torch.from_numpy(load_given(run, self.corpus)).half()
        elif config.method in READ_TEXTS:
            encoder = load_backbone("bundled").to(self.device).eval()
            texts = read_with(encoder, self.corpus, learned.max_tokens, "auto", learned.long)[0].embeddings().cpu()
        torch.manual_seed(config.seed)
        self.network = NETWORKS[config.method](len(self.corpus), config, texts).to(self.device)
        self._texts = texts

    @property
    def modules(self) -> nn.ModuleDict:
        return nn.ModuleDict({"network": self.network})

    def lesson(self, task: Task, folder: Path, progress: Progress) -> Lesson:
        """As `Teachable.lesson`: one example a user, whose items are all read in one pass."""
        assert isinstance(task, RecommendTask)
        sequences, most = task.sequences, self.config.max_items + 1
        ends = sequences.training_ends
        starts = np.maximum(sequences.offsets[:-1], ends - most)
        users = np.flatnonzero(ends - starts > 1)

        def losses(users: np.ndarray) -> dict[str, Tensor]:
            by_length = users[np.argsort((ends - starts)[users], kind="stable")]
            parts = [by_length[at : at + READ_TOGETHER] for at in range(0, len(users), READ_TOGETHER)]
            padded = [_padded([sequences.rows[starts[u] : ends[u]] + 1 for u in part]) for part in parts]
            return {"loss": self._loss([items.to(self.device) for items in padded])}

        def batches(users: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
            order, size = rng.permutation(users), self.config.batch_size  # of any length, or steps go back and forth
            return [order[at : at + size] for at in range(0, len(order), size)]

        return Lesson(ends - starts, tokens=None, epoch=lambda rng: users, losses=losses, batches=batches)

    def _loss(self, batches: Sequence[Tensor]) -> Tensor:
        """Of sequences of items from 1 on, in batches (B, L) of like length."""
        config, network = self.config, self.network
        states, wanted = zip(*map(self._states, batches), strict=True)
        return next_item_loss(torch.cat(states), network.catalogue(), torch.cat(wanted), config.loss, config.negatives)

    def _states(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """States (M, D) and the items (M) wanted after them, from 0 on; of sequences (B, L) of items from 1 on."""
        network = self.network
        if isinstance(network, Bert4Rec):
            read, hidden = hide(items, self.config.mask_share, network.mask)
            return network(read)[hidden], items[hidden] - 1
        wanted = items[:, 1:]
        present = wanted > 0
        return network(items[:, :-1] * present)[present], wanted[present] - 1

    def parameter_groups(self, rate: float) -> list[dict[str, Any]]:
        """As `Teachable.parameter_groups`."""
        groups = adamw_groups(((p, rate) for p in self.network.parameters()), self.config.weight_decay)
        return [group | {"eps": EPSILON} for group in groups]

    def retriever(self, **how: Any) -> SequenceRetriever:
        """As `Teachable.retriever`."""
        return SequenceRetriever(self.network, self.config, self.corpus, np.arange(len(self.corpus)))

    def save(self, run: Run, later: np.ndarray) -> None:
        """As `Teachable.save`."""
        save_known(run, list(keys_of(self.corpus)))
        texts = {} if self._texts is None else {"texts": self._texts.half()}
        save_weights(run.path / WEIGHTS, self.network.state_dict() | texts)


def hide(items: Tensor, share: float, mask: int) -> tuple[Tensor, Tensor]:
    """Items with some hidden behind `mask`, and which (B, L): a `share`, and in one sequence of four the last alone."""
    present = items > 0
    last = torch.arange(items.shape[1], device=items.device) == present.sum(1, keepdim=True) - 1
    hidden = (torch.rand(items.shape, device=items.device) < share) & present
    only_last = (torch.rand(len(items), 1, device=items.device) < 0.25) | ~hidden.any(1, keepdim=True)
    hidden = torch.where(only_last, last & present, hidden)
    return items.masked_fill(hidden, mask), hidden


begin = TeachableSequence  # of `Method.begin`
