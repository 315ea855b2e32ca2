"""What training tells its caller: `core` prints nothing, the caller shows these."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Looked:
    """`done` of `total` files or tars have been looked at, before a stage begins; of all of them
    where it ends."""

    done: int
    total: int
    what: str


@dataclass(frozen=True)
class Share:
    """A stage within its run: its steps, how many of them are done, and what one costs beside one
    of another stage."""

    stage: str
    steps: int
    done: int
    cost: float


@dataclass(frozen=True)
class Planned:
    """All that a run will do, in order, before the first of its stages begins."""

    stages: tuple[Share, ...]


@dataclass(frozen=True)
class Started:
    """A stage begins, or goes on at `step`."""

    stage: str
    step: int
    steps: int
    samples: int
    parameters: int


@dataclass(frozen=True)
class Stepped:
    """A log interval has passed: means over it, `rate` in samples/s, `eta` in seconds. told: those
    of `stats` that are shown while it trains, by their headings."""

    stage: str
    step: int
    steps: int
    loss: float
    stats: dict[str, float] = field(default_factory=dict)
    rate: float = 0.0
    eta: float = 0.0
    told: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Going:
    """Between two log intervals, from the first step on and then now and then: the mean loss since
    the last of them, `rate` and `eta` as in Stepped."""

    stage: str
    step: int
    steps: int
    loss: float
    rate: float
    eta: float


@dataclass(frozen=True)
class Evaluated:
    """Metrics of the averaged weights, and the contact sheet where there is one."""

    stage: str
    step: int
    metrics: dict[str, float]
    sheet: Path | None = None


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on the disk."""

    stage: str
    step: int
    path: Path


@dataclass(frozen=True)
class Note:
    """A sentence the user should read."""

    text: str


@dataclass(frozen=True)
class Finished:
    """A stage is done; `seconds` of training over all its sessions."""

    stage: str
    steps: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)


Event = Looked | Planned | Started | Going | Stepped | Evaluated | Saved | Note | Finished
OnEvent = Callable[[Event], None]


def silent(event: Event) -> None:
    """For processes beside the main one, and callers who do not listen."""
