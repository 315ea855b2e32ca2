"""Where the weights of a model lie; told without PyTorch."""

from importlib.resources import files
from pathlib import Path

from ..errors import MissingCapability, UsageError
from .registry import MODELS, Spec, find


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
    find(name)
    raise UsageError(f"there is no model, run or file {name}", hint="dln models list")


def bundled(spec: Spec) -> Path:
    """The weights that come with the package. Raises MissingCapability where there are none."""
    path = Path(str(files("dln.core") / "weights" / (spec.bundled or "")))
    if spec.bundled is None or not path.is_file():
        raise MissingCapability(
            f"{spec.name} comes without weights here", hint=f"dln train {spec.name}"
        )
    return path
