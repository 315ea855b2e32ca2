"""Many cases of every kind, in processes that may crash: `python -m tests.fuzz --minutes 30`.

Prints how many cases of each kind were tried, each different failure with how often it was met, and
the most memory; the smallest case of each failure is kept in --out, for --replay FILE.
"""

import argparse
import gc
import json
import multiprocessing
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .calls import CALLS
from .case import MOST_BYTES, SECONDS, Bench, Case, Failure

JOB = 50  # cases that a process is asked for at once
TIRED_BYTES = 3 << 29  # held between jobs: another process takes over, as caches are no fault
SILENT_S = 3 * SECONDS  # after that nothing that Python runs can have it in hand
CURRENT = "current.json"


def main(argv: list[str] | None = None) -> int:
    told = parsed(argv)
    if told.replay:
        return replay(told.replay)
    with TemporaryDirectory(prefix="dln-fuzz-", ignore_cleanup_errors=True) as folder:
        shift = Shift(Path(folder), told.out, told.seed, told.kind or list(kinds()))
        with suppress(KeyboardInterrupt):  # what was found until then is told
            shift.work(told.workers, told.minutes * 60, told.cases)
    print(shift.report())
    return 1 if shift.failures else 0


def parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--cases", type=int, default=10**9, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", help="repeatable; all where left out")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--replay", type=Path, help="a case that was kept")
    return parser.parse_args(argv)


def kinds() -> dict[str, Any]:
    from .kinds import KINDS

    return KINDS


@dataclass
class Worker:
    """A process, what it was asked for, and when."""

    process: Any
    pipe: Connection
    folder: Path
    job: tuple[str, int] | None = None
    held: int = 0  # bytes, after its last job

    def silent(self) -> bool:
        """Whether its case runs for longer than any alarm allows."""
        try:
            return time.time() - (self.folder / CURRENT).stat().st_mtime > SILENT_S
        except FileNotFoundError:
            return False


@dataclass
class Shift:
    """One long run."""

    folder: Path
    out: Path
    seed: int
    kinds: list[str]
    tried: Counter[str] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    most: dict[str, int] = field(default_factory=dict)  # bytes, by kind
    begun: float = field(default_factory=time.monotonic)
    hired: Iterator[int] = field(default_factory=count)

    def work(self, workers: int, seconds: float, cases: int) -> None:
        jobs = ((kind, self.seed * 1_000_003 + number) for number in count() for kind in self.kinds)
        crew = [self.hire() for _ in range(workers)]
        self.begun = time.monotonic()
        while crew:
            ended = time.monotonic() - self.begun > seconds or self.tried.total() >= cases
            wait([worker.pipe for worker in crew], 1.0)
            for worker in list(crew):
                if self.heard(worker) or worker.job is None:
                    if ended or worker.held > TIRED_BYTES:
                        self.dismiss(worker)
                        crew.remove(worker)
                        crew += [] if ended else [self.hire()]
                    else:
                        worker.job = next(jobs)
                        worker.pipe.send(worker.job)
                elif not worker.process.is_alive() or worker.silent():
                    self.lost(worker)
                    crew.remove(worker)
                    if not ended:
                        crew.append(self.hire())

    def hire(self) -> Worker:
        """A new process; the first one fills the pantry."""
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        folder = self.folder / f"worker-{next(self.hired)}"
        folder.mkdir()
        arguments = theirs, folder, self.folder / "pantry", self.out.absolute()
        process = spawn.Process(target=labour, args=arguments, daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(300) or ours.recv() != "ready":
            raise RuntimeError("a worker did not begin")
        return Worker(process, ours, folder)

    def heard(self, worker: Worker) -> bool:
        """Whether it has ended its job; what it says is taken over."""
        try:
            if not worker.pipe.poll():
                return False
            tried, failures, most, worker.held = worker.pipe.recv()
        except (EOFError, OSError):
            return False
        assert worker.job
        kind, _ = worker.job
        self.tried[kind] += tried
        for key, times in failures.items():
            self.failures[kind, key] += times
        self.most[kind] = max(self.most.get(kind, 0), most)
        worker.job = None
        self.tell()
        return True

    def lost(self, worker: Worker) -> None:
        """A process that died or hangs: its case is the failure."""
        hangs = worker.process.is_alive()
        worker.process.kill()
        worker.process.join()
        told = json.loads((worker.folder / CURRENT).read_text())
        key = "hang in native code" if hangs else f"process ended with {worker.process.exitcode}"
        case = Case.from_json(told["case"])
        key = f"{key}: {case.call or ' '.join(case.argv[:2])}"
        keep(self.out, told["kind"], key, case, "")
        self.tried[told["kind"]] += told["number"]
        for earlier, times in told["failures"].items():
            self.failures[told["kind"], earlier] += times
        self.failures[told["kind"], key] += 1

    def dismiss(self, worker: Worker) -> None:
        worker.pipe.send(None)
        worker.process.join(10)
        worker.process.kill()

    def tell(self) -> None:
        spent = time.monotonic() - self.begun
        total = self.tried.total()
        print(f"\r{total:,} cases, {total / max(spent, 1e-9):.1f}/s, {len(self.failures)} failures",
              end="", file=sys.stderr, flush=True)  # fmt: skip

    def report(self) -> str:
        gib = {kind: most / 2**30 for kind, most in self.most.items()}
        lines = [f"\n{kind:12} {self.tried[kind]:7,}, at most {gib.get(kind, 0):.2f} GiB"
                 for kind in self.kinds]  # fmt: skip
        spent = time.monotonic() - self.begun
        lines += [f"\n{'in all':12} {self.tried.total():7,} in {spent:.0f} s, seed {self.seed}"]
        for (kind, key), times in sorted(self.failures.items()):
            lines.append(f"\n{kind}: {times} x {key}")
        return "".join(lines)


def labour(pipe: Connection, folder: Path, pantry: Path, out: Path) -> None:
    """The loop of one process: jobs in, counts out."""
    from . import pantry as store

    store.systems()
    silence()
    held = store.ready(pantry)
    # Above what is mapped already, of which libraries take much that they never use.
    most = pages(0) * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    bench = Bench(folder / "bench", CALLS)
    strategies = {name: strategy(held) for name, strategy in kinds().items()}
    pipe.send("ready")
    while job := pipe.recv():
        kind, seed = job
        pipe.send(attempted(bench, kind, strategies[kind], seed, folder, out))


def silence() -> None:
    """Libraries in C write to the descriptors themselves."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def attempted(
    bench: Bench, kind: str, strategy: Any, seed: int, folder: Path, out: Path
) -> tuple[int, dict[str, int], int, int]:
    """JOB cases: how many were tried, how often each failure was met, the most memory meanwhile,
    the memory now."""
    from hypothesis import given
    from hypothesis import seed as seeded

    from .kinds import drawing

    tried, failures, bench.most = count(1), Counter[str](), 0

    @seeded(seed)
    @drawing(JOB, always_the_same=False)
    @given(strategy)
    def attempt(case: Case) -> None:
        told = {"kind": kind, "number": next(tried), "failures": failures, "case": case.to_json()}
        (folder / CURRENT).write_text(json.dumps(told))
        try:
            bench.try_case(case)
        except Failure as failure:
            failures[failure.key] += 1
            keep(out, kind, failure.key, case, failure.told)

    attempt()
    (folder / CURRENT).unlink()
    gc.collect()
    return next(tried) - 1, dict(failures), bench.most, pages() * resource.getpagesize()


def pages(column: int = 1) -> int:
    """Of this process's memory: in use (1), or mapped (0)."""
    return int(Path("/proc/self/statm").read_text().split()[column])


def keep(out: Path, kind: str, key: str, case: Case, told: str) -> None:
    """The smallest case of each failure."""
    name = re.sub(r"[^\w.-]+", "-", f"{kind}-{key}")[:120]
    path = out / f"{name}.json"
    out.mkdir(parents=True, exist_ok=True)
    if path.exists() and json.loads(path.read_text())["bytes"] <= case.bytes:
        return
    kept = {"kind": kind, "key": key, "bytes": case.bytes, "told": told, "case": case.to_json()}
    path.write_text(json.dumps(kept, indent=1))


def replay(path: Path) -> int:
    """One kept case again, in this process."""
    from . import pantry as store

    store.systems()
    case = Case.from_json(json.loads(path.read_text())["case"])
    print(case)
    with TemporaryDirectory(prefix="dln-fuzz-", ignore_cleanup_errors=True) as folder:
        try:
            print("exit code", Bench(Path(folder), CALLS).try_case(case))
        except Failure as failure:
            print(failure)
            return 1
    return 0
