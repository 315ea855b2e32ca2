"""One file that is enough to generate: weights, sizes, vocabulary and card, in safetensors."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..errors import DlnError, UsageError
from ..files import atomic_write, known_sha256
from ..text.vocabulary import Vocabulary
from .about import About
from .locate import locate
from .registry import MODELS, find, load
from .system import SystemModel
from .undrawn import fill, undrawn

FORMAT = "dln-model-1"


@dataclass(frozen=True)
class Loaded:
    """A model ready to use, and where it came from."""

    model: SystemModel
    about: About
    card: dict[str, Any]
    sha256: str
    path: Path
    bundled: bool


def save_model(
    path: Path, model: SystemModel, card: dict[str, Any], dtype: torch.dtype | None = None
):
    """Write the model atomically; floating-point tensors as `dtype` where one is given.

    card["model"] names the entry of the registry that reads it back.
    """
    header = {
        "format": FORMAT,
        "card": card,
        "config": dataclasses.asdict(model.config),
    }
    if isinstance(model.reader, Vocabulary):
        header["vocabulary"] = model.reader.words
    tensors = {}
    for name, tensor in model.state_dict().items():
        half = dtype is not None and tensor.is_floating_point()
        tensors[name] = tensor.detach().cpu().to(dtype if half else tensor.dtype).contiguous()
    text = json.dumps(header, ensure_ascii=False, sort_keys=True)
    with atomic_write(path) as file:
        file.write(save(tensors, metadata={"dln": text}))


def load_model(name: str | Path) -> Loaded:
    """The model in a file or run folder, or the bundled weights of a model's name.

    Raises UsageError for what is no model of ours, MissingCapability where a model has no
    bundled weights, DlnError for a damaged file.
    """
    path = locate(str(name))
    header = read_header(path)
    about = find(header["card"].get("model", ""))
    system = load(about)
    config = rebuild(system.Config, header["config"])
    with undrawn():
        model = system.Model(config, system.reader(config, header.get("vocabulary", [])))
    try:
        fill(model, _tensors(path))
    except RuntimeError as error:
        raise DlnError(
            f"the weights in {path} do not fit {about.name}'s configuration in the same file"
        ) from error
    return Loaded(model.eval(), about, header["card"], known_sha256(path), path, name in MODELS)


def read_header(path: Path) -> dict[str, Any]:
    """Card, config and vocabulary of a model file, without its tensors."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DlnError(
            f"{path} is damaged or no safetensors file ({error})",
            hint="train or copy it again; checkpoints in the run's state/ are kept",
        ) from error
    try:
        header = json.loads(metadata["dln"])
    except (KeyError, ValueError):
        header = {}
    if header.get("format") != FORMAT:
        raise UsageError(f"{path} was not written by dln", hint="dln models list")
    return header


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def rebuild(kind: Any, values: dict[str, Any]) -> Any:
    """A (nested) configuration dataclass back from its JSON."""
    fields = {}
    for item in dataclasses.fields(kind):
        if item.name not in values:
            continue
        value = values[item.name]
        if isinstance(value, dict) and item.default_factory is not dataclasses.MISSING:
            value = rebuild(item.default_factory, value)  # pyright: ignore
        fields[item.name] = tuple(value) if isinstance(value, list) else value
    return kind(**fields)
