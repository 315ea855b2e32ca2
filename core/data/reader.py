"""Rows of a table that are computed when they are asked for: the disk has no room for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

KEPT_BYTES = 256 << 20  # of recent rows: a batch's, and those that measure again and again


class Reader:
    """An array (rows, *shape) to read from, whose row i is fill(i).

    It is indexed as the array would be, by one key or by several, and gives the same numbers.
    Recent rows are kept, at least one and at most KEPT_BYTES of them. Threads may share it.
    """

    def __init__(
        self,
        rows: int,
        shape: tuple[int, ...],
        dtype: np.typing.DTypeLike,
        fill: Callable[[int], np.ndarray],
    ) -> None:
        self.shape, self.dtype = (rows, *shape), np.dtype(dtype)
        self._fill, self._lock = fill, Lock()
        self._recent: OrderedDict[int, np.ndarray] = OrderedDict()
        self._room = max(1, KEPT_BYTES // max(1, self.dtype.itemsize * int(np.prod(shape))))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """As numpy's: an index, a slice or an array of rows, and what to take of each. IndexError
        for rows that are not there."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        rows = np.arange(len(self))[first]
        if rows.ndim == 0:
            return self._row(int(rows))[tuple(rest)]
        if isinstance(first, slice):
            return self._stacked(rows)[:, *rest]
        wanted, places = np.unique(rows, return_inverse=True)
        return self._stacked(wanted)[places.reshape(rows.shape), *rest]

    def _stacked(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for place, row in enumerate(rows):
            found[place] = self._row(int(row))
        return found

    def _row(self, index: int) -> np.ndarray:
        """Row `index`, read-only."""
        with self._lock:
            if index in self._recent:
                self._recent.move_to_end(index)
                return self._recent[index]
        row = np.asarray(self._fill(index))
        if row.shape != self.shape[1:]:
            raise ValueError(f"row {index} has shape {row.shape}, the table's is {self.shape[1:]}")
        row = row.astype(self.dtype)
        row.flags.writeable = False
        with self._lock:
            self._recent[index] = row
            while len(self._recent) > self._room:
                self._recent.popitem(last=False)
        return row
