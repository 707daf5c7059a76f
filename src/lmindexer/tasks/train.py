"""Fine-tuning (section 3.3, Eq. 14): the model that gave documents their IDs learns to give them to what is asked."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from lmindexer.corpus.tokens import length_bucketed_batches
from lmindexer.learn.memories import IN_MEMORY_BYTES, Memories
from lmindexer.progress import Progress
from lmindexer.retrievers.finetuned import Finetuned, save
from lmindexer.retrievers.generative import Asked
from lmindexer.runs import Run
from lmindexer.tasks.calibration import Calibration, calibrate, kept_out
from lmindexer.tasks.examples import Task
from lmindexer.tasks.generation import (
    FinetuningState,
    freeze_encoder,
    id_codes,
    id_loss,
    keep_weights,
    parameter_groups,
)
from lmindexer.tasks.warm_up import START, warm_up
from lmindexer.training import Stage, Trainer, filled

TOKENS = 8192  # of texts in a step at most, so that long ones do not fill the memory
LAST_EPOCHS = 2  # with the documents that were held out; the second at a low rate
BEST = "best.safetensors"  # the weights of the best epoch so far


def train(run: Run, finetuned: Finetuned, task: Task, progress: Progress, *, resume: bool = False) -> None:
    """Train a model that begins, in the folder that `finetune` made; the epoch that is best on dev is kept there.

    Some documents are kept out until the end, to calibrate the favour of those that come later; then two more epochs
    teach them. With `resume` it goes on from the last checkpoint, and on a CPU ends with the same model as if it had
    not been stopped.
    """
    began, config = time.monotonic(), finetuned.config
    later, note = kept_out(task, len(finetuned.ids), config)
    notes = [*task.notes, *([note] if note else [])]
    for told in notes:
        progress.say(f"note: {told}")
    learns_encoder = freeze_encoder(finetuned)
    trainer = Trainer(
        modules=finetuned.modules,
        folder=run.path,
        seed=config.seed,
        clip=config.clip,
        bf16=finetuned.bf16,
        checkpoint_seconds=config.checkpoint_seconds,
        progress=progress,
        state=FinetuningState(),
        frozen=finetuned.model.backbone.frozen_names("indexer.backbone."),
    )
    if resume and not trainer.resume():
        progress.say("no checkpoint yet; starting from the beginning")
    earlier = run.seconds_logged
    warm_up(finetuned, trainer, run, progress, later)
    freeze_encoder(finetuned)
    asked = task.asked(finetuned, run.path)
    if isinstance(asked, Memories) and not learns_encoder and asked.nbytes < IN_MEMORY_BYTES:
        asked.fill(progress)
    pairs = len(task.target) - task.documents
    progress.say(f"{pairs:,} pairs to learn from; {finetuned.device}")
    for rate in config.lr:
        _at_rate(finetuned, task, asked, trainer, run, rate, later)
    state = trainer.state
    facts: dict[str, Any] = {"novelty": 0.0}
    if len(later):
        calibration = _calibrated(finetuned, task, trainer, run, later)
        facts = calibration.to_dict() | {"documents_held_out": len(later)}
        progress.say(calibration.told(len(later), config.dev_metric))
        _teach_the_rest(finetuned, task, asked, trainer, run, later)
        if state.all_known is None:
            progress.say(f"to learn the {len(later)} made dev worse: they stay as if they came later")
            finetuned = replace(finetuned, new=tuple(later.tolist()))
    finetuned.modules.load_state_dict(load_file(run.path / BEST, device=str(finetuned.device)), strict=False)
    finetuned.modules.eval()
    freeze_encoder(finetuned)
    save(run, finetuned)
    best = {name: round(float(getattr(state, name)), 7) for name in ("best", "best_rate", "agreement")}
    best["best_epoch"] = int(filled(state.best_epoch))
    facts |= {"dev_metric": config.dev_metric, "pairs": pairs, "notes": notes, "documents_left_out": len(finetuned.new)}
    seconds = round(earlier * resume + time.monotonic() - began, 1)
    run.write_json("finetune.json", facts | best | {"seconds": seconds})
    run.finish()
    for name in (START, BEST):
        (run.path / name).unlink(missing_ok=True)


def _at_rate(
    finetuned: Finetuned,
    task: Task,
    asked: Asked,
    trainer: Trainer[FinetuningState],
    run: Run,
    rate: float,
    later: np.ndarray,
) -> None:
    """Eq. 14 at one learning rate, from the same start; the best epoch of all rates is in BEST."""
    config, state = finetuned.config, trainer.state
    told = f" at {rate:g}" if len(config.lr) > 1 else ""
    learned = ~np.isin(task.target, later)  # (E,)

    def start() -> None:
        finetuned.modules.load_state_dict(load_file(run.path / START, device=str(finetuned.device)), strict=False)
        state.stale, state.best_here = torch.tensor(0), torch.tensor(-1.0)

    def pairs(rng: np.random.Generator) -> np.ndarray:
        chosen = _of_an_epoch(task, config.documents, rng)
        return chosen[learned[chosen]]

    def after_epoch(epoch: int) -> dict[str, float]:
        value = torch.tensor(task.dev(finetuned))
        state.stale = filled(state.stale) + 1
        if value > filled(state.best_here):
            state.best_here, state.stale = value, torch.tensor(0)
        if state.best is None or value > state.best:
            state.best, state.best_rate, state.best_epoch = value, torch.tensor(rate), torch.tensor(epoch + 1)
            keep_weights(run, BEST, trainer)
        return {f"dev {config.dev_metric}": float(value)}

    trainer.once(f"{config.task}{told}: start", start)
    trainer.run(
        replace(
            _stage(f"{config.task}{told}", finetuned, task, asked, rate, pairs),
            epochs=config.epochs,
            after_epoch=after_epoch,
            enough=lambda: bool(config.patience and filled(state.stale) >= config.patience),
        )
    )


def _calibrated(
    finetuned: Finetuned, task: Task, trainer: Trainer[FinetuningState], run: Run, later: np.ndarray
) -> Calibration:
    """Of the best epoch, whose weights the model then has."""

    def find() -> None:
        finetuned.modules.load_state_dict(load_file(run.path / BEST, device=str(finetuned.device)), strict=False)
        finetuned.modules.eval()
        trainer.state.calibration = calibrate(finetuned, task, later).array

    trainer.once("calibration", find)
    return Calibration.of(filled(trainer.state.calibration))


def _teach_the_rest(
    finetuned: Finetuned, task: Task, asked: Asked, trainer: Trainer[FinetuningState], run: Run, later: np.ndarray
) -> None:
    """More epochs, in which the documents `later` are there, too; in BEST if dev is not worse by them."""
    config, state = finetuned.config, trainer.state
    missed = np.flatnonzero(np.isin(task.target, later))

    def pairs(rng: np.random.Generator) -> np.ndarray:
        return np.union1d(_of_an_epoch(task, config.documents, rng), missed)

    def after_epoch(epoch: int) -> dict[str, float]:
        value = torch.tensor(task.dev(finetuned))
        if value >= filled(state.best):
            state.best, state.all_known = value, torch.tensor(True)
            keep_weights(run, BEST, trainer)
        return {f"dev {config.dev_metric}": float(value)}

    rate = float(filled(state.best_rate))
    stage = _stage(f"{config.task}, held-out documents too", finetuned, task, asked, rate, pairs)
    trainer.run(replace(stage, epochs=LAST_EPOCHS, after_epoch=after_epoch))


def _of_an_epoch(task: Task, share: float, rng: np.random.Generator) -> np.ndarray:
    """The pairs of questions, all, and those of documents and themselves, a share."""
    own = len(task.target) - task.documents
    documents = rng.permutation(task.documents)[: round(min(share, 1) * task.documents)] + own
    return np.concatenate([np.arange(own), documents])


def _stage(
    name: str,
    finetuned: Finetuned,
    task: Task,
    asked: Asked,
    rate: float,
    pairs: Callable[[np.random.Generator], np.ndarray],
) -> Stage:
    """Eq. 14 over the pairs that `pairs` draws for an epoch."""
    config, codes = finetuned.config, id_codes(finetuned)
    lengths = asked.lengths[task.source]
    weight = torch.from_numpy(task.weight).to(codes.device)

    def batches(rng: np.random.Generator) -> list[np.ndarray]:
        chosen = pairs(rng)
        most = TOKENS if isinstance(asked, Memories) else None
        return [chosen[each] for each in length_bucketed_batches(lengths[chosen], config.batch_size, rng, most)]

    def losses(pairs: np.ndarray) -> dict[str, Tensor]:
        answer = codes[torch.from_numpy(task.target[pairs]).to(codes.device)]
        return {"loss": id_loss(finetuned, asked, task.source[pairs], answer, weight[pairs])}

    return Stage(
        name=name,
        epochs=1,
        batches=batches,
        losses=losses,
        parameters=parameter_groups(finetuned, finetuned.modules, rate),
        learning=[finetuned.modules],
        rate="--lr",
    )
