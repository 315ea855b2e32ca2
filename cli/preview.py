"""A clip playing in the terminal: Kitty or Sixel where the terminal has them, else half blocks."""

import sys
import time
from typing import TYPE_CHECKING

from .show import console

if TYPE_CHECKING:
    from dln.core.media.clip import Clip

MAX_COLUMNS = 48
# The modules of textual-image: what each draws by, and what only it sends.
PROTOCOLS = {
    "tgp": ("Kitty's graphics protocol", "\U0010eeee"),
    "sixel": ("Sixel", "\x1bP"),
    "halfcell": ("half blocks", "▀"),
    "unicode": ("letters", " "),
}
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def can_play() -> bool:
    """Whether stdin and stdout are a terminal that draws in colour (it is asked what it can do)."""
    if not (sys.stdout.isatty() and sys.stdin is not None and sys.stdin.isatty()):
        return False
    screen = console(sys.stdout)
    return screen.color_system is not None and not screen.no_color and not screen.is_dumb_terminal


def play(clip: "Clip", loops: int = 2) -> None:
    """Show the clip `loops` times at its own pace and leave its last frame there.

    Ctrl-C ends the showing, not the command.
    """
    pictures = drawn(clip)
    try:
        sys.stdout.write(HIDE_CURSOR)
        loop(pictures, 1 / clip.fps, loops)
    except KeyboardInterrupt:
        sys.stdout.write("\x1b[0m\n")
    finally:
        sys.stdout.write(SHOW_CURSOR)
        sys.stdout.flush()


def loop(pictures: list[str], pause: float, loops: int) -> None:
    """Write the pictures over each other, each `pause` seconds after the one before."""
    back = f"\x1b[{pictures[0].count(chr(10))}A\r"
    due = time.monotonic()
    for shown in range(loops * len(pictures)):
        sys.stdout.write((back if shown else "") + pictures[shown % len(pictures)])
        sys.stdout.flush()
        due += pause
        time.sleep(max(0.0, due - time.monotonic()))


def drawn(clip: "Clip") -> list[str]:
    """Each frame as the text that draws it, a fixed number of lines, ending with a line feed."""
    import logging

    from PIL.Image import fromarray
    from textual_image.renderable import Image

    # It takes a usual size of letters where the terminal tells none, and need not say so.
    logging.getLogger("textual_image").setLevel(logging.ERROR)
    screen = console(sys.stdout)
    height, width = clip.frames.shape[1:3]
    columns = columns_for(width / height, screen.width, screen.height)
    return [text(Image(fromarray(frame), width=columns, height="auto")) for frame in clip.frames]


def sample() -> tuple[str, str, str]:
    """By which protocol the terminal is sent pictures, how that begins, and what it is sent for a
    small one."""
    import numpy as np
    from textual_image.renderable import Image

    from dln.core.media.clip import Clip

    rows = np.linspace(0, 255, 16, dtype=np.uint8)[None, :, None, None]
    frame = np.broadcast_to(rows, (1, 16, 32, 3)) // np.array([1, 2, 3], np.uint8)
    protocol, begins = PROTOCOLS[Image.__module__.rpartition(".")[2]]
    return protocol, begins, drawn(Clip(frame, 1.0))[0]


def columns_for(aspect: float, columns: int, rows: int) -> int:
    """How many columns a picture of this aspect may take, with cells twice as high as wide."""
    return max(1, min(columns, MAX_COLUMNS, int((rows - 2) * 2 * aspect)))


def text(renderable) -> str:
    """What the terminal of stdout would be sent to draw this."""
    screen = console(sys.stdout, pictures=True)
    with screen.capture() as captured:
        screen.print(renderable, end="")
    return captured.get()
