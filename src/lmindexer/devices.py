"""Which device and precision a run uses."""

import numpy as np
import torch

from lmindexer.errors import InputError


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one; raises InputError for a device this machine lacks."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise InputError(f"no device {name!r} on this machine; there are: {', '.join(here)}") from None
    return device


def device_to_load(name: str) -> torch.device:
    """Where a run that was made on the device `name` is loaded: there, or where this machine lacks it as `auto`."""
    try:
        return choose_device(name)
    except InputError:
        return choose_device("auto")


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """A copy or view of the array there. A GPU is sent it without waiting for what it still computes."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda" and torch.cuda.is_available():
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def choose_bf16(precision: str, device: torch.device) -> bool:
    """Whether to multiply in bfloat16; `auto` does where the machine does it well."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() and _cpu_has_bf16_units()


def _cpu_has_bf16_units() -> bool:
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
