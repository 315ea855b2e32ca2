"""A pipeline's folder, read without PyTorch and without diffusers: what it is, whether it is whole,
and its hash.

Anybody may have written it. Weights are safetensors; what is pickled is refused, and so is what
asks for code of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from reprlib import repr as short
from typing import Any

from ...door import json_value, read_bytes
from ...errors import MissingCapability, UsageError, closest
from ...files import known_sha256
from ...installed import install_line
from .config import KNOWN, Config
from .guest import ABOUT

INDEX = "model_index.json"
LIBRARIES = ("diffusers", "transformers")  # whose classes a pipeline is made of
NEEDED = ("text_encoder", "tokenizer", "transformer", "vae", "scheduler")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
MOST = 16 << 20  # bytes of a configuration; lists of tensors have one or two
MORE = f"dln generate PROMPT --model {ABOUT.name}:FOLDER"


def told_of(folder: Path) -> tuple[Config, dict[str, Any]]:
    """The configuration and the card of the pipeline in a folder.

    UsageError for what is none, for one that makes no clips of text or is of a kind that is not
    known, for pickled weights and for code of its own; MissingCapability where what runs it is not
    installed.
    """
    index = index_of(folder)
    name = str(index["_class_name"])
    if name not in KNOWN:
        raise unknown(folder, index)
    for part in parts(index):
        check_part(folder, part, index[part])
    if missing := [part for part in NEEDED if part not in parts(index)]:
        raise UsageError(f"{folder} is not whole: its {missing[0]} is missing")
    for package in LIBRARIES:
        if find_spec(package) is None:
            raise MissingCapability(f"pipelines of diffusers take the package {package}",
                                    install_line("diffusers"))  # fmt: skip
    card = {"model": ABOUT.name, "pipeline": name, "folder": folder.resolve().name}
    return configured(folder, name), card | {"written_by": index.get("_diffusers_version")}


def index_of(folder: Path) -> dict[str, Any]:
    """The list of a pipeline's parts. UsageError where there is none."""
    if not os.path.isdir(folder):
        raise UsageError(f"there is no folder {folder}",
                         "--download fetches a pipeline that is named as on the hub")  # fmt: skip
    if not os.path.isfile(folder / INDEX):
        raise UsageError(f"{folder} is no pipeline of diffusers: it has no {INDEX}", MORE)
    index = table(folder / INDEX)
    if not isinstance(index.get("_class_name"), str):
        raise UsageError(f"{folder} names code of its own as its pipeline, which is never run")
    return index


def table(path: Path) -> dict[str, Any]:
    """A JSON object. UsageError for what is none."""
    try:
        found = json_value(read_bytes(path, MOST))
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is damaged: it holds {short(found)}.")
    return found


def unknown(folder: Path, index: dict[str, Any]) -> UsageError:
    """The error for a pipeline of another class: does it make clips at all?"""
    name = index["_class_name"]
    classes = [str(part[1]) for part in index.values() if isinstance(part, list) and len(part) > 1]
    pictures = any(c == "AutoencoderKL" or c.startswith(("UNet2D", "Flux", "SD3")) for c in classes)
    why = "makes pictures and no clips" if pictures else "is not known here"
    near = "" if pictures else closest(name, KNOWN)
    return UsageError(f"{folder} is a {short(name)}, which {why}.{near}",
                      f"one of {', '.join(KNOWN)}")  # fmt: skip


def parts(index: dict[str, Any]) -> list[str]:
    """The names of a pipeline's parts, each of which lies in a folder of its own."""
    return [n for n, part in index.items() if isinstance(part, list) and part != [None, None]]


def check_part(folder: Path, name: str, told: list[Any]) -> None:
    """UsageError for a part of other libraries, one that is not there, or is pickled."""
    place = folder / name
    if len(told) != 2 or told[0] not in LIBRARIES or not str(told[1]).isidentifier():
        raise UsageError(f"{folder} takes {name} from {short(told)}: code of other places than "
                         f"{' and '.join(LIBRARIES)} is never run")  # fmt: skip
    if os.path.basename(name) != name or not os.path.isdir(place):
        raise UsageError(f"{folder} is not whole: its {name} is missing")
    pickled = [path.name for path in files_in(place) if path.suffix in PICKLES]
    if pickled:
        raise UsageError(
            f"{place} holds {pickled[0]}, a pickle, which is not opened: it may run programs",
            "the same weights as .safetensors, without that file",
        )
    network = name != "tokenizer" and os.path.isfile(place / "config.json")
    if network and not list(weights_in(place)):
        raise UsageError(f"{place} holds no weights in safetensors")
    for listed in place.glob("*.index.json"):
        files = table(listed).get("weight_map")
        own = {path.name for path in weights_in(place)}
        if not isinstance(files, dict) or not {str(name) for name in files.values()} <= own:
            raise UsageError(f"{listed} names files that are no safetensors of its folder")


def weights_in(place: Path) -> Iterator[Path]:
    return (path for path in files_in(place) if path.suffix == ".safetensors")


def files_in(place: Path) -> list[Path]:
    """All files under a folder, but hidden ones, in the order of their names."""
    found = (path for path in place.rglob("*") if path.is_file())
    inside = [p for p in found if not any(n.startswith(".") for n in p.relative_to(place).parts)]
    return sorted(inside, key=lambda path: path.relative_to(place).as_posix())


def weights_of(folder: Path) -> list[Path]:
    """The files of weights of all parts of the pipeline."""
    return [path for part in parts(index_of(folder)) for path in weights_in(folder / part)]


def sha256_of(folder: Path) -> str:
    """One hash of the pipeline: of the name and the hash of each file that it is loaded from."""
    digest = hashlib.sha256()
    found = [folder / INDEX]
    for part in sorted(parts(index_of(folder))):
        found += files_in(folder / part)
    for path in found:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{known_sha256(path)}\n".encode())
    return digest.hexdigest()


def configured(folder: Path, name: str) -> Config:
    """The clip that a pipeline makes unless more is told. UsageError for sizes that are none, and
    for a network that no seed reaches."""
    known, vae = KNOWN[name], table(folder / "vae" / "config.json")
    transformer = table(folder / "transformer" / "config.json")
    try:
        return Config(pipeline=name, **_CLIPS[name](known, vae, transformer))
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise UsageError(f"{folder} is damaged: the sizes of its networks are none") from error


def _cogvideox(known: Any, vae: dict[str, Any], transformer: dict[str, Any]) -> dict[str, Any]:
    """Two latent frames are decoded at a time after the first three."""
    side = 2 ** (len(vae["block_out_channels"]) - 1)
    pace = 2 * int(vae.get("temporal_compression_ratio", 4))
    return {
        "frames": transformer.get("sample_frames", known.frames),
        "fps": known.fps,
        "size": (side * transformer["sample_height"], side * transformer["sample_width"]),
        "pace": pace,
        "least": pace + 1,
        "side": side * transformer["patch_size"],
    }


def _wan(known: Any, vae: dict[str, Any], transformer: dict[str, Any]) -> dict[str, Any]:
    side = vae.get("scale_factor_spatial", 8) * transformer["patch_size"][1]
    pace = vae.get("scale_factor_temporal", 4) * transformer["patch_size"][0]
    return _usual(known, pace, max(16, side))


def _ltx(known: Any, vae: dict[str, Any], transformer: dict[str, Any]) -> dict[str, Any]:
    if any(vae.get("decoder_inject_noise") or ()):
        raise UsageError("its decoder draws noise by itself, which no seed reaches",
                         "a version of LTX-Video whose decoder does not")  # fmt: skip
    halved = 2 ** sum(vae["spatio_temporal_scaling"])
    side = vae.get("spatial_compression_ratio") or vae["patch_size"] * halved
    pace = vae.get("temporal_compression_ratio") or vae["patch_size_t"] * halved
    return _usual(known, pace, max(32, side))


def _usual(known: Any, pace: int, side: int) -> dict[str, Any]:
    """A kind whose files say nothing of its clips; `side` is at least what its calls insist on."""
    return {"frames": known.frames, "fps": known.fps, "size": known.size, "pace": pace,
            "side": side}  # fmt: skip


_CLIPS = {"CogVideoXPipeline": _cogvideox, "WanPipeline": _wan, "LTXPipeline": _ltx}
