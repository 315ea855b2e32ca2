"""What is not to be computed in half precision, whatever a training's own is."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Inside, nothing is computed in less precision than it is given in; `like` lies where that
    happens. (Where work is counted alone, on the meta device, there is no precision.)"""
    if like.is_meta:
        return nullcontext()
    return torch.autocast(like.device.type, enabled=False)
