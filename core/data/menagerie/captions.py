"""Captions: one story told in many ways, in English or in Russian.

Actor and action are always named, the scene in about 60 % of the captions, the speed in 25 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import lexicon as lex
from .world import Choice, Story

BARE = 0.15  # captions that are just "lion drinking"
SCENE = 0.70  # of the others
SPEED = 0.30
YO = 0.5  # Russian captions that keep the letter ё


def caption(story: Story, rng: np.random.Generator, language: str | None = None) -> str:
    """Tells the story anew, in at most 13 lower-case words.

    language: "en" or "ru"; None draws English in 60 % of the cases. Raises ValueError for others.
    """
    if language is None:
        language = "en" if _chance(rng, 0.6) else "ru"
    if language not in _TELL:
        raise ValueError(f"no captions in {language!r}; choose from {', '.join(_TELL)}")
    bare, told = _TELL[language]
    return bare(story, rng) if _chance(rng, BARE) else told(story, rng)


def vocabulary() -> list[str]:
    """Every word that a caption can hold, as `words_of` splits it, sorted."""
    tables = (
        lex.ENGLISH_ACTORS,
        lex.RUSSIAN_ACTORS,
        lex.RUSSIAN_VERBS,
        lex.ENGLISH_SCENES,
        lex.RUSSIAN_SCENES,
        lex.ENGLISH_SPEEDS,
        lex.RUSSIAN_SPEEDS,
    )
    phrases = [phrase for table in tables for words in table.values() for phrase in words]
    for verbs in lex.ENGLISH_VERBS.values():
        for verb in verbs:
            phrases += [verb.ing, verb.third, *verb.objects]
    phrases.append("a an the is on with")
    return sorted({word for phrase in phrases for word in lex.words_of(phrase)})


def _english_bare(story: Story, rng: np.random.Generator) -> str:
    actor = lex.ENGLISH_ACTORS[story.actor][0]
    if story.action == "sofa":
        return f"{actor} on a sofa"
    if story.action == "playing":
        return f"{actor} {_one(rng, ('playing ball', 'with a ball', 'playing'))}"
    return f"{actor} {lex.ENGLISH_VERBS[story.action][0].ing}"


def _english(story: Story, rng: np.random.Generator) -> str:
    subject = _english_subject(story, rng)
    scene = _one(rng, lex.ENGLISH_SCENES[story.scene]) if _chance(rng, SCENE) else ""
    speed = _one(rng, lex.ENGLISH_SPEEDS[story.speed]) if _chance(rng, SPEED) else ""
    early = speed.endswith("ly") and _chance(rng, 0.3)  # "slowly drinking", never "fast drinking"
    said = _english_predicate(story, rng, speed if early else "")
    tail = [scene, "" if early else speed]
    if scene and _chance(rng, 0.15):
        return _join([scene, subject, said, tail[1]])
    if _chance(rng, 0.4):
        tail.reverse()
    return _join([subject, said, *tail])


def _english_subject(story: Story, rng: np.random.Generator) -> str:
    names = lex.ENGLISH_ACTORS[story.actor]
    name = names[0] if _chance(rng, 0.7) else _one(rng, names)
    indefinite = "an" if name[0] in "aeiou" else "a"
    return _join([_one(rng, (indefinite, indefinite, "the", "")), name])


def _english_predicate(story: Story, rng: np.random.Generator, adverb: str) -> str:
    if story.action == "sofa" and _chance(rng, 0.35):
        return _join([_one(rng, ("", "is")), adverb, "on", _one(rng, ("a sofa", "the sofa"))])
    if story.action == "playing" and _chance(rng, 0.15):
        return _join([adverb, "with a ball"])
    verb = _one(rng, lex.ENGLISH_VERBS[story.action])
    form = _one(rng, (("", verb.ing), ("", verb.ing), ("is", verb.ing), ("", verb.third)))
    return _join([form[0], adverb, form[1], _one(rng, verb.objects)])


def _russian_bare(story: Story, rng: np.random.Generator) -> str:
    actor = lex.RUSSIAN_ACTORS[story.actor][0]
    said = lex.RUSSIAN_VERBS[story.action]
    phrase = {"sofa": "на диване", "playing": _one(rng, said), "waving": "машет"}
    return _spell(f"{actor} {phrase.get(story.action, said[0])}", rng)


def _russian(story: Story, rng: np.random.Generator) -> str:
    actor = _one(rng, lex.RUSSIAN_ACTORS[story.actor])
    said = _one(rng, lex.RUSSIAN_VERBS[story.action])
    scene = _one(rng, lex.RUSSIAN_SCENES[story.scene]) if _chance(rng, SCENE) else ""
    speed = _one(rng, lex.RUSSIAN_SPEEDS[story.speed]) if _chance(rng, SPEED) else ""
    orders = (
        (actor, speed, said, scene),
        (actor, speed, said, scene),
        (actor, said, scene, speed),
        (scene, actor, speed, said),
        (speed, said, actor, scene),
        (scene, speed, said, actor),
    )
    return _spell(_join(_one(rng, orders)), rng)


def _spell(text: str, rng: np.random.Generator) -> str:
    return text if _chance(rng, YO) else text.replace("ё", "е")


_TELL = {"en": (_english_bare, _english), "ru": (_russian_bare, _russian)}


def _join(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part)


def _chance(rng: np.random.Generator, odds: float) -> bool:
    return bool(rng.random() < odds)


def _one(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    return choices[int(rng.integers(len(choices)))]
