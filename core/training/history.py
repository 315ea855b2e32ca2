"""The outputs that each sample had in the last epochs: one file for all processes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..files import disk_errors, make_folder

NONE = np.iinfo(np.int32).min  # no epoch, and no number of epochs before one
COPIES = 3  # the table and two checkpoints


class History:
    """A ring of `lag` slots in memory-mapped files under `folder`, indexed by sample.

    A slot says which epoch its numbers are of, so a sample that was never seen, or was seen in
    another epoch, has no past. With a slot an epoch apart, an epoch's outputs lie where those of
    `lag` epochs before lay: read before you write.
    """

    def __init__(
        self, folder: Path, samples: int, outputs: int, lag: int, half: bool, main: bool = True
    ) -> None:
        """main: whether this process makes the files; the others must come later."""
        self.lag = lag
        kind = np.dtype(np.float16 if half else np.float32)
        shape = (lag, samples, outputs)
        self.paths = paths = (folder / "history.bin", folder / "history-epochs.bin")
        if main:
            make_folder(folder)
            size = int(np.prod(shape)) * kind.itemsize
            if not (paths[0].exists() and paths[0].stat().st_size == size):  # else it has its room
                _check_room(folder, size)
            _make(paths[0], size)
            _make(paths[1], lag * samples * 4)
        self.values = np.memmap(paths[0], kind, "r+", shape=shape)
        self.epochs = np.memmap(paths[1], np.int32, "r+", shape=shape[:2])
        if main:
            self.epochs[:] = NONE

    def read(self, indices: Tensor, epochs: Tensor) -> tuple[Tensor, Tensor]:
        """indices, epochs: (B,) on the host -> outputs `lag` epochs before, float32 (B, outputs),
        and (B,) bool, whether there are any."""
        rows, now = indices.numpy(), epochs.numpy()
        slots = now % self.lag
        known = self.epochs[slots, rows] == now - self.lag
        return torch.from_numpy(self.values[slots, rows].astype(np.float32)), torch.from_numpy(
            known
        )

    def write(self, indices: Tensor, epochs: Tensor, outputs: Tensor) -> None:
        """Keep outputs (B, outputs) as those of these samples in these epochs."""
        rows, now = indices.numpy(), epochs.numpy()
        slots = now % self.lag
        self.values[slots, rows] = outputs.cpu().numpy()
        self.epochs[slots, rows] = now

    def tensors(self) -> dict[str, Tensor]:
        """Views of the whole table."""
        return {"values": torch.from_numpy(self.values), "epochs": torch.from_numpy(self.epochs)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        self.values[:] = tensors["values"].numpy()
        self.epochs[:] = tensors["epochs"].numpy()

    def remove(self) -> None:
        """Delete the files."""
        for path in self.paths:
            path.unlink(missing_ok=True)


def _check_room(folder: Path, size: int) -> None:
    """UsageError where the disk does not hold the table and its copies in two checkpoints."""
    free = shutil.disk_usage(folder).free
    if COPIES * size > free:
        raise UsageError(
            f"SAF's history takes {size / 2**20:,.0f} MiB, and with two checkpoints "
            f"{COPIES * size / 2**20:,.0f} MiB, of which {free / 2**20:,.0f} MiB are free here",
            "--sharpness mesa holds a second copy of the weights instead",
        )


def _make(path: Path, size: int) -> None:
    """A new file of zeros that takes no room until it is written, whatever was there before."""
    with disk_errors(path):
        path.unlink(missing_ok=True)
        with open(path, "xb") as file:
            os.truncate(file.fileno(), size)
