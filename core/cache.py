"""Where this user's copies of what can be made again are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of all of them; not made here."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    root = Path(base) if base else Path.home() / ".cache"
    return root / "dln"
