"""The nearby context pool: of finished patches, those that a later one may still look at.

Section 3.2 of 2207.09814. It holds whatever is kept of a patch, and knows only where patches are.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from .directions import Extents, Order, offset

T = TypeVar("T")


class Pool(Generic[T]):
    """What is kept of patches, by their number in an order."""

    def __init__(self, order: Order, extents: Extents) -> None:
        self.order, self.extents = order, extents
        self.held: dict[int, T] = {}
        self._until: dict[int, int] = {}

    def select(self, number: int) -> list[int]:
        """The finished patches that patch `number` sees, in the order in which they came."""
        here = self.order.place(number)
        return [n for n in self.held if n < number and self._near(here, self.order.place(n))]

    def offsets(self, number: int) -> list[int]:
        """Where these are, seen from patch `number`, as rows of a table of offsets."""
        here = self.order.place(number)
        return [offset(here, self.order.place(n), self.extents) for n in self.select(number)]

    def add(self, number: int, kept: T) -> None:
        """Patch `number` is finished; patches are finished in order."""
        self.held[number] = kept
        self._until[number] = self.order.last_user(number, self.extents)

    def remove(self, number: int) -> None:
        """Patch `number` was the last one to be finished: drop what no later one can select."""
        for done in [n for n, until in self._until.items() if until <= number]:
            del self.held[done], self._until[done]

    def _near(self, here: tuple[int, ...], there: tuple[int, ...]) -> bool:
        pairs = zip(here, there, self.extents, strict=True)
        return all(abs(a - b) <= extent for a, b, extent in pairs)
