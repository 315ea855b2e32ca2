"""Where the weights of a model lie; told without PyTorch."""

import os
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from reprlib import repr as short
from shlex import quote
from typing import Any

from ..door import is_plain, json_value, typed
from ..errors import DlnError, MissingCapability, UsageError, closest, reason_of
from ..files import known_sha256
from ..installed import AS_BEFORE
from .about import About
from .pipelines import folder as pipelines
from .registry import GUESTS, MODELS, PLACES

FORMAT = "dln-model-1"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")  # torch's begin so
MOST_HEADER = 8 << 20  # bytes of a file's list of tensors, card, sizes and vocabulary


@dataclass(frozen=True)
class Header:
    """What a file of weights says of itself. card: who made it and how, its model's name among it;
    config: the fields of that model's configuration; vocabulary: the words that it reads."""

    format: str
    card: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    vocabulary: list[str] | None = None


def locate(name: str) -> Path:
    """Where the weights of a model's name or of `further` ones, a run folder or a file lie; of a
    guest ("diffusers:FOLDER") the folder; of "cogview2:runs/mine", those in it that hold cogview2's
    too."""
    if name in MODELS:
        return bundled(MODELS[name])
    if (part := parted(name)) is not None:
        about, whole = part
        path = locate(whole)
        if not holds(read_header(path), about):
            raise UsageError(f"{whole} holds no {about.name}", f"dln train {about.name}")
        return path
    more = {weights: made for about in MODELS.values() for weights, made in about.further.items()}
    if name in more:
        return shipped(name, f"{name}.safetensors", more[name])
    guest, _, place = name.partition(":")
    if guest in GUESTS:
        if not place:
            raise UsageError(f"a model of {guest} lies in a folder", f"--model {guest}:FOLDER")
        pipelines.index_of(Path(place))
        return Path(place)
    path = Path(name)
    if os.path.isdir(path):
        weights = path / "model.safetensors"
        if os.path.isfile(path / pipelines.INDEX) and not os.path.isfile(weights):
            raise UsageError(f"{path} is a pipeline of diffusers", f"--model diffusers:{path}")
        if not os.path.isfile(weights):
            raise UsageError(
                f"{path} has no model.safetensors: no finished training lies there",
                hint=f"dln train MODEL --resume --out {path}",
            )
        return weights
    if os.path.isfile(path):
        return path
    near = closest(name, [*MODELS, *more])
    raise UsageError(f"there is no model, run or file named {name!r}.{near}", "dln models list")


def parted(name: str) -> tuple[About, str] | None:
    """Of "cogview2:runs/mine" the model that is asked for and the name of weights that hold it;
    None for names of another form."""
    inner, colon, whole = name.partition(":")
    about = MODELS.get(inner)
    return (about, whole) if colon and about and about.within else None


def holds(header: Header, about: About) -> bool:
    """Whether weights are a model's own, or another's that hold them."""
    model = header.card.get("model")
    whole, field = about.within or ("", "")
    inside = model == whole and header.config.get(field) is not None
    return model == about.name or inside


def part_of(name: str, inner: str) -> str | None:
    """The name of the model `inner` within the weights called `name`; None where they hold none.
    Errors as of `locate`."""
    return f"{inner}:{name}" if holds(read_header(locate(name)), MODELS[inner]) else None


def bundled(about: About) -> Path:
    """The weights that come with the package, its own or another's that hold them. Raises
    MissingCapability where there are none."""
    whole = MODELS.get(about.within[0]) if about.within and not about.bundled else None
    if whole is not None and whole.bundled:
        path = bundled(whole)
        if holds(read_header(path), about):
            return path
    return shipped(about.name, about.bundled or "", f"dln train {about.name}")


def shipped(name: str, file: str, hint: str) -> Path:
    """A file of weights that comes with the package. MissingCapability where there is none."""
    path = Path(str(files("dln.core") / "weights" / file))
    if not os.path.isfile(path):
        raise MissingCapability(f"{name} comes without weights here", hint=hint)
    return path


def identify(name: str) -> About:
    """What a model's name, a run folder or a file of weights is. Errors as of `locate`, DlnError
    for a file whose card cannot be read."""
    if name in MODELS:
        return MODELS[name]
    path, part = locate(name), parted(name)
    return part[0] if part else about_of(read_header(path), name)


def about_of(header: Header, name: str | Path) -> About:
    """Of which model the weights `name` are. UsageError for one that is not known here."""
    if header.format in GUESTS:
        return GUESTS[header.format]
    model = header.card.get("model")
    if not (isinstance(model, str) and model in MODELS):
        raise UsageError(f"{name} holds {short(model)}, a model that is not known here.",
                         f"{PLACES}=FOLDER names where its folder lies")  # fmt: skip
    return MODELS[model]


def read_header(path: Path) -> Header:
    """What a file of weights says of itself, without its tensors; what a guest's folder does, whose
    format is its name. DlnError for a damaged file, UsageError for one that this program did not
    write, and as `pipelines.told_of`."""
    if os.path.isdir(path):
        config, card = pipelines.told_of(path)
        return Header(pipelines.ABOUT.name, card, asdict(config))
    told = metadata_of(path).get("dln")
    if told is None:
        raise UsageError(f"{path} was not written by dln", hint="dln models list")
    try:
        header = typed(Header, told, "its card")
    except (UsageError, TypeError) as error:
        raise damaged(path, str(error).rstrip(".")) from error
    if header.format != FORMAT:
        raise UsageError(f"{path} is of the kind {short(header.format)}; this dln reads "
                         f"{FORMAT!r}", hint=AS_BEFORE)  # fmt: skip
    return header


def look(name: str) -> Header:
    """What the weights of a name say of themselves, before PyTorch is loaded for them. Errors as of
    `locate` and `identify`, DlnError for a file that is not whole."""
    path = locate(name)
    header = read_header(path)
    about_of(header, name)
    for file in pipelines.weights_of(path) if header.format in GUESTS else [path]:
        check_whole(file)
    return header


def weights_sha256(path: Path) -> str:
    """The hash of a file of weights, or of all that a guest's folder is loaded from."""
    return pipelines.sha256_of(path) if os.path.isdir(path) else known_sha256(path)


def check_whole(path: Path) -> None:
    """DlnError for what is no safetensors file, or is cut off; its tensors are not read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np"):
            pass
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise damaged(path, reason_of(error)) from error


def metadata_of(path: Path) -> dict[str, Any]:
    """The words in a safetensors file's header: its length in 8 bytes, then JSON."""
    try:
        if not is_plain(path):
            raise damaged(path, "it is empty, or no file")
        with path.open("rb") as file:
            begin = file.read(8)
            size = int.from_bytes(begin, "little")
            if size > MOST_HEADER and begin.startswith(_PICKLES):
                raise UsageError(f"{path} holds a pickle, which is not opened: it may run programs",
                                 f"dln models import {quote(str(path))}")  # fmt: skip
            if size > MOST_HEADER:
                raise damaged(path, f"its header is to have {size:,} bytes")
            return dict(json_value(file.read(size)).get("__metadata__", {}))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise damaged(path, "its header cannot be read") from error


def damaged(path: Path, reason: str) -> DlnError:
    """The error for a file of weights that is not whole."""
    return DlnError(
        f"{path} is damaged or no file of weights: {reason}",
        hint="train or copy it again; checkpoints in the run's state/ are kept",
    )
