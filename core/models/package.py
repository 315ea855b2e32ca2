"""One file that is enough to generate: weights, sizes, vocabulary and card, in safetensors."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from safetensors import SafetensorError, safe_open

from ..errors import DlnError, UsageError, reason_of
from ..files import atomic_write
from ..installed import has_torch
from ..text.vocabulary import Vocabulary
from .about import About
from .fields import check, plain, unsaid
from .locate import (
    FORMAT,
    Header,
    about_of,
    damaged,
    identify,
    locate,
    read_header,
    weights_sha256,
)
from .registry import GUESTS, MODELS, load, sampler_of, sampling

if TYPE_CHECKING:
    import torch

    from .system import SystemModel


@dataclass(frozen=True)
class Loaded:
    """A model ready to use, and where it came from. Where there is no PyTorch, of the model what
    its sampling loop reads."""

    model: SystemModel
    about: About
    card: dict[str, Any]
    sha256: str
    path: Path
    bundled: bool
    part: bool = False  # of a larger model, whose weights the file holds

    @property
    def called(self) -> str:
        """As receipts name it: by the model's name, or where its weights lie."""
        if self.bundled:
            return self.about.name
        named = self.part or self.about.name in GUESTS
        return f"{self.about.name}:{self.path}" if named else str(self.path)


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
    from safetensors.torch import save

    with atomic_write(path) as file:
        file.write(save(tensors, metadata={"dln": text}))


def load_model(name: str | Path) -> Loaded:
    """The model in a file, run folder or guest's folder, or the bundled weights of a model's name;
    of "cogview2:runs/mine", the one within those weights.

    Raises UsageError for what is no model of ours, MissingCapability where a model has no
    bundled weights, DlnError for a damaged file.
    """
    path = locate(str(name))
    header = read_header(path)
    about = about_of(header, path)
    if about.name in GUESTS:
        return guest(path, header, about)
    from .undrawn import fill, room_for, undrawn

    system, tensors = load(about), _tensors(path)
    try:
        config = rebuild(system.Config, header.config)
        with undrawn(), room_for(len(tensors), _numbers(tensors)):
            model = system.Model(config, system.reader(config, header.vocabulary or []))
        fill(model, tensors)
    except (UsageError, RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise DlnError(
            f"the weights in {path} do not fit {about.name}'s configuration in the same file: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error
    wanted, sha256 = identify(str(name)), weights_sha256(path)
    part = wanted is not about
    if part:
        model = load(wanted).held(model)
    return Loaded(model.eval(), wanted, header.card, sha256, path, name in MODELS, part)


def load_sampled(name: str | Path) -> Loaded:
    """The model, for exported graphs of it: where there is no PyTorch, what its sampling loop
    reads. Errors as of `load_model`; MissingCapability for a loop that takes PyTorch."""
    if has_torch():
        return load_model(name)
    path = locate(str(name))
    header, wanted = read_header(path), identify(str(name))
    sampler = sampler_of(wanted)
    try:
        config = config_of(str(name))
        reader = sampler.reader(config, header.vocabulary or [])
        with safe_open(path, "np") as file:
            tensors = {each: file.get_tensor(each) for each in sampler.tensors}
        model: Any = sampler.model(config, reader, tensors)
    except (UsageError, SafetensorError, TypeError, ArithmeticError) as error:
        raise damaged(path, reason_of(error)) from error
    part = about_of(header, path) is not wanted
    sha256 = weights_sha256(path)
    return Loaded(model, wanted, header.card, sha256, path, str(name) in MODELS, part)


def guest(path: Path, header: Header, about: About) -> Loaded:
    """Another's model in its folder."""
    system, sha256 = load(about), weights_sha256(path)
    model = system.opened(path, rebuild(system.Config, header.config))
    return Loaded(model.eval(), about, header.card, sha256, path, False)


def config_of(name: str) -> Any:
    """The configuration of the weights called `name`, which stay where they are. Errors as of
    `locate` and `rebuild`."""
    header = read_header(path := locate(name))
    about, wanted = about_of(header, path), identify(name)
    config = rebuild(sampling(about).Config, header.config)
    return config if wanted is about else sampling(wanted).held(config)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """DlnError for what is no safetensors file, or is cut off."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise damaged(path, reason_of(error)) from error


def _numbers(tensors: dict[str, torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors.values())


def rebuild(kind: Any, values: dict[str, Any]) -> Any:
    """A (nested) configuration dataclass back from its JSON. UsageError for a value of another
    kind or outside its range; what the class does not have is left out."""
    hints, fields, values = get_type_hints(kind), {}, unsaid(kind) | values
    for item in dataclasses.fields(kind):
        if item.name not in values:
            continue
        value, hint = values[item.name], plain(hints[item.name])
        if isinstance(value, dict) and dataclasses.is_dataclass(hint):
            value = rebuild(hint, value)
        fields[item.name] = tuple(value) if isinstance(value, list) else value
    built = kind(**fields)
    check(built)
    return built
