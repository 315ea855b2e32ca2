"""How a model reads prompts, whatever its text is: a closed vocabulary or a pretrained encoder."""

from collections.abc import Sequence
from typing import Any, Protocol


class Reader(Protocol):
    """What generation asks of a model's own text."""

    @property
    def words(self) -> Sequence[str]:
        """All words that it knows, or none where it reads any."""
        ...

    def encode(self, text: str) -> Any:
        """The text as the model takes it."""
        ...

    def unknown(self, text: str) -> list[str]:
        """The words of `text` that it cannot read, in order."""
        ...

    def nearest(self, word: str) -> list[str]:
        """Up to three words that it knows and that look like `word`."""
        ...
