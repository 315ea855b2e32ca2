"""The recognizers that judge generated clips, each loaded once."""

from functools import lru_cache

from ...errors import MissingCapability
from ..package import Loaded, load_model

JUDGED = ("actor", "action", "scene")
JUDGES = {"menagerie": "recognizer", "vistas": "recognizer-vistas"}  # their weights, by the world


def load_judge(data: str = "menagerie") -> Loaded:
    """The bundled recognizer of a world, or of data that are of one: "vistas,camera=ride".

    MissingCapability where its weights are not installed, and for data that none was taught.
    """
    name = JUDGES.get(data.partition(",")[0])
    if name is None:
        raise MissingCapability(
            f"no recognizer that comes along knows what {data} shows, but {' and '.join(JUDGES)}"
        )
    return _loaded(name)


_loaded = lru_cache(maxsize=len(JUDGES))(load_model)
