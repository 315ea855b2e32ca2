"""How many threads a model's sampling takes: as many as there are cores that nothing else keeps
busy.

PyTorch's threads wait for each other after each operation, of which a clip has some hundred
thousand. Where another process holds the core of one of them all stand still; a single thread
loses a fifth of the speed of two.
"""

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TOLD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # by which users say it themselves
SLACK = 0.3  # of a core that others may take, as desktops do
SHORTEST_S = 0.06  # whose processor time can be read: it is counted in hundredths of a second
EVERY_S = 1.0  # another look


def choose(usual: int, cores: int, quota: float | None, others: float = 0.0) -> int:
    """Threads for `cores`, of which other processes keep `others` busy. usual: PyTorch's own
    choice; quota: the processor time that a container may take, in cores.

    A power of two: tensors are then cut at ends of vectors, where each number is computed alike
    whatever the count. With 3 threads GELU and SiLU differ in the last bit.
    """
    free = min(usual, cores - others + SLACK, math.inf if quota is None else quota)
    return 1 << (max(int(free), 1).bit_length() - 1)


def cores() -> int:
    """That this process may use; a container or taskset can make them fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota(root: Path = Path("/")) -> float | None:
    """The processor time that the control groups of this process leave it, in cores; None where
    they do not limit it, or there are none. root: where the file system begins."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return None
    found = []
    for _, kinds, path in (line.split(":", 2) for line in lines if line.count(":") > 1):
        if kinds and "cpu" not in kinds.split(","):
            continue
        place = root / "sys/fs/cgroup" / ("cpu" if kinds else "")
        own = place / path.lstrip("/")  # not there where a container sees its own group as the root
        found += [limit(group) for group in (own, *own.parents) if group.is_relative_to(place)]
    return min(filter(None, found), default=None)


def limit(group: Path) -> float | None:
    """Of one control group, of either version."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        if (file := group / "cpu.max").exists():
            most, period = file.read_text().split()
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            most, period = ((group / name).read_text() for name in names)
        if most != "max" and (share := int(most) / int(period)) > 0:
            return share
    return None


@dataclass(frozen=True)
class Seen:
    """Seconds of the clock, and of the processor: of all processes on our cores, and our own."""

    clock: float
    busy: float
    ours: float


def see() -> Seen | None:
    """None where the system does not tell."""
    import psutil

    try:
        every = psutil.cpu_times(percpu=True)
        own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(every))
        busy = sum(
            getattr(every[core], kind, 0.0)
            for core in own
            for kind in ("user", "nice", "system", "irq", "softirq", "steal")
        )
        return Seen(time.monotonic(), busy, time.process_time())
    except (OSError, ValueError, IndexError, RuntimeError, psutil.Error):
        return None


class Load:
    """What other processes do on our cores: since this was made, then since it was last asked."""

    def __init__(self, see: Callable[[], Seen | None] = see) -> None:
        self._see = see
        self._then = see()

    def others(self) -> float | None:
        """Cores that they kept busy. None where too little time has passed to say, or the system
        does not."""
        now, then = self._see(), self._then
        if now is None or then is None:
            self._then = now
            return None
        if (passed := now.clock - then.clock) < SHORTEST_S:
            return None
        self._then = now
        return max(0.0, (now.busy - then.busy - (now.ours - then.ours)) / passed)


class Threads:
    """How many to compute with now. What the user said in the environment stays."""

    def __init__(
        self,
        usual: int,
        load: Load,
        on_note: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """usual: PyTorch's own choice. load: begun some time ago, it can tell at once. on_note:
        hears it the first time that there are fewer than on a quiet machine."""
        told = any(os.environ.get(name) for name in TOLD)
        self._cores, self._quota = cores(), quota()
        self._usual, self._clock, self._on_note = usual, clock, on_note
        self.most = usual if told else choose(usual, self._cores, self._quota)
        self._now = self._before = self.most
        self._load = None if told or self.most == 1 else load
        self._next = -math.inf

    def count(self) -> int:
        """Fewer as soon as cores are taken, more when two looks in a row find them free."""
        if self._load is None or (clock := self._clock()) < self._next:
            return self._now
        others = self._load.others()
        self._next = clock + (SHORTEST_S if others is None else EVERY_S)
        if others is not None:
            wish = choose(self._usual, self._cores, self._quota, others)
            self._now, self._before = min(wish, self._before), wish
            self._tell(others)
        return self._now

    def _tell(self, others: float) -> None:
        if self._now < self.most:
            threads = "1 thread" if self._now == 1 else f"{self._now} threads"
            taken = f"{min(others, self._cores):.1f} of {self._cores} cores"
            self._on_note(f"{threads} instead of {self.most}: other processes keep {taken} busy")
            self._on_note = lambda text: None
