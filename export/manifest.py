"""The record of an export: what is in the folder, from what, and what was proven of it."""

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from dln.core.errors import DlnError, UsageError
from dln.core.files import sha256_file, write_json

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
    return manifest


def is_ours(folder: Path) -> bool:
    """Whether the manifest there, in whatever state, is an export's: only then may it go."""
    path = folder / FILE
    return path.is_file() and b'"dln-export-' in path.read_bytes()


def repair(folder: Path) -> str:
    return "dln export --force writes it again" if is_ours(folder) else "dln export --out DIR"


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Atomically, in the folder."""
    write_json(folder / FILE, manifest)


def fingerprint(*parts: Any) -> str:
    """A short hash of what a stage's result depends on, the code that makes it included."""
    text = json.dumps([*parts, code_sha256()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_sha256() -> str:
    """Of the sources that decide what an export computes."""
    digest = hashlib.sha256()
    for package in ("dln.core.models", "dln.export"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def check_file(folder: Path, entry: dict[str, Any]) -> Path:
    """The file of a manifest's entry, unchanged. DlnError where it is gone or another one."""
    path = folder / entry["file"]
    hint = "dln export --force writes it again"
    if not path.is_file():
        raise DlnError(f"{path} is missing from the export", hint=hint)
    if sha256_file(path) != entry["sha256"]:
        raise DlnError(f"{path} is not the file that was exported: its hash differs", hint=hint)
    for extra in entry.get("data", []):
        check_file(folder, extra)
    return path
