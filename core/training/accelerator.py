"""The processes and the device that a training runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import MissingCapability, UsageError
from .allocator import keep_freed_memory

if TYPE_CHECKING:
    from accelerate import Accelerator


def create_accelerator(device: str) -> Accelerator:
    """The processes of `accelerate launch` or torchrun, or this one, on auto, cpu or cuda[:n]."""
    from accelerate import Accelerator, InitProcessGroupKwargs

    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdigit())):
        raise UsageError(f"device is auto, cpu, cuda or cuda:n, not {device!r}")
    if kind == "cuda":
        _require_cuda(int(number or 0))
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if number and launched > 1:
        raise UsageError(f"several processes share out the devices: --device cuda, not {device}")
    if number:
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
        torch.cuda.set_device(int(number))
    accelerator = Accelerator(
        cpu=kind == "cpu" or not torch.accelerator.is_available(),
        mixed_precision="no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=6))],
    )
    if accelerator.num_processes != launched:
        raise UsageError(f"{launched} processes were launched that cannot train together here")
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    return accelerator


def _require_cuda(number: int) -> None:
    count = torch.cuda.device_count()
    if number >= count:
        there = f"only {count} CUDA devices are here" if count else "no CUDA device is here"
        raise MissingCapability(there, hint="dln doctor says why; --device cpu always works")


def default_precision(device: torch.device) -> str:
    """bf16 where the device computes in it, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    fast = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bf16" if device.type == "cpu" and fast() else "fp32"


def summed(accelerator: Accelerator, tensor: Tensor) -> Tensor:
    """The sum over processes, where the tensor was."""
    if accelerator.num_processes == 1:
        return tensor
    total = accelerator.reduce(tensor.to(accelerator.device), "sum")
    return total.to(tensor.device)  # pyright: ignore[reportAttributeAccessIssue]


def agreed(accelerator: Accelerator, flag: bool) -> bool:
    """True on every process where it is on one."""
    return bool(summed(accelerator, torch.tensor(float(flag))) > 0)


@contextmanager
def first_here(accelerator: Accelerator) -> Iterator[None]:
    """A machine's first process alone, then its others, also where that one fails: what is wrong
    they find themselves, instead of waiting for it."""
    first = accelerator.is_local_main_process
    if not first:
        accelerator.wait_for_everyone()
    try:
        yield
    finally:
        if first:
            accelerator.wait_for_everyone()
