"""The words of the captions and what each of them names."""

from __future__ import annotations

import re
from dataclasses import dataclass

Words = tuple[str, ...]

ENGLISH_ACTORS: dict[str, Words] = {
    "lion": ("lion",),
    "penguin": ("penguin",),
    "cat": ("cat", "kitty"),
    "dog": ("dog", "puppy"),
    "elephant": ("elephant",),
    "rabbit": ("rabbit", "bunny"),
    "chick": ("chick",),
    "robot": ("robot",),
    "panda": ("panda",),
    "frog": ("frog",),
    "bear": ("bear",),
    "fox": ("fox",),
}
RUSSIAN_ACTORS: dict[str, Words] = {
    "lion": ("лев",),
    "penguin": ("пингвин",),
    "cat": ("кот", "кошка"),
    "dog": ("собака", "пёс"),
    "elephant": ("слон",),
    "rabbit": ("кролик", "заяц"),
    "chick": ("цыплёнок",),
    "robot": ("робот",),
    "panda": ("панда",),
    "frog": ("лягушка",),
    "bear": ("медведь",),
    "fox": ("лиса",),
}


@dataclass(frozen=True)
class Verb:
    """An English verb: drinking, drinks, and what may follow either."""

    ing: str
    third: str
    objects: Words = ("",)


ENGLISH_VERBS: dict[str, tuple[Verb, ...]] = {
    "drinking": (Verb("drinking", "drinks", ("", "water", "from a glass")),),
    "eating": (Verb("eating", "eats", ("", "an apple", "a red apple")),),
    "walking": (Verb("walking", "walks"),),
    "jumping": (Verb("jumping", "jumps", ("", "up")),),
    "sleeping": (Verb("sleeping", "sleeps"),),
    "dancing": (Verb("dancing", "dances", ("", "to music")),),
    "waving": (Verb("waving", "waves", ("", "a hand", "hello")),),
    "playing": (Verb("playing", "plays", ("ball", "with a ball", "")),),
    "sofa": (
        Verb("sitting", "sits", ("on a sofa", "on the sofa", "on a couch")),
        Verb("trying", "tries", ("a sofa", "the sofa")),
    ),
    "spinning": (Verb("spinning", "spins", ("", "around")),),
}
RUSSIAN_VERBS: dict[str, Words] = {
    "drinking": ("пьёт", "пьёт воду", "пьёт из стакана"),
    "eating": ("ест", "ест яблоко", "ест красное яблоко"),
    "walking": ("идёт", "гуляет", "шагает"),
    "jumping": ("прыгает", "прыгает вверх"),
    "sleeping": ("спит",),
    "dancing": ("танцует", "танцует под музыку"),
    "waving": ("машет лапой", "машет рукой", "машет"),
    "playing": ("играет с мячом", "играет в мяч", "играет"),
    "sofa": ("сидит на диване", "на диване", "пробует диван"),
    "spinning": ("кружится", "крутится"),
}

# Each line: how the scene is said after "a lion is drinking".
ENGLISH_SCENES: dict[str, Words] = {
    "savanna": ("in the savanna",),
    "snow": ("in the snow", "on the snow"),
    "beach": ("on the beach", "at the beach"),
    "night": ("at night",),
    "room": ("in the room", "in a room", "at home"),
    "forest": ("in the forest", "in a forest"),
}
RUSSIAN_SCENES: dict[str, Words] = {
    "savanna": ("в саванне",),
    "snow": ("на снегу", "в снегу"),
    "beach": ("на пляже",),
    "night": ("ночью",),
    "room": ("в комнате", "дома"),
    "forest": ("в лесу",),
}
ENGLISH_SPEEDS: dict[str, Words] = {"slow": ("slowly",), "fast": ("quickly", "fast")}
RUSSIAN_SPEEDS: dict[str, Words] = {"slow": ("медленно",), "fast": ("быстро",)}

# Without a verb these still say what goes on: "penguin on a sofa", "cat with a ball".
_THINGS = {
    "drinking": "water glass воду стакана",
    "eating": "apple яблоко",
    "waving": "hand hello лапой рукой",
    "playing": "ball мяч мячом",
    "sofa": "sofa couch диване диван",
    "dancing": "music музыку",
}


def words_of(text: str) -> list[str]:
    """Lower case, punctuation dropped, split on spaces, ё written as е."""
    return re.sub(r"[^\w\s]", "", text.lower()).replace("ё", "е").split()


def _index(*tables: dict[str, Words]) -> dict[str, str]:
    """Telling word -> key. Of a phrase such as "in the snow" it is the last one."""
    return {
        words_of(phrase)[-1]: key
        for table in tables
        for key, phrases in table.items()
        for phrase in phrases
    }


def _verbs() -> dict[str, str]:
    spoken = {
        word: action
        for action, verbs in ENGLISH_VERBS.items()
        for verb in verbs
        for word in (verb.ing, verb.third)
    }
    for action, phrases in RUSSIAN_VERBS.items():
        spoken.update((words_of(phrase)[0], action) for phrase in phrases)
    spoken.pop("на")  # "на диване" has no verb
    return spoken


_SPEEDS = _index(ENGLISH_SPEEDS, RUSSIAN_SPEEDS)
_ACTORS = _index(ENGLISH_ACTORS, RUSSIAN_ACTORS)
_SCENES = _index(ENGLISH_SCENES, RUSSIAN_SCENES)
_VERBS = _verbs()
_OBJECTS = {word: action for action, words in _THINGS.items() for word in words.split()}


def describe(text: str) -> dict[str, str | None]:
    """Reads a prompt: {"actor", "action", "scene", "speed"}, None for what is not named.

    Verbs outweigh objects: "a lion sleeping on a sofa" sleeps.
    """
    words = words_of(text)
    return {
        "actor": _first(words, _ACTORS),
        "action": _first(words, _VERBS) or _first(words, _OBJECTS),
        "scene": _first(words, _SCENES),
        "speed": _first(words, _SPEEDS),
    }


def _first(words: list[str], table: dict[str, str]) -> str | None:
    return next((table[word] for word in words if word in table), None)
