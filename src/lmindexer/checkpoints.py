"""A checkpoint of training and the log that belongs to it: written whole, and read back only where it fits.

Also how weights are written to files of their own.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lmindexer.errors import InputError
from lmindexer.files import disk_is_full, json_text, write_atomically

CHECKPOINT, LOG = "checkpoint.safetensors", "log.jsonl"  # in the folder of the run


class NotFiniteError(ValueError):
    """Something that would be kept is not a number: the loss has gone to infinity."""


@dataclass(frozen=True)
class Checkpoint:
    """What training goes on from."""

    done: list[str]  # names of what was finished
    at: dict[str, Any]  # stage, epoch, batch, sums; empty between stages
    arrays: dict[str, Tensor]
    optimizer: dict[str, Tensor]


def save_checkpoint(folder: Path, modules: nn.Module, frozen: Collection[str], checkpoint: Checkpoint) -> None:
    """Write the weights of `modules` but for the `frozen` ones, and where training stands.

    Raises:
        NotFiniteError: when a weight is not a number; the checkpoint before stays.
        InputError: when the disk is full.
    """
    tensors = {f"array.{name}": x for name, x in checkpoint.arrays.items()}
    tensors |= {f"optimizer.{name}": x for name, x in checkpoint.optimizer.items()}
    weights = {name: x for name, x in modules.state_dict().items() if name not in frozen}
    if not are_finite(weights.values()):
        raise NotFiniteError("a weight is not a number")
    tensors |= {f"model.{name}": x for name, x in weights.items()}
    log = folder / LOG
    if log.exists():
        try:
            with log.open("rb") as written:
                os.fsync(written.fileno())  # what the checkpoint counts on is on the disk before it
        except OSError as error:
            if not disk_is_full(error):
                raise
            raise InputError(f"no space left on {folder.resolve()}; free some and run again") from error
    position = {"done": checkpoint.done, "at": checkpoint.at, "log_bytes": log.stat().st_size if log.exists() else 0}
    tensors = {name: x.detach().contiguous().clone() for name, x in tensors.items()}
    metadata = {"position": json_text(position)}
    write_atomically(folder / CHECKPOINT, lambda path: save_file(tensors, path, metadata))


def save_weights(path: Path, weights: Mapping[str, Tensor], leave_out: Collection[str] = ()) -> None:
    """Write tensors, but for those named in `leave_out`, as `safetensors.torch.load_file` reads them on any device."""
    tensors = {name: x.detach().cpu().contiguous().clone() for name, x in weights.items() if name not in leave_out}
    write_atomically(path, lambda to: save_file(tensors, to))


def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no number of any of these is infinite or none; the device is waited for once."""
    finite = [x.isfinite().all() for x in tensors if x.is_floating_point()]
    return not finite or bool(torch.stack(finite).all())


def load_checkpoint(
    folder: Path, modules: nn.Module, frozen: Collection[str], cut_log: bool = True
) -> Checkpoint | None:
    """Load the weights into `modules`, cut the log back to what the checkpoint knew; None where there is none.

    Raises:
        InputError: when the checkpoint is damaged, or not of this model.
    """
    path, log = folder / CHECKPOINT, folder / LOG
    if not path.exists():
        if cut_log:
            log.unlink(missing_ok=True)
        return None
    device = next(modules.parameters()).device
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            position = json.loads(file.metadata()["position"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        done, at, log_bytes = [str(name) for name in position["done"]], dict(position["at"]), int(position["log_bytes"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); delete it to start from the beginning") from None
    state = _below("model.", tensors)
    _check_fits(path, state, modules.state_dict(), frozen)
    modules.load_state_dict(state, strict=False)
    if cut_log:
        _cut(log, log_bytes)
    return Checkpoint(done, at, _below("array.", tensors), _below("optimizer.", tensors))


def _check_fits(
    path: Path, state: Mapping[str, Tensor], weights: Mapping[str, Tensor], frozen: Collection[str]
) -> None:
    learns = weights.keys() - set(frozen)
    odd = sorted((learns - state.keys()) | (state.keys() - weights.keys()))
    odd += sorted(name for name in state.keys() & weights.keys() if state[name].shape != weights[name].shape)
    if odd:
        raise InputError(
            f"{path} is not of this model (it differs in {odd[0]}); resume with the settings it was begun with, "
            "or delete it to start from the beginning"
        )


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def _cut(log: Path, size: int) -> None:
    """Keep the first `size` bytes of the log; of one that a power failure cut shorter, the whole lines before that."""
    if not log.exists():
        return
    written = log.read_bytes()
    if len(written) < size or b"\0" in written[:size]:
        whole = written[:size].split(b"\0", 1)[0]
        size = whole.rfind(b"\n") + 1
    with log.open("rb+") as opened:
        opened.truncate(size)
