"""Kills real trainings at random moments, and compares what they come to with an undisturbed one.

CogVideo, Video Diffusion, StyleGAN-V and LongVideoGAN at the sizes of micro.py, every stage, by
`dln train` in processes of their own, on videos that `dln data render` makes. A training is killed
(SIGKILL) up to `--lives` times and goes on each time with --resume; before every third time the
user's cache is deleted. In
the end its weights, the result of every stage, its log without times and the names of its files are
those of the training that nobody disturbed.
Run: python tests/kill_trainings.py --kills 100
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from micro import MICRO

MODELS = ("cogvideo", "video-diffusion", "stylegan-v", "long-video-gan")
DLN = (sys.executable, "-c", "from dln.cli.main import run; raise SystemExit(run())")
TIMES = ("seconds", "samples_per_s", "versions")


def settings(values: dict[str, Any], group: str = "") -> Iterator[str]:
    """The --set words of nested values."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from settings(value, f"{group}{name}.")
        else:
            listed = list(value) if isinstance(value, tuple) else value
            yield f"--set={group}{name}={json.dumps(listed)}"


class Bench:
    """A folder with data, a cache, and runs in it."""

    def __init__(self, folder: Path, steps: int, seed: int) -> None:
        self.folder, self.steps, self.random = folder, steps, random.Random(seed)
        self.cache, self.data = folder / "cache", folder / "data"
        self.environment = os.environ | {"XDG_CACHE_HOME": str(self.cache), "OMP_NUM_THREADS": "1"}
        self.kills = self.resumed = 0
        self.life, self.idle = 0.0, 0.0  # seconds of a training, and the share before its folder
        self.begin("data", "render", str(self.data), "--count", "12", "--size", "32x32").wait()

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        with open(self.folder / "log.txt", "ab") as log:
            return subprocess.Popen([*DLN, *words], env=self.environment, stdout=log, stderr=log)

    def train(self, model: str, run: Path) -> "subprocess.Popen[bytes]":
        """Begin a training, or go on with it where its run is there."""
        begun = (run / "config.toml").exists()
        words = ("train", model, "--out", str(run), "--device", "cpu", "--data", str(self.data))
        numbers = ("--batch", "4", "--checkpoint-every", "2", "--precision", "fp32")
        if begun:
            return self.begin(*words, "--resume")
        return self.begin(*words, *numbers, "--steps", str(self.steps), *settings(MICRO[model]))

    def whole(self, model: str) -> Path:
        """An undisturbed run, whose time says when to kill others."""
        run, start, first = self.folder / f"{model}-whole", time.monotonic(), 0.0
        process = self.train(model, run)
        while process.poll() is None:
            time.sleep(0.02)
            if not first and (run / "config.toml").exists():
                first = time.monotonic() - start
        self.ended(process.returncode)
        self.life = time.monotonic() - start
        self.idle = first / self.life
        return run

    def disturbed(self, model: str, run: Path, lives: int) -> None:
        """A run that is killed in each of its `lives` that lasts long enough, then let be."""
        for life in range(lives + 1):
            process, start = self.train(model, run), time.monotonic()
            spell = self.life * self.random.uniform(0.8 * self.idle, 1)
            try:
                process.wait(spell if life < lives else None)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.kills += 1
            else:
                took = time.monotonic() - start  # the machine may be quicker by now, or slower
                self.life = max(self.life, took) if life else took
                self.ended(process.returncode)
                return
            self.resumed += 1
            if self.resumed % 3 == 0:
                shutil.rmtree(self.cache, ignore_errors=True)

    def ended(self, code: int) -> None:
        if code:
            tail = (self.folder / "log.txt").read_text(errors="replace")[-3000:]
            raise SystemExit(f"a training ended with {code}:\n{tail}")


def untimed(value: Any) -> Any:
    """Without what a clock says, and the names of folders."""
    if isinstance(value, dict):
        return {k: untimed(v) for k, v in value.items() if k not in TIMES}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def parts(path: Path) -> tuple[Any, bytes]:
    """A file of weights: its header without times, and the bytes of its tensors."""
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:size])
    told = header.get("__metadata__", {})
    return header | {"__metadata__": untimed(json.loads(told.get("dln", "{}")))}, data[size:]


def outcome(run: Path) -> dict[str, Any]:
    """Everything that must be the same."""
    files = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    rows = [untimed(json.loads(line)) for line in (run / "stats.jsonl").read_text().splitlines()]
    found: dict[str, Any] = {"files": files, "rows": rows}
    for name in files:
        if name.endswith(".safetensors"):
            found[name] = parts(run / name)
        elif name.startswith("samples/"):
            found[name] = (run / name).read_bytes()
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kills", type=int, default=100)
    asked.add_argument("--lives", type=int, default=6, help="kills of one training, at most")
    asked.add_argument("--steps", type=int, default=6, help="of every stage")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--keep", type=Path, help="a folder for the runs; a temporary one if none")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        sys.exit(carry_out(Bench(folder, given.steps, given.seed), given.kills, given.lives))


def carry_out(bench: Bench, kills: int, lives: int) -> int:
    """Kill that often, half of it in each model's trainings. 1 where one came to something else."""
    began, runs, odd = time.monotonic(), 0, list[str]()
    for share, model in enumerate(MODELS, 1):
        expected = outcome(bench.whole(model))
        print(f"{model}: undisturbed in {bench.life:.0f} s", flush=True)
        while bench.kills < kills * share // len(MODELS):
            run, before = bench.folder / f"{model}-{runs}", bench.kills
            bench.disturbed(model, run, bench.random.randint(1, lives))
            found = outcome(run)
            wrong = [n for n in expected | found if expected.get(n) != found.get(n)]
            said = f"differs in {', '.join(wrong)}" if wrong else "the same bits"
            print(f"{run.name}: killed {bench.kills - before} times, {said}", flush=True)
            odd += [run.name] if wrong else []
            if not wrong:
                shutil.rmtree(run)
            runs += 1
    print(f"{bench.kills} kills in {runs} trainings, {runs - len(odd)} of them end bit-equal; "
          f"the cache was deleted {bench.resumed // 3} times; "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return bool(odd)


if __name__ == "__main__":
    main()
