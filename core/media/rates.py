"""Frame rates that the containers can tell."""

from fractions import Fraction

from ..errors import UsageError

LEAST_FPS, MOST_FPS = 0.01, 1000.0  # frames a second; Matroska's clock ticks a thousand times
MOST = {".gif": 50.0}  # browsers show what is to last less than two hundredths of a second slower
PLAIN, FINE = 1001, 100_000  # largest denominators: of 24000/1001 and its kin, and of the rest
EXACT = 1e-5  # of a rate, beyond which a plain fraction of it is too far off


def check_rate(fps: float, suffix: str) -> None:
    """UsageError for a rate that a file of this suffix (".gif") cannot tell."""
    most = most_rate(suffix)
    if LEAST_FPS <= fps <= most:
        return
    hint = "--out with .mp4" if LEAST_FPS <= fps <= MOST_FPS else f"--fps {most:g}"
    raise UsageError(f"a {suffix.lower()[1:]} has from {LEAST_FPS:g} to {most:g} frames a second, "
                     f"not {fps:g}", hint)  # fmt: skip


def most_rate(suffix: str) -> float:
    """Frames a second that a file of this suffix can tell."""
    return MOST.get(suffix.lower(), MOST_FPS)


def fraction_of(fps: float) -> Fraction:
    """The rate as whole numbers of frames in whole numbers of seconds."""
    plain = Fraction(fps).limit_denominator(PLAIN)
    return (
        plain if abs(plain / Fraction(fps) - 1) <= EXACT else Fraction(fps).limit_denominator(FINE)
    )
