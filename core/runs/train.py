"""From a model's name and options to a trained run: stages in order, then packaged weights."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..carbon.meter.recorder import Account, Place
from ..errors import DlnError, Interrupted, UsageError
from ..models.fields import unsaid
from ..models.registry import find, load
from ..training.accelerator import (
    create_accelerator,
    default_precision,
    first_here,
    shares_out,
)
from ..training.batches import step_seed
from ..training.contents import CONFIG, refuse_links
from ..training.events import Looked, Note, OnEvent, silent
from ..training.fit import check, fit
from ..training.options import TrainOptions, plain, recipe, with_defaults, with_stored
from ..training.pace import Pace
from ..training.run import Run
from ..training.settings import FitSettings
from ..training.stage import Stage
from ..training.state import Checkpoints
from .asked import adjust, flattened, selected, settings_of
from .best import package_best
from .build import build
from .metering import Metering
from .shares import planned
from .start import extended, open_start
from .tracking import Tracking, check_trackers

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ..data import Source
    from ..models.about import About
    from ..models.package import Loaded
    from ..models.system import SystemModel

__all__ = ["TrainOptions", "train"]


def train(
    name: str,
    options: TrainOptions,
    on_event: OnEvent,
    pace: Pace | None = None,
    place: Place | None = None,
    account: Account | None = None,
) -> Path:
    """Train model `name` in its run folder and return that folder.

    Between its steps it waits as long as `pace` says. Its energy goes into emissions.json, with
    the CO2e where `place` is given; `account` says what of it counts.
    Finished stages are loaded and skipped. model.safetensors appears once all are finished.
    UsageError for what was asked wrongly, Interrupted after Ctrl-C, Paused where `pace`
    leaves instead of waiting, DlnError for what failed.
    """
    about = find(name)
    check_trackers(options.track)
    accelerator = create_accelerator(options.device)
    path = Path(options.out) if options.out else Path("runs") / about.name
    main = accelerator.is_main_process
    tracking: Tracking | None = None
    metering = Metering(path, f"dln train {about.name}", place, on_event, account)
    try:
        listen = metering if main else silent
        if main and options.track:
            listen = tracking = Tracking(path, about.name, options.track, metering)
        _train(about, path, options, accelerator, listen, metering.paced(pace))
    except KeyboardInterrupt as error:
        if not os.path.exists(path / CONFIG):
            raise Interrupted(
                "stopped before it began; what it found out of files is kept"
            ) from error
        raise Interrupted(
            "stopped at once; the last checkpoint is kept",
            hint=Run(path, {"model": about.name}).resume_command,
        ) from error
    finally:
        if tracking:
            tracking.close()
        metering.close()
    return path


def _train(
    about: About,
    path: Path,
    options: TrainOptions,
    accelerator: Accelerator,
    on_event: OnEvent,
    pace: Pace | None,
) -> None:
    from ..data import open_source

    options = resolved(about, path, options, accelerator)
    with first_here(accelerator):  # what it finds out of files is kept in the cache
        source = open_source(
            str(options.data),
            seed=options.seed or 0,
            on_progress=lambda done, total, what: on_event(Looked(done, total, what)),
            wordless=about.wordless,
        )
    start = open_start(options.start_from, about.name) if options.start_from else None
    model = begun(about, options, source, start).to(accelerator.device)
    stages = load(about).stages(model, source, options)
    adjust(stages, options)
    with accelerator.main_process_first():
        table = {
            "model": about.name,
            "options": recipe(options),
            "overrides": options.config,
            "config": plain(model.config),
            "data": {"fingerprint": source.fingerprint()},
            "start": {"sha256": start.sha256} if start else {},
        }
        run = _open_run(about, path, table, options, accelerator)
    refuse_links(run.path)
    with run.locked(accelerator.is_main_process):
        if accelerator.is_main_process:
            run.config |= table
            run.write_config()
        if source.report and (told := source.report.summary()):
            on_event(Note(told))
        computes = f"device {accelerator.device}, precision {options.precision}"
        if accelerator.num_processes > 1:
            computes += f", {accelerator.num_processes} processes"
        if shares_out(accelerator):
            computes += " that share out optimisers and averages (FSDP)"
        on_event(Note(f"{computes}, seed {options.seed or 0}"))
        if accelerator.is_main_process:
            chosen = selected(stages, options.stage, run)
            on_event(planned(about, options, source, chosen, run))
        _train_stages(stages, options, run, accelerator, on_event, pace)
        if accelerator.is_main_process:
            _package(model, stages, run, options, on_event)
        accelerator.wait_for_everyone()


def resolved(
    about: About, path: Path, options: TrainOptions, accelerator: Accelerator
) -> TrainOptions:
    """With what the run in `path` was begun with, or the defaults."""
    if options.resume:
        run = Run.open(path)
        stored = with_stored(options, about.name, run)
        return replace(stored, config=_begun_with(about, run) or stored.config)
    preset = None if options.start_from else about.default_preset
    return with_defaults(options, preset, about.data, default_precision(accelerator.device))


def _begun_with(about: About, run: Run) -> dict[str, Any]:
    """Every field of the configuration that the run began with: presets and defaults may be others
    by now. Nothing where its record has none. UsageError for a damaged one."""
    from ..models.package import rebuild

    named, kind = run.config.get("config"), load(about).Config
    if not named:
        return {}
    try:
        return shallow(rebuild(kind, named))
    except (UsageError, ValueError, TypeError, ArithmeticError, AttributeError) as error:
        raise UsageError(
            f"the [config] of {run.path / CONFIG} cannot be used: {error}",
            hint="start another run with --out",
        ) from error


def shallow(config: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, nested ones as they are."""
    return {field.name: getattr(config, field.name) for field in fields(config)}


def begun(about: About, options: TrainOptions, source: Source, start: Loaded | None) -> SystemModel:
    """The model as its training begins, drawn from the seed or from weights there are."""
    torch.manual_seed(options.seed or 0)
    if start is None:
        return build(about, options.preset, options.config, source)
    return extended(load(about), start.model, options.config, source)


def _train_stages(
    stages: list[Stage],
    options: TrainOptions,
    run: Run,
    accelerator: Accelerator,
    on_event: OnEvent,
    pace: Pace | None,
) -> None:
    """Those that are asked for, one after the other, once the numbers of all fit together."""
    settings, chosen = settings_of(options), selected(stages, options.stage, run)
    for stage in chosen:
        if not Checkpoints(run.state / stage.name).finished():
            check(stage, settings, accelerator.num_processes)
    for stage in chosen:
        own = flattened(stage, chosen, settings)
        _train_stage(stage, own, run, accelerator, on_event, pace)


def _train_stage(
    stage: Stage,
    settings: FitSettings,
    run: Run,
    accelerator: Accelerator,
    on_event: OnEvent,
    pace: Pace | None,
) -> None:
    """Load the stage's result, or make it."""
    checkpoints = Checkpoints(run.state / stage.name)
    finished = checkpoints.finished()
    if finished:
        try:
            stage.modules.load_state_dict(checkpoints.load_final())
        except RuntimeError as error:
            raise UsageError(
                f"the result in {checkpoints.folder} belongs to another configuration",
                hint="start another run with --out",
            ) from error
        if accelerator.is_main_process:
            checkpoints.tidy()
        stage.modules.eval()
        on_event(Note(f"stage '{stage.name}' is finished ({finished['steps']} steps)"))
        return
    torch.manual_seed(step_seed(settings.seed, f"{stage.name}/prepare", 0, 0))
    with accelerator.main_process_first():
        stage.prepare(run.cache, on_event)
    fit(stage, settings, run, accelerator, on_event, pace)


def _open_run(
    about: About,
    path: Path,
    table: dict[str, Any],
    options: TrainOptions,
    accelerator: Accelerator,
) -> Run:
    """The run: new, or one whose model and data are still the same."""
    if not accelerator.is_main_process:
        return _joined(path, accelerator)
    if not options.resume:
        return Run.create(path, table, force=options.force)
    run = Run.open(path)
    # Named are all fields that there were, but what is None.
    named, meant = run.config.get("config", {}), plain(unsaid(load(about).Config))
    run.config["config"] = meant | named
    table["overrides"] = run.config.get("overrides", {})
    fixed = {"config": "the configuration", "data": "the data", "start": "what it starts from"}
    for key, what in fixed.items():
        if run.config.get(key, {}) != table[key]:
            raise UsageError(
                f"{what} of {path} changed since the run began",
                hint="choose another folder with --out",
            )
    return run


def _joined(path: Path, accelerator: Accelerator) -> Run:
    """The run that the main process has opened. DlnError, which is shown, on another machine that
    does not see its folder."""
    try:
        return Run.open(path)
    except UsageError as error:
        if not accelerator.is_local_main_process:
            raise
        raise DlnError(
            f"{socket.gethostname()} finds no run in {path}, where the first machine has it",
            hint="--out in a folder that all machines share",
        ) from error


def _package(
    model: SystemModel, stages: list[Stage], run: Run, options: TrainOptions, on_event: OnEvent
) -> None:
    """model.safetensors with its card, once every stage is finished."""
    from ..models.package import save_model

    results = {stage.name: Checkpoints(run.state / stage.name).finished() for stage in stages}
    done = {name: result for name, result in results.items() if result}
    if len(done) < len(stages) and not run.config.get("start"):
        missing = next(name for name in results if name not in done)
        on_event(Note(f"next: {run.resume_command} --stage {missing}"))
        return
    card = _card(run, options, done)
    save_model(run.weights, model, card)
    package_best(model, stages, run, card, on_event)


def _card(run: Run, options: TrainOptions, results: dict[str, Any]) -> dict[str, Any]:
    """What the weights say about themselves."""
    packages = ("dln", "torch", "accelerate", "numpy")
    return {
        "model": run.config["model"],
        "recipe": recipe(options) | {"config": plain(run.config.get("overrides", {}))},
        "data": {"name": options.data} | run.config["data"],
        "start": run.config.get("start") or None,
        "steps": {name: result["steps"] for name, result in results.items()},
        "seconds": {name: result["seconds"] for name, result in results.items()},
        "metrics": {name: result["metrics"] for name, result in results.items()},
        "seed": options.seed,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
    }
