"""Level 1 of `dln export --readiness` beside TensorRT-RTX's own parser, over graphs of one node.

The graphs are those of ONNX's backend tests, made by the installed package, and with --types each
again in every type that its operator may have. What level 1 refuses and the parser takes is given
to the builder: only what builds is a false alarm. Further ONNX files and folders may be named.
Run: python tests/compare_readiness.py [--types] [PATH ...]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx

from dln.export.operators import ONNX
from dln.export.readiness import Finding, check, check_table

BANDS = ("before 8", "8 to 24", "after 24")
KINDS = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT8", "INT32", "INT64", "BOOL")


@dataclass(frozen=True)
class Case:
    """A graph on disk, and what both have said of it."""

    path: Path
    group: str
    operator: str
    opset: int
    refused: str | None
    errors: list[Finding]

    @property
    def band(self) -> str:
        return BANDS[(self.opset >= 8) + (self.opset > 24)]


def worker() -> None:
    """Parse the files named on stdin, and answer each with a line of its path before and one of
    what the parser has against it after. It may crash between the two."""
    trt: Any = import_module("tensorrt_rtx")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    log = trt.Logger(trt.Logger.INTERNAL_ERROR)
    trt.init_libnvinfer_plugins(log, "")
    flag = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    for line in sys.stdin:
        answers.write(json.dumps({"begun": line.strip()}) + "\n")
        answers.flush()
        builder = trt.Builder(log)
        network = builder.create_network(flag)
        parser = trt.OnnxParser(network, log)
        taken = parser.parse_from_file(line.strip())
        said = [parser.get_error(n).desc() for n in range(parser.num_errors)] or ["refused"]
        answers.write(json.dumps({"refused": None if taken else said[0]}) + "\n")
        answers.flush()


def parsed(paths: Iterable[Path]) -> dict[Path, str | None]:
    """What the parser has against each file, None where it takes it; begun anew after a crash."""
    found: dict[Path, str | None] = {}
    left = list(paths)
    while left:
        command, named = [sys.executable, __file__, "--worker"], "\n".join(map(str, left))
        done = subprocess.run(command, input=named, capture_output=True, text=True, check=False)
        begun = None
        for answer in map(json.loads, done.stdout.splitlines()):
            if "begun" in answer:
                begun = Path(answer["begun"])
                found[begun] = f"the parser crashed ({done.returncode})"
            elif begun:
                found[begun] = answer["refused"]
        if begun is None:
            raise SystemExit(done.stderr)
        left = [path for path in left if path not in found]
    return found


def backend_cases(folder: Path) -> Iterator[tuple[str, Path]]:
    """(group, file) of ONNX's backend tests of single operators, written to a folder."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        if case.model is None:
            continue
        path = folder / f"{case.name}.onnx"
        onnx.save(case.model, path)
        yield ("expanded functions" if "_expanded" in case.name else "single operators"), path


def stored_cases() -> Iterator[tuple[str, Path]]:
    """The small files that come with the onnx package."""
    package = find_spec("onnx.backend.test")
    assert package is not None
    assert package.origin is not None
    for path in sorted((Path(package.origin).parent / "data").rglob("*.onnx")):
        yield f"onnx's {path.relative_to(Path(package.origin).parent / 'data').parts[0]}", path


def opset_of(model: onnx.ModelProto) -> int:
    return max((o.version for o in model.opset_import if o.domain in ONNX), default=0)


def in_other_types(path: Path, folder: Path) -> Iterator[Path]:
    """The graph again with the tensors of one type parameter in each type that it may have."""
    model = onnx.load(path)
    node = model.graph.node[0]
    if len(model.graph.node) != 1 or node.domain not in ONNX:
        return
    schema = onnx.defs.get_schema(node.op_type, opset_of(model), node.domain)
    for constraint in schema.type_constraints:
        for kind in KINDS:
            if f"tensor({kind.lower()})" not in constraint.allowed_type_strs:
                continue
            changed = retyped(model, schema, constraint.type_param_str, kind)
            if changed is not None:
                made = folder / f"{path.stem}-{constraint.type_param_str}-{kind}.onnx"
                onnx.save(changed, made)
                yield made


def retyped(model, schema, parameter: str, kind: str) -> onnx.ModelProto | None:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    node = changed.graph.node[0]
    values = {value.name: value for value in (*changed.graph.input, *changed.graph.output)}
    for formal, names in ((schema.inputs, node.input), (schema.outputs, node.output)):
        for place, name in enumerate(names):
            same = formal and formal[min(place, len(formal) - 1)].type_str == parameter
            if same and name in values and values[name].type.HasField("tensor_type"):
                number = onnx.TensorProto.DataType.Value(kind)
                values[name].type.tensor_type.elem_type = number
    try:
        onnx.shape_inference.infer_shapes(changed, check_type=True, strict_mode=True)
    except Exception:  # types that do not go together
        return None
    return changed


def compared(files: list[tuple[str, Path]]) -> list[Case]:
    said = parsed(path for _, path in files)
    cases = []
    for group, path in files:
        model = onnx.load(path, load_external_data=False)
        operator = model.graph.node[-1].op_type if model.graph.node else "none"
        errors = [found for found in check_table(path) if found.severity == "error"]
        cases.append(Case(path, group, operator, opset_of(model), said[path], errors))
    return cases


def is_false_alarm(case: Case) -> bool:
    """Whether TensorRT-RTX also builds what level 1 refuses."""
    return not [
        found for found in check(case.path, 3) if found.level > 1 and found.severity == "error"
    ]


def report(cases: list[Case]) -> None:
    alarms = [case for case in cases if case.errors and case.refused is None]
    false = {case.path for case in alarms if is_false_alarm(case)}
    print(f"{'graphs':<32}{'opsets':<10}{'all':>7}{'refused':>9}{'missed':>8}"
          f"{'builder refuses':>17}{'false alarms':>14}")  # fmt: skip
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for case in cases:
        count = counts[case.group, case.band]
        count["all"] += 1
        count["refused"] += case.refused is not None
        count["missed"] += case.refused is not None and not case.errors
        count["alarms"] += case in alarms
        count["false"] += case.path in false
    for (group, band), c in sorted(counts.items()):
        print(f"{group:<32}{band:<10}{c['all']:>7}{c['refused']:>9}{c['missed']:>8}"
              f"{c['alarms'] - c['false']:>17}{c['false']:>14}")  # fmt: skip
    for case in cases:
        if case.refused is not None and not case.errors:
            said = " ".join(case.refused.splitlines()[:2])[:200]
            print(f"missed: {case.operator} of {case.path.stem}: {said}")
        if case.path in false:
            print(f"false alarm: {case.operator} of {case.path.stem}: {case.errors[0].message}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    parser.add_argument("--types", action="store_true", help="each graph in other types too")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        return worker()
    with tempfile.TemporaryDirectory() as folder:
        files = [*backend_cases(Path(folder)), *stored_cases()]
        if asked.types:
            single = [path for group, path in files if group == "single operators"]
            files += [("in other types", made) for path in single
                      for made in in_other_types(path, Path(folder))]  # fmt: skip
        for path in asked.paths:
            named = sorted(path.rglob("*.onnx")) if path.is_dir() else [path]
            files += [(path.name if path.is_dir() else "files", file) for file in named]
        return report(compared(files))


if __name__ == "__main__":
    main()
