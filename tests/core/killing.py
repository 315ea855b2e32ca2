"""Kills trainings at every point at which they touch the disk, one point after the other.

As a script: `killing.py FOLDER TOY ...` trains each toy three times. FOLDER/TOY/whole is left
alone. In FOLDER/TOY/early one process after the other dies, each at a later point after its start,
in FOLDER/TOY/late each at a later point after the last step, until one survives. Prints, for each
toy, at which kinds of point they died.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch._dynamo  # the first optimiser would import it in every child
from accelerate import Accelerator

sys.path.append(str(Path(__file__).parent))
from toy_classes import SAF, Classes
from toy_classes import settings as with_sharpness
from toy_systems import SYSTEMS, stage_of
from toy_training import QUICK, Toy
from toy_videos import Videos

from dln.core.training import state
from dln.core.training.events import Event, Saved, Started
from dln.core.training.fit import fit
from dln.core.training.run import Run
from dln.core.training.settings import FitSettings
from dln.core.training.stage import Stage

WRITES = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "shutil.rmtree")
PLAIN = replace(QUICK, checkpoint_every=2, log_every=2, evaluate_every=3, workers=2)
EPOCHS = with_sharpness(replace(SAF, start=0, lag=1), checkpoint_every=4)


class Case(NamedTuple):
    """A stage, its steps, how it is trained, and how far apart the points are that kill it."""

    make: Callable[[], Stage]
    steps: int
    settings: FitSettings
    apart: int = 7


CASES = {
    "two players": Case(lambda: Toy(noise=0.1), 5, PLAIN, apart=1),
    "history": Case(Classes, 11, EPOCHS),
    "videos": Case(partial(Videos, batch=4), 6, PLAIN),
}
CASES |= {n: Case(partial(stage_of, n), 6, replace(PLAIN, accumulate=2)) for n in SYSTEMS}


class Points:
    """Counts the points at which this process is about to change something in `folder`, and kills
    it at the last one."""

    def __init__(self, folder: Path, last: int, tell: int, armed: bool) -> None:
        """tell: where the kind of the last point is written. armed: whether points count."""
        self.folder, self.left, self.tell, self.armed = str(folder), last, tell, armed
        sys.addaudithook(self.audit)
        save = state.save_file

        def halved(tensors: dict[str, Any], path: Path) -> None:
            save(tensors, path)
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2])
            self.reached("half a file")
            path.write_bytes(data)

        def flushed(handle: int) -> None:
            self.reached("fsync")  # and no more: a kill loses nothing that the system has taken

        state.save_file = halved  # pyright: ignore[reportAttributeAccessIssue]
        os.fsync = flushed

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in WRITES or not str(args[0]).startswith(self.folder):
            return
        if event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR):
            self.reached(event)

    def reached(self, what: str) -> None:
        self.left -= self.armed
        if self.armed and not self.left:
            os.write(self.tell, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)


def trained(toy: str, path: Path, last: int, late: bool) -> str:
    """Train the run in `path` in a process that dies at point `last` (0: never). Returns that
    point's kind, "" where the training came to its end."""
    hear, tell = os.pipe()
    pid = os.fork()
    if pid:
        os.close(tell)
        told = os.read(hear, 99).decode()
        os.close(hear)
        status = os.waitpid(pid, 0)[1]
        if status != (signal.SIGKILL if told else 0):
            raise RuntimeError(f"{toy} ended with status {status} {told}")
        return told
    code = 1
    try:
        case = CASES[toy]
        stage = case.make()
        stage.steps = case.steps
        points = Points(path, last, tell, armed=not late)

        def on_event(event: Event) -> None:
            points.armed |= isinstance(event, Started | Saved) and event.step == case.steps

        fit(stage, case.settings, Run.open(path), Accelerator(cpu=True), on_event)
        code = 0
    finally:
        os._exit(code)


def swept(toy: str, path: Path, late: bool) -> list[str]:
    """Each process dies at a later point than the one before, until one survives."""
    kinds: list[str] = []
    while kind := trained(toy, path, 1 + CASES[toy].apart * len(kinds), late):
        kinds.append(kind)
    return kinds


def main(folder: Path, toys: list[str]) -> None:
    died: dict[str, dict[str, list[str]]] = {}
    for toy in toys:
        names = ("early", "late", "whole")
        runs = {name: Run.create(folder / toy / name, {}).path for name in names}
        trained(toy, runs["whole"], 0, late=False)
        died[toy] = {name: swept(toy, runs[name], name == "late") for name in ("early", "late")}
    print(json.dumps(died))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2:] or list(CASES))
