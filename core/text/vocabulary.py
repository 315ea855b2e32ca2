"""Words to indices and back: a closed vocabulary taken from the captions of the training data."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


def normalise(text: str) -> list[str]:
    """Lower-cased words without punctuation; the Russian ё counts as е."""
    return _WORD.findall(text.lower().replace("ё", "е"))


class Vocabulary:
    """An ordered list of distinct words."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = list(dict.fromkeys(words))
        self._index = {word: i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """Indices of the known words of `text`, in order; unknown words are left out."""
        return [self._index[word] for word in normalise(text) if word in self._index]

    def decode(self, indices: Iterable[int]) -> str:
        """The words behind the indices, joined by spaces."""
        return " ".join(self.words[i] for i in indices)

    def unknown(self, text: str) -> list[str]:
        """The words of `text` that are not in the vocabulary, in order."""
        return [word for word in normalise(text) if word not in self._index]

    def nearest(self, word: str) -> list[str]:
        """Up to three known words that look like `word`."""
        return get_close_matches(word, self.words, n=3, cutoff=0.6)
