"""What `dln train --dry-run` says: the options as given, the configuration they lead to, and what
the training will take in hours, memory, disk, energy and CO2e."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from dln.core.text.rows import rows_of

from .costs import Costs
from .progress import progress
from .show import Result, facts

if TYPE_CHECKING:
    from dln.core.carbon.meter.recorder import Account, Place
    from dln.core.models.about import About
    from dln.core.progress import OnProgress
    from dln.core.runs.costs import Forecast
    from dln.core.training.options import TrainOptions


def intention(
    spec: "About", options: "TrainOptions", place: "Place | None", account: "Account | None"
) -> Result:
    """The costs first. place, account: as the training would have them."""
    from dln.core.data import sizes_of
    from dln.core.models.registry import load
    from dln.core.runs.build import resolve_config
    from dln.core.training.options import plain

    preset = options.preset or spec.default_preset
    with progress() as shown:
        samples, classes = sizes_of(options.data or spec.data, shown, spec.wordless)
        config = resolve_config(load(spec), preset, options.config)
        found = foreseen(spec, options, account, shown)
    if classes and hasattr(config, "classes"):
        config = replace(config, classes=classes, names=())
    configuration = plain(config)
    asked = {name: value for name, value in plain(asdict(options)).items() if value not in ({}, [])}
    asked |= {"preset": preset, "clips": samples}
    flat = memory(spec, options, config, samples)
    costs = Costs(found, place, account) if found else None
    data = {"dry_run": True, "model": spec.name, "options": asked, "configuration": configuration}
    data |= flat | (costs.data() if costs else {"hours": None})
    absent = ("hours", f"not known: {options.data or spec.data} is not here")
    rows = [*(costs.rows() if costs else [absent]), *rows_of(asked), *rows_of(configuration),
            *rows_of(flat)]  # fmt: skip
    return Result(data, facts(rows, spec.title), [str(options.out)])


def foreseen(
    spec: "About", options: "TrainOptions", account: "Account | None", shown: "OnProgress"
) -> "Forecast | None":
    """None for data that are known by name and are not here."""
    from os.path import isdir

    from dln.core.data import KNOWN
    from dln.core.runs.forecast import forecast

    data = options.data or spec.data
    if data in KNOWN and not isdir(data):
        return None
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
