"""What a stage of an export depends on, as one short hash: the same is asked for by export, by the
cache and by generation."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dln.core.models.registry import known

from .manifest import BACKENDS, installed, versions

Sizes = Mapping[str, Sequence[int]]  # {name: (smallest, typical, largest)}


def graph_key(model: str, sha256: str, graph: str, precision: str, opset: int) -> str:
    """Of the file of one graph. model: by its name in the registry; sha256: of its weights."""
    return fingerprint(model, sha256, graph, precision, opset, versions(model))


def loop_key(model: str, graphs: Mapping[str, Any]) -> str:
    """Of a comparison of the sampling loop. graphs: of the manifest."""
    return fingerprint(model, [entry["sha256"] for entry in graphs.values()], versions(model))


def engine_key(
    model: str,
    sha256: str,
    backend: str,
    capabilities: Sequence[str],
    gpu: str | None,
    sizes: Sizes,
) -> str:
    """Of an engine. sha256: of its graph; gpu: the one that TensorRT builds for, None where the
    compute capabilities say for which; sizes: that it takes."""
    library = backend, installed(BACKENDS[backend])
    return fingerprint(model, sha256, library, sorted(set(capabilities)), gpu, plain(sizes))


def plain(sizes: Sizes) -> dict[str, list[int]]:
    return {name: list(limits) for name, limits in sizes.items()}


def limited(sizes: Sizes, batch: int | None) -> dict[str, list[int]]:
    """The same sizes with batches up to `batch`, where there are any and one is given."""
    found = plain(sizes)
    if batch and "batch" in found:
        small, typical, _ = found["batch"]
        found["batch"] = [min(small, batch), min(typical, batch), batch]
    return found


def covers(proven: Sizes, asked: Sizes) -> bool:
    """Whether what was proven at some sizes holds for the sizes asked for."""
    return proven.keys() == asked.keys() and all(
        proven[name][0] <= low and high <= proven[name][2] for name, (low, _, high) in asked.items()
    )


def fingerprint(model: str, *parts: Any) -> str:
    """A short hash of what a stage's result depends on, the code that makes it included."""
    text = json.dumps([*parts, code_sha256(model)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_sha256(model: str) -> str:
    """Of the sources that decide what an export of this model computes."""
    digest = hashlib.sha256()
    for name, path in sources(model):
        digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()


def sources(model: str) -> list[tuple[str, Path]]:
    """The model's own folder, the blocks it shares, graphs and engines, and all of the export:
    (name, file). What other models do, and how any is trained, changes no export of this one."""
    # Found as it would be imported, and not imported: that would take PyTorch.
    about = known(model)
    assert about is not None
    package = find_spec(f"dln.core.models.{about.module}")
    assert package is not None
    own = map(Path, package.submodule_search_locations or [])
    models = Path(str(files("dln.core.models")))
    roots = [Path(str(files("dln.export"))), models / "layers", *own]
    found = [(f"{root.name}/{path.relative_to(root).as_posix()}", path)
             for root in roots for path in sorted(root.rglob("*.py"))]  # fmt: skip
    return [*found, *((name, models / name) for name in ("graph.py", "engine.py"))]
