"""Several processes, with DDP and with FSDP, against one; who reads which sample of shards."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

sys.path.append(str(Path(__file__).parent))
import families
from families import FAMILIES, TOYS, WAYS, losses
from toy_training import QUICK, Toy, rows, same, weights

from dln.core.errors import DlnError, UsageError
from dln.core.media.part import Part
from dln.core.runs.train import _joined
from dln.core.training.accelerator import create_accelerator, shares_out
from dln.core.training.batches import Batches
from dln.core.training.events import silent
from dln.core.training.journal import Progress
from dln.core.training.keeper import Keeper
from dln.core.training.parts import BUCKET, Parts
from dln.core.training.run import Run
from dln.core.training.stage import Stage
from dln.core.training.team import Team

PAGE = Path(__file__).parents[2] / "cli" / "guide" / "clusters.md"
HANG = 1800  # seconds; above what the slowest machine takes


def told(way: str) -> str:
    """The configuration of accelerate on the guide's page, for two processes."""
    pages = re.findall(r"^```yaml\n(.*?)^```\n", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    kind = {"ddp": "MULTI_GPU", "fsdp": "FSDP"}[way]
    (found,) = (text for text in pages if f"distributed_type: {kind}\n" in text)
    return re.sub(r"num_processes: \d+", "num_processes: 2", found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each family the runs `one` (trained here) and those of two processes, which are stopped
    and go on in every stage."""
    folder = tmp_path_factory.mktemp("families")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dln.core.training.session.Batches", families.Dealt)
        families.alone(folder)
    (folder / "fsdp.yaml").write_text(told("fsdp"))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file",
               str(folder / "fsdp.yaml"), families.__file__, str(folder)]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FAMILIES)
def test_two_processes_stopped_and_resumed_learn_what_one_learns(folder: Path, name: str, way: str):
    one, two = (Run.open(folder / name / each) for each in ("one", way))
    expected, found = losses(one), losses(two)
    stages = sorted(each.name for each in one.state.iterdir())
    assert len(expected) == len(found) == families.STEPS * len(stages)
    for a, b in zip(expected, found, strict=True):
        assert len(a) > 1
        assert b == pytest.approx(a, rel=1e-5, abs=1e-5)
    for stage in stages:
        ours, theirs = weights(one, stage), weights(two, stage)
        # Batch norm has its statistics of one process alone.
        shared = [n for n in ours if not n.endswith(("_mean", "_var", "num_batches_tracked"))]
        apart = [n for n in shared if not torch.allclose(ours[n], theirs[n], atol=1e-5)]
        assert not apart


@pytest.mark.parametrize("name", FAMILIES)
def test_fsdp_and_ddp_end_with_the_same_bits(folder: Path, ranks: list[dict[str, Any]], name: str):
    assert ranks[0][f"{name}/fsdp"] == ranks[0][f"{name}/ddp"]
    runs = [Run.open(folder / name / way) for way in WAYS]
    for stage in runs[0].state.iterdir():
        ours, theirs = (weights(run, stage.name) for run in runs)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", TOYS)
def test_evaluations_and_flat_minima_are_the_same_with_both(folder: Path, name: str):
    fsdp, ddp = (Run.open(folder / name / way) for way in WAYS)
    assert rows(fsdp) == rows(ddp)
    assert any("metrics" in row or row.get("trajectory") for row in rows(ddp)) or name == "sam"
    assert same(fsdp, ddp, TOYS[name][0]().name)


def test_the_processes_end_alike_and_share_out(ranks: list[dict[str, Any]]):
    assert ranks[0] == ranks[1]
    assert ranks[0]["asked"] == "true", "the guide's configuration asks for FSDP"
    numbers = sum(p.numel() for p in Toy().modules.parameters())
    assert ranks[0]["numbers/ddp"] == numbers
    assert numbers / 2 <= ranks[0]["numbers/fsdp"] < 0.6 * numbers


def test_the_guide_s_configurations_are_accelerate_s(tmp_path: Path):
    from accelerate.commands.config.config_args import load_config_from_file

    for way in WAYS:
        (tmp_path / way).write_text(told(way))
        assert vars(load_config_from_file(str(tmp_path / way)))["num_processes"] == 2


def test_offloading_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_OFFLOAD_PARAMS", "true")
    with pytest.raises(UsageError, match="fsdp_offload_params") as caught:
        create_accelerator("cpu")
    assert caught.value.hint


def test_one_process_has_nothing_to_share_out(monkeypatch: pytest.MonkeyPatch, accelerator: Any):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert not shares_out(accelerator)


def process(rank: int, world: int, **more: Any) -> Any:
    return SimpleNamespace(process_index=rank, num_processes=world, is_main_process=rank == 0,
                           device=torch.device("cpu"), **more)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), max_size=3).map(tuple), min_size=1, max_size=70),
    st.integers(1, 5),
)
def test_parts_make_a_whole(shapes: list[tuple[int, ...]], world: int):
    parameters = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    ranks = [Parts(parameters, process(rank, world)) for rank in range(world)]
    flats = [[part.detach() for part in each.of.values()] for each in ranks]

    def gather(flat: torch.Tensor) -> torch.Tensor:
        begin = next(n for n in range(0, len(shapes), BUCKET) if torch.equal(
            torch.cat(flats[0][n : n + BUCKET]), flat))  # fmt: skip
        return torch.cat([torch.cat(each[begin : begin + BUCKET]) for each in flats])

    vars(ranks[0].accelerator)["gather"] = gather
    found = ranks[0].whole(flats[0], [p.shape for p in parameters])
    assert all(torch.equal(a, b) for a, b in zip(found, parameters, strict=True))
    assert all(len(parts[0]) * world < p.numel() + world
               for *parts, p in zip(*flats, parameters, strict=True))  # fmt: skip


def test_a_process_that_does_not_write_has_saved_all_the_same(new_run: Any, accelerator: Any):
    """Else its clock would ask for a checkpoint at every step."""
    stage, run = Toy(), new_run()
    team = Team(stage, QUICK, run, accelerator)
    other = Keeper(stage, QUICK, run, process(1, 2), silent)
    began = other.time
    other.save(team, Progress(step=3))
    assert other.time > began
    assert not other.checkpoints.steps()


@pytest.mark.parametrize(("local", "kind"), [(True, DlnError), (False, UsageError)])
def test_another_machine_without_the_folder_says_so(tmp_path: Path, local: bool, kind: type):
    """A UsageError is shown by the first process alone."""
    with pytest.raises(DlnError) as caught:
        _joined(tmp_path / "run", process(1, 2, is_local_main_process=local))
    assert type(caught.value) is kind
    assert caught.value.hint


# Shards.


def tars(folder: Path, counts: list[int]) -> str:
    """Pictures with captions, so many in each tar."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (1, 2, 3)).save(picture, "PNG")
    for number, many in enumerate(counts):
        with tarfile.open(folder / f"{number:02}.tar", "w") as tar:
            for each in range(many):
                for name, data in (("png", picture.getvalue()), ("txt", b"a lion")):
                    info = tarfile.TarInfo(f"{number}-{each}.{name}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return "::".join(str(folder / f"{number:02}.tar") for number in range(len(counts)))


class Shown(Toy):
    """Samples of shards."""

    def __init__(self, source: Any, batch: int, steps: int) -> None:
        super().__init__(steps, batch, len(source))
        self.source = source

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, torch.Tensor]:
        frames = [self.source.frames(int(i), np.zeros(1), (8, 8))[0] for i in indices]
        return {"x": torch.from_numpy(np.stack(frames))}


def read_by(stage: Stage, rank: int, world: int, micro: int) -> Counter[str]:
    """How often a process opens which picture."""
    mine, opened = Counter[str](), Part.open

    def counted(part: Part, mode: str = "rb") -> Any:
        mine[part.name] += 1
        return opened(part, mode)

    with (
        pytest.MonkeyPatch.context() as patch,
        Batches(stage, 0, rank, world, micro, torch.device("cpu")) as batches,
    ):
        patch.setattr(Part, "open", counted)
        for step in range(stage.steps):
            batches.get(step)
    return mine


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 4), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 3),
    st.integers(1, 2),
)  # fmt: skip
def test_every_sample_of_shards_is_read_once_an_epoch_over_all_processes(
    tmp_path_factory: pytest.TempPathFactory, world: int, counts: list[int], each: int, micro: int
):
    """In whole epochs: so many steps that the batches end where an epoch does."""
    pytest.importorskip("webdataset")
    from dln.core.data.shards import Shards

    source = Shards(tars(tmp_path_factory.mktemp("tars"), counts))
    batch = world * each * micro
    stage = Shown(source, batch, steps=len(source))
    read = [read_by(stage, rank, world, micro) for rank in range(world)]
    total = sum(read, Counter[str]())
    assert len(total) == len(source) == sum(counts)
    assert set(total.values()) == {batch}, "that many epochs"
    assert all(mine.total() == stage.steps * batch // world for mine in read)
