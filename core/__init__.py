"""What `from dln.core import ...` gives: one door for programs and notebooks.

Each name is fetched when it is first asked for, so that importing any part of core stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Clip, generate, load, train, verify
    from .errors import DlnError, MissingCapability, UsageError

    __version__: str

__all__ = [
    "Clip",
    "DlnError",
    "MissingCapability",
    "UsageError",
    "__version__",
    "generate",
    "load",
    "train",
    "verify",
]
_ERRORS = ("DlnError", "MissingCapability", "UsageError")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("dln")
    else:
        found = getattr(import_module(".errors" if name in _ERRORS else ".api", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
