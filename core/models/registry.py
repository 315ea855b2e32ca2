"""The models by name. Nothing here imports torch; a model's module is imported when it is used."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from ..errors import UsageError, closest


@dataclass(frozen=True)
class Spec:
    """What is known of a model without loading it.

    `module` is relative to this package; `bundled` names the file in core/weights, if any.
    `text`: whether it takes a prompt; `generates`: whether it makes clips.
    """

    name: str
    module: str
    title: str
    task: str
    paper: str
    presets: tuple[str, ...]
    default_preset: str = "tiny"
    text: bool = True
    generates: bool = True
    bundled: str | None = None


MODELS = {
    spec.name: spec
    for spec in (
        Spec(
            name="cogvideo",
            module="cogvideo",
            title="CogVideo: text to video by a hierarchy of transformers",
            task="text-to-video",
            paper="arXiv:2205.15868",
            presets=("tiny", "small", "paper"),
            bundled="cogvideo-tiny.safetensors",
        ),
        Spec(
            name="video-diffusion",
            module="video_diffusion",
            title="Video Diffusion: text to video by a cascade of space-time U-Nets",
            task="text-to-video",
            paper="arXiv:2204.03458",
            presets=("tiny", "small", "paper"),
            bundled="video-diffusion-tiny.safetensors",
        ),
        Spec(
            name="recognizer",
            module="recognizer",
            title="Recognizer: who does what, where, in a clip",
            task="recognition",
            paper="",
            presets=("tiny",),
            text=False,
            generates=False,
            bundled="recognizer-tiny.safetensors",
        ),
        Spec(
            name="resnet",
            module="resnet",
            title="ResNet: residual networks for images",
            task="image-classification",
            paper="arXiv:1512.03385",
            presets=("mini", "resnet18", "resnet50"),
            default_preset="mini",
            text=False,
            generates=False,
        ),
        Spec(
            name="vit",
            module="vit",
            title="ViT: transformers for images",
            task="image-classification",
            paper="arXiv:2010.11929",
            presets=("mini", "tiny", "small"),
            default_preset="mini",
            text=False,
            generates=False,
        ),
    )
}


def find(name: str) -> Spec:
    """The model called `name`. Raises UsageError with the nearest names."""
    if name not in MODELS:
        raise UsageError(
            f"there is no model named {name!r}.{closest(name, MODELS)}", hint="dln models list"
        )
    return MODELS[name]


def load(spec: Spec) -> ModuleType:
    """The module of a model: Config, PRESETS, Model, stages, sample."""
    return import_module(f".{spec.module}", __package__)
