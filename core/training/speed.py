"""How fast the device computes: its own matrix-product rate, and a clock that waits for it."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

LEAST_S, LEAST_TIMES = 0.2, 5  # how long and how often a rate is tried


def waiter(device: str) -> Callable[[], None]:
    """What makes a clock right: on CUDA a wait until the device has done all it was given."""
    if device == "mps":
        return torch.mps.synchronize
    return partial(torch.cuda.synchronize, device) if device.startswith("cuda") else lambda: None


def matrix_rate(size: int, device: str, dtype: torch.dtype, wait: Callable[[], None]) -> float:
    """Floating-point operations a second of a product of two size x size matrices."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * size**3 / fastest(lambda: torch.mm(a, b, out=out), wait)


def fastest(call: Callable[[], Any], wait: Callable[[], None]) -> float:
    """Seconds of the fastest of many calls: a limit is what the machine can do undisturbed."""
    call()
    wait()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < LEAST_TIMES or time.perf_counter() - begun < LEAST_S:
        start = time.perf_counter()
        call()
        wait()
        times.append(time.perf_counter() - start)
    return min(times)
