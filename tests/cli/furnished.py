"""What the manual's lines speak of: somebody's videos, pictures and songs, weights and runs."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

from dln.cli.main import run
from dln.core.data import open_source
from dln.core.media.clip import Clip
from dln.core.media.video import write_clip
from dln.core.models.package import save_model
from dln.core.models.registry import find
from dln.core.runs.build import build

from ..core.snapshots import pickled, snapshot
from ..core.test_published_cogview2 import checkpoint
from ..core.test_published_long_video_gan import theirs

RATE = 44_100
STORY = """1
00:00:00,500 --> 00:00:01,000
lion drinking

2
00:00:01,000 --> 00:00:02,000
cat dancing in the snow
"""
# Of which model each run is, and what it learnt from.
RUNS = {
    "mine": ("cogvideo", "menagerie"),
    "other": ("cogvideo", "menagerie"),
    "cogvideo": ("cogvideo", "menagerie"),
    "pictures": ("cogview2", "menagerie"),
    "sky": ("stylegan-v", "vistas,camera=still"),
    "ride": ("long-video-gan", "vistas,camera=ride"),
    "land": ("nuwa-infinity", "vistas,camera=still"),
    "resnet": ("resnet", "digits"),
}
# Of few weights too, and pixels as at `tiny`, which a line tells a place in.
AS_LARGE = {"cogview2": {"image_size": 64, "positions": 73}}
BEHIND = {"make": "Makefile", "onnx": "exports/cogvideo-fp32"}  # what other words ask for


class Pantry:
    """Files by the names that lines give them, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        picture = {name: still for name in ("photo.png", "lake.jpg", "painting.jpg", "lion.png")}
        self.makers: dict[str, Callable[[Path], Any]] = {
            **picture,
            "my-videos": told,
            "clips": videos,
            "holiday": videos,
            "lion.mp4": moving,
            "lion-drinking-7.mp4": moving,
            "penguin.gif": moving,
            "story.srt": lambda path: path.write_text(STORY),
            "song.mp3": song,
            "model.onnx": graph,
            "sky.pkl": lambda path: path.write_bytes(pickled(snapshot()[0])),
            "low.pkl": lambda path: path.write_bytes(pickled(theirs()[0][0])),
            "super.pkl": lambda path: path.write_bytes(pickled(theirs()[0][1])),
            "dsr.pt": lambda path: torch.save(checkpoint("dsr", 0), path),
            "itersr.pt": lambda path: torch.save(checkpoint("itersr", 1), path),
            "grid.csv": lambda path: path.write_text(three_years()),
            "trained": trained,
            "Makefile": lambda path: path.write_text("all:\n"),
            "exports/cogvideo-fp32": exported,
            "mine-onnx": lambda path: shutil.copytree(self["exports/cogvideo-fp32"], path),
            **{f"runs/{name}": partial(self.ran, *made) for name, made in RUNS.items()},
        }

    def __getitem__(self, name: str) -> Path:
        """Where it lies."""
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.makers[name](path)
        return path

    def lay(self, names: Iterable[str]) -> None:
        """Copies of those that are known, into the working folder, where they are not there."""
        for word in names:
            name = BEHIND.get(word, word.removesuffix("/best.safetensors"))
            if name in self.makers and not os.path.exists(name):
                os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
                copy = shutil.copytree if self[name].is_dir() else shutil.copyfile
                copy(self[name], name)

    def weights(self, model: str, data: str = "menagerie") -> Path:
        """So few of this model that it takes a moment."""
        path = self.folder / "weights" / f"{model}-{data}.safetensors"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            torch.manual_seed(0)
            sizes = MICRO[model] | AS_LARGE.get(model, {})
            made = build(find(model), None, sizes, open_source(data))
            learnt = {"data": {"name": data}, "recipe": {"data": data}}
            save_model(path, made, {"model": model, **learnt})
        return path

    def ran(self, model: str, data: str, path: Path) -> None:
        """A run as trainings leave them, with weights of another model."""
        shutil.copytree(self["trained"], path)
        for name in ("model", "best"):
            shutil.copyfile(self.weights(model, data), path / f"{name}.safetensors")
        config = path / "config.toml"
        config.write_text(config.read_text().replace("toy-gan", model))


def trained(path: Path) -> None:
    dln("train", "toy-gan", "--steps", "2", "--region", "norway", "--out", str(path))


def exported(path: Path) -> None:
    """By what the pages say: of the weights that come along."""
    dln("export", "--out", str(path))


def dln(*line: str) -> None:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said:
        assert run(line) == 0, said.getvalue()


def clip() -> Clip:
    rng = np.random.default_rng(0)
    ground = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), np.uint8), 8, 0), 8, 1)
    return Clip(np.stack([np.roll(ground, step, 1) for step in range(16)]), 4.0)


def moving(path: Path) -> None:
    write_clip(clip(), path)


def still(path: Path) -> None:
    Image.fromarray(clip().frames[0]).save(path)


def videos(path: Path) -> None:
    path.mkdir()
    for name in ("lion", "cat"):
        moving(path / f"{name}.mp4")


def told(path: Path) -> None:
    """With a caption for each."""
    videos(path)
    for video in list(path.iterdir()):
        video.with_suffix(".txt").write_text(f"{video.stem} drinking")


def song(path: Path) -> None:
    """A second of a tone, as an mp3."""
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("mp3", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)


def graph(path: Path) -> None:
    """A graph of one operator, whose first dimension is called batch."""
    import onnx
    from onnx import helper

    shape = ["batch", 4]
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xy")
    made = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]), path)


def three_years() -> str:
    """Hours of a grid whose evenings are dirtier, as a csv."""
    begin, hour = datetime(2021, 1, 1, tzinfo=UTC), timedelta(hours=1)
    rows = [f"{(begin + i * hour).isoformat()},{200 + 100 * (i % 24 > 12)}" for i in range(26280)]
    return "\n".join(["timestamp_utc,gco2_per_kwh", *rows, ""])
