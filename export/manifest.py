"""The record of an export: what is in the folder, from what, and what was proven of it."""

import hashlib
import json
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dln.core.errors import DlnError, UsageError
from dln.core.files import sha256_file, write_json
from dln.core.models.registry import find

SCHEMA = "dln-export-1"
FILE = "manifest.json"
PACKAGES = ("dln", "torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy")


def new_manifest(model: str, weights_sha256: str, precision: str, opset: int) -> dict[str, Any]:
    """A manifest without graphs."""
    return {
        "schema": SCHEMA,
        "model": model,
        "weights_sha256": weights_sha256,
        "precision": precision,
        "opset": opset,
        "versions": versions(),
        "graphs": {},
        "sampling": None,
        "engines": {},
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that make the files."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in an export's folder. UsageError where there is none of ours."""
    path = folder / FILE
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{folder} holds no export", hint="dln export --out DIR") from None
    except ValueError as error:
        raise UsageError(f"{path} cannot be read: {error}", hint=repair(folder)) from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise UsageError(f"{path} was not written by this dln", hint=repair(folder))
    if missing := new_manifest("", "", "", 0).keys() - manifest.keys():
        raise UsageError(f"{path} lacks {', '.join(sorted(missing))}", hint=repair(folder))
    if not _as_compared_now(manifest["sampling"]):
        manifest["sampling"] = None
    return manifest


def _as_compared_now(sampling: Any) -> bool:
    """Whether a record of the loop is of today's form; an older one counts as none, and the loop
    is compared anew."""
    if sampling is None:
        return True
    needed = {"error", "integers", "differing_integers", "max_level_difference"}
    try:
        return all(needed <= clip.keys() for clip in sampling.get("clips", []))
    except AttributeError:  # not even an object
        return False


def is_ours(folder: Path) -> bool:
    """Whether the manifest there, in whatever state, is an export's: only then may it go."""
    path = folder / FILE
    return os.path.isfile(path) and b'"dln-export-' in path.read_bytes()


def repair(folder: Path) -> str:
    return "dln export --force writes it again" if is_ours(folder) else "dln export --out DIR"


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Atomically, in the folder."""
    write_json(folder / FILE, manifest)


def fingerprint(model: str, *parts: Any) -> str:
    """A short hash of what a stage's result depends on, the code that makes it included."""
    text = json.dumps([*parts, code_sha256(model)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_sha256(model: str) -> str:
    """Of the sources that decide what an export of this model computes."""
    digest = hashlib.sha256()
    for name, path in sources(model):
        digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()


def sources(model: str) -> list[tuple[str, Path]]:
    """The model's own folder, the blocks it shares, graphs and engines, and all of the export:
    (name, file). What other models do, and how any is trained, changes no export of this one."""
    # Found as it would be imported, and not imported: that would take PyTorch.
    package = find_spec(f"dln.core.models.{find(model).module}")
    assert package is not None
    own = map(Path, package.submodule_search_locations or [])
    models = Path(str(files("dln.core.models")))
    roots = [Path(str(files("dln.export"))), models / "layers", *own]
    found = [(f"{root.name}/{path.relative_to(root).as_posix()}", path)
             for root in roots for path in sorted(root.rglob("*.py"))]  # fmt: skip
    return [*found, *((name, models / name) for name in ("graph.py", "engine.py"))]


def check_file(folder: Path, entry: dict[str, Any]) -> Path:
    """The file of a manifest's entry, unchanged. DlnError where it is gone or another one."""
    path = folder / entry["file"]
    hint = "dln export --force writes it again"
    if not os.path.isfile(path):
        raise DlnError(f"{path} is missing from the export", hint=hint)
    if sha256_file(path) != entry["sha256"]:
        raise DlnError(f"{path} is not the file that was exported: its hash differs", hint=hint)
    for extra in entry.get("data", []):
        check_file(folder, extra)
    return path
