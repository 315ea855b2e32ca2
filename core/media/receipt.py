"""Receipts: what made a clip, kept as JSON in the metadata of its file.

A receipt has the keys schema, prompt, seed, model, weights_sha256, engine, settings and versions;
where pictures or a clip were given also inputs, the SHA-256 of each; where an export was given to
run also graphs, its folder; that of the best of several
clips also best_of, while its seed alone makes the clip again; that of a mosaic also grid, how many
clips it shows, of its seed and of those after it; that of a film also film: its lines, each with
the seed that makes its clip.
It lies in the tag `comment` of mp4 and webm, the comment of a gif, the text chunk of a png.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from reprlib import repr as short
from typing import Annotated, Any, Literal

from pydantic import Field

from ..door import json_value, typed
from ..errors import UsageError, reason_of
from ..installed import AS_BEFORE
from .containers import truncation
from .mosaic import MOST

SCHEMA = "dln-receipt-1"
PACKAGES = ("dln", "torch", "numpy", "av")
MOST_LETTERS = 1 << 22  # of a receipt; a clip's has a few hundred, a line of a film one or two
MOST_MS = 10**12  # of a film
Seed = Annotated[int, Field(ge=0, lt=2**64)]
Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Engine = Literal["torch", "onnx", "onnx-fp16", "onnx-bf16", "onnx-int8", "trt", "trt-fp16",
                 "trt-bf16", "trt-int8"]  # fmt: skip


@dataclass(frozen=True)
class FilmedLine:
    """A line of a film: its place in the script, its time, and what makes its clip."""

    number: Annotated[int, Field(ge=1)]
    start_ms: Annotated[int, Field(ge=0, le=MOST_MS)]
    end_ms: Annotated[int, Field(ge=0, le=MOST_MS)]
    seed: Seed
    prompt: str


@dataclass(frozen=True)
class Filmed:
    """How a film was cut. sound: the name and the SHA-256 of its file; nothing is made of it."""

    lines: Annotated[list[FilmedLine], Field(min_length=1)]
    blend_s: float
    every_s: float
    sound: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """What is believed of a receipt: a stranger may have written it. model: a name, or where a run
    or a file lay; settings: as `Request.of` takes them; inputs: the SHA-256 of each file; grid:
    clips of a mosaic; film: how it was cut; graphs: where the export lay that was given to run."""

    seed: Seed
    model: Annotated[str, Field(min_length=1, max_length=4096)]
    weights_sha256: Sha256
    engine: Engine
    settings: dict[str, Any]
    prompt: str | None = None
    inputs: dict[Literal["image", "last_image", "video"], Sha256] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    grid: Annotated[int, Field(ge=2, le=MOST)] | None = None
    film: Filmed | None = None
    graphs: Annotated[str, Field(min_length=1, max_length=4096)] | None = None


def make_receipt(
    *,
    prompt: str | None,
    seed: int,
    model: str,
    weights_sha256: str | None,
    engine: str,
    settings: dict[str, Any],
    inputs: dict[str, str] | None = None,
    graphs: str | None = None,
    packages: tuple[str, ...] = PACKAGES,
) -> dict[str, Any]:
    """A receipt with the versions of `packages` that are installed. settings: JSON values; inputs:
    the SHA-256 of each file that was given; graphs: the folder of an export that was."""
    return {
        "schema": SCHEMA,
        "prompt": prompt,
        "seed": seed,
        "model": model,
        "weights_sha256": weights_sha256,
        "engine": engine,
        "settings": settings,
        **({"inputs": inputs} if inputs else {}),
        **({"graphs": graphs} if graphs else {}),
        "versions": versions_of(packages),
    }


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Of those that are installed."""
    return {name: found for name in packages if (found := _version(name))}


def read_receipt(path: Path | str) -> dict[str, Any]:
    """The receipt in a clip's file, as it was written.

    Raises UsageError when the file is missing, cut off or unreadable, or has no receipt.
    """
    return json.loads(_receipt_text(Path(path)))


def receipt_of(path: Path | str) -> Receipt:
    """The receipt in a clip's file, each value of its kind and in its range. UsageError as of
    `read_receipt`, and for one of another version or one that is damaged."""
    text = _receipt_text(Path(path))
    if (schema := json.loads(text)["schema"]) != SCHEMA:
        raise UsageError(f"{path} has a receipt of the kind {short(schema)}; this dln reads "
                         f"{SCHEMA!r}.", AS_BEFORE)  # fmt: skip
    return typed(Receipt, text, f"The receipt of {path}")


def _receipt_text(path: Path) -> str:
    """JSON of an object with a schema of ours."""
    if not os.path.isfile(path):
        raise UsageError(f"There is no file {path}.")
    try:
        reason = truncation(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    if reason:
        raise UsageError(f"{path} is cut off: {reason}.")
    text = _picture_text(path) if path.suffix.lower() in (".gif", ".png") else _video_text(path)
    if not _is_receipt(text or ""):
        raise UsageError(
            f"{path} has no receipt.",
            "Clips written by dln generate carry one; editing or re-encoding a clip removes it.",
        )
    return text or ""


def _is_receipt(text: str) -> bool:
    try:
        found = json_value(text) if len(text) <= MOST_LETTERS else None
    except ValueError:
        return False
    return isinstance(found, dict) and str(found.get("schema", "")).startswith("dln-")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _video_text(path: Path) -> str | None:
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            tags = {key.lower(): text for key, text in container.metadata.items()}
    except FFmpegError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    return tags.get("comment")


def _picture_text(path: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            text = picture.info.get("comment")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}.") from error
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
