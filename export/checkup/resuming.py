"""A training that is killed and goes on, against one that was left alone."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from dln.core.errors import DlnError

from ..process import ending
from .lesson import KILLED_AT, SAVED_EVERY, Lesson, command, drawn, learn
from .outcome import Found, Job

CLOCK = ("seconds", "samples_per_s")  # of a line of the log


def resumed(job: Job, device: str) -> Found:
    """Convolutions on the device, killed (SIGKILL) past a checkpoint. DlnError where the weights or
    the log are others than those of the training that nobody disturbed."""
    data = drawn(job.folder / "pictures")
    whole = Lesson("resnet", data, str(job.folder / f"whole-{device}"), device)
    broken = replace(whole, out=str(job.folder / f"broken-{device}"), killed_at=KILLED_AT)
    learn(whole)
    killed(broken)
    learn(replace(broken, killed_at=None, resume=True))
    if odd := differing(Path(whole.out), Path(broken.out)):
        again = replace(whole, out=str(job.folder / f"again-{device}"))
        learn(again)
        same = not differing(Path(whole.out), Path(again.out))
        told = "resumed" if same else "two undisturbed trainings differ here already, resumed too"
        raise DlnError(f"{told}: {odd}")
    return Found(f"killed at step {KILLED_AT}, resumed from step {SAVED_EVERY}: the same bits")


def killed(lesson: Lesson) -> None:
    """Learn until it kills itself. DlnError where it ends otherwise."""
    done = subprocess.run(command(lesson), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if not done.returncode:
        raise DlnError(f"the training was to be killed at step {KILLED_AT}, and came to its end")
    if not list(Path(lesson.out).glob("state/*/step-*")):
        raise DlnError(f"the training {ending(done.returncode)} before it kept a checkpoint")


def differing(one: Path, other: Path) -> str | None:
    """What of two runs is not the same, in words; None where all is."""
    import torch
    from safetensors.torch import load_file

    a, b = (load_file(run / "model.safetensors") for run in (one, other))
    if a.keys() != b.keys():
        return "the weights have other names"
    if odd := [name for name in a if not torch.equal(a[name], b[name])]:
        most = max(float((a[name].double() - b[name].double()).abs().max()) for name in odd)
        return f"{len(odd)} of {len(a)} tensors differ, by {most:.1e} at most"
    return None if logged(one) == logged(other) else "the log has other lines"


def logged(run: Path) -> list[dict[str, Any]]:
    """The lines of its log without what a clock says."""
    lines = (run / "stats.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in CLOCK} for line in lines]
