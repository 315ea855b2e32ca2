"""Checkpoints of one stage: safetensors in a folder that appears whole or not at all.

`step-000123/` holds one .safetensors file a group of tensors (weights, optimiser, average, stage),
info.json, and checksums.json with the SHA-256 of each of them. It is written under another name,
flushed, then renamed. `final.safetensors` with `final.json` marks the stage as finished.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..door import fits, read_bytes, typed
from ..errors import DlnError, UsageError
from ..files import LEFT, disk_errors, fsync_path, make_folder, sha256_file, write_json
from .contents import remove
from .run import finite

Groups = dict[str, dict[str, Tensor]]
_STEP = re.compile(r"step-(\d{6,18})")
_LEFT = re.compile(rf"\.(draft|old)-(\d{{6,}}|final)|{LEFT}(final\.json|best\.safetensors)")
_HINT = "restore it from a copy, or start over with --force"


class Damaged(Exception):
    """A checkpoint that is not what was written; the text says how."""


@dataclass
class Checkpoint:
    """`groups` of tensors by name, on the host, and `info` (step, settings, progress)."""

    step: int
    groups: Groups
    info: dict[str, Any]


@dataclass
class Info:
    """The least that a checkpoint's info.json says."""

    step: int


@dataclass
class Result:
    """final.json, of a stage that is finished. sha256: of final.safetensors."""

    sha256: str
    steps: int
    seconds: float
    metrics: dict[str, float | None]
    settings: dict[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints in `folder`, of which the newest `keep` stay. kind: what info.json must be
    like in a sound one."""

    def __init__(self, folder: Path, keep: int = 2, kind: type = Info) -> None:
        self.folder = folder
        self.keep = keep
        self.kind = kind

    def steps(self) -> list[int]:
        """The steps with a checkpoint, ascending."""
        if not self.folder.is_dir():
            return []
        matches = (_STEP.fullmatch(entry.name) for entry in self.folder.iterdir() if entry.is_dir())
        steps = {int(match[1]): match[0] for match in matches if match}
        return sorted(step for step, name in steps.items() if name == self.path(step).name)

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}"

    def save(self, step: int, groups: Groups, info: dict[str, Any]) -> Path:
        """Write the checkpoint of `step`, then drop the oldest.

        DlnError where the disk is full: the earlier checkpoints are untouched.
        """
        path, draft = self.path(step), self.folder / f".draft-{step:06d}"
        make_folder(self.folder)
        self._sweep()
        try:
            make_folder(draft)
            _write(draft, groups, info | {"step": step})
            with disk_errors(path):
                if path.exists():
                    path.rename(self.folder / f".old-{step:06d}")
                draft.rename(path)
                fsync_path(self.folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        self._prune()
        return path

    def load(self, on_note: Callable[[str], None], quarantine: bool = True) -> Checkpoint | None:
        """The newest sound checkpoint, None where there is none at all.

        One that is damaged is said in a note and renamed `broken-...`; DlnError if all are.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                return _read(self.path(step), step, self.kind)
            except Damaged as error:
                on_note(f"checkpoint {self.path(step)} is damaged ({error}); using the one before")
                if quarantine:
                    self._set_aside(step)
        if steps or any(self.folder.glob("broken-*")):
            raise DlnError(
                f"no sound checkpoint is left in {self.folder}",
                hint=_HINT,
            )
        return None

    def finish(self, weights: dict[str, Tensor], info: dict[str, Any]) -> None:
        """Keep the result and mark the stage as finished; its checkpoints are not needed now."""
        draft = self.folder / ".draft-final"
        make_folder(self.folder)
        self._sweep()
        with disk_errors(self._final):
            make_folder(draft)  # in which a kill leaves whatever safetensors writes first
            _save_tensors(draft / "final.safetensors", weights)
            info = info | {"sha256": sha256_file(draft / "final.safetensors")}
            (draft / "final.safetensors").replace(self._final)
            fsync_path(self.folder)
        write_json(self.folder / "final.json", finite(info))
        self.tidy()

    def tidy(self) -> None:
        """Remove the checkpoints of a finished stage, and what a kill has left."""
        for step in self.steps():
            self._discard(step)
        self._sweep()

    def finished(self) -> dict[str, Any] | None:
        """What `finish` was told, None while the stage is not finished. DlnError where that cannot
        be read."""
        path = self.folder / "final.json"
        if not os.path.lexists(path):
            return None
        try:
            return _told(Result, path)
        except (UsageError, ValueError) as error:
            raise DlnError(f"{path} is damaged: {error}", hint=_HINT) from error

    def load_final(self) -> dict[str, Tensor]:
        """The weights of the finished stage; DlnError where they are not what was written."""
        info = self.finished() or {}
        try:
            if self._final.is_file() and sha256_file(self._final) == info.get("sha256"):
                return load_file(self._final)
        except SafetensorError:
            pass
        raise DlnError(f"{self._final} is damaged or missing", hint=_HINT)

    @property
    def _final(self) -> Path:
        return self.folder / "final.safetensors"

    def _prune(self) -> None:
        for step in self.steps()[: -self.keep]:
            self._discard(step)
        self._sweep()

    def _discard(self, step: int) -> None:
        """Out of sight first: a kill in the middle leaves no half a checkpoint."""
        with disk_errors(self.path(step)):
            self.path(step).rename(self.folder / f".old-{step:06d}")
        self._sweep()

    def _sweep(self) -> None:
        """Remove what an earlier kill or removal has left."""
        for entry in [] if self.folder.is_symlink() else self.folder.glob(".*"):
            if _LEFT.fullmatch(entry.name):
                with suppress(OSError):
                    remove(entry)

    def _set_aside(self, step: int) -> None:
        target = self.folder / f"broken-{step:06d}"
        with disk_errors(target):
            remove(target)
            self.path(step).rename(target)


def _write(folder: Path, groups: Groups, info: dict[str, Any]) -> None:
    """All files of a checkpoint, each flushed; the checksums come last."""
    with disk_errors(folder):
        for name, tensors in groups.items():
            _save_tensors(folder / f"{name}.safetensors", tensors)
        write_json(folder / "info.json", finite(info))
        sums = {entry.name: sha256_file(entry) for entry in sorted(folder.iterdir())}
        write_json(folder / "checksums.json", sums)


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """With the permissions of any other new file; safetensors would leave it private."""
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(plain_tensors(tensors), path)
        os.chmod(path, mode)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        raise OSError(int(code[1]) if code else 0, str(error)) from error
    fsync_path(path)


def plain_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors on the host that share no memory (tied weights are written twice)."""
    plain: dict[str, Tensor] = {}
    written: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in written or storage.nbytes() != tensor.numel() * tensor.itemsize:
            tensor = tensor.clone()
        written.add(tensor.untyped_storage().data_ptr())
        plain[name] = tensor
    return plain


def _read(folder: Path, step: int, kind: type) -> Checkpoint:
    """The checkpoint in `folder` after a look at every checksum. Damaged if one is wrong, or if
    info.json is no `kind` or of another step."""
    try:
        sums = typed(dict[str, str], read_bytes(folder / "checksums.json"), "checksums.json")
        there = {entry.name for entry in folder.iterdir() if entry.is_file()}
        if sums.keys() | {"checksums.json"} != there:
            raise Damaged("checksums.json does not tell of the files beside it")
        for name, expected in sums.items():
            if sha256_file(folder / name) != expected:
                raise Damaged(f"{name} has changed")
        info = _told(kind, folder / "info.json")
        if info["step"] != step:
            raise Damaged(f"info.json is of step {info['step']}")
        files = (name for name in sums if name.endswith(".safetensors"))
        groups = {Path(name).stem: load_file(folder / name) for name in files}
        return Checkpoint(step, groups, info)
    except (OSError, ValueError, KeyError, RuntimeError, UsageError, SafetensorError) as error:
        raise Damaged(str(error) or type(error).__name__) from error


def _told(kind: type, path: Path) -> dict[str, Any]:
    """The JSON object in a file, after a look whether it is a `kind`. UsageError or ValueError
    where not."""
    try:
        # Metrics may hold NaN, which json writes and JSON has not.
        value = json.loads(read_bytes(path), parse_constant=lambda name: None)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    fits(kind, value, path.name)
    return value


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The optimiser's tensors as {"prefix/index/name": tensor}."""
    states = optimizer.state_dict()["state"]
    return {
        f"{prefix}/{index}/{name}": value
        for index, state in states.items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor]
) -> None:
    """Take back what `optimizer_tensors` gave. ValueError for what another kind of optimiser
    gave."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        owner, index, name = key.rsplit("/", 2)
        if owner == prefix:
            states.setdefault(int(index), {})[name] = value
    strange = {name for state in states.values() for name in state} - {"momentum_buffer"}
    if strange and isinstance(optimizer, torch.optim.SGD):
        raise ValueError(f"SGD keeps no {', '.join(sorted(strange))}")
    optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.ndim and value.shape == parameter.shape:
                # In the parameter's order in memory, which fused optimisers insist on.
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
