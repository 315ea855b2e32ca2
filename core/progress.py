"""How a long task tells how far it is."""

from collections.abc import Callable

OnProgress = Callable[[int, int, str], None]  # done, of how many, of what


def unheard(done: int, total: int, what: str) -> None:
    """Progress for nobody."""


def counted(on_progress: OnProgress, total: int, what: str) -> Callable[[], None]:
    """Tells one more of `total` at each call."""
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        on_progress(done, total, what)

    return tell
