"""The one training loop: precision, clipping, learning-rate schedule, log, checkpoint and resume.

Every step draws its random numbers from a seed made of (seed, stage, epoch, batch), so a run that was
stopped anywhere goes on exactly as if it had not been: there is no random state to save.
"""

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lmindexer import parallel
from lmindexer.checkpoints import (
    CHECKPOINT,
    LOG,
    Checkpoint,
    NotFiniteError,
    load_checkpoint,
    save_checkpoint,
    save_weights,
)
from lmindexer.errors import InputError
from lmindexer.files import json_text
from lmindexer.progress import Progress

WARM_UP_SHARE = 0.05  # of a stage's steps, the learning rate rises; then it falls linearly
LAST_RATE = 0.05  # to this share
ADAM: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-6}  # the paper's (Tables 9 to 12)


@dataclass
class TrainingState:
    """What stages leave to later ones, such as codes: tensors on the model's device, kept in checkpoints.

    Each kind of training has a subclass; a field is None until a stage has filled it.
    """

    def tensors(self) -> dict[str, Tensor]:
        """The fields that are filled, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take every field from `tensors`. Raises KeyError for a name that is no field."""
        names = {f.name for f in fields(self)}
        if odd := sorted(tensors.keys() - names):
            raise KeyError(odd[0])
        for name in names:
            setattr(self, name, tensors.get(name))


State = TypeVar("State", bound=TrainingState)


def filled(value: Tensor | None) -> Tensor:
    """A field of a TrainingState that an earlier stage has filled. Raises ValueError where none did."""
    if value is None:
        raise ValueError("a stage was skipped that should have filled this field")
    return value


@dataclass(frozen=True)
class Stage:
    """One optimisation: what is minimised over which rows, for how long, and what is told of it.

    What is not among `parameters` stands still: it has no gradient while the stage runs.
    """

    name: str
    epochs: int
    batches: Callable[[np.random.Generator], Sequence[np.ndarray]]
    losses: Callable[[np.ndarray], dict[str, Tensor]]  # the entry "loss" is minimised, all are logged
    parameters: list[dict[str, Any]]  # AdamW groups
    after_epoch: Callable[[int], dict[str, float]] = lambda epoch: {}
    learning: Sequence[nn.Module] = ()  # put in training mode, hence with dropout
    rate: str = "--learning-rate"  # the flag to lower where the loss goes to infinity
    enough: Callable[[], bool] = lambda: False  # asked after each epoch: stop before the last one?


@dataclass
class Trainer(Generic[State]):
    """Runs stages one after another over `modules`, keeps log and checkpoint in `folder`."""

    modules: nn.Module
    folder: Path
    seed: int
    clip: float
    bf16: bool
    checkpoint_seconds: float
    progress: Progress
    state: State
    frozen: frozenset[str] = frozenset()  # names in `modules` that never change and are not saved
    done: list[str] = field(default_factory=list)
    _pending: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        return next(self.modules.parameters()).device

    def run(self, stage: Stage) -> None:
        """Run a stage to its end, or go on with it where a checkpoint left off, or skip it if done."""
        if stage.name in self.done:
            return
        try:
            if stage.epochs:
                with only_learning(self.modules, stage.parameters):
                    self._optimise(stage)
            self.finish(stage.name)
        except NotFiniteError:
            raise _no_number("a weight", f"'{stage.name}'", stage.rate) from None

    def once(self, name: str, action: Callable[[], None]) -> None:
        """Do something that is not optimisation, unless a checkpoint says it was done."""
        if name not in self.done:
            torch.manual_seed(self._seed(name))
            action()
            self._agree()
            self.finish(name)

    def finish(self, name: str) -> None:
        self.done.append(name)
        self._save({}, None)

    @contextmanager
    def precision(self) -> Iterator[None]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            yield

    def log(self, **record: Any) -> None:
        if not parallel.is_first():
            return
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json_text(record) + "\n")

    def keep(self, name: str) -> None:
        """What learns, in a file of the folder that `load` reads."""
        if parallel.is_first():
            save_weights(self.folder / name, self.modules.state_dict(), self.frozen)

    def load(self, name: str) -> None:
        """What learned back, as `keep` kept it."""
        parallel.wait()
        self.modules.load_state_dict(load_file(self.folder / name, device=str(self.device)), strict=False)
        parallel.wait()

    def resume(self) -> bool:
        """Load the checkpoint if there is one, and cut the log back to what it knew.

        Raises:
            InputError: when the checkpoint is damaged, not of these modules, or of an earlier version.
        """
        checkpoint = load_checkpoint(self.folder, self.modules, self.frozen, cut_log=parallel.is_first())
        parallel.wait()  # nobody writes another before all have read this one
        if checkpoint is None:
            return False
        try:
            self.state.load(checkpoint.arrays)
        except KeyError as odd:
            raise InputError(
                f"{self.folder / CHECKPOINT} is of an earlier version (it holds {odd}); go on with that version, or "
                "delete it to start from the beginning"
            ) from None
        self.done = checkpoint.done
        self._pending = checkpoint.at | {"optimizer": checkpoint.optimizer}
        return True

    def _optimise(self, stage: Stage) -> None:
        fused = self.device.type in ("cpu", "cuda")  # one pass over the weights, where torch has it
        optimizer = torch.optim.AdamW(stage.parameters, **ADAM, fused=fused)
        rates = [group["lr"] for group in optimizer.param_groups]
        first_epoch, first_batch, sums = 0, 0, {}
        if self._pending.get("stage") == stage.name:
            first_epoch, first_batch = self._pending["epoch"], self._pending["batch"]
            sums = {name: torch.tensor(value, device=self.device) for name, value in self._pending["sums"].items()}
            _load_optimizer(optimizer, self._pending["optimizer"])
            self._pending = {}
        self._agree()
        saved, pause = time.monotonic(), self.checkpoint_seconds
        began = time.monotonic()
        for epoch in range(first_epoch, stage.epochs):
            batches = stage.batches(np.random.default_rng(self._seed(stage.name, epoch)))
            for i in range(first_batch, len(batches)):
                at = (epoch + i / len(batches)) / stage.epochs
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * _schedule(at)
                self._step(stage, optimizer, batches[i], self._seed(stage.name, epoch, i), sums)
                self.progress.at(stage.name, epoch, stage.epochs, (i + 1) / len(batches))
                if time.monotonic() - saved > pause and parallel.is_first():
                    _check_finite(stage, epoch, float(sums["loss"]))
                    seconds = self._save(_optimizer_tensors(optimizer), (stage.name, epoch, i + 1, sums))
                    saved, pause = time.monotonic(), max(self.checkpoint_seconds, 20 * seconds)
            numbers = {name: float(value) / len(batches) for name, value in sums.items()}
            _check_finite(stage, epoch, numbers["loss"])
            for module in stage.learning:
                module.eval()
            torch.manual_seed(self._seed(stage.name, epoch, -1))
            numbers |= stage.after_epoch(epoch)
            self._agree()
            self.log(stage=stage.name, epoch=epoch + 1, seconds=round(time.monotonic() - began, 2), **numbers)
            self.progress.epoch(stage.name, epoch + 1, stage.epochs, numbers)
            first_batch, sums, began = 0, {}, time.monotonic()
            if stage.enough():
                break

    def _step(
        self,
        stage: Stage,
        optimizer: torch.optim.Optimizer,
        rows: np.ndarray,
        seed: int,
        sums: dict[str, Tensor],
    ) -> None:
        torch.manual_seed(seed)
        for module in stage.learning:
            module.train()
        with parallel.part_of(rows) as mine, self.precision():
            losses = stage.losses(mine)
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        values = parallel.add_up(parameters, losses)
        nn.utils.clip_grad_norm_(parameters, self.clip)
        optimizer.step()
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value

    def _agree(self) -> None:
        """Of several processes all go on with what the first has, whatever a device rounds otherwise."""
        if parallel.processes() == 1:
            return
        weights = (x for name, x in self.modules.state_dict().items() if name not in self.frozen)
        parallel.as_the_first([*weights, *self.state.tensors().values()])

    def _save(self, optimizer: dict[str, Tensor], at: tuple[str, int, int, dict[str, Tensor]] | None) -> float:
        """Write a checkpoint; how many seconds that took."""
        if not parallel.is_first():
            return 0.0
        began, position = time.monotonic(), dict[str, Any]()
        if at is not None:
            sums = {name: float(value) for name, value in at[3].items()}
            position = {"stage": at[0], "epoch": at[1], "batch": at[2], "sums": sums}
        checkpoint = Checkpoint(self.done, position, self.state.tensors(), optimizer)
        save_checkpoint(self.folder, self.modules, self.frozen, checkpoint)
        return time.monotonic() - began

    def _seed(self, *parts: Any) -> int:
        return zlib.crc32(repr((self.seed, *parts)).encode())


@contextmanager
def only_learning(modules: nn.Module, parameters: Iterable[dict[str, Any]]) -> Iterator[None]:
    """Gradients for these AdamW groups and for nothing else of `modules`; afterwards as it was."""
    before = {p: p.requires_grad for p in modules.parameters()}
    learning = {p for group in parameters for p in group["params"]}
    for p in before:
        p.requires_grad_(p in learning)
    try:
        yield
    finally:
        for p, learned in before.items():
            p.requires_grad_(learned)


def adamw_groups(rates: Iterable[tuple[nn.Parameter, float]], decay: float) -> list[dict[str, Any]]:
    """Parameters with their learning rates as AdamW groups, a rate each; vectors and biases do not decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for p, rate in rates:
        groups.setdefault((rate, decay if p.ndim > 1 else 0.0), []).append(p)
    return [{"params": ps, "lr": rate, "weight_decay": decay} for (rate, decay), ps in groups.items()]


def _check_finite(stage: Stage, epoch: int, loss: float) -> None:
    if not np.isfinite(loss):
        raise _no_number("the loss", f"'{stage.name}', epoch {epoch + 1}", stage.rate)


def _no_number(what: str, where: str, rate: str) -> InputError:
    return InputError(
        f"{what} is no longer a number in {where}; start again in another --out with a lower {rate} or --precision fp32"
    )


def _schedule(at: float) -> float:
    """Share of the full learning rate at a point (0 to 1) of a stage."""
    if at < WARM_UP_SHARE:
        return max(at / WARM_UP_SHARE, 0.01)
    return LAST_RATE + (1 - LAST_RATE) * (1 - at) / (1 - WARM_UP_SHARE)


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{i}.{name}": x for i, entry in state.items() for name, x in entry.items()}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, x in tensors.items():
        i, name = key.split(".", 1)
        state.setdefault(int(i), {})[name] = x.cpu() if name == "step" else x  # AdamW counts on the CPU
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
