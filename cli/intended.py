"""What `dln train --dry-run` says: the options as given, the configuration they lead to, and what
the training will take in hours, memory, disk, energy and CO2e."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from dln.core.text.rows import rows_of

from .costs import Costs
from .progress import progress
from .show import Result, facts, screen

if TYPE_CHECKING:
    from dln.core.carbon.meter.recorder import Account, Place
    from dln.core.carbon.plan.threshold import Schedule
    from dln.core.models.about import About
    from dln.core.progress import OnProgress
    from dln.core.runs.costs import Forecast
    from dln.core.training.options import TrainOptions


def intention(
    spec: "About",
    options: "TrainOptions",
    place: "Place | None",
    account: "Account | None",
    schedule: "Schedule | None",
) -> Result:
    """The costs first. place, account, schedule: as the training would have them."""
    from dln.core.training.options import plain

    preset, data = options.preset or spec.default_preset, options.data or spec.data
    with progress() as shown:
        config, samples = sized(spec, preset, data, options, shown)
        found = foreseen(spec, options, account, shown) if is_here(data) else None
    configuration = plain(config)
    asked = {name: value for name, value in plain(asdict(options)).items() if value not in ({}, [])}
    asked |= {"preset": preset, "clips": samples}
    flat = memory(spec, options, config, samples)
    costs = Costs(found, place, account, schedule) if found else None
    told = {"dry_run": True, "model": spec.name, "options": asked, "configuration": configuration}
    told |= flat | (costs.data() if costs else {"hours": None})
    absent = ("hours", f"not known: {data} is not here")
    given = {name: value for name, value in asked.items() if value is not False}
    given["in the data"] = f"{given.pop('clips'):,} samples"  # of which a model may take fewer
    rows = [*(costs.rows() if costs else [absent]), *rows_of(given),
            *detail(preset, configuration, flat, bool(options.sharpness))]  # fmt: skip
    return Result(told, facts(rows, spec.title), [str(options.out)])


def detail(
    preset: str, configuration: dict[str, Any], flat: dict[str, Any], sharp: bool
) -> Iterator[tuple[str, str]]:
    """Of a model's many settings how many there are, lest they push the costs off the screen; all
    with --verbose. sharp: whether what flat minima take was asked for."""
    if screen.verbose:
        yield from rows_of(configuration)
    else:
        count = sum(1 for _ in rows_of(configuration))
        yield "configuration", f"{count} settings of preset {preset}: --verbose lists them"
    every = screen.verbose or sharp
    yield from rows_of(flat if every else {"parameters": flat["parameters"]})


def is_here(data: str) -> bool:
    """Whether it can be opened: of some data sets the sizes are known where they are not."""
    from os.path import isdir

    from dln.core.data import KNOWN

    return data not in KNOWN or isdir(data)


def sized(
    spec: "About", preset: str, data: str, options: "TrainOptions", shown: "OnProgress"
) -> tuple[Any, int]:
    """The configuration that the data lead to, and how many samples they are. A classifier's is
    without the names of its classes, which are many."""
    from dln.core.data import KNOWN, open_source
    from dln.core.models.registry import load
    from dln.core.runs.build import configured, resolve_config

    system, classes = load(spec), None
    if is_here(data):
        source = open_source(data, on_progress=shown, wordless=spec.wordless)
        config, samples = configured(system, preset, options.config, source), len(source)
    else:
        config, (samples, classes) = resolve_config(system, preset, options.config), KNOWN[data]
    if hasattr(config, "names"):
        config = replace(config, classes=classes or config.classes, names=())
    return config, samples


def foreseen(
    spec: "About", options: "TrainOptions", account: "Account | None", shown: "OnProgress"
) -> "Forecast":
    """What the training will take."""
    from dln.core.runs.forecast import forecast

    return forecast(spec.name, options, account.scope if account else "machine", shown)


def memory(spec: "About", options: "TrainOptions", config: Any, samples: int) -> dict[str, Any]:
    """What --sharpness holds beside plain training, and what each method would; null where the
    loss has no logits of a sample."""
    from dln.core.training.sharpness import METHODS, parse

    chosen = parse(options.sharpness)
    parameters, outputs = counted(spec, config)
    every = {
        method: None if method == "saf" and outputs is None
        else replace(chosen, method=method).memory_mib(samples, outputs or 0, parameters)
        for method in METHODS
    }  # fmt: skip
    return {
        "parameters": parameters,
        "sharpness_memory_mib": every[chosen.method],
        "sharpness_memory_mib_by_method": every,
    }


def counted(spec: "About", config: Any) -> tuple[int, int | None]:
    """Parameters, and logits a sample in the stage that has most; no memory is spent on them."""
    import torch

    from dln.core.models.registry import load
    from dln.core.runs.build import made

    with torch.device("meta"):
        model = made(load(spec), config, [])
    return sum(parameter.numel() for parameter in model.parameters()), model.outputs
