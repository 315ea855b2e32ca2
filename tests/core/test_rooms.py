"""The order of the house: a room imports from rooms above it alone, no files in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("media", "text", "carbon", "data", "training", "models", "runs", "generation", "metrics",
         "study", "api")  # fmt: skip
CARBON = ("values", "documents", "places", "costs", "grid", "plan", "meter", "report")
HEAVY_FREE = ("typer", "rich", "onnx", "onnxruntime", "tensorrt", "textual_image")


def modules() -> dict[str, Path]:
    """Every file of cli, core and export by its dotted name from the project's root."""
    found = {}
    for top in ("cli", "core", "export"):
        for path in sorted((ROOT / top).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """The project's modules that a file imports, wherever in it, for types alone included."""
    package = name.split(".")
    if MODULES[name].name != "__init__.py":
        package = package[:-1]
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        stem = (node.module or "").removeprefix("dln").strip(".")
        base = package[: len(package) - node.level + 1] if node.level else []
        if not node.level and not (node.module or "").startswith("dln"):
            continue
        target = ".".join([*base, *filter(None, [stem])])
        for alias in node.names:
            inner = f"{target}.{alias.name}"
            found.add(inner if inner in MODULES else target)
    return {each for each in found if each in MODULES and each != name}


def room(name: str, inside: str = "core.", rooms: tuple[str, ...] = ROOMS) -> int:
    """How far down a module stands among the rooms of a folder; -1 for the files beside them."""
    top = name.removeprefix(inside).partition(".")[0]
    return rooms.index(top) if name.startswith(inside) and top in rooms else -1


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("core.")])
def test_no_import_runs_back_up(name):
    back = {other for other in imports(name) if room(other) > room(name)}
    assert not back
    assert all(other.startswith("core") for other in imports(name))


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("core.carbon.")])
def test_no_import_runs_back_up_in_carbon(name):
    inside = "core.carbon."
    own = room(name, inside, CARBON)
    assert own >= 0
    assert not {other for other in imports(name) if room(other, inside, CARBON) > own}


def test_export_knows_no_console_and_core_neither():
    for name in MODULES:
        if name.startswith("export"):
            assert not {other for other in imports(name) if other.startswith("cli")}, name


def test_core_prints_nothing_and_knows_no_console_nor_export():
    for name in filter(lambda n: n.startswith("core"), MODULES):
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.partition(".")[0] for n in names} & set(HEAVY_FREE), name
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", name


def test_no_circle_of_files():
    graph = {name: imports(name) for name in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
