"""Fine-tuning (section 3.3, Eq. 14): the model that gave documents their IDs learns to give them to what is asked."""

import time

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
from lmindexer.tasks.examples import Task
from lmindexer.tasks.generation import (
    freeze_encoder,
    frozen_names,
    id_codes,
    id_loss,
    keep_weights,
    parameter_groups,
)
from lmindexer.tasks.warm_up import START, warm_up
from lmindexer.training import Stage, Trainer

TOKENS = 8192  # of texts in a step at most, so that long ones do not fill the memory
BEST = "best.safetensors"  # the weights of the best epoch so far


def train(run: Run, finetuned: Finetuned, task: Task, progress: Progress, *, resume: bool = False) -> None:
    """Train a model that begins, in the folder that `finetune` made; the epoch that is best on dev is kept there.

    With `resume` it goes on from the last checkpoint, and on a CPU ends with the same model as if it had not
    been stopped.
    """
    began, config = time.monotonic(), finetuned.config
    for note in task.notes:
        progress.say(f"note: {note}")
    learns_encoder = freeze_encoder(finetuned)
    trainer = Trainer(
        modules=finetuned.modules,
        folder=run.path,
        seed=config.seed,
        clip=config.clip,
        bf16=finetuned.bf16,
        checkpoint_seconds=config.checkpoint_seconds,
        progress=progress,
        frozen=frozen_names(finetuned),
    )
    if resume and not trainer.resume():
        progress.say("no checkpoint yet; starting from the beginning")
    earlier = sum(record["seconds"] for record in run.log_records())
    warm_up(finetuned, trainer, run, progress)
    freeze_encoder(finetuned)
    asked = task.asked(finetuned, run.path)
    if isinstance(asked, Memories) and not learns_encoder and asked.nbytes < IN_MEMORY_BYTES:
        asked.fill(progress)
    progress.say(f"{len(task.target) - task.documents:,} pairs to learn from; {finetuned.device}")
    for rate in config.lr:
        _at_rate(finetuned, task, asked, trainer, run, rate)
    finetuned.modules.load_state_dict(load_file(run.path / BEST, device=str(finetuned.device)), strict=False)
    finetuned.modules.eval()
    freeze_encoder(finetuned)
    save(run, finetuned)
    best = {name: round(float(trainer.arrays[name]), 7) for name in ("best", "best_rate", "agreement")}
    best["best_epoch"] = int(trainer.arrays["best_epoch"])
    told = {"dev_metric": config.dev_metric, "pairs": len(task.target) - task.documents, "notes": list(task.notes)}
    seconds = round(earlier * resume + time.monotonic() - began, 1)
    run.write_json("finetune.json", told | best | {"seconds": seconds})
    run.finish()
    for name in (START, BEST):
        (run.path / name).unlink(missing_ok=True)


def _at_rate(finetuned: Finetuned, task: Task, asked: Asked, trainer: Trainer, run: Run, rate: float) -> None:
    """Eq. 14 at one learning rate, from the same start; the best epoch of all rates is in BEST."""
    config, codes, arrays = finetuned.config, id_codes(finetuned), trainer.arrays
    lengths = asked.lengths[task.source]
    weight = torch.from_numpy(task.weight).to(codes.device)
    told = f" at {rate:g}" if len(config.lr) > 1 else ""

    def start() -> None:
        finetuned.modules.load_state_dict(load_file(run.path / START, device=str(codes.device)), strict=False)
        arrays["stale"] = torch.tensor(0)
        arrays["best_here"] = torch.tensor(-1.0)

    def batches(rng: np.random.Generator) -> list[np.ndarray]:
        own = len(task.target) - task.documents
        chosen = rng.permutation(task.documents)[: round(min(config.documents, 1) * task.documents)] + own
        pairs = np.concatenate([np.arange(own), chosen])
        most = TOKENS if isinstance(asked, Memories) else None
        return [pairs[each] for each in length_bucketed_batches(lengths[pairs], config.batch_size, rng, most)]

    def losses(pairs: np.ndarray) -> dict[str, Tensor]:
        answer = codes[torch.from_numpy(task.target[pairs]).to(codes.device)]
        return {"loss": id_loss(finetuned, asked, task.source[pairs], answer, weight[pairs])}

    def after_epoch(epoch: int) -> dict[str, float]:
        value = torch.tensor(task.dev(finetuned))
        arrays["stale"] = arrays["stale"] + 1
        if value > arrays["best_here"]:
            arrays["best_here"], arrays["stale"] = value, torch.tensor(0)
        if value > arrays.get("best", torch.tensor(-1.0)):
            arrays.update(best=value, best_rate=torch.tensor(rate), best_epoch=torch.tensor(epoch + 1))
            keep_weights(run, BEST, trainer)
        return {f"dev {config.dev_metric}": float(value)}

    trainer.once(f"{config.task}{told}: start", start)
    trainer.run(
        Stage(
            name=f"{config.task}{told}",
            epochs=config.epochs,
            batches=batches,
            losses=losses,
            parameters=parameter_groups(finetuned, finetuned.modules, rate),
            learning=[finetuned.modules],
            after_epoch=after_epoch,
            rate="--lr",
            enough=lambda: bool(config.patience and arrays["stale"] >= config.patience),
        )
    )
