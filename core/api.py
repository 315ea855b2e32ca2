"""What programs and notebooks call: a clip from a prompt, a run from data, a clip looked at.

Everything is what the command line does, with its settings by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UsageError, closest
from .media import clip as plain

if TYPE_CHECKING:
    from .generation.verify import Verification
    from .models.engine import Engine
    from .models.package import Loaded
    from .progress import OnProgress
    from .training.events import OnEvent

MOST_SEED = 2**31 - 1  # of those that are drawn
MOST_INLINE = 8 << 20  # bytes of an mp4 in a notebook, which keeps them in its file
MOST_ENCODED = 256 << 20  # bytes of frames that showing a clip may take


@dataclass(frozen=True, eq=False, repr=False)
class Clip(plain.Clip):
    """frames: RGB uint8 (T, H, W, 3), T at least 1; fps: frames a second.

    receipt: what made it, which `save` keeps in the file. In a notebook a clip plays.
    """

    receipt: Mapping[str, Any] | None = field(default=None)

    @classmethod
    def open(cls, path: Path | str) -> Clip:
        """A clip from a video, a gif, a png that `save` wrote or a folder of pictures, with its
        receipt if it has one. UsageError for what cannot be read."""
        from .media.receipt import read_receipt
        from .media.video import read_clip

        read = read_clip(path)
        try:
            receipt = read_receipt(path)
        except UsageError:  # it is somebody's video
            receipt = None
        return cls(read.frames, read.fps, receipt)

    def save(self, path: Path | str, scale: int | None = None, force: bool = False) -> Path:
        """Write it as .mp4, .webm, .gif or .png (all frames in a row) and return the path.

        scale: how many pixels a side each pixel becomes; None picks a watchable size. UsageError
        for another suffix, a folder that is not there, or a file that is, unless `force`.
        """
        from .media.video import write_clip

        receipt = None if self.receipt is None else dict(self.receipt)
        return write_clip(self, path, receipt, scale, overwrite=force)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, plain.Clip):
            return NotImplemented
        return self.fps == other.fps and np.array_equal(self.frames, other.frames)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        count, height, width = self.frames.shape[:3]
        return f"Clip({count} frames of {width}x{height} pixels, {self.fps:g} a second)"

    def _repr_html_(self) -> str:
        """It plays in the page, or stands in it as a picture where it is one frame; the file goes
        into the page itself, so of a long clip only the beginning. What no video can hold is
        told in words."""
        from .text.shown import in_html

        count, words = len(self.frames), self._words()
        try:
            shown, told = _drawn_in_html(self)
        except UsageError as error:  # a rate or a side that no video has
            shown, told = count, ""
            words.append(error.message)
        if shown < count:
            words.append(f"the first {shown} are shown, save() writes all")
        caption = in_html(", ".join(filter(None, words)))
        return f'<figure style="margin: 0">{told}<figcaption>{caption}</figcaption></figure>'

    def _words(self) -> list[str]:
        """What made it, and what it is."""
        words = [repr(self)[5:-1]]
        if self.receipt is not None:
            asked = str(self.receipt.get("prompt") or self.receipt.get("model") or "")
            words = [asked, f"seed {self.receipt.get('seed')}", *words]
        return words


def _drawn_in_html(clip: plain.Clip) -> tuple[int, str]:
    """How many frames are in the tag, and the tag."""
    if len(clip.frames) == 1:
        return 1, _tag("img alt=''", "image/png", _png(clip))
    shown, mp4 = _beginning(clip)
    tag = _tag("video controls loop autoplay muted playsinline", "video/mp4", mp4)
    return shown, f"{tag}</video>"


def _tag(opening: str, kind: str, data: bytes) -> str:
    """The tag with the file in it."""
    from .media.inline import data_uri

    return f"<{opening} style='max-width: 100%' src='{data_uri(kind, data)}'>"


def _beginning(clip: plain.Clip) -> tuple[int, bytes]:
    """As many of its first frames as a page can hold, and their mp4."""
    from .media.encode import watchable_scale
    from .media.video import write_clip

    height, width = clip.frames.shape[1:3]
    held = height * width * 3 * watchable_scale((height, width)) ** 2
    count = max(2, min(len(clip.frames), MOST_ENCODED // held))
    with TemporaryDirectory(prefix="dln-") as folder:
        while True:
            part = plain.Clip(clip.frames[:count], clip.fps)
            path = write_clip(part, Path(folder) / "clip.mp4", overwrite=True)
            if path.stat().st_size <= MOST_INLINE or count == 2:
                return count, path.read_bytes()
            count = max(2, count // 2)


def _png(clip: plain.Clip) -> bytes:
    """The first frame."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(clip.frames[0]).save(file, format="PNG")
    return file.getvalue()


def load(name: str | Path) -> Loaded:
    """The weights of a model's name, of a run or of a file, to generate with many times.

    UsageError for what is none, MissingCapability for a model that comes without weights, DlnError
    for a damaged file.
    """
    from .models.package import load_model

    return load_model(name)


def generate(
    prompt: str = "",
    model: str | Path | Loaded = "cogvideo",
    *,
    seed: int | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    on_progress: OnProgress | None = None,
    **asked: Any,
) -> Clip:
    """One clip. The same prompt, seed, settings and weights give the same one.

    model: a name, a run, a file, or what `load` gave. seed: drawn where left out; the receipt has
    it. engine: what computes, PyTorch on `device` where left out. asked: frames, fps, size
    (height, width), image, last_image, label, and the settings that `dln models show` lists. Errors
    as of `load`, and UsageError for what the model has no use for.
    """
    from .models.locate import identify
    from .models.request import Request

    named = isinstance(model, str | Path)
    (identify(str(model)) if named else model.about).check_prompt(prompt)
    request = Request.of(prompt, _drawn() if seed is None else seed, asked)
    from .generation.generate import generate as make

    loaded = load(model) if named else model
    made = make(loaded, request, engine=engine, device=device, on_progress=on_progress)
    return Clip(made.clip.frames, made.clip.fps, made.receipt)


def _drawn() -> int:
    from random import SystemRandom

    return SystemRandom().randint(0, MOST_SEED)


def train(
    model: str,
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    on_event: OnEvent | None = None,
    **options: Any,
) -> Path:
    """Train a model, every stage in order, and return the run's folder, which `load` reads.

    data: vistas, digits, a folder of your own or shards; menagerie where left out, or what the run
    has that goes on. out: the folder to make, runs/MODEL where left out. options: those of
    `TrainOptions`: preset, steps, batch, lr, seed, resume, force, config (what --set says) ...
    on_event: is told of each step that is logged and of each checkpoint. Errors as of
    `dln.core.runs.train.train`.
    """
    from .training.options import TrainOptions

    _check_names(options, [item.name for item in fields(TrainOptions)])
    from .runs.train import train as run
    from .training.events import silent

    wanted = TrainOptions(data=data and str(data), out=out, **options)
    return run(model, wanted, on_event or silent)


def _check_names(given: Mapping[str, Any], known: list[str]) -> None:
    """UsageError for an option that there is not."""
    for name in given:
        if name not in known:
            raise UsageError(f"a training has no option {name!r}.{closest(name, known)}",
                             "dln train --help")  # fmt: skip


def verify(path: str | Path, **how: Any) -> Verification:
    """Make a saved clip again from its receipt and compare: `.equal` says whether every frame is
    the same. how: model, device and on_progress. Errors as of `dln.core.generation.verify`."""
    from .generation.verify import verify as check

    return check(path, **how)
