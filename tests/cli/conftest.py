"""A console in this process, in front of the real core: only what takes minutes is stood in for,
behind the signatures of the real functions."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "export"))
import toy_export  # pyright: ignore[reportMissingImports]

from dln.cli.main import run
from dln.core.errors import MissingCapability
from dln.core.generation import generate
from dln.core.media.stream import Stream
from dln.core.metrics import clips, coherence, minimum
from dln.core.models import locate, package
from dln.core.models.registry import MODELS
from dln.core.runs import train
from dln.core.training.events import Evaluated, Finished, Note, Saved, Started, Stepped
from dln.export import open as engines


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The object on stdout; fails where there is more than one document."""
        return json.loads(self.out)


Dln = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dln(capsys: pytest.CaptureFixture[str]) -> Dln:
    """dln("models", "list") -> Outcome(code, out, err)."""

    def call(*args: str) -> Outcome:
        capsys.readouterr()
        code = run(args)
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@dataclass
class Core:
    """What core was asked, and what shall come of it.

    Models have the few weights of a toy, with which generation is the real one. Trainings and
    evaluations answer at once, and there is no engine but PyTorch.
    """

    toy_weights: Callable[[str], Path]
    requests: list[Any] = field(default_factory=list)
    trainings: list[Any] = field(default_factory=list)
    paces: list[Any] = field(default_factory=list)
    places: list[Any] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    raises: BaseException | None = None
    metrics: dict[str, Any] = field(default_factory=dict)

    def load_model(self, name: str) -> package.Loaded:
        """A toy in the place of a model's own weights; a file or a run is what it is."""
        if name not in MODELS:
            return LOAD_MODEL(name)
        about, card = MODELS[name], {"data": {"name": "menagerie"}}
        few = toy() if about.task == "text-to-video" else LOAD_MODEL(self.toy_weights(name))
        return replace(few, about=about, card=card, bundled=True)

    def stream(self, loaded, request, **options: Any) -> generate.Streaming:
        self.requests.append(request)
        if self.raises:
            raise self.raises
        made = STREAM(loaded, request, **options)
        clip = made.stream.clip()
        short = clip.frames[: request.frames or 2]  # less to encode
        return replace(made, stream=Stream.of(replace(clip, frames=short)))

    def open_engine(self, name: str, *asked: Any, **options: Any) -> Any:
        raise MissingCapability(f"the engine {name} is not here.", "pip install it")

    def train(self, name, options, on_event, pace=None, place=None, account=None) -> Path:
        self.trainings.append(options)
        self.paces.append(pace)
        self.places.append(place)
        if self.raises:
            raise self.raises
        run = Path(options.out)
        run.mkdir(parents=True, exist_ok=True)
        on_event(Note("device cpu"))
        on_event(Started("tokenizer", 0, 2, 10, 1000))
        on_event(Stepped("tokenizer", 2, 2, 0.5, {"gradient": 1.0}, 3.0, 0.0))
        on_event(Evaluated("tokenizer", 2, {"psnr": 21.0}))
        on_event(Saved("tokenizer", 2, run / "state"))
        on_event(Finished("tokenizer", 2, 1.5, {"psnr": 21.0}))
        (run / "model.safetensors").touch()
        return run

    def evaluate(self, loaded, on_progress, **asked: Any) -> dict[str, Any]:
        self.evaluations.append(asked)
        on_progress(1, 1, "clips")
        return self.metrics

    def minimum(self, loaded, count: int, seed: int, device: str, on_progress) -> tuple[Any, Any]:
        self.evaluations.append({"count": count, "seed": seed, "device": device})
        line = np.linspace(-1, 1, 5)
        return self.metrics, {"classifier": (line, line**2)}

    def bundled(self, about) -> Path:
        """The weights of a toy lie with those that are shipped."""
        return BUNDLED(about) if about.bundled else self.toy_weights(about.name)


LOAD_MODEL, STREAM, BUNDLED = package.load_model, generate.stream, locate.bundled


@cache
def toy() -> package.Loaded:
    return toy_export.loaded()


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch, toy_weights: Callable[[str], Path]) -> Core:
    stands_in = Core(toy_weights)
    for module, name, function in (
        (package, "load_model", stands_in.load_model),
        (locate, "bundled", stands_in.bundled),
        (generate, "stream", stands_in.stream),
        (engines, "open_engine", stands_in.open_engine),
        (clips, "evaluate", stands_in.evaluate),
        (coherence, "coherence", stands_in.evaluate),
        (minimum, "evaluate", stands_in.minimum),
        (train, "train", stands_in.train),
    ):
        # a call that the real function would not take fails here too
        checked = create_autospec(getattr(module, name), side_effect=function)
        monkeypatch.setattr(module, name, checked)
    return stands_in


@pytest.fixture
def training(core: Core) -> Core:
    return core
