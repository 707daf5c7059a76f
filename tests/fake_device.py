"""A GPU made of a CPU: tensors that say they are on cuda:0 and refuse company from the CPU, forward and backward.

Every operation below autograd goes through `FakeCuda`, so what backward does is seen, too. The numbers are the CPU's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils import _device
from torch.utils._python_dispatch import TorchDispatchMode

CUDA = torch.device("cuda", 0)
aten = torch.ops.aten
COPIES = {aten.copy_.default, aten._to_copy.default, aten._copy_from.default}
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


class MixedDevicesError(RuntimeError):
    """An operation was given tensors of two devices."""


class OnCuda(Tensor):
    """A CPU tensor, `inner`, that says it is on cuda:0.

    For torch's own C++ it is on the meta device, whose gradients are computed in the thread that asks for them.
    """

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "OnCuda":
        shape = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        made = Tensor._make_wrapper_subclass(cls, inner.shape, device="meta", **shape)
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it first")

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(on_cuda(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(on_cuda(index), value)

    def new_tensor(self, data: Any, **kwargs: Any) -> Tensor:
        return torch.tensor(data, device=CUDA, **{"dtype": self.dtype} | kwargs)

    def untyped_storage(self) -> Any:
        return self.inner.untyped_storage()  # what is written to files tells shared weights apart by it

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, *_: Any, **__: Any) -> str:
        return f"OnCuda({self.inner!r})"

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, dict(kwargs or {}))


def on_cuda(index: Any) -> Any:
    """An index as CUDA takes it: numbers in a list are copied there. (Of the meta device torch would not read them.)"""
    if isinstance(index, tuple):
        return tuple(on_cuda(part) for part in index)
    return torch.tensor(index, device=CUDA) if isinstance(index, list | np.ndarray) else index


class FakeCuda(TorchDispatchMode):
    """While it is on, torch makes a tensor on cuda:0 where it is asked to."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, dict(kwargs or {}))


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What `func` gives on the inner tensors, on the device that its arguments are on or that it names."""
    tensors: list[Tensor] = []
    collect((args, tuple(kwargs.values())), tensors)
    here = any(isinstance(x, OnCuda) for x in tensors)
    if here:
        refuse_mixed(func, args, tensors)
    kwargs.pop("pin_memory", None)  # what safetensors reads into
    if func is aten._pin_memory.default:  # which needs a driver
        return args[0].clone()
    if kwargs.get("device") is not None:
        device = torch.device(kwargs["device"])
        loading = torch.device("meta") == _device.CURRENT_DEVICE  # transformers puts empty models there on purpose
        here = device.type == "cuda" or (device.type == "meta" and not loading)  # where C++ takes a tensor to be
        if here:
            kwargs["device"] = torch.device("cpu")
    result = func(*unwrap(args), **{name: unwrap(value) for name, value in kwargs.items()})
    if not here:
        return result
    if func._schema.name.endswith("_") or not func._schema.returns:  # in place
        return args[0] if func._schema.returns else None
    return wrap(result)


def collect(x: Any, tensors: list[Tensor]) -> None:
    if isinstance(x, Tensor):
        tensors.append(x)
    elif isinstance(x, tuple | list):
        for part in x:
            collect(part, tensors)


def unwrap(x: Any) -> Any:
    if isinstance(x, tuple | list):
        return type(x)([unwrap(part) for part in x])
    return x.inner if isinstance(x, OnCuda) else x


def wrap(x: Any) -> Any:
    if isinstance(x, tuple | list):
        return type(x)([wrap(part) for part in x])
    return OnCuda(x) if isinstance(x, Tensor) else x


def refuse_mixed(func: Any, args: Any, tensors: list[Tensor]) -> None:
    """As CUDA does: a number from the CPU may meet tensors element by element, and index them may rows of the CPU."""
    if func in COPIES:
        return
    if func in INDEXED:
        tensors = [args[0], *args[2:3]] if isinstance(args[0], OnCuda) else tensors
    numbers_pass = torch.Tag.pointwise in func.tags or func in INDEXED
    counted = [x for x in tensors if isinstance(x, OnCuda) or x.ndim or not numbers_pass]
    written = args[0][0] if isinstance(args[0], list | tuple) else args[0]  # of the fused optimiser: lists of weights
    into_the_cpu = func._schema.name.endswith("_") and not isinstance(written, OnCuda)
    if into_the_cpu or len({isinstance(x, OnCuda) for x in counted}) > 1:
        places = [f"{x.device}{list(x.shape)}" for x in tensors]
        raise MixedDevicesError(f"{func} was given tensors of two devices: {', '.join(places)}")


@contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with one GPU, cuda:0."""
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (1 << 40, 1 << 40))
    swapping = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)  # so that tied weights stay tied
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=CUDA) copies below the dispatcher, too
    try:
        with FakeCuda():
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_swap_module_params_on_conversion(swapping)
