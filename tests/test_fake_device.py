"""The GPU made of a CPU refuses what CUDA refuses, takes what CUDA takes, and computes what a CPU computes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fake_device import CUDA, MixedDevicesError, OnCuda, fake_cuda


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with fake_cuda(monkeypatch):
        yield


class Careless(torch.autograd.Function):
    """Its backward pass makes a tensor on the CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return upstream * torch.full((3,), 2.0)


REFUSED: dict[str, Callable[[Tensor], Any]] = {
    "sum": lambda x: x + torch.ones(3),
    "product": lambda x: torch.ones(2, 3) @ x,
    "stack": lambda x: torch.stack([x, torch.ones(3)]),
    "a number in a stack": lambda x: torch.stack([x.sum(), torch.tensor(1.0)]),
    "loss": lambda x: F.cross_entropy(x[None], torch.tensor([1])),
    "gather": lambda x: x.gather(0, torch.tensor([1])),
    "in place": lambda x: x.detach().add_(torch.ones(3)),
    "into a number": lambda x: torch.zeros(()).add_(x.detach().sum()),
    "an index of the GPU": lambda x: torch.ones(3)[x.argsort()],
    "values of the CPU": lambda x: x.detach().index_put_((torch.tensor([0, 1]),), torch.ones(2)),
    "where": lambda x: torch.where(x > 0, x, torch.zeros(3)),
    "backward": lambda x: Careless.apply(x).sum().backward(),
    "numpy": lambda x: x.detach().numpy(),
    "an optimiser's state": lambda x: x.detach().lerp_(torch.ones(3), 0.5),
}
TAKEN: dict[str, Callable[[Tensor], Any]] = {
    "a number": lambda x: x + torch.tensor(2.0),
    "a row number": lambda x: x[torch.tensor([2, 0])],
    "a list": lambda x: x[[2, 0]],
    "an array": lambda x: x[np.array([2, 0])],
    "a copy": lambda x: torch.empty(3).copy_(x.detach()),
    "there and back": lambda x: x.cpu().to(x.device),
    "new": lambda x: x.new_tensor([1.0, 4.0]),
    "softmax": lambda x: x.softmax(0),
    "a slice set": lambda x: F.pad(x, (0, 1)).index_fill(0, torch.arange(1, device=x.device), 7.0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_two_devices_are_refused(name: str, gpu: None):
    x = torch.tensor([3.0, 1.0, 2.0], device=CUDA, requires_grad=True)
    with pytest.raises((MixedDevicesError, TypeError), match=r"devices|numpy"):
        REFUSED[name](x)


@pytest.mark.parametrize("name", TAKEN)
def test_what_cuda_takes_gives_what_a_cpu_gives(name: str, gpu: None):
    there = TAKEN[name](torch.tensor([3.0, 1.0, 2.0], device=CUDA))
    here = TAKEN[name](torch.tensor([3.0, 1.0, 2.0]))
    assert there.device == (torch.device("cpu") if name == "a copy" else CUDA)
    assert there.tolist() == here.tolist()


def test_a_module_moves_there_with_its_tied_weights_and_learns(gpu: None):
    def learned(device: torch.device | str) -> nn.ModuleDict:
        torch.manual_seed(0)
        model = nn.ModuleDict({"table": nn.Embedding(5, 4), "head": nn.Linear(4, 5, bias=False)})
        model["head"].weight = model["table"].weight  # type: ignore[assignment]
        model.to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        for _ in range(3):
            rows = torch.tensor([1, 4], device=device)
            F.cross_entropy(model["head"](model["table"](rows)), rows).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
        return model

    there, here = learned(CUDA), learned("cpu")
    assert isinstance(there["table"].weight, OnCuda)
    assert there["table"].weight is there["head"].weight
    torch.testing.assert_close(there["table"].weight.detach().cpu(), here["table"].weight.detach())
