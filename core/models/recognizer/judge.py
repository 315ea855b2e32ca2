"""The one recognizer that judges generated clips, loaded once."""

from functools import lru_cache

from ..package import Loaded, load_model

JUDGED = ("actor", "action", "scene")


@lru_cache(maxsize=1)
def load_judge() -> Loaded:
    """The bundled recognizer. MissingCapability where its weights are not installed."""
    return load_model("recognizer")
