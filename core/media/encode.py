"""Writing videos: one encoder a suffix, one thread each, the same bytes for the same frames."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from ..errors import UsageError
from ..files import beside
from .png import write_png
from .rates import check_rate, fraction_of
from .sound import Soundtrack
from .stream import Stream

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

WATCHABLE_SIDE = 384
SHEET_SIDE = 128
PALETTE_PIXELS = 100_000
BT709 = 1
MOST_SIDE = 16_384  # pixels; x264 takes no more
MOST_IN_A_GIF = 1 << 30  # bytes of frames
MOST_IN_A_PNG = 3 * 89_478_485  # more pixels Pillow takes for a bomb
LIMITED_RANGE = 1
H264 = {"crf": "14", "preset": "medium", "mbtree": "0"}  # its AVX-512 code reads stale memory
VP9 = {"crf": "18", "b": "0", "deadline": "good", "cpu-used": "3"}

Writer = Callable[[Stream, Path, str | None], None]


def encode(
    stream: Stream,
    path: Path,
    receipt: dict[str, Any] | None,
    scale: int | None,
    overwrite: bool,
    sound: Path | None = None,
) -> Path:
    """See clip.write_clip, which this implements for frames that are still to come."""
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise UsageError(
            f"Clips cannot be written as {path.suffix or 'a file without a suffix'!r}.",
            f"Use one of {', '.join(_WRITERS)}.",
        )
    if scale is not None and scale < 1:
        raise UsageError(f"scale must be at least 1, got {scale}.")
    if sound is not None:
        write = _with_sound(path, sound)
    check_rate(stream.fps, path.suffix)
    _check_place(path, overwrite)
    banded = stream.banded and write is _write_sheet and scale in (None, 1)
    if banded:  # row by row, as it is
        write, scale = _write_bands, 1
    if scale is None:
        scale = watchable_scale(
            stream.size, SHEET_SIDE if write is _write_sheet else WATCHABLE_SIDE
        )
    size = stream.size[0] * scale, stream.size[1] * scale
    if max(size) > MOST_SIDE:
        raise UsageError(f"a side of {max(size)} pixels is more than {MOST_SIDE}")
    if write in _WHOLE:
        _check_held(path, stream.frames, size, _WHOLE[write])
    text = None if receipt is None else json.dumps(receipt)
    if not banded:
        frames = (enlarge(block, scale) for block in stream)
        stream = Stream(frames, stream.fps, size, stream.frames)
    with beside(path, overwrite) as (_, temporary):
        write(stream, temporary, text)
    return path


def _with_sound(path: Path, sound: Path) -> Writer:
    """UsageError for a format that is silent."""
    write = _SOUNDING.get(path.suffix.lower())
    if write is None:
        raise UsageError(f"a {path.suffix[1:]} has no sound", f"Use one of {', '.join(_SOUNDING)}.")
    return partial(write, sound=sound)


def _check_held(path: Path, frames: int, size: tuple[int, int], most: int) -> None:
    """UsageError where a format that holds all frames at once would hold too many bytes."""
    held = frames * size[0] * size[1] * 3
    if held > most:
        raise UsageError(
            f"a {path.suffix[1:]} takes all frames at once, and {frames} of {size[1]}x{size[0]} "
            f"pixels are {held / 2**30:.1f} GiB",
            f"--out {path.with_suffix('.mp4')}, which is written as the frames come",
        )


def watchable_scale(size: tuple[int, int], side: int = WATCHABLE_SIDE) -> int:
    """The least whole factor that makes the short side of (height, width) at least `side`, or the
    largest that leaves the long one possible."""
    return max(1, min(-(-side // min(size)), MOST_SIDE // max(size)))


def enlarge(frames: np.ndarray, scale: int) -> np.ndarray:
    """frames: (T, H, W, 3) -> (T, scale H, scale W, 3), smoothly."""
    if scale == 1:
        return frames
    height, width = frames.shape[1] * scale, frames.shape[2] * scale
    method = Image.Resampling.BICUBIC
    return np.stack(
        [np.asarray(Image.fromarray(f).resize((width, height), method)) for f in frames]
    )


def _check_place(path: Path, overwrite: bool) -> None:
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder, a file name is needed.")
    if not os.path.isdir(path.parent):
        raise UsageError(
            f"The folder {path.parent} does not exist.", f"Create it first: mkdir -p {path.parent}"
        )
    if os.path.exists(path) and not overwrite:
        raise UsageError(f"{path} exists already.", "Add --force to replace it.")


def _write_mp4(stream: Stream, path: Path, text: str | None, sound: Path | None = None) -> None:
    """H.264 with the index before the pictures, so that a browser can begin at once."""
    heard = sound and ("aac", sound)
    _write_video(stream, path, text, "libx264", H264, {"movflags": "+faststart"}, heard)


def _write_webm(stream: Stream, path: Path, text: str | None, sound: Path | None = None) -> None:
    heard = sound and ("libopus", sound)
    _write_video(stream, path, text, "libvpx-vp9", VP9, {}, heard)


def _write_video(
    stream: Stream,
    path: Path,
    text: str | None,
    codec: str,
    quality: dict[str, str],
    layout: dict[str, str],
    sound: tuple[str, Path] | None,
) -> None:
    """sound: a codec, and the file whose sound it writes."""
    import av

    height, width = (side + side % 2 for side in stream.size)
    with av.open(str(path), "w", container_options={"fflags": "+bitexact", **layout}) as container:
        if text is not None:
            container.metadata["comment"] = text
        rate = fraction_of(stream.fps)
        track = cast("VideoStream", container.add_stream(codec, rate=rate, options=quality))
        track.height, track.width, track.pix_fmt = height, width, "yuv420p"
        _make_repeatable(track.codec_context, 1 / rate)
        heard = Soundtrack(container, *sound, stream.frames / rate) if sound else None
        for place, pixels in enumerate(pixels for block in stream for pixels in _even(block)):
            container.mux(track.encode(_to_yuv(pixels, place, 1 / rate)))
            if heard:
                heard.until((place + 1) / rate)
        container.mux(track.encode(None))
        if heard:
            heard.end()


def _make_repeatable(context: VideoCodecContext, time_base: Fraction) -> None:
    """One thread; no dates, versions or random identifiers; colours that say what they are."""
    from av.codec.context import Flags

    context.time_base = time_base
    context.thread_count = 1
    context.flags |= Flags.bitexact
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED_RANGE


def _to_yuv(pixels: np.ndarray, place: int, time_base: Fraction) -> VideoFrame:
    """RGB uint8 (H, W, 3) -> a yuv420p frame in the BT.709 matrix, the one that is announced."""
    from av import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace

    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    frame.pts, frame.time_base = place, time_base
    return frame


def _even(frames: np.ndarray) -> np.ndarray:
    """Repeat the last row or column where a side is odd: 4:2:0 has no half chroma samples."""
    odd = [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)]
    return np.pad(frames, odd, mode="edge")


def _write_gif(stream: Stream, path: Path, text: str | None) -> None:
    """GIF89a with one palette for all frames, each storing the rectangle that changed.

    Written block by block because Pillow's own writer merges equal frames, and the count must stay.
    """
    frames, (height, width) = np.concatenate(list(stream)), stream.size
    palette = _palette(frames)
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0xF7, 0, 0), _table(palette)]
    parts.append(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")
    if text is not None:
        data = text.encode("ascii")
        blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
        parts.append(b"!\xfe" + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0")
    previous = None
    for picture, delay in zip(
        _quantise(frames, palette), _delays(len(frames), stream.fps), strict=True
    ):
        parts += _gif_frame(picture, previous, delay)
        previous = picture
    path.write_bytes(b"".join(parts) + b";")


def _palette(frames: np.ndarray) -> Image.Image:
    """An image whose palette suits all frames: median cut over a sample of their pixels."""
    pixels = frames.reshape(-1, 3)
    sample = pixels[:: max(1, len(pixels) // PALETTE_PIXELS)][None]
    return Image.fromarray(np.ascontiguousarray(sample)).quantize(256, kmeans=1)


def _table(palette: Image.Image) -> bytes:
    return bytes(palette.getpalette() or []).ljust(768, b"\0")[:768]


def _quantise(frames: np.ndarray, palette: Image.Image) -> Iterator[Image.Image]:
    """No dithering: its noise would move from frame to frame."""
    for frame in frames:
        image = Image.fromarray(np.ascontiguousarray(frame))
        yield image.quantize(palette=palette, dither=Image.Dither.NONE)


def _delays(count: int, fps: float) -> list[int]:
    """Hundredths of a second for each frame, at least 2, without the rounding adding up."""
    ends = np.round(100 * np.arange(count + 1) / fps).astype(int)
    return np.maximum(np.diff(ends), 2).tolist()


def _gif_frame(picture: Image.Image, previous: Image.Image | None, delay: int) -> list[bytes]:
    from PIL.GifImagePlugin import getdata

    left, top, right, bottom = _changed(picture, previous)
    control = b"!\xf9\x04\x04" + struct.pack("<HBB", delay, 0, 0)
    return [control, *getdata(picture.crop((left, top, right, bottom)), (left, top))]


def _changed(picture: Image.Image, previous: Image.Image | None) -> tuple[int, int, int, int]:
    """left, top, right, bottom of what differs from the frame before; one pixel if nothing does."""
    if previous is None:
        return (0, 0, *picture.size)
    changed = np.asarray(picture) != np.asarray(previous)
    if not changed.any():
        return (0, 0, 1, 1)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _write_sheet(stream: Stream, path: Path, text: str | None) -> None:
    """One row of all frames; the count and the rate are noted so that they can be read back."""
    from PIL.PngImagePlugin import PngInfo

    frames, info = np.concatenate(list(stream)), PngInfo()
    for name, told in _notes(stream, text).items():
        info.add_text(name, told)
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(path, pnginfo=info)


def _write_bands(stream: Stream, path: Path, text: str | None) -> None:
    """One picture, row by row as it comes."""
    write_png(path, stream.size, stream.bands(), _notes(stream, text))


def _notes(stream: Stream, text: str | None) -> dict[str, str]:
    """What a png tells of its frames, and its receipt."""
    told = {"frames": str(stream.frames), "fps": repr(float(stream.fps))}
    return told if text is None else {**told, "comment": text}


_SOUNDING = {".mp4": _write_mp4, ".webm": _write_webm}
_WRITERS: dict[str, Writer] = {**_SOUNDING, ".gif": _write_gif, ".png": _write_sheet}
_WHOLE: dict[Writer, int] = {
    _write_gif: MOST_IN_A_GIF,
    _write_sheet: MOST_IN_A_PNG,
}  # one palette, one row
