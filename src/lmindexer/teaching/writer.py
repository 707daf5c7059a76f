"""A seq2seq model is trained to write queries from the documents that answer them: docT5query on one's own data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lmindexer.checkpoints import CHECKPOINT
from lmindexer.config import FinetuneConfig, WriterConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens, length_bucketed_batches
from lmindexer.devices import choose_bf16
from lmindexer.errors import InputError
from lmindexer.files import json_text, write_text
from lmindexer.indexers.store import load_documents
from lmindexer.model.backbone import Seq2SeqBackbone
from lmindexer.model.query_writer import FACTS, WRITES, load_query_writer, read_facts
from lmindexer.progress import Progress
from lmindexer.questions.queries import QueryData
from lmindexer.questions.search_task import SearchTask
from lmindexer.runs import Run, writing
from lmindexer.runs.lock import LOCK
from lmindexer.settings import MAY_CHANGE, parse
from lmindexer.teaching.fine_tuning import splits_of_data
from lmindexer.training import Stage, Trainer, TrainingState, adamw_groups, filled

BEST = "best.safetensors"  # the weights of the best epoch so far


@dataclass
class WriterState(TrainingState):
    """What training has found so far; all are scalars."""

    best: Tensor | None = None  # loss of the dev queries
    best_epoch: Tensor | None = None  # 0: before training
    stale: Tensor | None = None  # epochs since then


@dataclass(frozen=True)
class Pairs:
    """E queries and the documents that answer them, as a seq2seq model reads and writes them."""

    documents: Tokens
    queries: Tokens  # without the token by which the decoder begins, with that by which a query ends
    document: np.ndarray  # (E,) rows of `documents`
    query: np.ndarray  # (E,) rows of `queries`
    weight: np.ndarray  # (E,) float32, above 0: the grade of the document

    @classmethod
    def of(
        cls, backbone: Seq2SeqBackbone, max_tokens: int, corpus: Corpus,
        texts: Sequence[str], source: np.ndarray, target: np.ndarray, weight: np.ndarray,
    ) -> "Pairs":  # fmt: skip
        """Of the pairs of a text `source` (E,) and the row `target` (E,) of the document that answers it."""
        rows, document = np.unique(target, return_inverse=True)
        documents = Tokens.of(backbone.tokenize(corpus.texts(rows.tolist()), max_tokens))
        begin, end = _ends(backbone)
        written = [_between(tokens, begin, end) for tokens in backbone.tokenize(texts, WRITES)]
        return cls(documents, Tokens.of(written), document, source, weight)


def _between(tokens: list[int], begin: int, end: int) -> list[int]:
    """A query's tokens without `begin`, which the decoder has seen, and with `end`, so that it learns to stop."""
    if tokens[0] == begin != end:  # BERT's tokenizer puts it there; BART's </s> is both
        tokens = tokens[1:]
    return tokens if tokens[-1:] == [end] else [*tokens[: WRITES - 1], end]


def train_writer(
    run: str | Path,
    model: str | Path,
    out: str | Path,
    *,
    queries: QueryData | str | Path,
    dev: QueryData | None = None,
    test: QueryData | None = None,
    qrels: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> None:
    """Train `model` on queries and the documents of `run` that answer them; the folder `out` has what it became.

    transformers opens the folder, and `load_query_writer`. `model` is a seq2seq model, or an encoder such as `bundled`,
    of which a pair is made. Queries are as `finetune` takes them; nothing is learned from a text of the test split or
    chosen by it. The epoch with the lowest loss of the dev queries is kept. `settings` are those of `WriterConfig`.
    With `resume` it goes on from the last checkpoint, and on a CPU ends with the same model.

    Raises InputError for files that do not fit the run's documents, a setting out of range, a model that cannot be
    trained, or an `out` that exists (or, with `resume`, does not hold this training).
    """
    out, progress = Path(out), progress or Progress()
    config = parse(WriterConfig, settings)
    facts = _begun(out, resume)
    corpus = load_documents(Run.open(Path(run)))
    splits = splits_of_data(corpus, queries, qrels, {"dev": dev, "test": test})
    as_search = FinetuneConfig(document_share=0.0, seed=config.seed, dev_queries=config.dev_queries)
    task = SearchTask([splits["train"]], splits, corpus, as_search)
    new: dict[str, Any] = {
        "began_with": str(model),
        "learns_from": task.fingerprint + corpus.fingerprint,
        "settings": {name: value for name, value in asdict(config).items() if name not in MAY_CHANGE},
    }
    if facts and any(facts.get(name) != value for name, value in new.items()):
        raise InputError(
            f"{out} was begun with another model, other data or other settings; resume without changing any, or "
            "choose another --model-out"
        )
    if facts.get("state") == "finished":
        progress.say(f"the writer in {out} is trained already")
        return
    for note in task.notes:
        progress.say(f"note: {note}")
    writer = load_query_writer(str(model), config.device, to_train=True, seed=config.seed, dropout=config.dropout)
    with writing(out, wait=False, make=True):
        bf16 = bool(facts.get("bf16", choose_bf16(config.precision, writer.backbone.model.device)))
        _write_facts(out, {"state": "training"} | new | {"bf16": bf16})
        _train(writer.backbone, task, out, config, bf16, resume, progress)


def _begun(out: Path, resume: bool) -> dict[str, Any]:
    """What is known of the training begun in `out`; nothing where none was. Raises InputError for another folder."""
    facts = read_facts(out)
    if facts and not resume:
        raise InputError(f"{out} exists already; go on with --resume, or choose another --model-out")
    if not facts and out.exists() and (not out.is_dir() or any(path.name != LOCK for path in out.iterdir())):
        raise InputError(
            f"{out} exists already and no training of a writer was begun there; choose another --model-out"
        )
    return facts


def _write_facts(out: Path, facts: dict[str, Any]) -> None:
    write_text(out / FACTS, json_text(facts, indent=2) + "\n")


def _train(
    backbone: Seq2SeqBackbone, task: SearchTask, out: Path, config: WriterConfig, bf16: bool, resume: bool,
    progress: Progress,
) -> None:  # fmt: skip
    trainer = Trainer(
        modules=backbone.model, folder=out, seed=config.seed, clip=config.clip, bf16=bf16,
        checkpoint_seconds=config.checkpoint_seconds, progress=progress, state=WriterState(),
    )  # fmt: skip
    if resume and not trainer.resume():
        progress.say("no checkpoint yet; starting from the beginning")
    train = Pairs.of(backbone, config.max_tokens, task.corpus, task.texts, task.source, task.target, task.weight)
    dev = _dev_pairs(backbone, config.max_tokens, task)
    progress.say(f"{len(train.query):,} pairs to learn from, {len(dev.query):,} to choose by; {trainer.device}")
    state = trainer.state

    def measure(epoch: int) -> dict[str, float]:
        with trainer.precision():
            loss = torch.tensor(mean_loss(backbone, dev, config.batch_size))
        state.stale = torch.tensor(0) if state.stale is None else state.stale + 1
        if state.best is None or loss < state.best:
            state.best, state.best_epoch, state.stale = loss, torch.tensor(epoch), torch.tensor(0)
            trainer.keep(BEST)
        return {"dev loss": float(loss)}

    def before() -> None:
        trainer.log(stage="before training", **measure(0))

    trainer.once("before training", before)
    lengths = train.documents.length_of(train.document)
    trainer.run(
        Stage(
            name="write queries",
            epochs=config.epochs,
            batches=lambda rng: length_bucketed_batches(lengths, config.batch_size, rng),
            losses=lambda rows: {"loss": loss_of(backbone, train, rows)},
            parameters=adamw_groups(
                ((p, config.learning_rate) for p in backbone.model.parameters()), config.weight_decay
            ),
            after_epoch=lambda epoch: measure(epoch + 1),
            learning=[backbone.model],
            enough=lambda: bool(config.patience and filled(state.stale) >= config.patience),
        )
    )
    trainer.load(BEST)
    _finish(backbone.eval(), out, config, state, len(train.query))
    progress.say(f"dev loss {float(filled(state.best)):.3f} at epoch {int(filled(state.best_epoch))}; {out}")


def _finish(backbone: Seq2SeqBackbone, out: Path, config: WriterConfig, state: WriterState, pairs: int) -> None:
    """Keep the model as transformers opens it; the facts say last that it is whole."""
    backbone.tokenizer.model_max_length = config.max_tokens
    backbone.save(out)
    best = {"dev_loss": round(float(filled(state.best)), 7), "best_epoch": int(filled(state.best_epoch))}
    _write_facts(out, read_facts(out) | {"state": "finished", "pairs": pairs} | best)
    for name in (CHECKPOINT, BEST):
        (out / name).unlink(missing_ok=True)


def _dev_pairs(backbone: Seq2SeqBackbone, max_tokens: int, task: SearchTask) -> Pairs:
    asked = task.dev_questions
    found = [(n, task.corpus.row_of[id]) for n, grades in enumerate(asked.relevant) for id in grades]
    source, target = np.array(found).T
    texts = [str(text) for text in asked.asked]
    return Pairs.of(backbone, max_tokens, task.corpus, texts, source, target, np.ones(len(found), np.float32))


def loss_of(backbone: Seq2SeqBackbone, pairs: Pairs, rows: np.ndarray) -> Tensor:
    """The mean cross-entropy of the tokens of some queries behind their documents, each weighed as its pair: ()."""
    nats, weight = _nats(backbone, pairs, rows)
    return (nats * weight).sum() / weight.sum()


@torch.no_grad()
def mean_loss(backbone: Seq2SeqBackbone, pairs: Pairs, batch_size: int) -> float:
    """The same of all pairs, whatever the batches."""
    order = np.argsort(pairs.documents.length_of(pairs.document), kind="stable")
    total = weights = 0.0
    for at in range(0, len(order), batch_size):
        nats, weight = _nats(backbone, pairs, order[at : at + batch_size])
        total, weights = total + float((nats * weight).sum()), weights + float(weight.sum())
    return total / weights


def _nats(backbone: Seq2SeqBackbone, pairs: Pairs, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Cross-entropy and weight of each token of some queries, (B, L) both; padding weighs 0."""
    model, pad_id = backbone.model, backbone.pad_id
    read = pairs.documents.padded(pairs.document[rows], pad_id)
    written = pairs.queries.padded(pairs.query[rows], pad_id)
    ids, mask, tokens, known = (torch.from_numpy(array).to(model.device) for array in (*read, *written))
    begins = tokens.new_full((len(tokens), 1), _ends(backbone)[0])
    inputs = torch.cat([begins, tokens[:, :-1]], dim=1)  # (B, L)
    logits = model(
        input_ids=ids, attention_mask=mask.long(), decoder_input_ids=inputs, use_cache=False
    ).logits  # (B, L, V)
    nats = F.cross_entropy(logits.float().transpose(1, 2), tokens, reduction="none")
    weight = torch.from_numpy(pairs.weight[rows]).to(model.device)
    return nats, known * weight[:, None]


def _ends(backbone: Seq2SeqBackbone) -> tuple[int, int]:
    """The tokens by which the decoder begins and a query ends, as `load_query_writer` left them."""
    said = backbone.model.generation_config
    return int(said.decoder_start_token_id), int(said.eos_token_id)
