"""Several processes that learn as one, started by torchrun: each takes a part of every batch.

What is learned is that of one process with the whole batches, but for the order in which floating point adds up:
a part is padded as wide as its batch, draws the numbers of the whole batch and takes its own, sees the others' vectors
where it contrasts, and weighs its losses so that their sum over the processes is the loss of the batch. One process
alone does nothing of this.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lmindexer.errors import InputError

T = TypeVar("T")
aten = torch.ops.aten
RANDOM_BITS = getattr(aten.random_, "from")


@dataclass(frozen=True)
class Part:
    """What one process has of a batch: `rows[start:end]`. One that has nothing reads the first row and counts none."""

    rows: np.ndarray  # (B,) of the whole batch
    start: int
    end: int

    @property
    def counted(self) -> int:
        """How many rows count here, b."""
        return self.end - self.start

    @property
    def read(self) -> slice:
        """The rows that are read here, at least one."""
        return slice(self.start, self.end) if self.counted else slice(0, 1)


_part: Part | None = None  # inside a step of several processes


def processes() -> int:
    """How many learn together now."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return _started() == 1 or int(os.environ.get("RANK", "0")) == 0


def refuse(what: str) -> None:
    """Raise InputError where torchrun has started several processes, for what one alone does."""
    if _started() > 1:
        raise InputError(f"{what} learns in one process; start it without torchrun")


def join() -> None:
    """Learn together with the other processes that torchrun has started, if any, each on a GPU of its own."""
    if _started() == 1 or dist.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def leave() -> None:
    """Go on alone, without waiting for the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def wait() -> None:
    """Go on when all have come here: what the first has written is there."""
    if processes() > 1:
        dist.barrier()


@contextmanager
def part_of(rows: np.ndarray) -> Iterator[np.ndarray]:
    """This process' rows of a batch, and within it random numbers as of the whole batch."""
    global _part
    if processes() == 1:
        yield rows
        return
    bounds = np.linspace(0, len(rows), processes() + 1).round().astype(int)
    _part = Part(rows, int(bounds[dist.get_rank()]), int(bounds[dist.get_rank() + 1]))
    try:
        with NumbersOfTheBatch(_part):
            yield rows[_part.read]
    finally:
        _part = None


def whole(rows: np.ndarray) -> np.ndarray:
    """All rows of the batch that these are this process' part of."""
    return rows if _part is None else _part.rows


def widest(length: int) -> int:
    """The longest of all processes, where each knows that of its part."""
    if _part is None:
        return length
    longest = torch.tensor(length)
    dist.all_reduce(longest, dist.ReduceOp.MAX)
    return int(longest)


def gathered(values: Tensor) -> Tensor:
    """The values (B, ...) of the whole batch from those of this part (b, ...), with their gradients."""
    if _part is None:
        return values
    found: Tensor = _Gathered.apply(values, _part)
    return found


def of_documents(mean: Tensor) -> Tensor:
    """A mean over the documents of this part -> what it adds to that over the batch."""
    return mean if _part is None else mean * (_part.counted / len(_part.rows))


def of_weight(mean: Tensor, weight: Tensor) -> Tensor:
    """A weighted mean over this part, whose weights sum to `weight`, -> what it adds to that over the batch."""
    if _part is None:
        return mean
    mine = weight.detach().float() * (_part.counted > 0)
    total = mine.clone()
    dist.all_reduce(total)
    return mean * (mine / total.clamp_min(1e-9))


def of_batch(value: Tensor) -> Tensor:
    """A value that every process has of the whole batch -> what each adds to it."""
    return value / processes()


def add_up(parameters: Sequence[Tensor], losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Sum the gradients of the parameters, in place, and the losses over all processes."""
    values = {name: value.detach().float() for name, value in losses.items()}
    if processes() == 1:
        return values
    gradients = [p.grad for p in parameters if p.grad is not None]
    parts = [*(g.float().flatten() for g in gradients), torch.stack([*values.values()])]
    flat = torch.cat(parts)
    dist.all_reduce(flat)
    *summed, last = flat.split([part.numel() for part in parts])
    for gradient, total in zip(gradients, summed, strict=True):
        gradient.copy_(total.view_as(gradient))
    return dict(zip(values, last.unbind(), strict=True))


def shared_out(batches: Iterable[T]) -> Iterator[T]:
    """Of work that all processes know, what this one does; `summed` puts the results together."""
    for number, batch in enumerate(batches):
        if processes() == 1 or number % processes() == dist.get_rank():
            yield batch


def summed(values: Tensor) -> Tensor:
    """The sum over the processes, in place: each has filled its places, and all others are 0."""
    if processes() > 1:
        dist.all_reduce(values)
    return values


def as_the_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    for tensor in tensors if processes() > 1 else ():
        dist.broadcast(tensor, 0)


def _started() -> int:
    """How many processes torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class _Gathered(torch.autograd.Function):
    """(b, ...) -> (B, ...); a gradient is the sum of what all processes have found for these rows."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, part: Part) -> Tensor:
        ctx.part, ctx.read = part, len(values)
        found = values.new_zeros(len(part.rows), *values.shape[1:])
        found[part.start : part.end] = values[: part.counted]
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        mine = total.new_zeros(ctx.read, *total.shape[1:])
        mine[: ctx.part.counted] = total[ctx.part.start : ctx.part.end]
        return mine, None


class NumbersOfTheBatch(TorchDispatchMode):
    """Random numbers for b rows are those that one process would draw for them among all B: dropout, hints.

    Fused attention on a GPU draws its dropout inside, out of reach: there every part has the numbers of the first rows.
    """

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is aten.bernoulli_.float and args[0].ndim:
            return args[0].copy_(self._mine(self._like(args[0]).bernoulli_(*args[1:], **kwargs)))
        if func is RANDOM_BITS:
            return args[0].copy_(self._mine(self._like(args[0]).random_(*args[1:], **kwargs)))
        if func is aten.native_dropout.default and args[2] and args[1] < 1:
            kept = self._mine(self._like(args[0], torch.bool).bernoulli_(1 - args[1]))
            return args[0] * kept / (1 - args[1]), kept
        if func is aten.rand.default and args[0]:
            return self._mine(func([self._rows(args[0][0]), *args[0][1:]], **kwargs))
        return func(*args, **kwargs)

    def _like(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """As x (b, ...), of the whole batch, and laid out in memory in the same order, in which it is filled."""
        strides: tuple[int, ...] = x.stride()
        order = sorted(range(x.ndim), key=lambda dimension: -strides[dimension])
        size = [self._rows(len(x)), *x.shape[1:]]
        return torch.empty_permuted(size, order, dtype=dtype or x.dtype, device=x.device)

    def _rows(self, mine: int) -> int:
        """How many rows the whole batch has where this part has so many; several may belong to a document."""
        read = self.part.read.stop - self.part.read.start
        if mine % read:
            raise ValueError(f"random numbers for {mine} rows of {read} documents cannot be those of a whole batch")
        return mine // read * len(self.part.rows)

    def _mine(self, numbers: Tensor) -> Tensor:
        """This part's rows of numbers for the whole batch."""
        each = len(numbers) // len(self.part.rows)
        return numbers[self.part.read.start * each : self.part.read.stop * each]
