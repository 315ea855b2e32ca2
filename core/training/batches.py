"""Which samples a step sees, without state: a function of seed, stage, step and process."""

import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .stage import Stage

Batch = dict[str, Tensor]


def step_seed(seed: int, stage: str, step: int, rank: int) -> int:
    """The seed of torch's generators for one step on one process."""
    entropy = [seed, zlib.crc32(stage.encode()), step, rank]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


@lru_cache(maxsize=4)
def permutation(seed: int, stage: str, epoch: int, length: int) -> np.ndarray:
    """The order of one epoch, (length,)."""
    return np.random.default_rng([seed, zlib.crc32(stage.encode()), epoch]).permutation(length)


def indices_at(
    positions: np.ndarray, seed: int, stage: str, length: int
) -> list[tuple[int, np.ndarray]]:
    """Positions in the endless row of epochs, ascending -> (epoch, sample indices) in order."""
    epochs = positions // length
    return [
        (int(e), permutation(seed, stage, int(e), length)[positions[epochs == e] % length])
        for e in np.unique(epochs)
    ]


class Batches:
    """The micro-batches of each step for this process, collated ahead in threads.

    The global batch of step s is positions [s B, (s + 1) B); process r of W takes r, r + W, ...
    """

    def __init__(
        self,
        stage: Stage,
        seed: int,
        rank: int,
        world: int,
        accumulate: int,
        device: torch.device,
        track: bool = False,
        workers: int = 1,
    ) -> None:
        """track: batches say which samples of which epoch they hold, index and epoch (B,).
        workers: threads, and steps they are ahead."""
        self.track = track
        self.stage, self.seed, self.rank, self.world = stage, seed, rank, world
        self.accumulate, self.device = accumulate, device
        self.workers = workers
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="collate")
        self._ahead: dict[int, Future[list[Batch]]] = {}

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def get(self, step: int) -> list[Batch]:
        """The micro-batches of `step` on the device; starts on those of the steps after it."""
        for later in range(step, min(step + self.workers + 1, self.stage.steps)):
            if later not in self._ahead:
                self._ahead[later] = self._threads.submit(self._collate, later)
        batches = self._ahead.pop(step).result()
        return [{k: v.to(self.device, non_blocking=True) for k, v in b.items()} for b in batches]

    def _collate(self, step: int) -> list[Batch]:
        start = step * self.stage.batch
        mine = np.arange(start + self.rank, start + self.stage.batch, self.world)
        return [self._micro(part) for part in np.split(mine, self.accumulate)]

    def _micro(self, positions: np.ndarray) -> Batch:
        groups = indices_at(positions, self.seed, self.stage.name, len(self.stage))
        parts = [self._part(indices, epoch) for epoch, indices in groups]
        batch = parts[0] if len(parts) == 1 else _join(parts)
        pin = self.device.type == "cuda"
        return {k: v.pin_memory() for k, v in batch.items()} if pin else batch

    def _part(self, indices: np.ndarray, epoch: int) -> Batch:
        batch = self.stage.collate(indices, epoch)
        if self.track:
            index = torch.from_numpy(indices.astype(np.int64))
            batch = batch | {"index": index, "epoch": torch.full_like(index, epoch)}
        return batch


def _join(parts: list[Batch]) -> Batch:
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
