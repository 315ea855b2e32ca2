"""The record of an export: what is in the folder, from what, and what was proven of it."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, get_args

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from dln.core.door import fits, json_value, read_bytes
from dln.core.errors import DlnError, UsageError
from dln.core.files import sha256_file, write_json
from dln.core.models.registry import known

SCHEMA = "dln-export-2"
FILE = "manifest.json"
PACKAGES = ("dln", "torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy")
BACKENDS = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx"}  # module: package

Precision = Literal["fp32", "fp16", "bf16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][\w-]{0,99}$")]
Word = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=1 << 60)]
Key = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
# {name: [smallest, typical, largest]}
Sizes = dict[Name, Annotated[list[Count], Field(min_length=3, max_length=3)]]
MOST_BYTES = 4 << 20  # of a manifest; the largest of ours have a fortieth
_MARK = re.compile(rb'\s*\{\s*"schema"\s*:\s*"dln-export-\d')  # also of one that is cut off
_MORE = ConfigDict(extra="allow")


class Part(TypedDict):
    """A file of the export and its hash."""

    __pydantic_config__ = _MORE  # pyright: ignore
    file: Annotated[
        str, Field(pattern=r"^(onnx|engines)/[A-Za-z_][\w-]{0,99}\.(onnx(\.data)?|engine)$")
    ]
    sha256: Sha256
    bytes: Count


class Found(TypedDict):
    """How far an engine was from the model: parity.Difference, as a record."""

    __pydantic_config__ = _MORE  # pyright: ignore
    runs: Count
    error: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    snr_db: Annotated[float, Field(allow_inf_nan=False)] | None
    differing: Annotated[float, Field(ge=0, le=1)]


class Parity(Found):
    """executed: where; sizes: at which it was proven."""

    executed: Word
    sizes: Sizes


class Clip(TypedDict):
    """How far a whole clip was from the one that PyTorch makes."""

    __pydantic_config__ = _MORE  # pyright: ignore
    error: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    integers: Count
    differing_integers: Count
    max_level_difference: Count


class Sampling(TypedDict):
    """What the sampling loop has shown: of each prompt the clip, or of each graph its calls."""

    __pydantic_config__ = _MORE  # pyright: ignore
    key: Key
    prompts: Annotated[list[str], Field(max_length=99)]
    clips: NotRequired[Annotated[list[Clip], Field(max_length=99)]]
    calls: NotRequired[dict[Name, Found]]
    unproven: NotRequired[list[Name]]


class GraphEntry(Part):
    """A graph of a model; parity is None where it is unproven."""

    key: Key
    data: Annotated[list[Part], Field(max_length=9)]
    sizes: Sizes
    axes: dict[Word, dict[Annotated[str, Field(pattern=r"^\d{1,2}$")], Word]]
    weights: dict[Word, Count]
    parity: Parity | None


class EngineEntry(Part):
    """A TensorRT engine: executed names the GPU that it was held against the model on."""

    key: Key
    backend: Literal["tensorrt", "tensorrt_rtx"]
    version: Word
    compute_capabilities: Annotated[list[Word], Field(max_length=99)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    executed: Word | None


class Manifest(TypedDict):
    """names: of all graphs that the model has. sampling: None where the loop was not compared.
    proven_with: the versions that did, where they are not those that made the files."""

    __pydantic_config__ = _MORE  # pyright: ignore
    schema: Word
    model: Name
    weights_sha256: Sha256
    precision: Precision
    opset: Annotated[int, Field(ge=1, le=99)]
    versions: dict[Word, Word]
    proven_with: NotRequired[dict[Word, Word]]
    names: Annotated[list[Name], Field(max_length=999)]
    graphs: dict[Name, GraphEntry]
    sampling: Sampling | None
    engines: dict[Name, EngineEntry]


def new_manifest(
    model: str, weights_sha256: str, precision: str, opset: int, names: list[str]
) -> dict[str, Any]:
    """A manifest without graphs."""
    return {
        "schema": SCHEMA,
        "model": model,
        "weights_sha256": weights_sha256,
        "precision": precision,
        "opset": opset,
        "versions": versions(model),
        "names": names,
        "graphs": {},
        "sampling": None,
        "engines": {},
    }


def versions(model: str = "") -> dict[str, str]:
    """Of Python and of the packages that make the files, those of the model among them."""
    about, found = known(model), {"python": platform.python_version()}
    packages = (*PACKAGES, *(about.packages if about else ()))
    return found | {name: there for name in packages if (there := installed(name))}


def installed(package: str) -> str | None:
    """Its version, None where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in an export's folder. UsageError where there is none that this dln reads."""
    path = folder / FILE
    if not os.path.isfile(path):
        raise UsageError(f"{folder} holds no export", hint="dln export --out DIR")
    try:
        text = read_bytes(path, MOST_BYTES)
        found = json_value(text)
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise UsageError(f"{path} was not written by this dln", hint=repair(folder))
        fits(Manifest, found, str(path))
    except UsageError as error:
        raise UsageError(error.message, hint=repair(folder)) from error
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}.", hint=repair(folder)) from error
    return found  # in the order of the file, so that it is written as it was


def is_ours(folder: Path) -> bool:
    """Whether the manifest there, in whatever state, is an export's: only then may it go."""
    path = folder / FILE
    try:
        return os.path.isfile(path) and bool(_MARK.match(read_bytes(path, MOST_BYTES)))
    except UsageError:
        return False


def repair(folder: Path) -> str:
    return "dln export --force writes it again" if is_ours(folder) else "dln export --out DIR"


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Atomically, in the folder."""
    write_json(folder / FILE, manifest)


def check_file(folder: Path, entry: Any) -> Path:
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
