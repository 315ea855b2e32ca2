"""When to run, in exact time: the best start and the best pauses.

The intensity is constant in stretches of any length, and so what a run emits is linear between
the places where a begin or an end of it meets the border of a stretch: no plan in finer time is
better than the best one in the common unit of all the lengths. Ties go to the earliest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .steps import Array, Blocks, joined

_MOST_MOMENTS = 600_000  # a year has 525,600 minutes
_MOST_CELLS = 400_000_000  # of the table of (moment, work done): two bits each, some seconds
_EXACT = 2.0**52
_ROWS = 256  # of it that are packed at a time
_NEAR = 1e-12  # relative; nearer sums are the same number, added up in another order
Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """A job and the intensity from its submission to its latest end, in whole numbers of one unit
    of time.

    edges: (N + 1,) from 0 on, where the stretches begin and end. values: (N,) in g/kWh.
    pause_cost: what a pause adds to the running time. min_block: the shortest block.
    """

    edges: NDArray[np.int64]
    values: Array
    duration: int
    pause_cost: int = 0
    min_block: int = 0

    @property
    def slack(self) -> int:
        return int(self.edges[-1]) - self.duration

    def counted(self, unit: int) -> Task:
        """The same in units so many times as long, of which all its lengths are multiples. Where
        its edges are not, each unit becomes a stretch of its mean."""
        edges, values = self.edges // unit, self.values
        if (self.edges % unit).any():
            edges = np.arange(edges[-1] + 1)
            values = np.diff(self.reached(edges * unit)) / unit
        lengths = (self.duration, self.pause_cost, self.min_block)
        return Task(edges, values, *(length // unit for length in lengths))

    def mean(self, blocks: Blocks) -> float:
        """The mean intensity over the blocks."""
        lengths = sum(end - first for first, end in blocks)
        reached = self.reached(np.array(blocks))
        return float((reached[:, 1] - reached[:, 0]).sum()) / lengths

    def reached(self, moments: NDArray[np.int64]) -> Array:
        """The intensity summed up from 0 to each moment."""
        sums = np.concatenate([[0.0], np.cumsum(np.diff(self.edges) * self.values)])
        return np.interp(moments, self.edges, sums)


def best_start(task: Task) -> Blocks:
    """One block without a break, begun at the best moment from 0 to the slack."""
    turns = np.concatenate([task.edges, task.edges - task.duration, [0, task.slack]])
    starts = np.unique(turns[(turns >= 0) & (turns <= task.slack)])
    sums = task.reached(starts + task.duration) - task.reached(starts)
    least = sums.min() + _NEAR * task.reached(task.edges[-1:])[0]
    first = int(starts[np.argmax(sums <= least)])
    return ((first, first + task.duration),)


def best_pauses(task: Task) -> Blocks:
    """The blocks that emit least: together as long as the job and what its pauses cost, none
    shorter than `min_block`. A job that is not longer than that runs in one.

    UsageError where the search would take too long.
    """
    if task.slack == 0 or task.min_block >= task.duration:
        return best_start(task)
    if task.pause_cost == 0 and task.min_block <= 1:
        return _cleanest(task)
    return _Table(task).blocks()


def _cleanest(task: Task) -> Blocks:
    """The cleanest stretches until they add up to the duration; of the last a part, which joins
    its neighbour where it can."""
    lengths, edges = np.diff(task.edges), task.edges.tolist()
    order = np.argsort(task.values, kind="stable")
    sums = np.cumsum(lengths[order])
    whole = int(np.searchsorted(sums, task.duration, side="right"))
    taken = set(order[:whole].tolist())
    pieces = [(edges[i], edges[i + 1]) for i in taken]
    if left := task.duration - (int(sums[whole - 1]) if whole else 0):
        last = int(order[whole])
        late = last + 1 in taken and last - 1 not in taken
        first = edges[last + 1] - left if late else edges[last]
        pieces.append((first, first + left))
    return joined(sorted(pieces))


class _Table:
    """A dynamic programme over (moment, work done), forwards; the way back is kept in bits.

    At each moment a job that is not lost has done between moment - slack and moment of its work:
    a row holds that band. A block enters its row once it is as long as it has to be: the first
    one `least`, one after a pause `later`, of which the pause costs a part.
    """

    def __init__(self, task: Task) -> None:
        self.length, self.slack, self.cost = task.duration, task.slack, task.pause_cost
        self.least = max(task.min_block, 1)
        self.later = max(self.least, self.cost + 1)
        self.steps, self.width = self.length + self.slack, min(self.length, self.slack) + 1
        # Sums take 32 times the place of what is kept, as far back as a block may reach.
        cells = (self.steps + 32 * min(self.later, self.steps)) * self.width
        if self.steps > _MOST_MOMENTS or cells > _MOST_CELLS:
            raise UsageError(
                f"{self.length:,} of {self.steps:,} moments are too many for --pause-cost and "
                "--min-block",
                hint="a shorter --duration or --slack, or times in whole minutes or hours",
            )
        # Rows are packed so many at a time.
        rows, packed = self.steps // _ROWS + 1, -(-self.width // 8)
        self.begun, self.rested = np.zeros((2, rows * _ROWS, packed), dtype=np.uint8)
        self.first = np.zeros(self.steps + 1, dtype=bool)  # the block of `least` is the first one
        values = np.repeat(task.values, np.diff(task.edges))
        # As whole numbers whose sums are exact in any order: ties are ties.
        total = float(values.sum())
        self._fill(np.rint(values * (_EXACT / total)) if total else values)

    def low(self, moment: int) -> int:
        """The least work of the row of a moment."""
        return max(0, moment - self.slack)

    def _fill(self, values: Array) -> None:
        sums = [0.0, *np.cumsum(values).tolist()]
        # The least that was emitted: running, and at rest after some work, `later` rows of it.
        busy, longer, fresh = np.full((3, self.width), np.inf)
        rests = np.full((self.later, self.width), np.inf)
        begun, rested = np.zeros((2, _ROWS, self.width), dtype=bool)
        for t, value in enumerate(values.tolist(), 1):
            row, rest, before = t % _ROWS, rests[t % self.later], rests[(t - 1) % self.later]
            self._begin(t, rest, sums, fresh)
            if t > self.slack:  # the row begins one further than the one before
                np.add(busy, value, out=longer)
                np.minimum(before[1:], busy[1:], out=rest[:-1])
                rest[-1] = np.inf
            else:
                np.add(busy[:-1], value, out=longer[1:])
                np.minimum(before, busy, out=rest)
            np.less(fresh, longer, out=begun[row])
            np.minimum(fresh, longer, out=busy)
            np.less_equal(rest, busy, out=rested[row])
            if row == _ROWS - 1 or t == self.steps:
                part = slice(t - row, t - row + _ROWS)
                self.begun[part] = np.packbits(begun, axis=1)
                self.rested[part] = np.packbits(rested, axis=1)

    def _begin(self, t: int, rest: Array, sums: list[float], fresh: Array) -> None:
        """Into `fresh` what was emitted where a block has just become long enough. rest: at rest
        `later` ago."""
        fresh.fill(np.inf)
        if (begin := t - self.later) > 0:
            shift = self.low(t) - self.low(begin) - (self.later - self.cost)
            to, off = max(0, -shift), max(0, shift)
            if max(to, off) < self.width:
                there, here = rest[off : self.width - to], fresh[to : self.width - off]
                np.add(there, sums[t] - sums[begin], out=here)
        place = self.least - self.low(t)
        if t >= self.least and 0 <= place < self.width:
            alone = sums[t] - sums[t - self.least]
            self.first[t] = alone <= fresh[place]
            fresh[place] = min(fresh[place], alone)

    def blocks(self) -> Blocks:
        """Back from the latest end to the begin of the first block."""
        found: list[tuple[int, int]] = []
        t, done, end = self.steps, self.length, None
        while True:
            if end is None:
                if self._bit(self.rested, t, done):
                    t -= 1
                else:
                    end = t
            elif not self._bit(self.begun, t, done):
                t, done = t - 1, done - 1
            elif done == self.least and self.first[t]:
                return ((t - self.least, end), *reversed(found))
            else:
                found.append((t - self.later, end))
                t, done, end = t - self.later - 1, done - self.later + self.cost, None

    def _bit(self, table: Bits, t: int, done: int) -> bool:
        place = done - self.low(t)
        return bool(table[t, place >> 3] >> (7 - (place & 7)) & 1)
