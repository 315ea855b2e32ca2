"""One case: files of a stranger's, a command line or a call that reads them, and the judgement."""

import base64
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dln.export  # noqa: F401  (what it says to ONNX Runtime outlives a case's environment)
from dln.cli.main import run
from dln.core.errors import DlnError

from .nasty import CANARY

SECONDS = 20.0
MOST_BYTES = 4 << 30
# 130 is of an interruption, and nobody interrupts here.
CODES = (0, 1, 2, 3, 75)
# What a terminal would obey; tabs and ends of lines are meant.
OBEYED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
REPOSITORY = Path(__file__).parents[2]
TREES = tuple(str(REPOSITORY / name) for name in ("cli", "core", "export"))

Call = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """files: by their paths in the folder that the case runs in. argv: of `dln`; or `call`, the
    name of what is called there instead."""

    argv: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    call: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """As hypothesis shows it."""
        printer.text(repr(self))

    def __repr__(self) -> str:
        sizes = {name: len(data) for name, data in self.files.items()}
        return f"Case({self.call or list(self.argv)}, files {sizes}, {dict(self.environment)})"[
            :2000
        ]

    @property
    def bytes(self) -> int:
        return sum(map(len, self.files.values())) + sum(map(len, self.argv))

    def to_json(self) -> dict[str, Any]:
        files = {name: base64.b64encode(data).decode() for name, data in self.files.items()}
        return {"argv": self.argv, "files": files, "call": self.call,
                "environment": dict(self.environment)}  # fmt: skip

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Case":
        files = {name: base64.b64decode(data) for name, data in told["files"].items()}
        return cls(tuple(told["argv"]), files, told["call"], told["environment"])


class TookTooLong(BaseException):
    """No `except Exception` keeps it."""


class Failure(Exception):
    """key: where it happened, the same for the same fault."""

    def __init__(self, key: str, told: str) -> None:
        super().__init__(f"{key}\n{told}")
        self.key, self.told = key, told


class Bench:
    """A folder to run cases in, beside others that they must not touch."""

    def __init__(self, folder: Path, calls: Mapping[str, Call]) -> None:
        self.folder, self.calls = folder.resolve(), calls
        self.place, self.canary = self.folder / "case", self.folder / "canary"
        self.most = 0  # bytes that any case held
        self._prepare()

    def _prepare(self) -> None:
        for name in ("home", "temporary", "cache"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._lay_canary()
        self.sound = self._outside()

    def _lay_canary(self) -> None:
        """What a run, an export and a user's files look like."""
        held = {
            "config.toml": 'model = "toy-gan"\n',
            "model.safetensors": "weights",
            "x.csv": "timestamp_utc,gco2_per_kwh\n",
            "manifest.json": '{"schema": "dln-export-1"}',
            "onnx/graph.onnx": "graph",
            "emissions.json": "{}",
            "samples/one.png": "picture",
        }
        for name, text in held.items():
            (self.canary / name).parent.mkdir(parents=True, exist_ok=True)
            (self.canary / name).write_text(text)

    def _outside(self) -> dict[str, str]:
        """Everything but the case and the cache, which without a place of its own is at home, by
        its content's hash."""
        kept = (self.place, self.folder / "cache", self.folder / "home" / ".cache")
        found = {}
        for at, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if Path(at, name) not in kept]
            found |= {os.path.join(at, name): "" for name in folders}
            for name in names:
                path = Path(at, name)
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def try_case(self, case: Case) -> int | None:
        """Run it; its exit code, None for a call. Failure for what must never be."""
        self._lay_out(case)
        forget_peak()
        held = peak()
        out, err = writer("strict"), writer("backslashreplace")
        try:
            code = self._guarded(case, out, err)
        finally:
            os.chdir(self.folder)
            shutil.rmtree(self.place, ignore_errors=True)
        self._judge(case, code, text_of(out), text_of(err))
        self.most = max(self.most, most := peak())
        if most > MOST_BYTES >= held:  # else it is an earlier case's, not yet given back
            raise Failure(f"memory {case.call or ' '.join(case.argv[:2])}", f"{most:,} bytes")
        return code

    def _lay_out(self, case: Case) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        for name, data in case.files.items():
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.replace(CANARY.encode(), os.fsencode(self.canary)))
        os.chdir(self.place)

    def _guarded(self, case: Case, out: io.TextIOWrapper, err: io.TextIOWrapper) -> int | None:
        argv = [word.replace(CANARY, str(self.canary)) for word in case.argv]
        try:
            with surroundings(self.folder, case.environment, out, err), in_time():
                if case.call:
                    with suppress(DlnError):
                        self.calls[case.call](self.place)
                    return None
                return run(argv)
        except TookTooLong as error:
            raise Failure(f"hang {location(error)}", f"more than {SECONDS:g} s") from error
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            told = "".join(traceback.format_exception(error)[-12:])
            key = f"{type(error).__name__} {location(error)}"
            raise Failure(key, told) from None

    def _judge(self, case: Case, code: int | None, out: str, err: str) -> None:
        name = case.call or " ".join(word for word in case.argv[:2] if word.isalpha())
        shown = f"exit code {code!r}\n{out[-1500:]}\n{err[-1500:]}"
        if (found := self._outside()) != self.sound:
            changed = {path for path, _ in found.items() ^ self.sound.items()}
            self._restore()
            raise Failure(f"touched {name}", "\n".join(sorted(changed)))
        if not case.call and (type(code) is not int or code not in CODES):
            raise Failure(f"exit code {code!r} {name}", shown)
        if "Traceback" in out + err:
            raise Failure(f"traceback shown {name}", shown)
        if met := OBEYED.search(out) or OBEYED.search(err):
            raise Failure(f"control characters shown {name}", f"{met[0]!r}\n{shown!r}")
        if "--json" in before_dashes(case.argv) and not is_object(out):
            raise Failure(f"no JSON object {name}", shown)

    def _restore(self) -> None:
        for path in self.folder.iterdir():
            if path not in (self.place, self.folder / "cache"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._prepare()


def before_dashes(argv: tuple[str, ...]) -> tuple[str, ...]:
    return argv[: argv.index("--")] if "--" in argv else argv


def is_object(text: str) -> bool:
    """Whether it is exactly one object of JSON, without what only Python takes for numbers."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        return isinstance(json.loads(text, parse_constant=refuse), dict)
    except ValueError:
        return False


def location(error: BaseException) -> str:
    """The innermost line of ours that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if os.path.realpath(f.filename).startswith(TREES)]
    if not ours:
        return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}"
    path = Path(os.path.realpath(ours[-1].filename)).relative_to(REPOSITORY)
    return f"{path}:{ours[-1].lineno} in {ours[-1].name}"


def writer(errors: str) -> io.TextIOWrapper:
    """As Python opens stdout and stderr."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8", errors, newline="\n", write_through=True)


def text_of(file: io.TextIOWrapper) -> str:
    return file.buffer.getvalue().decode("utf-8", "surrogateescape")  # pyright: ignore


@contextmanager
def surroundings(
    folder: Path, environment: Mapping[str, str], out: io.TextIOWrapper, err: io.TextIOWrapper
) -> Iterator[None]:
    """A user's empty folders, and a terminal that shows plain text."""
    told = {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        **environment,
    }
    before = dict(os.environ)
    streams = sys.stdout, sys.stderr
    os.environ |= told
    sys.stdout, sys.stderr = out, err
    tempfile.tempdir = None  # remembered from the first time that it was asked for
    try:
        yield
    finally:
        tempfile.tempdir = None
        sys.stdout, sys.stderr = streams
        os.environ.clear()
        os.environ |= before


@contextmanager
def in_time() -> Iterator[None]:
    """TookTooLong after SECONDS of the body, as soon as Python's own code runs again."""

    def late(*_: object) -> None:
        raise TookTooLong

    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def forget_peak() -> None:
    """The most memory is counted anew from here, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most memory that this process has held since then, in bytes."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) << 10  # pyright: ignore
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10
