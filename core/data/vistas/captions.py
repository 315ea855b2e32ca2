"""Captions: what one sees, told in many ways, in English or in Russian.

The place is always named, season, weather and time of day in about 60 % of the captions each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from . import lexicon as lex
from .country import DAY, Vista, elevation

NAMED = 0.6
YO = 0.5  # Russian captions that keep the letter ё
_NOON = 1.5  # hours around twelve that are called so
_Choice = TypeVar("_Choice")


def caption(
    vista: Vista,
    rng: np.random.Generator,
    language: str | None = None,
    *,
    camera: str = "still",
    time: float = 0.0,
) -> str:
    """Tells anew what is seen, in at most 16 lower-case words.

    language: "en" or "ru"; None draws English in 60 % of the cases. time: the moment whose time of
    day is told. Raises ValueError for other languages.
    """
    if language is None:
        language = "en" if _chance(rng, 0.6) else "ru"
    if language not in _TELL:
        raise ValueError(f"no captions in {language!r}; choose from {', '.join(_TELL)}")
    return _TELL[language](vista, rng, camera == "ride", _times(vista, time))


def vocabulary() -> list[str]:
    """Every word that a caption can hold, as `words_of` splits it, sorted."""
    phrases = ["a an the", *lex.ALONG]
    for table in (lex.ENGLISH_PLACES, lex.RUSSIAN_PLACES):
        phrases += [" ".join(form) for forms in table.values() for form in forms]
    phrases += [" ".join(form[:2]) for forms in lex.RUSSIAN_RIDES.values() for form in forms]
    for words in (lex.ENGLISH_RIDES, lex.RUSSIAN_WAYS, lex.ENGLISH_TIMES, lex.RUSSIAN_TIMES):
        phrases += [phrase for forms in words.values() for phrase in forms]
    for adjectives, more in (*lex.ENGLISH_SEASONS.values(), *lex.ENGLISH_WEATHERS.values()):
        phrases += [*adjectives, *more]
    for stems, more in (*lex.RUSSIAN_SEASONS.values(), *lex.RUSSIAN_WEATHERS.values()):
        phrases += [*more, *(word for stem in stems for word in lex.forms(stem))]
    told = {word for phrase in phrases for word in lex.words_of(phrase)}
    return sorted(told - {"m", "f", "n", "pl"})


def _times(vista: Vista, time: float) -> tuple[str, ...]:
    """The lists of words that fit a moment."""
    told = vista.time_of_day(time)
    hours = vista.hours(np.array([time]))
    if told == "day":
        return ("day", "noon") if abs(hours[0] % DAY - DAY / 2) < _NOON else ("day",)
    if told == "night":
        return ("night",)
    return told, f"{told} {'up' if elevation(hours, vista.season)[0] > 0 else 'down'}"


def _english(vista: Vista, rng: np.random.Generator, rides: bool, times: Sequence[str]) -> str:
    article, noun = _one(rng, lex.ENGLISH_PLACES[vista.place])
    season, in_season = _told(rng, lex.ENGLISH_SEASONS[vista.season])
    weather, in_weather = _told(rng, lex.ENGLISH_WEATHERS[vista.weather])
    thing = _join([weather, season, noun])
    if article:
        thing = f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
    way = lex.ALONG if vista.place == "coast" else lex.ENGLISH_RIDES[vista.way]
    phrases = _shuffled(rng, [in_weather, in_season])
    told = _one(rng, lex.ENGLISH_TIMES[_one(rng, times)]) if _chance(rng, NAMED) else ""
    return _join([_one(rng, way) if rides else "", thing, *phrases, told])


def _russian(vista: Vista, rng: np.random.Generator, rides: bool, times: Sequence[str]) -> str:
    season, in_season = _told(rng, lex.RUSSIAN_SEASONS[vista.season])
    weather, in_weather = _told(rng, lex.RUSSIAN_WEATHERS[vista.weather])
    if rides:
        before, noun, form = _one(rng, lex.RUSSIAN_RIDES[vista.place])
        before = _join([_one(rng, lex.RUSSIAN_WAYS[vista.way]), before])
    else:
        (noun, form), before = _one(rng, lex.RUSSIAN_PLACES[vista.place]), ""
    adjectives = [lex.bent(stem, form) for stem in (weather, season) if stem]
    told = _one(rng, lex.RUSSIAN_TIMES[_one(rng, times)]) if _chance(rng, NAMED) else ""
    phrases = _shuffled(rng, [in_weather, in_season])
    text = _join([before, *adjectives, noun, *phrases, told])
    return text if _chance(rng, YO) else text.replace("ё", "е")


def _told(rng: np.random.Generator, words: tuple[lex.Words, lex.Words]) -> tuple[str, str]:
    """An adjective, a phrase, or neither; the other is ""."""
    adjectives, phrases = words
    if not _chance(rng, NAMED):
        return "", ""
    if adjectives and _chance(rng, 0.5):
        return _one(rng, adjectives), ""
    return "", _one(rng, phrases)


_TELL = {"en": _english, "ru": _russian}


def _shuffled(rng: np.random.Generator, parts: list[str]) -> list[str]:
    return parts[::-1] if _chance(rng, 0.5) else parts


def _join(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part)


def _chance(rng: np.random.Generator, odds: float) -> bool:
    return bool(rng.random() < odds)


def _one(rng: np.random.Generator, choices: Sequence[_Choice]) -> _Choice:
    return choices[int(rng.integers(len(choices)))]
