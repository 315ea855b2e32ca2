"""What runs apart is told however the line that starts it is written."""

import random
import shlex

import pytest

from dln.core.carbon.meter.outside import beyond

BEFORE = ["", "A=b ", "env -u HOME ", "env -i A=b ", "nice -n 5 ", "timeout -s KILL 10 ",
          "nohup setsid ", "xargs -n 1 -P 4 ", "stdbuf -oL ", "time -p "]  # fmt: skip
AROUND = ["{}", "make; {}", "cd x && {}", "if true; then {}; fi", "for i in 1 2; do {}; done",
          "! {}", "{{ {}; }}", "x=$({} y)", "until {}; do sleep 1; done", "a | {}"]  # fmt: skip
SHELLS = ["sh -c", "bash -lc", "/bin/bash -x -c", "dash -ec", "env bash -c"]
NAMES = ["docker", "srun", "/usr/bin/ssh", "podman", "kubectl"]


@pytest.mark.parametrize("seed", range(40))
def test_it_is_found(seed: int):
    draw = random.Random(seed)
    name = draw.choice(NAMES)
    line = draw.choice(AROUND).format(f"{draw.choice(BEFORE)}{name} run it")
    for text in (line, f"sh -c {shlex.quote(line)}"):
        command = [*draw.choice(SHELLS).split(), text]
        assert (beyond(command) or "").startswith(name.rpartition("/")[2]), command


@pytest.mark.parametrize(
    "line", ["echo docker", "python docker.py", "sh docker.sh", "sh -c 'echo ssh # srun'", "sh -c"]
)
def test_a_word_is_no_program(line: str):
    assert beyond(shlex.split(line)) is None
