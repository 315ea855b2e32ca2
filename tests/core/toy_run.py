"""A small model of two stages in the registry's place."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dln.core.models.about import About
from dln.core.models.system import System, SystemModel
from dln.core.training.options import TrainOptions

from .toy_training import Toy


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...] = (2, 3)


@dataclass(frozen=True)
class Config:
    width: int = 16
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width is at least 1, not {self.width}")


class Model(SystemModel):
    def __init__(self, config: Config, reader: Any) -> None:
        super().__init__()
        self.config, self.reader = config, reader
        self.first, self.second = Toy().modules, Toy().modules


class Part(Toy):
    """A stage that trains one of the model's parts; `second` starts from `first`'s result."""

    def __init__(self, name: str, model: Model, events: list[str]) -> None:
        super().__init__(steps=6)
        self.batch = {"first": 6, "second": 8}[name]
        self.name, self.whole, self.events = name, model, events
        getattr(model, name).load_state_dict(self.modules.state_dict())
        setattr(model, name, self.modules)

    def prepare(self, cache: Path, on_event: Any) -> None:
        self.events.append(f"prepare {self.name}")
        if self.name == "second":
            self.modules.load_state_dict(self.whole.first.state_dict())

    def after_step(self, step: int, reduce: Any) -> None:
        super().after_step(step, reduce)
        if f"stop {self.name} {step}" in self.events:
            os.kill(os.getpid(), signal.SIGINT)

    def finish(self) -> None:
        self.events.append(f"finish {self.name}")


class World:
    """What stands in for the registry, the data and the package."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.fingerprint = "abc"
        self.cards: list[dict[str, Any]] = []

    def stages(self, model: Model, source: Any, options: TrainOptions) -> list[Part]:
        assert options.seed is not None
        return [Part(name, model, self.events) for name in ("first", "second")]

    def save_model(self, path: Path, model: Model, card: dict[str, Any]) -> None:
        self.cards.append(json.loads(json.dumps(card)))
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)

    def system(self) -> System:
        return Whole(self)


class Whole(System):
    """The toy as a system."""

    about = About("toy", "A toy", "regression", ("tiny", "small"))
    Config, PRESETS, Model = Config, {"tiny": Config(), "small": Config(width=32)}, Model

    def __init__(self, world: World) -> None:
        self.world = world

    def stages(self, model: Any, source: Any, options: TrainOptions) -> list[Any]:
        return self.world.stages(model, source, options)


def standing_in(monkeypatch: pytest.MonkeyPatch) -> World:
    """The toy instead of any model, and nothing to read."""
    world = World()
    source = SimpleNamespace(words=lambda: ["lion"], fingerprint=lambda: world.fingerprint,
                             report=None)  # fmt: skip
    system = world.system()
    for place in ("dln.core.runs.train", "dln.core.runs.build"):
        monkeypatch.setattr(f"{place}.load", lambda about: system)
    monkeypatch.setattr("dln.core.runs.train.find", lambda name: system.about)
    monkeypatch.setattr("dln.core.models.package.save_model", world.save_model)
    monkeypatch.setattr("dln.core.data.open_source", lambda spec, **asked: source)
    return world


def kept(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "model.safetensors")


def same(first: Path, second: Path) -> bool:
    return all(torch.equal(kept(second)[name], value) for name, value in kept(first).items())
