"""Is a clip what its receipt says? Make it again, encode it the same way, compare the frames."""

from __future__ import annotations

import os
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
from ..media.receipt import Filmed, Receipt, receipt_of, versions_of
from ..media.stream import Stream
from ..media.video import compare, frames_of, write_stream
from ..models.request import Request
from ..progress import OnProgress
from ..text.subtitles import Line
from .shots import Script

if TYPE_CHECKING:
    from ..models.engine import Engine
    from ..models.package import Loaded


OpenEngine = Callable[[str, "Loaded", str, Path | None], "Engine"]


@dataclass(frozen=True)
class Verification:
    """first_difference: the first frame that differs, None where the size itself does.

    max_difference: over all frames, in levels of 0 to 255. notes: what may explain a difference,
    and what the answer rests on.
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
    graphs: Path | None = None,
    open_engine: OpenEngine | None = None,
    on_progress: OnProgress | None = None,
) -> Verification:
    """Compare a clip's file with what its receipt makes here.

    model, graphs: where the weights, and the export that was run, lie now, else where the receipt
    says. open_engine: makes the engine that the receipt names, of an export's folder where there is
    one; where left out, PyTorch alone is known. Raises UsageError for a file
    without a receipt or with one that this version cannot follow, MissingCapability where the
    weights that made it are not here.
    """
    path = Path(path)
    receipt = receipt_of(path)
    request = request_of(receipt, path)
    notes = changed_versions(receipt)
    script = None if receipt.film is None else script_of(receipt.film, request, path)
    count, size = extent(path)
    told = (request.frames, None) if script is None else (script.frames, script.size)
    if not could_be(told, count, size):  # known before anything is loaded
        return Verification(False, notes=notes)
    loaded = weights_of(receipt, model)
    found = graphs_of(receipt, notes) if graphs is None else None
    # A stranger may have made the clip and the graphs.
    rests = [f"rests on the graphs in {found}; dln verify {found} proves them"] if found else []
    engine = None
    if open_engine is not None:
        engine = open_engine(receipt.engine, loaded, device, graphs or found)
    elif receipt.engine != "torch":
        raise MissingCapability(f"the clip was made by the engine {receipt.engine}, which takes "
                                "the command", hint=f"dln verify {path}")  # fmt: skip
    with TemporaryDirectory(prefix="dln-verify-") as folder:
        options: Any = dict(engine=engine, device=device, on_progress=on_progress)
        if script is None:
            made = made_again(loaded, request, receipt.grid, options)
        else:
            made = filmed_again(loaded, script, Path(folder) / "clips", options)
        if made.frames != count:
            return Verification(False, notes=notes)
        # through the file's own encoder, at the magnification that it was written with
        scale = max(1, max(size) // max(made.size))
        # which shows faster clips, that older versions wrote, at the pace of the fastest
        made = Stream(made, min(made.fps, most_rate(path.suffix)), made.size, made.frames)
        again = write_stream(made, Path(folder) / path.name, scale=scale)
        if next(frames_of(again)).shape[:2] != size:
            return Verification(False, notes=notes)
        difference = compare(frames_of(path), frames_of(again))
    if difference:
        return Verification(False, *difference, notes=[*notes, *rests])
    return Verification(True, notes=rests)


def could_be(
    told: tuple[int | None, tuple[int, int] | None], count: int, size: tuple[int, int]
) -> bool:
    """Whether a file's frames and their (height, width) are those that were asked for, if any were;
    encoders make sides even."""
    frames, sides = told
    even = sides and tuple(side + side % 2 for side in sides)
    return frames in (None, count) and even in (None, size)


def made_again(
    loaded: Loaded, request: Request, grid: int | None, options: dict[str, Any]
) -> Stream:
    """The frames of the clip, or of the mosaic of that many."""
    from .generate import stream
    from .grid import stream_grid

    if grid is None:
        return stream(loaded, request, **options).stream
    return stream_grid(loaded, request, grid, **options).stream


def filmed_again(loaded: Loaded, script: Script, folder: Path, options: dict[str, Any]) -> Stream:
    """The frames of a film, whose clips are made into this folder."""
    from .film import Studio

    studio = Studio(loaded, script, folder, **options)
    studio.shoot()
    return studio.projected()


def script_of(film: Filmed, request: Request, path: Path) -> Script:
    """What was filmed. UsageError for lines that are not in the order of time."""
    lines = [Line(each.number, each.start_ms, each.end_ms, each.prompt) for each in film.lines]
    times = [time for line in lines for time in (line.start, line.end)]
    if times != sorted(times) or request.fps is None:
        raise UsageError(f"The receipt of {path} is damaged: its film has no order.")
    seeds = [each.seed for each in film.lines]
    return Script(lines, seeds, request.fps, request.size, film.blend_s, film.every_s,
                  request.settings)  # fmt: skip


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


def graphs_of(receipt: Receipt, notes: list[str]) -> Path | None:
    """The export that was given to run. None where none was, and, with a note, where it is gone:
    the weights' own graphs should compute the same."""
    if receipt.graphs is None:
        return None
    if os.path.isdir(receipt.graphs):
        return Path(receipt.graphs)
    notes.append(f"the export {receipt.graphs}, which made the clip, is not here; --graphs DIR "
                 "says where")  # fmt: skip
    return None


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
    here = versions_of(receipt.versions)
    return [
        f"made with {name} {was}, here is {here.get(name, 'none')}"
        for name, was in receipt.versions.items()
        if here.get(name) != was
    ]
