"""The one way in which every method is taught (section 3.3): each learning rate in turn, the best epoch is kept."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lmindexer import parallel
from lmindexer.corpus.tokens import length_bucketed_batches
from lmindexer.evaluation.metrics import parse_metric
from lmindexer.methods.retriever import Retriever
from lmindexer.methods.taught import FACTS
from lmindexer.methods.teachable import Lesson, Teachable, TeachingState
from lmindexer.methods.weights import keep, pick, sums
from lmindexer.progress import Progress
from lmindexer.questions.search_task import SearchTask
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.teaching.calibration import Calibration, calibrate, kept_out
from lmindexer.teaching.rescoring import pick_rescoring
from lmindexer.training import Stage, Trainer, filled

LAST_EPOCHS = 2  # with the documents that were held out; the second at a low rate
START = "start.safetensors"  # the weights that every learning rate starts from
BEST = "best.safetensors"  # the weights of the best epoch so far


def train(run: Run, model: Teachable, task: Task, progress: Progress, *, resume: bool = False) -> None:
    """Train a model that begins, in the folder that `finetune` made; the epoch that is best on dev is kept there.

    Some documents are kept out until the end, to calibrate the favour of those that come later; then two more epochs
    teach them. With `resume` it goes on from the last checkpoint, and on a CPU ends with the same model as if it had
    not been stopped.
    """
    began, config = time.monotonic(), model.config
    later, note = np.empty(0, np.int64), ""
    if model.later_documents:
        later, note = kept_out(task, len(model.corpus), config)
    notes = [*task.notes, *([note] if note else [])]
    for line in notes:
        progress.say(f"note: {line}")
    trainer = Trainer(
        modules=model.modules,
        folder=run.path,
        seed=config.seed,
        clip=config.clip,
        bf16=model.bf16,
        checkpoint_seconds=config.checkpoint_seconds,
        progress=progress,
        state=TeachingState(),
        frozen=model.frozen,
    )
    if resume and not trainer.resume():
        progress.say("no checkpoint yet; starting from the beginning")
    earlier = run.seconds_logged
    model.prepare(trainer, run, progress, later)
    trainer.once("start", lambda: trainer.keep(START))
    lesson = model.lesson(task, run.path, progress)
    pairs = len(task.target) - task.documents
    progress.say(f"{pairs:,} pairs to learn from; {trainer.device}")
    for rate in config.learning_rate:
        _at_rate(model, task, lesson, trainer, rate, later)
    state, facts = trainer.state, dict[str, Any](novelty=0.0) if model.later_documents else {}
    left_out = later[:0]
    if len(later):
        calibration = _calibrated(model, task, trainer, later)
        facts = calibration.to_dict() | {"documents_held_out": len(later)}
        progress.say(calibration.summary(len(later), config.dev_metric))
        _teach_the_rest(model, task, lesson, trainer, later)
        if state.all_known is None:
            progress.say(f"to learn the {len(later)} made dev worse: they stay as if they came later")
            left_out = later
    trainer.load(BEST)
    parallel.leave()
    if not parallel.is_first():
        return
    trainer.modules.eval()
    model.save(run, left_out)
    if config.rescores and isinstance(task, SearchTask):
        pick_rescoring(run, model, task, progress)
    elif sums(retriever := model.retriever()):
        keep(run, task.kind, pick(retriever, task.dev_questions, config.dev_metric).to_dict())
    best = {name: round(float(getattr(state, name)), 7) for name in ("best", "best_rate")}
    if state.agreement is not None:
        best["agreement"] = round(float(state.agreement), 7)
    best["best_epoch"] = int(filled(state.best_epoch))
    facts |= {"dev_metric": config.dev_metric, "pairs": pairs, "notes": notes, "documents_left_out": len(left_out)}
    seconds = round(earlier * resume + time.monotonic() - began, 1)
    run.write_json(FACTS, facts | best | {"seconds": seconds})
    run.finish()
    for name in (START, BEST):
        (run.path / name).unlink(missing_ok=True)


def dev_metric(model: Teachable, task: Task) -> float:
    """The dev metric of the model as it is; where it sums several scores, by the weights that are best there.

    Of several processes all have that of the first.
    """
    retriever, metric = model.retriever(), model.config.dev_metric
    if sums(retriever):
        found = pick(retriever, task.dev_questions, metric).value
    else:
        found = metric_on_dev(retriever, task, metric)
    value = torch.tensor(found, dtype=torch.float64)
    parallel.as_the_first([value])
    return float(value)


def metric_on_dev(retriever: Retriever, task: Task, metric: str) -> float:
    """How well a method answers the dev questions as it is."""
    hits = retriever.answer(task.dev_questions.asked, parse_metric(metric).k)
    return task.dev_questions.judged([[hit.doc_id for hit in found] for found in hits], metric)


def _at_rate(
    model: Teachable,
    task: Task,
    lesson: Lesson,
    trainer: Trainer[TeachingState],
    rate: float,
    later: np.ndarray,
) -> None:
    """The task at one learning rate, from the same start; the best epoch of all rates is in BEST."""
    config, state = model.config, trainer.state
    name = f"{config.task} at {rate:g}" if len(config.learning_rate) > 1 else config.task
    learned = ~np.isin(task.target, later)  # (E,)

    def start() -> None:
        trainer.load(START)
        state.stale, state.best_here = torch.tensor(0), torch.tensor(-1.0)

    def epoch(rng: np.random.Generator) -> np.ndarray:
        chosen = lesson.epoch(rng)
        return chosen[learned[chosen]]

    def after_epoch(epoch: int) -> dict[str, float]:
        value = torch.tensor(dev_metric(model, task))
        state.stale = filled(state.stale) + 1
        if value > filled(state.best_here):
            state.best_here, state.stale = value, torch.tensor(0)
        if state.best is None or value > state.best:
            state.best, state.best_rate, state.best_epoch = value, torch.tensor(rate), torch.tensor(epoch + 1)
            trainer.keep(BEST)
        return {f"dev {config.dev_metric}": float(value)}

    trainer.once(f"{name}: start", start)
    trainer.run(
        replace(
            _stage(name, model, replace(lesson, epoch=epoch if len(later) else lesson.epoch), rate),
            epochs=config.epochs,
            after_epoch=after_epoch,
            enough=lambda: bool(config.patience and filled(state.stale) >= config.patience),
        )
    )


def _calibrated(model: Teachable, task: Task, trainer: Trainer[TeachingState], later: np.ndarray) -> Calibration:
    """Of the best epoch, whose weights the model then has."""

    def find() -> None:
        trainer.load(BEST)
        trainer.modules.eval()
        trainer.state.calibration = calibrate(model, task, later).array

    trainer.once("calibration", find)
    return Calibration.of(filled(trainer.state.calibration))


def _teach_the_rest(
    model: Teachable, task: Task, lesson: Lesson, trainer: Trainer[TeachingState], later: np.ndarray
) -> None:
    """More epochs, in which the documents `later` are there, too; in BEST if dev is not worse by them."""
    model.include()
    config, state = model.config, trainer.state
    missed = np.flatnonzero(np.isin(task.target, later))

    def epoch(rng: np.random.Generator) -> np.ndarray:
        return np.union1d(lesson.epoch(rng), missed)

    def after_epoch(epoch: int) -> dict[str, float]:
        value = torch.tensor(dev_metric(model, task))
        if value >= filled(state.best):
            state.best, state.all_known = value, torch.tensor(True)
            trainer.keep(BEST)
        return {f"dev {config.dev_metric}": float(value)}

    rate = float(filled(state.best_rate))
    stage = _stage(f"{config.task}, held-out documents too", model, replace(lesson, epoch=epoch), rate)
    trainer.run(replace(stage, epochs=LAST_EPOCHS, after_epoch=after_epoch))


def _stage(name: str, model: Teachable, lesson: Lesson, rate: float) -> Stage:
    """One epoch of a lesson; pairs whose questions are alike in length are read together, unless it says otherwise."""

    def batches(rng: np.random.Generator) -> list[np.ndarray]:
        chosen = lesson.epoch(rng)
        if lesson.batches is not None:
            return lesson.batches(chosen, rng)
        of_like_length = length_bucketed_batches(lesson.lengths[chosen], model.config.batch_size, rng, lesson.tokens)
        return [chosen[places] for places in of_like_length]

    return Stage(
        name=name,
        epochs=1,
        batches=batches,
        losses=lesson.losses,
        parameters=model.parameter_groups(rate),
        learning=[model.modules],
        rate="--learning-rate",
    )
