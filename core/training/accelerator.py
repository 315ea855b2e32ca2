"""The processes and the device that a training runs on."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import DlnError, MissingCapability, UsageError
from .allocator import keep_freed_memory

if TYPE_CHECKING:
    from accelerate import Accelerator


MOST_PROCESSES = 1_000_000
LAUNCHERS = "accelerate launch and torchrun set it; unset it to train in one process"


def create_accelerator(device: str) -> Accelerator:
    """The processes of `accelerate launch` or torchrun, or this one, on auto, cpu, mps or cuda[:n].

    auto takes no mps: a Mac's GPU computes where it is asked for."""
    from accelerate import Accelerator, InitProcessGroupKwargs

    kind, _, number = device.partition(":")
    known = ("auto", "cpu", "mps", "cuda")
    if kind not in known or (number and (kind != "cuda" or not number.isdigit())):
        raise UsageError(f"device is auto, cpu, mps, cuda or cuda:n, not {device!r}")
    if kind == "cuda":
        _require_cuda(int(number or 0))
    mps = torch.backends.mps.is_available()
    if kind == "mps" and not mps:
        raise MissingCapability("there is no device mps here", "--device cpu always works")
    launched = launched_processes()
    if _asked("ACCELERATE_USE_FSDP") and _asked("FSDP_OFFLOAD_PARAMS"):
        raise UsageError(
            "weights stay on the accelerator, and fsdp_offload_params asks for another place",
            hint="fsdp_offload_params: false in the configuration of accelerate",
        )
    if number and launched > 1:
        raise UsageError(f"several processes share out the devices: --device cuda, not {device}")
    if number:
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
        torch.cuda.set_device(int(number))
    try:
        accelerator = Accelerator(
            cpu=kind == "cpu" or (kind == "auto" and mps) or not torch.accelerator.is_available(),
            mixed_precision="no",
            kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=6))],
        )
    except (ValueError, KeyError, AssertionError, ImportError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"no process can start as the environment's variables of a launcher say: {reason}",
            hint=LAUNCHERS,
        ) from error
    if accelerator.num_processes != launched:
        raise UsageError(f"{launched} processes were launched that cannot train together here")
    if accelerator.device.type == "cpu":
        # cpu:0, as several processes have it, is elsewhere to torch: modules would get new buffers.
        accelerator.state.__dict__["device"] = torch.device("cpu")
        keep_freed_memory()
    return accelerator


def launched_processes() -> int:
    """How many there are, as a launcher says in the environment. UsageError where what it says is
    no number or no address, DlnError, which every process shows, for one that is not of them."""
    count = _number("WORLD_SIZE", 1, MOST_PROCESSES) or 1
    for name in ("RANK", "LOCAL_RANK"):
        number = _number(name, -1, MOST_PROCESSES)
        if number is not None and number >= count:
            raise DlnError(f"{name} is {number}, but WORLD_SIZE is {count}", hint=LAUNCHERS)
    _number("LOCAL_WORLD_SIZE", 1, MOST_PROCESSES)
    _number("MASTER_PORT", 0, 65535)
    if (address := os.environ.get("MASTER_ADDR")) and count > 1:
        try:
            socket.getaddrinfo(address, None)
        except (OSError, UnicodeError) as error:  # torch would try for as long as a step may take
            raise UsageError(f"MASTER_ADDR {address[:80]!r} is no address", LAUNCHERS) from error
    return count


def _number(name: str, least: int, most: int) -> int | None:
    """An environment variable's number, None where it is not set. UsageError for what is none."""
    text = os.environ.get(name)
    if not text:
        return None
    number = int(text) if re.fullmatch(r"-?\d{1,9}", text, re.ASCII) else None
    if number is None or not least <= number <= most:
        raise UsageError(
            f"the environment says {name}={text[:40]!r}, which is no number from {least} to {most}",
            hint=LAUNCHERS,
        )
    return number


def _require_cuda(number: int) -> None:
    count = torch.cuda.device_count()
    if number >= count:
        there = f"only {count} CUDA devices are here" if count else "no CUDA device is here"
        raise MissingCapability(there, hint="dln doctor says why; --device cpu always works")


def shares_out(accelerator: Accelerator) -> bool:
    """Whether the processes share out what one of them need not hold: FSDP was asked for."""
    return accelerator.num_processes > 1 and _asked("ACCELERATE_USE_FSDP")


def _asked(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("true", "1", "yes")


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
