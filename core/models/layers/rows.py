"""Rows of the embedding table that CogView2 and CogVideo share: image codes, symbols, words."""

from typing import Any

# Symbols between the image codes and the words in the shared embedding table. The frame-rate
# phrase gives the seconds that five frames span, as in the paper ("4.0 s <n> caption"); an
# image of the first stage that opens no clip has the phrase <still>.
DURATIONS = (4.0, 2.0, 1.0, 0.5)
RATES = tuple(f"<{seconds}s>" for seconds in DURATIONS)
SYMBOLS = ("<pad>", "<start_of_image>", "<n>", "<video>", "<still>", *RATES)


class Rows:
    """What follows from a configuration's sizes."""

    image_size: int
    text_length: int
    vocabulary_rows: int | None
    tokenizer: Any

    @property
    def grid(self) -> int:
        """Tokens along one side of a frame."""
        return self.image_size // 8

    @property
    def frame_length(self) -> int:
        """Tokens of one frame."""
        return self.grid**2

    @property
    def codes(self) -> int:
        """Image codes: the first rows of the embedding table, and all that is ever predicted."""
        return self.tokenizer.codebook_size

    def symbol(self, name: str) -> int:
        """Row of a special symbol in the embedding table."""
        return self.codes + SYMBOLS.index(name)

    def word(self, index: int) -> int:
        """Row of the vocabulary's word `index` in the embedding table."""
        return self.codes + len(SYMBOLS) + index

    def rows(self, words: int) -> int:
        """Rows of the embedding table for a vocabulary of so many words."""
        return self.vocabulary_rows or self.word(words)
