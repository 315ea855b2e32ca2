"""Is a clip what its receipt says? Make it again, encode it the same way, compare the frames."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..door import is_plain
from ..errors import DlnError, MissingCapability, UsageError
from ..files import sha256_file
from ..media.rates import most_rate
from ..media.receipt import Receipt, make_receipt, receipt_of
from ..media.stream import Stream
from ..media.video import compare, frames_of, write_stream
from ..models.request import Request
from ..progress import OnProgress

if TYPE_CHECKING:
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
    path = Path(path)
    receipt = receipt_of(path)
    request = request_of(receipt, path)
    notes = changed_versions(receipt)
    count, size = extent(path)
    if request.frames not in (None, count):  # known before anything is loaded
        return Verification(False, notes=notes)
    loaded = weights_of(receipt, model)
    engine = None
    if receipt.engine != "torch":
        if open_engine is None:
            raise MissingCapability(f"the clip was made by the engine {receipt.engine}")
        engine = open_engine(receipt.engine, loaded, device)
    made = made_again(loaded, request, receipt.grid, engine, device, on_progress)
    if made.frames != count:
        return Verification(False, notes=notes)
    # through the file's own encoder, at the magnification that it was written with
    scale = max(1, max(size) // max(made.size))
    with TemporaryDirectory(prefix="dln-verify-") as folder:
        # which shows faster clips, that older versions wrote, at the pace of the fastest
        made = Stream(made, min(made.fps, most_rate(path.suffix)), made.size, made.frames)
        again = write_stream(made, Path(folder) / path.name, scale=scale)
        if next(frames_of(again)).shape[:2] != size:
            return Verification(False, notes=notes)
        difference = compare(frames_of(path), frames_of(again))
    return Verification(False, *difference, notes=notes) if difference else Verification(True)


def made_again(
    loaded: Loaded,
    request: Request,
    grid: int | None,
    engine: Engine | None,
    device: str,
    on_progress: OnProgress | None,
) -> Stream:
    """The frames of the clip, or of the mosaic of that many."""
    from .generate import stream
    from .grid import stream_grid

    options: Any = dict(engine=engine, device=device, on_progress=on_progress)
    if grid is None:
        return stream(loaded, request, **options).stream
    return stream_grid(loaded, request, grid, **options).stream


def extent(path: Path) -> tuple[int, tuple[int, int]]:
    """How many frames a file has, and their (height, width); a pass over all of it."""
    count, size = 0, (0, 0)
    for frame in frames_of(path):
        count, size = count + 1, frame.shape[:2]
    return count, size


def request_of(receipt: Receipt, path: Path) -> Request:
    """What was asked for. UsageError for settings that no request has, MissingCapability where a
    file that was given is gone or another one by now."""
    request = Request.of(receipt.prompt or "", receipt.seed, receipt.settings)
    for name, sha256 in receipt.inputs.items():
        if (told := getattr(request, name)) is None:
            raise UsageError(f"The receipt of {path} is damaged: it says nothing of {name!r}.")
        request = replace(request, **{name: given_file(told, sha256, path)})
    return request


def given_file(name: str, sha256: str, clip: Path) -> str:
    """Where the picture or clip that was given lies now: there, or beside the clip made of it.
    MissingCapability where it is at neither place, or another one."""
    for file in (Path(name), clip.parent / name, clip.parent / Path(name).name):
        with suppress(OSError):
            if is_plain(file) and sha256_file(file) == sha256:
                return str(file)
    raise MissingCapability(
        f"{name}, from which the clip was made, is not here, or another one",
        hint=f"put it back, or beside {clip}",
    )


def weights_of(receipt: Receipt, model: str | None) -> Loaded:
    """The very weights that made the clip. MissingCapability where they are not here."""
    from ..models.package import load_model

    name, wanted = model or receipt.model, receipt.weights_sha256
    hint = "Say where they lie with --model RUN or --model FILE."
    try:
        loaded = load_model(name)
    except DlnError as error:
        raise MissingCapability(f"The weights of {name} are not here: {error}", hint) from error
    if loaded.sha256 != wanted:
        raise MissingCapability(f"The weights of {name} are others than those that made the clip "
                                f"({loaded.sha256[:12]}, not {wanted[:12]}).", hint)  # fmt: skip
    return loaded


def changed_versions(receipt: Receipt) -> list[str]:
    """ "made with torch 2.9.0, here is 2.13.0" for each package whose version is another."""
    empty = {"prompt": None, "seed": 0, "model": "", "weights_sha256": None, "engine": ""}
    here = make_receipt(**empty, settings={})["versions"]
    return [
        f"made with {name} {was}, here is {here.get(name, 'none')}"
        for name, was in receipt.versions.items()
        if here.get(name) != was
    ]
