"""What the machine can do, measured in the same process: matrix products, copies, memory; and fair timing."""

import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping

import torch


def describe(device: torch.device) -> str:
    """The machine in words: the GPU, or the processor with torch's threads; and torch's version."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    threads = "" if device.type == "cuda" else f", {torch.get_num_threads()} thread(s)"
    return f"{name}{threads}, torch {torch.__version__}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was asked to; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large product of random matrices."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn(2, size, size, device=device).to(dtype).unbind(0)
    (seconds,) = medians({"product": lambda: a @ b}, device, rounds=9).values()
    return 2 * size**3 / seconds


def medians(ways: Mapping[str, Callable[[], object]], device: torch.device, rounds: int) -> dict[str, float]:
    """Median seconds of every way. The ways take turns, so that a busy machine is busy for all; a first round of
    warming up does not count."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, call in ways.items():
            synchronise(device)
            began = time.perf_counter()
            call()
            synchronise(device)
            seconds[way].append(time.perf_counter() - began)
    return {way: statistics.median(times[1:]) for way, times in seconds.items()}


def peak_bytes(device: torch.device) -> int:
    """The most memory so far: of the GPU, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
