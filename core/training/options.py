"""What the user asks of a training, resolved against presets and an earlier session."""

import dataclasses
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from reprlib import repr as short
from typing import Any

from ..door import fits
from ..errors import UsageError
from .contents import CONFIG
from .run import Run
from .sharpness import parse

_DEFAULTS: dict[str, Any] = {
    "data": "menagerie",
    "seed": 0,
    "compile": False,
    "accumulate": 1,
    "sharpness": "none",
    "checkpoint_every": None,
    "evaluate_every": None,
}
_MOST = {"steps": 10**12, "batch": 10**6, "lr": 10**6, "seed": 2**63 - 1, "workers": 1024}
_SESSION = ("out", "resume", "force", "stage", "device", "workers", "config", "track")


@dataclass(frozen=True)
class TrainOptions:
    """What the user asked for; None takes the run's value when resuming, else the default.

    `steps` is one number for every stage or {stage: steps}; `batch` is the global batch, `lr` the
    learning rate of every player or {player: rate}; in both "" stands for the rest. `config`
    overrides fields of the preset; `start_from` names the weights to begin from, which bring their
    own configuration. `optimizer` is adamw or sgd; `sharpness` as sharpness.parse reads it; `track`
    names trackers that hear of this session.
    """

    data: str | None = None
    preset: str | None = None
    start_from: str | None = None
    stage: str | None = None
    steps: dict[str, int] | int | None = None
    batch: int | None = None
    lr: dict[str, float] | float | None = None
    seed: int | None = None
    out: Path | str | None = None
    resume: bool = False
    force: bool = False
    device: str = "auto"
    precision: str | None = None
    compile: bool | None = None
    accumulate: int | None = None
    checkpoint_every: int | None = None
    evaluate_every: int | None = None
    workers: int | None = None
    optimizer: str | None = None
    sharpness: str | None = None
    track: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "lr"):
            given = getattr(self, name)
            for value in given.values() if isinstance(given, dict) else (given,):
                if value is not None and not 0 < value <= _MOST[name]:
                    wish = f"at most {_MOST[name]:,}" if value > 0 else "above 0"
                    raise UsageError(f"--{name} must be {wish}, not {short(value)}")
        for name in ("seed", "accumulate", "checkpoint_every", "evaluate_every", "workers"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= _MOST.get(name, _MOST["steps"]):
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} is from 0 to {_MOST.get(name, _MOST['steps']):,}")
        if self.optimizer not in (None, "adamw", "sgd"):
            raise UsageError(f"the optimizer is adamw or sgd, not {self.optimizer!r}")
        parse(self.sharpness)
        if self.start_from and self.preset:
            raise UsageError(f"the size is that of {self.start_from}: leave out --preset")


def with_defaults(
    options: TrainOptions, preset: str | None, data: str, precision: str
) -> TrainOptions:
    """Every None that has a default takes it; the model says its preset and its data."""
    defaults = _DEFAULTS | {"preset": preset, "data": data, "precision": precision}
    unset = {k: v for k, v in defaults.items() if getattr(options, k) is None}
    return dataclasses.replace(options, **unset)


def with_stored(options: TrainOptions, model: str, run: Run) -> TrainOptions:
    """The run's recipe; flags given now win, but the model and the data stay what they are."""
    if run.config.get("model") != model:
        raise UsageError(f"{run.path} is a run of {run.config.get('model')}, not {model}")
    options_then = run.config.get("options", {})
    fits(TrainOptions, options_then, f"the [options] of {run.path / CONFIG}")
    stored = _DEFAULTS | options_then
    overrides = run.config.get("overrides", {})
    for name, given, kept in (
        ("--preset", options.preset, stored.get("preset")),
        ("--data", options.data, stored.get("data")),
        ("--start-from", options.start_from, stored.get("start_from")),
        ("configuration", options.config or None, overrides),
    ):
        if given is not None and plain(given) != plain(kept):
            raise UsageError(
                f"the run was started with {name} {kept}, not {given}",
                hint="leave it out, or start another run with --out",
            )
    names = {f.name for f in dataclasses.fields(TrainOptions)} - set(_SESSION)
    kept = {k: v for k, v in stored.items() if k in names and getattr(options, k) is None}
    for name in ("steps", "lr"):
        given, before = getattr(options, name), stored.get(name)
        if isinstance(given, dict) and before is not None:
            kept[name] = (before if isinstance(before, dict) else {"": before}) | given
    return dataclasses.replace(options, **kept, config=overrides)


def recipe(options: TrainOptions) -> dict[str, Any]:
    """What decides the result, without where and when it was trained; None is left out."""
    return {k: v for k, v in plain(options).items() if k not in _SESSION}


def plain(value: Any) -> Any:
    """`value` as it comes back from JSON: tuples as lists, paths as text, None left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items() if v is not None}
    return json.loads(json.dumps(value, default=str))
