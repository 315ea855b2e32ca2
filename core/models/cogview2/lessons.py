"""What CogLM practises, lesson by lesson: which tokens are given, which are predicted.

2204.14217, section 3.1, and the released code. A token predicts the next one. So the first token of
a region that is masked is not predicted: the one before it does not see the region.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...data import Source
from ...text.vocabulary import Vocabulary
from ..layers.captions import drawn_caption
from ..layers.prompt import encode_texts
from .captions import caption_rows
from .coglm import GIVEN, Sequences
from .config import Config, TrainingConfig

SPAN, SPANNED = 3, 0.15  # text infilling: mean length of a span, share of the text in spans


@dataclass
class Lesson:
    """One row of `Sequences`, nothing there yet."""

    config: Config

    def __post_init__(self) -> None:
        length = self.config.text_length + 1 + self.config.frame_length
        self.tokens = np.full(length, self.config.symbol("<pad>"))
        self.positions, self.rank = np.zeros(length, int), np.full(length, GIVEN)
        self.present, self.scored = np.zeros(length, bool), np.zeros(length, bool)
        self.labels = np.zeros(length, int)

    def put(self, start: int, tokens: np.ndarray, positions: np.ndarray) -> None:
        """Tokens that are there from place `start` on; each is to predict the next."""
        span = slice(start, start + len(tokens))
        self.tokens[span], self.positions[span], self.present[span] = tokens, positions, True
        self.labels[start : start + len(tokens) - 1] = tokens[1:]

    def put_image(self, codes: np.ndarray, opened: bool) -> None:
        """The codes of a picture, after <start_of_image> where it is opened."""
        config, texts = self.config, self.config.text_length
        tokens = np.concatenate([[config.symbol("<start_of_image>")], codes])
        positions = config.image_position + np.arange(len(tokens))
        self.put(texts, tokens, positions)
        self.present[texts] = opened

    def put_words(self, rows: Sequence[int]) -> None:
        """Text from its first place on, as captions are written."""
        kept = np.array(rows[: self.config.text_length])
        self.put(0, kept, np.arange(len(kept)))

    def put_prompt(
        self, vocabulary: Vocabulary, caption: str | None, rate: str = "<still>"
    ) -> None:
        """A caption that is given, as it is for drawing."""
        text, seen = encode_texts(self.config, vocabulary, [(rate, caption)])
        texts = self.config.text_length
        self.tokens[:texts], self.present[:texts] = text[0], seen[0]
        by_word = (seen[0].cumsum() - 1).clip(0)
        places = np.arange(texts) if self.config.text_positions == "place" else by_word
        self.positions[:texts] = places

    def mask(self, masked: np.ndarray, predicted: np.ndarray) -> None:
        """Codes, (N,), that are in the causal region, and those of them that are predicted."""
        first = self.config.text_length + 1
        ranks = 1 + np.arange(len(masked))
        self.rank[first:] = np.where(masked, ranks, GIVEN)
        self.scored[first - 1 : -1] = predicted


def drawn(
    config: Config,
    vocabulary: Vocabulary,
    source: Source,
    clip: int,
    codes: np.ndarray,
    rng: np.random.Generator,
    rate: str = "<still>",
) -> Lesson:
    """One of the four tasks on a picture of a clip, (N,) codes, as often as `training` says. rate:
    the phrase of text to image."""
    shares = config.training
    kinds = np.cumsum([shares.infilling, shares.captions, shares.regions])
    kind = int(np.searchsorted(kinds, rng.random(), side="right"))
    if kind == 0:
        said = lambda: source.caption(int(rng.integers(len(source))), rng)  # noqa: E731
        return infilling(config, vocabulary, said, rng)
    if kind == 1:
        return image_to_text(config, vocabulary, source.caption(clip, rng), codes, rng)
    caption = drawn_caption(source, clip, rng)
    if kind == 2:
        return regions(config, vocabulary, caption, codes, rng)
    return text_to_image(config, vocabulary, caption, codes, rate)


def example(config: Config, vocabulary: Vocabulary, count: int) -> dict[str, torch.Tensor]:
    """A batch of the shapes that lessons have."""
    codes = np.zeros(config.frame_length, int)
    return stacked([text_to_image(config, vocabulary, None, codes)] * count)._asdict()


def text_to_image(
    config: Config,
    vocabulary: Vocabulary,
    caption: str | None,
    codes: np.ndarray,
    rate: str = "<still>",
) -> Lesson:
    """The text is given, all of the picture, (N,), is predicted."""
    lesson = Lesson(config)
    lesson.put_prompt(vocabulary, caption, rate)
    lesson.put_image(codes, opened=True)
    everything = np.ones(len(codes), bool)
    lesson.mask(everything, everything)
    lesson.rank[config.text_length] = 0
    return lesson


def regions(
    config: Config,
    vocabulary: Vocabulary,
    caption: str | None,
    codes: np.ndarray,
    rng: np.random.Generator,
) -> Lesson:
    """The text and what is not masked of the picture are given."""
    lesson = Lesson(config)
    lesson.put_prompt(vocabulary, caption)
    lesson.put_image(codes, opened=True)
    lesson.mask(*masked_patches(config.grid, config.training, rng))
    return lesson


def image_to_text(
    config: Config,
    vocabulary: Vocabulary,
    caption: str,
    codes: np.ndarray,
    rng: np.random.Generator,
) -> Lesson:
    """Masked regions of the picture without a text, then the caption: it sees all of the picture.
    A caption begins after <n> and ends with <pad>."""
    lesson = Lesson(config)
    words = caption_rows(config, vocabulary, caption)
    lesson.put_image(codes, opened=False)
    lesson.put_words(words)
    lesson.mask(*masked_patches(config.grid, config.training, rng))
    count = min(len(words), config.text_length)
    lesson.rank[:count] = 1 + len(codes) + np.arange(count)
    lesson.scored[: count - 1] = True
    return lesson


def infilling(
    config: Config,
    vocabulary: Vocabulary,
    captions: Callable[[], str],
    rng: np.random.Generator,
) -> Lesson:
    """Text alone, as many captions as fill it; spans of it are predicted."""
    lesson, rows = Lesson(config), []
    while len(rows) < config.text_length:
        rows += caption_rows(config, vocabulary, captions())[:-1]
    lesson.put_words(rows)
    for start, length in spans(config.text_length, rng):
        region = np.arange(start, start + length + 1)
        lesson.rank[region] = region
        lesson.scored[region[:-1]] = True
    return lesson


def masked_patches(
    grid: int, training: TrainingConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Codes, bool (N,), inside square patches at random, and those of them that are predicted: not
    the first column of a patch, for what is before it is given."""
    side = min(training.patch, grid)
    corners = rng.permutation((grid - side + 1) ** 2)
    masked, predicted = np.zeros((2, grid, grid), bool)
    wanted = training.masked * grid * grid
    for number, corner in enumerate(corners):
        enough = masked.sum() if training.masking == "share" else (number + 1) * side * side
        if number and (enough >= wanted if training.masking == "share" else enough > wanted):
            break
        row, column = divmod(int(corner), grid - side + 1)
        masked[row : row + side, column : column + side] = True
        predicted[row : row + side, column + 1 : column + side] = True
    return masked.ravel(), predicted.ravel()


def spans(length: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Where spans of a text are masked: the token before each and how many follow it. Their lengths
    are Poisson's, at least 1, until they would hold more than the share SPANNED; a text too short
    for the first has one as long as it allows."""
    room = int(length * SPANNED)
    lengths: list[int] = []
    while (drawn := max(1, int(rng.poisson(SPAN)))) <= room - sum(lengths):
        lengths.append(drawn)
    lengths = lengths or [min(max(1, room), length - 1)]
    free = length - sum(lengths)
    starts = np.sort(rng.choice(free, min(len(lengths), free), replace=False))
    before = np.cumsum([0, *lengths[:-1]])
    return [(int(s + b), n) for s, b, n in zip(starts, before, lengths, strict=False) if n]


def stacked(lessons: Sequence[Lesson]) -> Sequences:
    """(B, T) of each kind, integers of 32 bits."""
    return Sequences(
        *(
            torch.from_numpy(np.stack([getattr(lesson, name) for lesson in lessons]))
            if name in ("present", "scored")
            else torch.from_numpy(np.stack([getattr(lesson, name) for lesson in lessons])).int()
            for name in Sequences._fields
        )
    )
