"""Sound files for the cases to spoil, made by the program itself."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
from contextlib import chdir, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dln.cli.main import run

TOYS = ("toy-gan", "toy-stream", "toy-classes", "toy-pieces")
STILL = "picture"


class Pantry:
    """A folder of sound files, read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, bytes] = {}

    def __getitem__(self, name: str) -> bytes:
        if name not in self._held:
            self._held[name] = (self.folder / name).read_bytes()
        return self._held[name]

    def json(self, name: str) -> Any:
        return json.loads(self[name])

    def text(self, name: str) -> str:
        return self[name].decode()

    def tree(self, name: str) -> dict[str, bytes]:
        """Every file of a folder, by its path with the folder's name."""
        paths = sorted(path for path in (self.folder / name).rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


def fill(folder: Path) -> Pantry:
    """Make everything. Takes some seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    with chdir(folder):
        weights()
        published()
        with redirect_stdout(io.StringIO()):
            clips()
            data()
            trainings()
            exports()
            carbon()
    return Pantry(folder)


def dln(*argv: str) -> None:
    code = run([*argv, "--quiet"])
    assert code == 0, (argv, code)


def weights() -> None:
    """The toys', and those of a text-to-video model so small that a clip takes a moment."""
    import sys

    import torch

    from dln.core.data import open_source
    from dln.core.models.package import save_model
    from dln.core.models.registry import find
    from dln.core.runs.build import build

    sys.path.append(str(Path(__file__).parents[1]))
    from micro import MICRO  # pyright: ignore[reportMissingImports]

    source = open_source("menagerie", count=6)
    for name in (*TOYS, "video-diffusion", "recognizer"):
        torch.manual_seed(0)
        model = build(find(name), None, MICRO.get(name, {}), source)
        save_model(
            Path(f"{name}.safetensors"), model, {"model": name, "data": {"name": "menagerie"}}
        )


def published() -> None:
    """What others publish: a training's snapshot, and torch's files of both formats."""
    import torch

    from ..core.snapshots import pickled, snapshot

    held, _ = snapshot()
    del held["D"]  # most of the bytes, and all of them numbers
    Path("theirs.pkl").write_bytes(pickled(held))
    for name, archive in (("archive.pt", True), ("stream.pt", False)):
        torch.save({"module": {"weight": torch.arange(6.0)}, "step": 3}, name,
                   _use_new_zipfile_serialization=archive)  # fmt: skip


def clips() -> None:
    for name, suffix in (("toy-gan", "mp4"), ("toy-gan", "gif"), ("toy-gan", "png"),
                         ("toy-stream", "webm"), ("toy-pieces", "png")):  # fmt: skip
        out = f"{name}.{suffix}"
        asked = ("--frames", "2") if name != "toy-pieces" else ()
        dln("generate", "--model", f"{name}.safetensors", "--seed", "1", "--native", *asked,
            "--out", out)  # fmt: skip


def data() -> None:
    """Videos and pictures with what is said of them, as folders and as a tar."""
    from PIL import Image

    dln("data", "render", "clips", "--count", "2", "--size", "16", "--fps", "4", "--seed", "1")
    rows = list(csv.DictReader(Path("clips/metadata.csv").read_text().splitlines()))
    lines = [json.dumps(row) for row in rows]
    Path("metadata.jsonl").write_text("\n".join(lines) + "\n")
    shade = Image.effect_noise((20, 14), 60)
    for name in ("png", "jpg", "gif", "webp", "bmp", "tiff"):
        shade.convert("RGB").save(f"{STILL}.{name}")
    with tarfile.open("shard.tar", "w") as tar:
        for number, row in enumerate(rows):
            tar.add(f"clips/{row['file_name']}", f"{number}.mp4")
            caption = tarfile.TarInfo(f"{number}.txt")
            caption.size = len(row["text"].encode())
            tar.addfile(caption, io.BytesIO(row["text"].encode()))


class Stopped(Exception):
    """As if the power went."""


def trainings() -> None:
    """A finished run and one that was cut off after a checkpoint."""
    from dln.core.runs.train import train
    from dln.core.training.events import Saved
    from dln.core.training.options import TrainOptions

    dln("train", "toy-gan", "--steps", "1", "--region", "norway", "--out", "finished")

    def stop(event: object) -> None:
        if isinstance(event, Saved) and event.step == 2:
            raise Stopped

    with suppress(Stopped):
        train("toy-gan", TrainOptions(out="halted", steps=3, batch=2, checkpoint_every=1), stop)
    assert Path("halted/state").is_dir()


def exports() -> None:
    dln("export", "toy-gan.safetensors", "--out", "exported")


def carbon() -> None:
    """Plans, records, reports and measured hours."""
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    dln("carbon", "schedule", "--region", "gb", "--start", begin.isoformat(), "--out", "plan.json")
    dln("carbon", "report", "finished", "--out", "figures")
    Path("hours.csv").write_text(measured(datetime(2022, 6, 1, tzinfo=UTC), timedelta(hours=1), 96))
    Path("years.csv").write_text(
        measured(datetime(2021, 1, 1, tzinfo=UTC), timedelta(days=1), 1095)
    )


def measured(begin: datetime, step: timedelta, count: int) -> str:
    rows = [f"{(begin + i * step).isoformat()},{200 + 10 * (i % 7)}" for i in range(count)]
    return "\n".join(["timestamp_utc,gco2_per_kwh", *rows, ""])


def ready(folder: Path) -> Pantry:
    """Filled once for every process that works there."""
    mark = folder / "ready"
    if not mark.exists():
        fill(folder)
        mark.touch()
    return Pantry(folder)


def systems() -> None:
    """Lets the registry find the toys; before anything of dln's is imported."""
    toys = str(Path(__file__).parents[1] / "systems")
    if toys not in os.environ.get("DLN_MODELS", "").split(os.pathsep):
        os.environ["DLN_MODELS"] = os.pathsep.join(
            filter(None, (toys, os.environ.get("DLN_MODELS")))
        )
