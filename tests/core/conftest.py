"""Videos as other tools would write them, and trainings of the toy."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

if TYPE_CHECKING:
    from accelerate import Accelerator

    from dln.core.training.run import Run

    from .toy_run import World

MakeVideo = Callable[..., Path]


def encode_video(
    path: Path,
    frames: np.ndarray,
    codec: str,
    fps: float = 10,
    pix_fmt: str = "yuv420p",
    starts: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """frames: uint8 (T, H, W, 3), shown at `starts` seconds (evenly at `fps` when None)."""
    clock = Fraction(1, 1000) if starts else 1 / Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options or {}))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pix_fmt
        stream.codec_context.time_base = clock
        if codec in ("mpeg4", "mjpeg"):
            stream.codec_context.bit_rate = 4_000_000
        for place, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
            frame.pts = round(starts[place] * 1000) if starts else place
            frame.time_base = clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def make_video() -> MakeVideo:
    return encode_video


@pytest.fixture
def accelerator() -> "Accelerator":
    """This process alone, on the CPU."""
    from accelerate import Accelerator

    return Accelerator(cpu=True)


@pytest.fixture
def new_run(tmp_path: Path) -> "Callable[..., Run]":
    """The folder of a new training by its name."""
    from dln.core.training.run import Run

    return lambda name="run": Run.create(tmp_path / name, {"model": "toy"})


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """20 steps of the toy that nothing has disturbed."""
    from accelerate import Accelerator

    from dln.core.training.events import silent
    from dln.core.training.fit import fit
    from dln.core.training.run import Run

    from .toy_training import QUICK, Toy

    run = Run.create(tmp_path_factory.mktemp("whole") / "run", {"model": "toy"})
    fit(Toy(), QUICK, run, Accelerator(cpu=True), silent)
    return run


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> "World":
    """A small model of two stages in the registry's place, and its data."""
    from .toy_run import standing_in

    return standing_in(monkeypatch)


@pytest.fixture
def go(world: "World", tmp_path: Path) -> Callable[..., Path]:
    """Train it with some options in tmp_path/run unless told otherwise."""
    from dln.core.runs.train import train
    from dln.core.training.events import silent
    from dln.core.training.options import TrainOptions

    def go(on_event: Any = silent, place: Any = None, **options: Any) -> Path:
        options = {"out": tmp_path / "run", "device": "cpu", "precision": "fp32"} | options
        return train("toy", TrainOptions(**options), on_event, place=place)

    return go
