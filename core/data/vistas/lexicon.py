"""The words of the captions and what each of them names."""

from __future__ import annotations

import re

Words = tuple[str, ...]
Forms = tuple[tuple[str, str], ...]

# "a", "the" or "" and what follows; adjectives come between.
ENGLISH_PLACES: dict[str, Forms] = {
    "mountains": (("", "mountains"), ("", "high mountains"), ("a", "mountain valley")),
    "lake": (("a", "mountain lake"), ("a", "lake in the mountains"), ("a", "lake")),
    "river": (("a", "mountain river"), ("a", "river between mountains"), ("a", "river")),
    "forest": (("a", "forest"), ("", "woods")),
    "desert": (("a", "desert"), ("a", "sandy desert")),
    "coast": (("a", "sea coast"), ("a", "beach"), ("a", "seashore")),
    "village": (("a", "village"), ("a", "small village")),
    "meadow": (("a", "meadow"), ("", "meadows")),
}
# The first word of a ride, by what it follows.
ENGLISH_RIDES: dict[str, Words] = {
    "road": ("riding through", "driving through", "a road through"),
    "track": ("riding through", "a track through", "a dirt road through"),
    "river": ("drifting down", "boating down", "down"),
}
ALONG = ("riding along", "driving along", "a road along")  # coasts
ENGLISH_SEASONS: dict[str, tuple[Words, Words]] = {  # adjectives, phrases
    "winter": (("snowy", "winter"), ("in winter", "under snow")),
    "spring": (("spring",), ("in spring",)),
    "summer": (("summer",), ("in summer",)),
    "autumn": (("autumn",), ("in autumn", "in the fall")),
}
ENGLISH_WEATHERS: dict[str, tuple[Words, Words]] = {
    "clear": ((), ("under a clear sky", "in clear weather")),
    "cloudy": (("cloudy",), ("under clouds", "under a cloudy sky")),
    "fog": (("foggy", "misty"), ("in the fog", "in mist")),
    "rain": (("rainy",), ("in the rain",)),
    "snow": ((), ("in a snowfall", "during a snowfall")),
}
# Any time; and, of dawn and dusk, what is said while the sun is up and while it is not.
ENGLISH_TIMES: dict[str, Words] = {
    "night": ("at night", "by night"),
    "dawn": ("in the morning", "in the early morning"),
    "dawn up": ("at sunrise",),
    "dawn down": ("at dawn", "before sunrise"),
    "day": ("by day", "in daylight"),
    "noon": ("at noon",),
    "dusk": ("in the evening",),
    "dusk up": ("at sunset",),
    "dusk down": ("at dusk", "after sunset"),
}

# What is said, and the form of an adjective before it: of a place, and of what a ride follows.
RUSSIAN_PLACES: dict[str, Forms] = {
    "mountains": (("горы", "pl"), ("горная долина", "f")),
    "lake": (("горное озеро", "n"), ("озеро в горах", "n"), ("озеро", "n")),
    "river": (("горная река", "f"), ("река в горах", "f"), ("река", "f")),
    "forest": (("лес", "m"), ("густой лес", "m")),
    "desert": (("пустыня", "f"), ("песчаная пустыня", "f")),
    "coast": (("морской берег", "m"), ("берег моря", "m"), ("побережье", "n")),
    "village": (("деревня", "f"), ("село", "n")),
    "meadow": (("луг", "m"), ("луга", "pl")),
}
# Words before the place, the place as they ask for it, and its adjective's form.
RUSSIAN_RIDES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "mountains": (("через", "горы", "pl"), ("по", "горной долине", "fd")),
    "river": (("вниз по", "горной реке", "fd"), ("вниз по", "реке в горах", "fd")),
    "forest": (("через", "лес", "m"), ("через", "густой лес", "m")),
    "desert": (("через", "пустыню", "fa"), ("через", "песчаную пустыню", "fa")),
    "coast": (("вдоль", "морского берега", "mg"), ("вдоль", "побережья", "mg")),
    "village": (("через", "деревню", "fa"), ("через", "село", "n")),
    "meadow": (("через", "луг", "m"), ("через", "луга", "pl")),
}
RUSSIAN_WAYS: dict[str, Words] = {
    "road": ("едем", "дорога", "поездка"),
    "track": ("едем", "просёлок", "дорога"),
    "river": ("плывём", "на лодке", ""),
}
# Stems whose endings are hard (снежный) or soft (осенний), and phrases.
RUSSIAN_SEASONS: dict[str, tuple[Words, Words]] = {
    "winter": (("заснеженн+", "зимн-"), ("зимой", "под снегом")),
    "spring": (("весенн-",), ("весной",)),
    "summer": (("летн-",), ("летом",)),
    "autumn": (("осенн-",), ("осенью",)),
}
RUSSIAN_WEATHERS: dict[str, tuple[Words, Words]] = {
    "clear": ((), ("под ясным небом", "в ясную погоду")),
    "cloudy": (("пасмурн+",), ("под облаками", "в пасмурную погоду")),
    "fog": (("туманн+",), ("в тумане",)),
    "rain": (("дождлив+",), ("под дождём", "в дождь")),
    "snow": ((), ("в снегопад", "во время снегопада")),
}
RUSSIAN_TIMES: dict[str, Words] = {
    "night": ("ночью",),
    "dawn": ("утром", "ранним утром"),
    "dawn up": ("на восходе",),
    "dawn down": ("на рассвете", "перед восходом"),
    "day": ("днём",),
    "noon": ("в полдень",),
    "dusk": ("вечером",),
    "dusk up": ("на закате",),
    "dusk down": ("в сумерках", "после заката"),
}
# m: его вид; f, n, pl likewise; fa: accusative and fd: dative of f, mg: genitive of m.
_ENDINGS = {
    "+": {"m": "ый", "f": "ая", "n": "ое", "pl": "ые", "fa": "ую", "fd": "ой", "mg": "ого"},
    "-": {"m": "ий", "f": "яя", "n": "ее", "pl": "ие", "fa": "юю", "fd": "ей", "mg": "его"},
}

# The word by which a place is known; the first that a caption holds counts, so that a lake in the
# mountains is a lake.
_PLACES = {
    "river": "river реке река",
    "lake": "lake озеро",
    "village": "village деревня деревню село",
    "coast": "coast beach seashore берег берега побережье побережья",
    "desert": "desert пустыня пустыню",
    "forest": "forest woods лес",
    "meadow": "meadow meadows луг луга",
    "mountains": "mountains mountain горы горная горной",
}
_SEASONS = {
    "winter": "snowy winter snow зимой снегом",
    "spring": "spring весной",
    "summer": "summer летом",
    "autumn": "autumn fall осенью",
}
_WEATHERS = {
    "clear": "clear ясным ясную",
    "cloudy": "cloudy clouds облаками",
    "fog": "foggy misty fog mist тумане",
    "rain": "rainy rain дождем дождь",
    "snow": "snowfall снегопад снегопада",
}
_TIMES = {
    "night": "night ночью",
    "dawn": "morning sunrise dawn утром восходе рассвете восходом",
    "day": "day daylight noon днем полдень",
    "dusk": "evening sunset dusk вечером закате сумерках заката",
}


def words_of(text: str) -> list[str]:
    """Lower case, punctuation dropped, split on spaces, ё written as е."""
    return re.sub(r"[^\w\s]", "", text.lower()).replace("ё", "е").split()


def bent(stem: str, form: str) -> str:
    """A Russian adjective in one of the forms above."""
    return stem[:-1] + _ENDINGS[stem[-1]][form]


def forms(stem: str) -> list[str]:
    """All forms of a Russian adjective."""
    return [bent(stem, form) for form in _ENDINGS[stem[-1]]]


def _told(table: dict[str, str], stems: dict[str, tuple[Words, Words]] | None = None) -> dict:
    """Word -> what it names, in the order in which they count."""
    found = {word: key for key, words in table.items() for word in words.split()}
    for key, (adjectives, _) in (stems or {}).items():
        found |= {word: key for stem in adjectives for word in forms(stem)}
    return found


_INDEX = {
    "place": _told(_PLACES),
    "season": _told(_SEASONS, RUSSIAN_SEASONS),
    "weather": _told(_WEATHERS, RUSSIAN_WEATHERS),
    "time": _told(_TIMES),
}


def describe(text: str) -> dict[str, str | None]:
    """Reads a prompt: {"place", "season", "weather", "time"}, None for what is not named."""
    words = set(words_of(text))
    return {
        slot: next((key for word, key in table.items() if word in words), None)
        for slot, table in _INDEX.items()
    }
