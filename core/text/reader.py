"""How a model reads prompts, whatever its text is: a closed vocabulary or a pretrained encoder."""

from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import UsageError
from .vocabulary import normalise

# Words that name nothing to be seen.
FUNCTION_WORDS = frozenset(
    "a an the is are in on at of with by and his her its в на во с со и у".split()  # noqa: SIM905
)


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


def check_prompt(prompt: str, reader: Reader) -> list[str]:
    """Notes on the words that the model does not know.

    Raises UsageError when it knows none of the words that name something, or no word at all.
    """
    unknown = list(dict.fromkeys(reader.unknown(prompt)))
    if unknown and not reader.words:
        raise UsageError("the model was taught no words: its data had no captions",
                         hint="leave the prompt out")  # fmt: skip
    naming = [w for w in normalise(prompt) if w not in unknown and w not in FUNCTION_WORDS]
    if not naming:
        words = ", ".join(w for w in reader.words if w not in FUNCTION_WORDS)
        hint = f"words it knows: {words}" if words else 'dln generate "lion drinking"'
        raise UsageError(f"the model knows nothing in {prompt!r}", hint=hint)
    return [_unknown_note(word, reader.nearest(word)) for word in unknown]


def _unknown_note(word: str, near: list[str]) -> str:
    nearest = f"; nearest: {', '.join(near)}" if near else ""
    return f"the model does not know {word!r} and leaves it out{nearest}"
