"""Keys and values of the tokens so far, in buffers that grow seldom."""

from ..arrays import Array, zeros


class Cache:
    """What is given, then what is added: k and v, (B, H, room, D) for each layer, arrays of the
    engine.

    The buffers stay where they are until `reserve` needs more room, so that an engine can hold
    on to them. What is not in use yet is zero: a mask hides it, yet it is multiplied.
    """

    def __init__(self, k: Array, v: Array) -> None:
        """k, v: (L, B, H, S, D) of what is given; they are not written to."""
        self.used: int = k.shape[3]
        self._hold(k, v)

    def _hold(self, k: Array, v: Array) -> None:
        self._k, self._v = k, v
        self.k, self.v = list(k), list(v)

    @property
    def room(self) -> int:
        """Tokens that the buffers hold, used or not."""
        return self._k.shape[3]

    def reserve(self, more: int) -> None:
        """Room for `more` tokens beyond those in use."""
        size = self.used + more
        if size > self.room:
            self._hold(self._grown(self._k, size), self._grown(self._v, size))

    def _grown(self, old: Array, size: int) -> Array:
        new = zeros(old, *old.shape[:3], size, old.shape[4])
        new[:, :, :, : self.used] = old[:, :, :, : self.used]
        return new

    def add(self, k: Array, v: Array) -> None:
        """Append (L, B, H, Q, D); there is room."""
        end = self.used + k.shape[3]
        self._k[:, :, :, self.used : end] = k
        self._v[:, :, :, self.used : end] = v
        self.used = end

    def cut(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self.used = length
