"""Reference files made by others' code: weights by formula, inputs and outputs."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

ORACLES = Path(__file__).parents[3] / "shared" / "oracles"


def oracle(name: str) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    """What is told of it, its weights and its tensors."""
    path = found(name)
    spec = importlib.util.spec_from_file_location("formula", ORACLES / "formula.py")
    assert spec is not None
    assert spec.loader is not None
    formula = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(formula)
    told, tensors = formula.read(path)
    drawn = formula.fill(told["weights"], told["seed"])
    given = formula.fill(told["inputs"], told["seed"])
    return told, as_tensors(drawn), as_tensors({**given, **tensors})


def found(name: str) -> Path:
    """The file, or the test is left out."""
    path = ORACLES / f"{name}.safetensors"
    if not path.exists():
        pytest.skip(f"no reference file {path.name}")
    return path


def as_tensors(group: dict[str, Any]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value.copy()) for name, value in group.items()}


def filled(module: torch.nn.Module, weights: dict[str, Tensor], told: dict[str, Any]) -> None:
    """Only what the model computes itself may be missing."""
    missing, unexpected = module.load_state_dict(weights, strict=False)
    assert not unexpected
    assert set(missing) <= set(told["computed_by_the_model"])
    assert sum(p.numel() for p in module.parameters()) == told["parameters"]


def near(ours: Tensor, theirs: Tensor, most: float = 1e-4) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= most * theirs.abs().max()
