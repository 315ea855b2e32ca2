"""A console in this process, and stand-ins for the parts of core that need weights or time."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dln.cli.main import run
from dln.core.errors import MissingCapability, UsageError
from dln.core.media.clip import Clip


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
class Request:
    prompt: str
    seed: int
    frames: int | None = None
    fps: float | None = None
    guidance: float | None = None
    temperature: float | None = None
    top_p: float | None = None


def spec(name: str, text: bool, generates: bool = True) -> SimpleNamespace:
    return SimpleNamespace(
        name=name, module="", title=f"The {name} model", paper="A paper (2022)", text=text,
        task="text to video" if generates else "recognition", presets=("tiny", "paper"),
        default_preset="tiny", bundled=None, generates=generates,
    )  # fmt: skip


MODELS = {
    "cogvideo": spec("cogvideo", text=True),
    "stylegan-v": spec("stylegan-v", text=False),
    "recognizer": spec("recognizer", text=False, generates=False),
}


@dataclass
class FakeCore:
    """What the fakes were asked, and what they shall answer."""

    requests: list[Request] = field(default_factory=list)
    engines: list[Any] = field(default_factory=list)
    trainings: list[Any] = field(default_factory=list)
    paces: list[Any] = field(default_factory=list)
    places: list[Any] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    raises: BaseException | None = None
    notes: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> SimpleNamespace:
        if name not in MODELS:
            raise UsageError(f"no model {name!r}.", "dln models list")
        return MODELS[name]

    def load_model(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(spec=self.find(name), sha256="0" * 64)

    def generate(
        self, loaded, request: Request, *, engine: Any, device: str, on_progress
    ) -> SimpleNamespace:
        self.requests.append(request)
        self.engines.append(engine)
        if self.raises:
            raise self.raises
        on_progress(1, 1, "tokens")
        clip = Clip(np.full((request.frames or 2, 16, 16, 3), request.seed % 256, np.uint8), 8.0)
        receipt = {"schema": "dln-receipt-1", "seed": request.seed}
        seconds = {"load": 0.1, "sample": 0.2, "decode": 0.05}
        return SimpleNamespace(clip=clip, receipt=receipt, notes=self.notes, seconds=seconds)

    def generate_best(self, loaded, request: Request, count: int, **options: Any) -> Any:
        """Candidate i has the seed of the request and i more; the second one wins."""
        made = [self.generate(loaded, replace(request, seed=request.seed + number), **options)
                for number in range(count)]  # fmt: skip
        told = [SimpleNamespace(seed=request.seed + i, score=-abs(i - 1)) for i in range(count)]
        return SimpleNamespace(**vars(made[1]), candidates=told, winner=1)

    def open_engine(self, name: str, *asked: Any, on_note, folder) -> Any:
        raise MissingCapability(f"the engine {name} is not here.", "pip install it")

    def train(
        self,
        name: str,
        options: Any,
        on_event: Callable[[Any], None],
        pace: Any = None,
        place: Any = None,
    ) -> Path:
        from dln.core.training.events import Evaluated, Finished, Note, Saved, Started, Stepped

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

    def evaluate(
        self, loaded, *, count: int, seed: int, held_out, settings, device, engine, i3d, best_of,
        on_progress,
    ) -> dict[str, Any]:  # fmt: skip
        self.engines.append(engine)
        asked = {"count": count, "seed": seed, "held_out": held_out, "settings": settings}
        self.evaluations.append(asked | {"i3d": i3d, "best_of": best_of})
        on_progress(count, count, "clips")
        return self.metrics

    def coherence(self, loaded, *, frames: int, **asked: Any) -> dict[str, Any]:
        asked.pop("on_progress")(1, 1, "clips")
        self.evaluations.append({"frames": frames, **asked})
        return self.metrics

    def minimum(self, loaded, count: int, seed: int, device: str, on_progress) -> tuple[Any, Any]:
        self.evaluations.append({"count": count, "seed": seed, "device": device})
        line = np.linspace(-1, 1, 5)
        return self.metrics, {"classifier": (line, line**2)}


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    fake = FakeCore()

    def stand_in(name: str, **contents: Any) -> None:
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)

    stand_in("dln.core.models.registry", MODELS=MODELS, find=fake.find)
    stand_in("dln.core.models.package", Loaded=object, load_model=fake.load_model)
    stand_in(
        "dln.core.generation.generate", Request=Request, generate=fake.generate, pick_device=str
    )
    stand_in("dln.core.generation.best", generate_best=fake.generate_best, named=str)
    stand_in("dln.export.open", open_engine=fake.open_engine)
    stand_in("dln.core.metrics.alignment", evaluate=fake.evaluate)
    stand_in("dln.core.metrics.coherence", coherence=fake.coherence)
    stand_in("dln.core.metrics.minimum", evaluate=fake.minimum)
    return fake


@pytest.fixture
def training(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    from dln.core.runs import train

    monkeypatch.setattr(train, "train", core.train)
    return core
