"""The process in which TensorRT parses and builds: python -m dln.export.build_worker.

Reads one request as JSON on stdin and answers with one JSON object on stdout; all that TensorRT
says goes to stderr. It is a process of its own because the builder can crash.

Request: onnx; backend, the module's name; engine, the file to write, or null to parse only;
shapes, {input: [smallest, typical, largest]}; capabilities, ["80", ...]; timing_cache, a file or
null; timeout_s; parent, the process that asks. Answer: {"version", "faults": []}, or with faults,
each {"stage", "graph", "node", "operator", "message"} and, where the system refused a write,
"errno".
"""

import json
import re
import sys
import textwrap
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from dln.core.errors import DlnError
from dln.core.files import atomic_write

from .answering import end_after, end_with, own_stdout

_GRACE_S = 10


class Refused(Exception):
    """The work ends here, for these reasons."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        super().__init__()
        self.faults = faults


def main() -> None:
    """Answer the one request of stdin."""
    answer = own_stdout()
    request = json.load(sys.stdin)
    end_with(request["parent"])
    end_after(request["timeout_s"] + _GRACE_S)
    found: dict[str, Any] = {"version": None, "faults": []}
    try:
        trt = _library(request["backend"])
        found["version"] = trt.__version__
        _work(trt, request)
    except Refused as refused:
        found["faults"] = refused.faults
    except OSError as error:
        found["faults"] = [_fault("write", str(error), errno=error.errno)]
    with answer:
        json.dump(found, answer)


def _fault(stage: str, message: str, **more: Any) -> dict[str, Any]:
    return {"stage": stage, "graph": "", "node": "", "operator": "", "message": message} | more


def _refuse(stage: str, message: str) -> NoReturn:
    raise Refused([_fault(stage, message)])


def _library(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        # OSError: a library it links is not there; RuntimeError: its own checks at import.
        _refuse("import", str(error))


def _work(trt: ModuleType, request: dict[str, Any]) -> None:
    log = _logger(trt)
    builder = trt.Builder(log)
    # Strongly typed: the engine computes in the types of the graph, and in no others.
    flag = trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    network = builder.create_network(1 << int(flag))
    trt.init_libnvinfer_plugins(log, "")
    _parse(trt, network, log, request["onnx"])
    if request["engine"] is None:
        return
    _check_ranges(network, request["shapes"])
    config = _configure(trt, builder, request)
    cache = _open_timing_cache(config, request["timing_cache"])
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        _refuse("build", _short(log.errors[0]) if log.errors else "the builder returned nothing")
    Path(request["engine"]).write_bytes(plan)
    if cache:
        _save_timing_cache(config, cache)


def _logger(trt: ModuleType) -> Any:
    """TensorRT's messages, one a line on stderr; `errors` keeps those that tell why."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if int(severity) <= int(trt.ILogger.Severity.INFO):
                print(f"{severity.name}: {msg}", file=sys.stderr, flush=True)
            if int(severity) <= int(trt.ILogger.Severity.ERROR):
                self.errors.append(msg)

    return Log()


def _short(message: str) -> str:
    """An error's text without the function that raised it, of 300 characters at most."""
    plain = re.sub(r"^\w+::\w+: Error Code \d+: ", "", message)
    return textwrap.shorten(plain, 300, placeholder=" ...")


def _parse(trt: ModuleType, network: Any, log: Any, onnx: str) -> None:
    # The path, not the bytes: weights may lie in a file beside it.
    parser = trt.OnnxParser(network, log)
    if parser.parse_from_file(onnx):
        return
    errors = [parser.get_error(number) for number in range(parser.num_errors)]
    raise Refused([_parser_fault(e) for e in errors] or [_fault("parse", "it is no ONNX file")])


def _parser_fault(error: Any) -> dict[str, Any]:
    operator = error.node_operator()
    # An operator without an importer fails a check whose whole text is "false".
    said = error.desc() if error.desc() != "false" else f"{operator} is not supported"
    message = said.removeprefix("Assertion failed: ")
    graph = "/".join(error.local_function_stack())
    return _fault("parse", message, graph=graph, node=error.node_name(), operator=operator)


def _check_ranges(network: Any, shapes: dict[str, list[list[int]]]) -> None:
    """Each varying dimension of the inputs has a range, each fixed one has none."""
    inputs = {t.name: tuple(t.shape) for t in map(network.get_input, range(network.num_inputs))}
    faults = [f"there is no input {name!r}" for name in shapes if name not in inputs]
    for name, shape in inputs.items():
        given = shapes.get(name)
        if given is None and -1 in shape:
            faults.append(f"input {name!r} varies and no range was given for it")
        elif given is not None:
            faults += _misfits(name, shape, given)
    if faults:
        raise Refused([_fault("range", message) for message in faults])


def _misfits(name: str, shape: tuple[int, ...], given: list[list[int]]) -> list[str]:
    if any(len(sizes) != len(shape) for sizes in given):
        return [f"input {name!r} has {len(shape)} dimensions, its range {len(given[0])}"]
    columns = list(zip(*given, strict=True))
    return [
        f"dimension {d} of input {name!r} is fixed at {size}, but is to vary over {list(wanted)}"
        for d, (size, wanted) in enumerate(zip(shape, columns, strict=True))
        if size != -1 and set(wanted) != {size}
    ]


def _configure(trt: ModuleType, builder: Any, request: dict[str, Any]) -> Any:
    config = builder.create_builder_config()
    # Float32 means float32: TF32 keeps 10 bits of the mantissa and is on by default.
    config.clear_flag(trt.BuilderFlag.TF32)
    if request["shapes"]:
        profile = builder.create_optimization_profile()
        for name, sizes in request["shapes"].items():
            profile.set_shape(name, *map(tuple, sizes))
        config.add_optimization_profile(profile)
    if request["capabilities"]:
        _set_capabilities(trt, config, request["capabilities"])
    return config


def _set_capabilities(trt: ModuleType, config: Any, names: list[str]) -> None:
    config.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        capability = getattr(trt.ComputeCapability, f"SM{name}", None)
        if capability is None or not config.set_compute_capability(capability, index):
            _refuse("capability", f"{trt.__name__} {trt.__version__} has no capability {name}")


def _open_timing_cache(config: Any, path: str | None) -> Path | None:
    """Kernel timings of earlier builds; those of another version or GPU are not used."""
    if path is None:
        return None
    file = Path(path)
    earlier = b""
    with suppress(OSError):
        earlier = file.read_bytes()
    cache = config.create_timing_cache(earlier)
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)
    return file


def _save_timing_cache(config: Any, path: Path) -> None:
    """Keep the timings; without them the next build is only slower."""
    try:
        with atomic_write(path) as file:
            file.write(memoryview(config.get_timing_cache().serialize()))
    except DlnError as error:
        print(f"no timing cache: {error.message}", file=sys.stderr)


if __name__ == "__main__":
    main()
