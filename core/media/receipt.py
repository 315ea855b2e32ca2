"""Receipts: what made a clip, kept as JSON in the metadata of its file.

A receipt has the keys schema, prompt, seed, model, weights_sha256, engine, settings and versions;
where pictures were given also inputs, the SHA-256 of each; that of the best of several clips also
best_of, while its seed alone makes the clip again.
It lies in the tag `comment` of mp4 and webm, the comment of a gif, the text chunk of a png.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .containers import truncation

SCHEMA = "dln-receipt-1"
PACKAGES = ("dln", "torch", "numpy", "av")


def make_receipt(
    *,
    prompt: str | None,
    seed: int,
    model: str,
    weights_sha256: str | None,
    engine: str,
    settings: dict[str, Any],
    inputs: dict[str, str] | None = None,
    packages: tuple[str, ...] = PACKAGES,
) -> dict[str, Any]:
    """A receipt with the versions of `packages` that are installed. settings: JSON values; inputs:
    the SHA-256 of each file that was given."""
    return {
        "schema": SCHEMA,
        "prompt": prompt,
        "seed": seed,
        "model": model,
        "weights_sha256": weights_sha256,
        "engine": engine,
        "settings": settings,
        **({"inputs": inputs} if inputs else {}),
        "versions": {name: found for name in packages if (found := _version(name))},
    }


def read_receipt(path: Path | str) -> dict[str, Any]:
    """The receipt in a clip's file.

    Raises UsageError when the file is missing, cut off or unreadable, or has no receipt.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    if reason := truncation(path):
        raise UsageError(f"{path} is cut off: {reason}.")
    text = _picture_text(path) if path.suffix.lower() in (".gif", ".png") else _video_text(path)
    try:
        receipt = json.loads(text or "")
    except ValueError:
        receipt = None
    if not isinstance(receipt, dict) or not str(receipt.get("schema", "")).startswith("dln-"):
        raise UsageError(
            f"{path} has no receipt.",
            "Clips written by dln generate carry one; editing or re-encoding a clip removes it.",
        )
    return receipt


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
        raise UsageError(f"{path} cannot be read: {error}.") from error
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
