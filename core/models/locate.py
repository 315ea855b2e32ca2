"""Where the weights of a model lie; told without PyTorch."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import DlnError, MissingCapability, UsageError, closest
from .about import About
from .registry import MODELS, PLACES

MOST_HEADER = 100_000_000  # bytes


def locate(name: str) -> Path:
    """Where the weights of a model's name, a run folder or a file lie."""
    if name in MODELS:
        return bundled(MODELS[name])
    path = Path(name)
    if path.is_dir():
        weights = path / "model.safetensors"
        if not weights.exists():
            raise UsageError(
                f"{path} has no model.safetensors: no finished training lies there",
                hint=f"dln train MODEL --resume --out {path}",
            )
        return weights
    if path.is_file():
        return path
    near = closest(name, MODELS)
    raise UsageError(f"there is no model, run or file named {name!r}.{near}", "dln models list")


def bundled(about: About) -> Path:
    """The weights that come with the package. Raises MissingCapability where there are none."""
    path = Path(str(files("dln.core") / "weights" / (about.bundled or "")))
    if about.bundled is None or not path.is_file():
        raise MissingCapability(
            f"{about.name} comes without weights here", hint=f"dln train {about.name}"
        )
    return path


def identify(name: str) -> About:
    """What a model's name, a run folder or a file of weights is. Errors as of `locate`, DlnError
    for a file whose card cannot be read."""
    if name in MODELS:
        return MODELS[name]
    model = str(read_card(locate(name)).get("model", ""))
    if model not in MODELS:
        raise UsageError(f"{name} holds {model!r}, a model that is not known here.",
                         f"{PLACES}=FOLDER names where its folder lies")  # fmt: skip
    return MODELS[model]


def read_card(path: Path) -> dict[str, Any]:
    """The card in a weight file's header. DlnError for a damaged file, UsageError for one that
    this program did not write."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, MOST_HEADER)))
        told = header.get("__metadata__", {}).get("dln")
        card = json.loads(told)["card"] if told else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DlnError(f"{path} is damaged: its card cannot be read.") from error
    if not isinstance(card, dict):
        raise UsageError(f"{path} was not written by dln", hint="dln models list")
    return card
