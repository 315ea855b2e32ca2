"""How much energy `dln carbon estimate` is asked about, and what that number rests on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dln.core.errors import UsageError

if TYPE_CHECKING:
    from dln.core.carbon.values import Spread
    from dln.core.runs.work import Work


@dataclass(frozen=True)
class Used:
    """kWh before PUE, how they came to be, and what else there is to say of them, for --json.

    hours: that the machines are reserved; steps: of a training; None where nothing tells them.
    """

    kwh: "Spread"
    how: str
    more: dict[str, Any] = field(default_factory=dict)
    hours: "Spread | None" = None
    steps: int | None = None


@dataclass(frozen=True)
class Asked:
    """The options as given."""

    kwh: float | None = None
    gpu: str | None = None
    gpus: int = 1
    hours: float | None = None
    machine: bool = False
    utilisation: float | None = None
    model: str | None = None
    preset: str | None = None
    steps: Sequence[str] = ()
    batch: int | None = None
    from_run: Path | None = None

    def used(self) -> Used:
        """UsageError where the options say too much or too little."""
        ways = {"--kwh": self.kwh, "--hours": self.hours, "--model": self.model,
                "--from-run": self.from_run}  # fmt: skip
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} each say how much energy: give one.")
        if self.model is None and (self.preset or self.steps or self.batch):
            raise UsageError("--preset, --steps and --batch belong to a --model.")
        if self.gpu is not None and self.hours is None and self.model is None:
            raise UsageError("--gpu needs --hours or a --model.", "--gpu H100 --gpus 8 --hours 36")
        if self.hours is not None and self.gpu is None:
            raise UsageError("--hours belong to a --gpu.", "--gpu H100 --gpus 8 --hours 36")
        if self.model is not None:
            return self._of_model(self.model)
        if self.gpu is not None and self.hours is not None:
            return self._of_devices(self.gpu, self.hours)
        return _of_run(self.from_run) if self.from_run else self._given()

    def _given(self) -> Used:
        from dln.core.carbon.values import MOST_KWH, Spread, within

        if self.kwh is None:
            others = "--kwh, --model, --from-run, or --gpu with --hours"
            return Used(Spread.exact(1.0), f"of one kWh, as none are given: {others}")
        return Used(Spread.exact(within(self.kwh, "--kwh", MOST_KWH)), "as given")

    @property
    def _load(self) -> "Spread":
        from dln.core.carbon.costs.energy import UTILISATION
        from dln.core.carbon.values import Spread

        return UTILISATION if self.utilisation is None else Spread.exact(self.utilisation)

    @property
    def _share(self) -> str:
        load = self._load
        most = f"{load.high:.0%}"
        share = most if load.low == load.high else f"{load.low:.0%} to {most}"
        return share.replace("%", " %") + " of the rated power"

    def _of_devices(self, gpu: str, hours: float) -> Used:
        from dln.core.carbon.costs.energy import of_devices
        from dln.core.carbon.values import Spread

        kwh = of_devices(gpu, self.gpus, hours, self.machine, self._load)
        how = f"estimated ({self._share}; {_told(gpu)})"
        return Used(kwh, how, _facts(gpu), Spread.exact(hours))

    def _of_model(self, model: str) -> Used:
        """The floating-point operations of a training over those that a device reaches."""
        from dln.core.carbon.costs.energy import REACHED, UNNAMED, hours_of, of_work

        found = self._work(model)
        flop = sum(stage.flop for stage in found)
        stages = [{"stage": w.stage, "steps": w.steps, "batch": w.batch, "flop": w.flop}
                  for w in found]  # fmt: skip
        more: dict[str, Any] = {"flop": flop, "stages": stages}
        hours = hours_of(flop, self.gpu) * (1 / self.gpus) if self.gpu else None
        if self.gpu and hours:
            more |= hours.to_json("hours") | _facts(self.gpu)
        devices = (
            _told(self.gpu) if self.gpu else f"{UNNAMED[0]} to {UNNAMED[-1]}, as no --gpu is given"
        )
        reached = f"{REACHED.low:.0%} to {REACHED.high:.0%}".replace("%", " %")
        how = f"estimated ({flop:.3g} FLOP at {reached} of the rate and {self._share}: {devices})"
        steps = sum(stage.steps for stage in found)
        return Used(of_work(flop, self.gpu, self.machine, self._load), how, more, hours, steps)

    def _work(self, model: str) -> "list[Work]":
        """The stages of the training, whose sizes can be counted with."""
        from dln.core.carbon.costs.energy import MOST_DEVICES, MOST_STEPS
        from dln.core.carbon.values import within
        from dln.core.models.registry import find

        from ..assign import parse_steps

        within(self.gpus, "--gpus", MOST_DEVICES, least=1)
        steps = parse_steps(self.steps)
        find(model).check_training(self.preset, *(steps if isinstance(steps, dict) else ()))
        counts = list(steps.values()) if isinstance(steps, dict) else [steps]
        for count in (*counts, self.batch):
            within(1 if count is None else count, "--steps and --batch each", MOST_STEPS, least=1)
        from dln.core.runs.work import work
        from dln.core.training.options import TrainOptions

        return work(model, TrainOptions(preset=self.preset, steps=steps, batch=self.batch))


def _told(gpu: str) -> str:
    """The device that the name is taken for, and those of its family that it is not."""
    from dln.core.carbon.costs.energy import device, siblings

    rest = " or ".join(f"{other.name} ({other.watts:g} W)" for other in siblings(gpu))
    return f"{device(gpu)}, not {rest}" if rest else str(device(gpu))


def _facts(gpu: str) -> dict[str, Any]:
    """The device that the name was taken for."""
    from dln.core.carbon.costs.energy import device

    found = device(gpu)
    return {"device": found.name, "device_watts": found.watts, "device_source": found.source}


def _of_run(path: Path) -> Used:
    """What a finished run's meter said, or guessed."""
    from dln.core.carbon.meter.emissions import Emissions
    from dln.core.carbon.values import Spread, is_metered

    run = Emissions.load(path)
    if run.kwh is None:
        raise UsageError(f"no energy was measured in {path}.", "another --from-run, or --kwh")
    parts = [f"{part} {how}" for part, how in run.power.items() if is_metered(how)]
    hours = Spread.exact(run.reserved_seconds / 3600)
    return Used(Spread.exact(run.kwh / run.pue), ", ".join(parts) or "not metered", hours=hours)
