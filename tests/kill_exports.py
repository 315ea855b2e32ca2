"""Kills exports of two graphs at random moments and starts pairs of them into one folder.

    python tests/kill_exports.py --kills 300 --pairs 20 --seed 0

Half of the kills meet a real export, half one whose files are copied instead of traced, so that
they fall between the steps of the protocol. Each folder is finished by a later run and must end
equal, byte for byte, to one that was left alone. Prints the counts; exit code 1 where one differs.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "export"))
from toy_export import Pair, graph, model_of  # pyright: ignore[reportMissingImports]

from dln.core.errors import DlnError
from dln.core.files import sha256_file
from dln.export import onnx
from dln.export.bundle import Export, ExportOptions

GRAPHS = [graph(Pair(seed=seed), name) for seed, name in enumerate(("first", "second"))]
REFUSED = 3
PATIENCE = 120  # seconds


def export(out: Path) -> None:
    """Both graphs, with their proofs."""
    Export(model_of(*GRAPHS), out, ExportOptions(), lambda stage: None).run()


def started(work: Callable[[], None]) -> int:
    """The process id of a fork that does the work: exit code 0, or REFUSED with a sentence."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except DlnError:
        code = REFUSED
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Its exit code. A fork that waits for ever, for a lock that a thread had which it has not, is
    killed."""
    last = time.monotonic() + PATIENCE
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > last:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(found[1])


def content(folder: Path) -> dict[str, str]:
    """The hash of every file, hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def copied(whole: Path) -> Callable[..., None]:
    """write_onnx for graphs that lie in a finished export: by copying."""

    def write(made, path: Path, *_) -> None:
        shutil.copy(whole / "onnx" / f"{made.name}.onnx", path)

    return write


def killed(out: Path, within: float, rng: random.Random) -> str:
    """Kill an export after part of `within` seconds, now and then twice: how the first ended."""
    how = ""
    for _ in range(1 + (rng.random() < 0.2)):
        pid = started(lambda: export(out))
        time.sleep(rng.uniform(0, within))
        os.kill(pid, signal.SIGKILL)
        how = how or ("killed" if ended(pid) == -signal.SIGKILL else "too late")
    return how


def kills(count: int, whole: Path, rng: random.Random) -> Counter[str]:
    """How many exports were killed and how many of all ended equal."""
    found, expected = Counter(), content(whole)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        assert ended(started(lambda: export(Path(folder) / "timed"))) == 0
        within = 1.1 * (time.perf_counter() - start)
        for number in range(count):
            out = Path(folder) / str(number)
            found[killed(out, within, rng)] += 1
            assert ended(started(lambda out=out: export(out))) == 0
            found["equal" if content(out) == expected else "DIFFERS"] += 1
            shutil.rmtree(out)
    return found


def pairs(count: int, whole: Path) -> Counter[str]:
    """How pairs of exports into one folder ended, and how many folders were equal."""
    found, expected = Counter(), content(whole)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            out = Path(folder) / str(number)
            codes = [ended(pid) for pid in [started(lambda out=out: export(out)) for _ in "ab"]]
            found[str(sorted(codes))] += 1
            found["equal" if content(out) == expected else "DIFFERS"] += 1
    return found


def main() -> int:
    """Exit code 1 where a folder ended otherwise than undisturbed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked, write = parser.parse_args(), onnx.write_onnx
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        export(whole)
        real = kills(asked.kills // 2, whole, rng)
        print("a real export:", dict(real), flush=True)
        two = pairs(asked.pairs, whole)
        print("pairs, by their exit codes:", dict(two), flush=True)
        onnx.write_onnx = copied(whole)
        protocol = kills(asked.kills - asked.kills // 2, whole, rng)
        onnx.write_onnx = write
        print("the protocol:", dict(protocol), flush=True)
    return int(any(found["DIFFERS"] for found in (real, two, protocol)))


if __name__ == "__main__":
    sys.exit(main())
