"""Checkpoints of one stage: safetensors in a folder that appears whole or not at all.

`step-000123/` holds one .safetensors file a group of tensors (weights, optimiser, average, stage),
info.json, and checksums.json with the SHA-256 of each of them. It is written under another name,
flushed, then renamed. `final.safetensors` with `final.json` marks the stage as finished.
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import DlnError
from ..files import disk_errors, fsync_path, make_folder, sha256_file, write_json

Groups = dict[str, dict[str, Tensor]]
_STEP = re.compile(r"step-(\d{6,})$")


class Damaged(Exception):
    """A checkpoint that is not what was written; the text says how."""


@dataclass
class Checkpoint:
    """`groups` of tensors by name, on the host, and `info` (step, settings, progress)."""

    step: int
    groups: Groups
    info: dict[str, Any]


class Checkpoints:
    """The checkpoints in `folder`, of which the newest `keep` stay."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps with a checkpoint, ascending."""
        if not self.folder.is_dir():
            return []
        matches = (_STEP.match(entry.name) for entry in self.folder.iterdir() if entry.is_dir())
        return sorted(int(match[1]) for match in matches if match)

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
                return _read(self.path(step))
            except Damaged as error:
                on_note(f"checkpoint {self.path(step)} is damaged ({error}); using the one before")
                if quarantine:
                    self._set_aside(step)
        if steps or any(self.folder.glob("broken-*")):
            raise DlnError(
                f"no sound checkpoint is left in {self.folder}",
                hint="restore it from a copy, or start over with --force",
            )
        return None

    def finish(self, weights: dict[str, Tensor], info: dict[str, Any]) -> None:
        """Keep the result and mark the stage as finished; its checkpoints are not needed now."""
        make_folder(self.folder)
        draft, path = self.folder / ".draft-final.safetensors", self._final
        with disk_errors(path):
            _save_tensors(draft, weights)
            info = info | {"sha256": sha256_file(draft)}
            draft.replace(path)
            fsync_path(self.folder)
        write_json(self.folder / "final.json", info)
        for step in self.steps():
            self._discard(step)
        self._sweep()

    def finished(self) -> dict[str, Any] | None:
        """What `finish` was told, None while the stage is not finished."""
        try:
            return json.loads((self.folder / "final.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DlnError(f"{self.folder / 'final.json'} is damaged: {error}") from error

    def load_final(self) -> dict[str, Tensor]:
        """The weights of the finished stage; DlnError where they are not what was written."""
        info = self.finished() or {}
        hint = "restore it from a copy, or start over with --force"
        if not self._final.is_file() or sha256_file(self._final) != info.get("sha256"):
            raise DlnError(f"{self._final} is damaged or missing", hint=hint)
        return load_file(self._final)

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
        for pattern in (".draft-*", ".old-*", ".final-*"):
            for entry in self.folder.glob(pattern):
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)

    def _set_aside(self, step: int) -> None:
        target = self.folder / f"broken-{step:06d}"
        shutil.rmtree(target, ignore_errors=True)
        with disk_errors(target):
            self.path(step).rename(target)


def _write(folder: Path, groups: Groups, info: dict[str, Any]) -> None:
    """All files of a checkpoint, each flushed; the checksums come last."""
    with disk_errors(folder):
        for name, tensors in groups.items():
            _save_tensors(folder / f"{name}.safetensors", tensors)
        write_json(folder / "info.json", info)
        sums = {entry.name: sha256_file(entry) for entry in sorted(folder.iterdir())}
        write_json(folder / "checksums.json", sums)


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(_plain(tensors), path)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        raise OSError(int(code[1]) if code else 0, str(error)) from error
    fsync_path(path)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
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


def _read(folder: Path) -> Checkpoint:
    """The checkpoint in `folder` after a look at every checksum. Damaged if one is wrong."""
    try:
        sums = json.loads((folder / "checksums.json").read_bytes())
        for name, expected in sums.items():
            if sha256_file(folder / name) != expected:
                raise Damaged(f"{name} has changed")
        info = json.loads((folder / "info.json").read_bytes())
        files = (name for name in sums if name.endswith(".safetensors"))
        groups = {Path(name).stem: load_file(folder / name) for name in files}
        return Checkpoint(int(info["step"]), groups, info)
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise Damaged(str(error) or type(error).__name__) from error


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
