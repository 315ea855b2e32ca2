"""What things are made of: the colour of each material in each season."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .country import SEASONS, Vista
from .noise import Floats, drawn

# One colour for all seasons, or one each for winter, spring, summer and autumn.
_COLOURS: dict[str, str] = {
    "grass": "e6edf7 86b64e 74a044 b49a50",
    "grass light": "d4dfee a8cc62 94b450 cca856",
    "grass dark": "b8c6de 5c9040 4c7c38 8a7a42",
    "flower": "eef2fa e8b8d0 e2604e c87848",
    "pine": "3e5a52 3c6a48 30583c 3c5a3a",
    "pine light": "5c7a72 5c8c58 4c7a4e 5c7a4a",
    "leaf": "8a7c78 7cb850 568e44 d47030",
    "leaf light": "a09490 a4d468 78b054 f0b040",
    "rock": "6a6c78 78747e 7a747a 7c7270",
    "rock light": "8c8e9c a09a9e a29a9a a49690",
    "far": "94a2ba 687e96 647890 707488",
    "snow": "f4f7ff",
    "sand": "e8eaf2 eacf9c eacf9c e2c492",
    "sand light": "f4f6fc f4dfb4 f4dfb4 ecd4a8",
    "dune": "e2b27c e2a868 e2a868 d89c60",
    "dune light": "f0c890 f2c484 f2c484 e8b878",
    "dune dark": "b88a64 b87c50 b87c50 ae744c",
    "mesa": "b06a4c b4603e b4603e a85a3e",
    "mesa light": "c88860 cc7c50 cc7c50 c0744e",
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
    "path": "c4ccdc c0a070 c4a474 a88660",
    "mud": "929aae 84705a 86725a 7c6450",
    "field": "e2e9f4 9cc058 e0c060 b08a4c",
    "reed": "b8a880 88a04c 7c9444 b8984c",
    "asphalt": "7c8290 606066 606066 5c5c62",
    "dark": "2c2a30",
    "pebble": "aab2c0 a49a8c a49a8c 9c9080",
}
_FLOWERS = ("e6bcd8", "f0d848", "e86850", "b48ad8", "f4f0e4")


@lru_cache(maxsize=512)
def _colour(name: str, season: str) -> Floats:
    choices = _COLOURS[name].split()
    code = choices[SEASONS.index(season)] if len(choices) > 1 else choices[0]
    return np.array([int(code[at : at + 2], 16) for at in (0, 2, 4)], np.float32) / 255


def colour(name: str, vista: Vista) -> Floats:
    """(3,) in 0 to 1; what grows is a little warmer or cooler from country to country."""
    if name == "flower" and vista.season in ("spring", "summer"):
        code = _FLOWERS[int(drawn(vista.seed, 60) * len(_FLOWERS))]
        return np.array([int(code[at : at + 2], 16) for at in (0, 2, 4)], np.float32) / 255
    plain = _colour(name, vista.season)
    if vista.winter or not name.startswith(("grass", "leaf", "dune", "mesa", "field", "rock")):
        return plain
    warm = 0.1 * (drawn(vista.seed, 61) - 0.5)
    return np.clip(plain * np.array((1 + warm, 1, 1 - 1.5 * warm), np.float32), 0, 1)
