"""How a long task tells how far it is."""

from collections.abc import Callable

OnProgress = Callable[[int, int, str], None]  # done, of how many, of what


def unheard(done: int, total: int, what: str) -> None:
    """Progress for nobody."""
