"""What things are made of: the colour of each material in each season."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .country import SEASONS, Vista
from .noise import Floats, drawn

# One colour for all seasons, or one each for winter, spring, summer and autumn.
_COLOURS: dict[str, str] = {
    "grass": "e6edf7 8cc050 6c9c40 b49a50",
    "grass light": "d4dfee b0d868 8cac4c cca856",
    "grass dark": "b8c6de 66a044 467436 8a7a42",
    "flower": "eef2fa e8b8d0 e2604e c87848",
    "pine": "3e5a52 42724c 2e563a 46603a",
    "pine light": "5c7a72 66985c 48784a 6a804a",
    "leaf": "8a7c78 84c054 4e8a40 d47030",
    "leaf light": "a09490 aedc6c 72ac50 f0b040",
    "blossom": "f0c4cc",
    "blossom light": "fbe4e8",
    "rock": "6a6c78 78747e 7a747a 7c7270",
    "rock light": "8c8e9c a09a9e a29a9a a49690",
    "far": "94a2ba 687e96 647890 707488",
    "snow": "f4f7ff",
    "sand": "e8eaf2 e4d8ac f0d090 d4b488",
    "sand light": "f4f6fc eee6c4 f8e2ac e0c8a0",
    "dune": "e6ccae dcb47c eaa858 c88450",
    "dune light": "f2dec6 eccc96 f8c474 dca26c",
    "dune dark": "c0a488 b08858 c08048 9c6240",
    "mesa": "b48070 b06a4c be6638 9c5038",
    "mesa light": "d0a898 cc8c64 d88448 b86e4c",
    "cactus": "4c8050",
    "cactus light": "78a868",
    "wood": "5c463a 644a3a 644a3a 644838",
    "birch": "dcdad4",
    "wall": "dcc8a8 ecd8b4 ecd8b4 e4ceaa",
    "wall dark": "a88c70 b89a78 b89a78 b0926e",
    "roof": "e8edf8 b0483a b0483a a84838",
    "thatch": "e8edf8 96784e 96784e 8e6e48",
    "white": "f4f0e8",
    "red": "c8402e",
    "path": "c4ccdc c4a878 c8a472 a88660",
    "mud": "929aae 84705a 86725a 7c6450",
    "field": "e2e9f4 9cc058 e0c060 b08a4c",
    "reed": "b8a880 90a850 94a044 b8984c",
    "asphalt": "7c8290 606066 606066 5c5c62",
    "dark": "2c2a30",
    "pebble": "aab2c0 a49a8c a49a8c 9c9080",
}
# Of one country, what blooms is of one colour.
_FLOWERS = {"spring": ("f2c4dc", "f4f0f4", "c0a0e4"), "summer": ("f0d040", "e85c44", "f08c34")}


@lru_cache(maxsize=512)
def _colour(name: str, season: str) -> Floats:
    choices = _COLOURS[name].split()
    code = choices[SEASONS.index(season)] if len(choices) > 1 else choices[0]
    return _parsed(code)


def _parsed(code: str) -> Floats:
    return np.array([int(code[at : at + 2], 16) for at in (0, 2, 4)], np.float32) / 255


def colour(name: str, vista: Vista) -> Floats:
    """(3,) in 0 to 1; what grows is a little warmer or cooler from country to country."""
    if name == "flower" and vista.season in _FLOWERS:
        choices = _FLOWERS[vista.season]
        return _parsed(choices[int(drawn(vista.seed, 60) * len(choices))])
    plain = _colour(name, vista.season)
    if vista.winter or not name.startswith(("grass", "leaf", "dune", "mesa", "field", "rock")):
        return plain
    warm = 0.1 * (drawn(vista.seed, 61) - 0.5)
    return np.clip(plain * np.array((1 + warm, 1, 1 - 1.5 * warm), np.float32), 0, 1)
