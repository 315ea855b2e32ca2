"""Is a clip what its receipt says? Make it again, encode it the same way, compare the frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DlnError, MissingCapability, UsageError
from ..files import sha256_file
from ..media.receipt import SCHEMA, make_receipt, read_receipt
from ..media.video import compare, read_clip, roundtrip
from ..models.request import Request
from ..progress import OnProgress

if TYPE_CHECKING:
    from ..media.clip import Clip
    from ..models.engine import Engine
    from ..models.package import Loaded


OpenEngine = Callable[[str, "Loaded", str], "Engine"]


@dataclass(frozen=True)
class Verification:
    """first_difference: the first frame that differs, None where the size itself does.

    max_difference: over all frames, in levels of 0 to 255. notes: what may explain a difference.
    """

    equal: bool
    first_difference: int | None = None
    max_difference: int | None = None
    notes: list[str] = field(default_factory=list)


def verify(
    path: Path | str,
    *,
    model: str | None = None,
    device: str = "auto",
    open_engine: OpenEngine | None = None,
    on_progress: OnProgress | None = None,
) -> Verification:
    """Compare a clip's file with what its receipt makes here.

    model: where the weights lie now, else where the receipt says. open_engine: makes the engine
    that the receipt names; PyTorch alone is known here. Raises UsageError for a file
    without a receipt or with one that this version cannot follow, MissingCapability where the
    weights that made it are not here.
    """
    from .generate import generate

    path = Path(path)
    receipt = read_receipt(path)
    request = request_of(receipt, path)
    stored = read_clip(path)
    loaded = weights_of(receipt, model)
    engine = None
    if receipt["engine"] != "torch":
        if open_engine is None:
            raise MissingCapability(f"the clip was made by the engine {receipt['engine']}")
        engine = open_engine(receipt["engine"], loaded, device)
    result = generate(loaded, request, engine=engine, device=device, on_progress=on_progress)
    return judge(stored, result.clip, path.suffix, receipt)


def request_of(receipt: dict[str, Any], path: Path) -> Request:
    """What was asked for. UsageError for a receipt of another schema, MissingCapability where a
    picture that was given is gone or another one by now."""
    if receipt.get("schema") != SCHEMA:
        raise UsageError(f"{path} has a receipt of the kind {receipt.get('schema')!r}; this dln "
                         f"reads {SCHEMA!r}.", "pip install --upgrade dln")  # fmt: skip
    needed = ("seed", "model", "weights_sha256", "engine", "settings")
    if missing := [key for key in needed if receipt.get(key) is None]:
        raise UsageError(f"The receipt of {path} lacks {', '.join(missing)}.")
    request = Request.of(receipt.get("prompt") or "", receipt["seed"], receipt["settings"])
    for name, sha256 in (receipt.get("inputs") or {}).items():
        file = getattr(request, name, None)
        if file is None or not Path(file).is_file() or sha256_file(file) != sha256:
            raise MissingCapability(
                f"the picture {file} that the clip was made from is not here, or another one",
                hint="put it back where it was",
            )
    return request


def weights_of(receipt: dict[str, Any], model: str | None) -> Loaded:
    """The very weights that made the clip. MissingCapability where they are not here."""
    from ..models.package import load_model

    name, wanted = model or receipt["model"], receipt["weights_sha256"]
    hint = "Say where they lie with --model RUN or --model FILE."
    try:
        loaded = load_model(name)
    except DlnError as error:
        raise MissingCapability(f"The weights of {name} are not here: {error}", hint) from error
    if loaded.sha256 != wanted:
        raise MissingCapability(f"The weights of {name} are others than those that made the clip "
                                f"({loaded.sha256[:12]}, not {wanted[:12]}).", hint)  # fmt: skip
    return loaded


def judge(stored: Clip, made: Clip, suffix: str, receipt: dict[str, Any]) -> Verification:
    """Compare through the file's own encoder, at the magnification it was written with."""
    scale = max(1, stored.frames.shape[1] // made.frames.shape[1])
    again = roundtrip(made, suffix, scale)
    if again.shape[1:] != stored.frames.shape[1:]:
        return Verification(False, notes=changed_versions(receipt))
    difference = compare(stored.frames, again)
    if difference is None:
        return Verification(True)
    return Verification(False, *difference, notes=changed_versions(receipt))


def changed_versions(receipt: dict[str, Any]) -> list[str]:
    """ "made with torch 2.9.0, here is 2.13.0" for each package whose version is another."""
    empty = {"prompt": None, "seed": 0, "model": "", "weights_sha256": None, "engine": ""}
    here = make_receipt(**empty, settings={})["versions"]
    then = receipt.get("versions") or {}
    return [
        f"made with {name} {was}, here is {here.get(name, 'none')}"
        for name, was in then.items()
        if here.get(name) != was
    ]
