"""Threads by what is free: the decision by hand, control groups as Linux lays them out, the
kernel's own count of what is busy, and what a user says, which stays."""

import math
import subprocess
import sys
import time
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dln.core import threads
from dln.core.generation.generate import stream
from dln.core.models.engine import TorchEngine, threads_kept, torch_engine
from dln.core.models.package import load_model
from dln.core.models.request import Request
from dln.core.threads import EVERY_S, SHORTEST_S, Load, Seen, Threads, choose, quota


@pytest.fixture
def unsaid(monkeypatch):
    """No word of the user's in the environment, and four cores without a limit."""
    for name in threads.TOLD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "quota", lambda: None)


@pytest.mark.parametrize(
    ("usual", "cores", "limit", "others", "threads"),
    [
        (2, 2, None, 0.0, 2),
        (2, 2, None, 0.2, 2),  # a desktop that does something
        (2, 2, None, 0.5, 1),
        (2, 2, None, 1.0, 1),
        (2, 2, None, 2.0, 1),  # there is always one
        (1, 2, None, 0.0, 1),
        (1, 1, None, 1.0, 1),
        (4, 4, None, 0.0, 4),
        (4, 4, None, 1.0, 2),  # not three
        (4, 4, None, 2.0, 2),
        (4, 4, None, 3.0, 1),
        (8, 16, None, 0.0, 8),  # a thread a core, of which each has two faces
        (8, 16, None, 8.0, 8),
        (8, 16, None, 11.0, 4),
        (12, 12, None, 0.0, 8),
        (64, 64, 2.0, 0.0, 2),  # a container on a large machine
        (64, 64, 2.0, 40.0, 2),
        (64, 64, 2.0, 63.0, 1),
        (64, 64, 3.5, 0.0, 2),
        (2, 2, 0.5, 0.0, 1),
    ],
)
def test_the_choice_by_hand(usual, cores, limit, others, threads):
    assert choose(usual, cores, limit, others) == threads


@given(
    st.integers(1, 256), st.integers(1, 256), st.none() | st.floats(0.01, 300), st.floats(0, 300)
)
def test_a_power_of_two_that_no_load_makes_larger(usual, cores, limit, others):
    found = choose(usual, cores, limit, others)
    assert math.log2(found).is_integer()
    assert found <= max(1, min(usual, cores))
    assert found <= choose(usual, cores, limit, others / 2)


def control_groups(root, own: str, files: dict[str, str]):
    """A tree as the kernel shows it."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


V1 = "9:name=systemd:/\n2:cpuacct:/x\n1:cpu,cpuset:/docker/abc\n"


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000", "a/cpu.max": "400000 100000"}, 2.0),
        ("0::/host/name\n", {"cpu.max": "300000 100000"}, 3.0),  # seen from inside
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (V1, {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2.5),
        (
            V1,
            {
                "cpu/docker/abc/cpu.cfs_quota_us": "50000",
                "cpu/docker/abc/cpu.cfs_period_us": "50000",
            },
            1.0,
        ),
        ("0::/\n", {"cpu.max": "what"}, None),
        ("0::/\n", {"cpu.max": "100000 0"}, None),
        ("nothing", {"cpu.max": "100000 100000"}, None),
    ],
)
def test_what_control_groups_leave(tmp_path, own, files, limit):
    assert quota(control_groups(tmp_path, own, files)) == limit


def test_no_control_groups(tmp_path):
    assert quota(tmp_path) is None


class Machine:
    """A clock, and cores that others keep busy while it runs."""

    def __init__(self) -> None:
        self.clock = self.busy = self.ours = 0.0

    def pass_by(self, seconds: float, others: float, ours: float = 1.0) -> None:
        self.clock += seconds
        self.busy += seconds * (others + ours)
        self.ours += seconds * ours

    def see(self) -> Seen:
        return Seen(self.clock, self.busy, self.ours)


def test_what_others_do_is_what_is_busy_without_us():
    machine = Machine()
    load = Load(machine.see)
    machine.pass_by(0.1, others=1.5)
    assert load.others() == pytest.approx(1.5)
    assert load.others() is None  # no time has passed
    machine.pass_by(1.0, others=0.25, ours=2.0)
    assert load.others() == pytest.approx(0.25)


def test_what_the_system_does_not_tell_changes_nothing(unsaid):
    assert Load(lambda: None).others() is None
    assert Threads(4, Load(lambda: None)).count() == 4


def test_a_process_that_computes_is_seen():
    """The kernel's count, of a process that is stopped for a part of the time."""
    program = "import time\nprint(flush=True)\nwhile time.process_time() < 20: pass"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        load = Load()
        time.sleep(0.5)
        found = load.others()
        other.kill()
    assert found is not None
    assert found > 0.05  # of a core: whoever else is here takes the rest


def followed(loads: list[float], usual: int = 4) -> tuple[list[int], list[str]]:
    """The threads at each look, at each of which others were that busy since the one before; and
    what was said."""
    machine, notes = Machine(), []
    load = Load(machine.see)
    machine.pass_by(1.0, loads[0])
    watched = Threads(usual, load, notes.append, lambda: machine.clock)
    counts = []
    for others in loads[1:]:
        counts.append(watched.count())
        machine.pass_by(EVERY_S, others)
    return [*counts, watched.count()], notes


def test_fewer_at_once_and_more_when_two_looks_agree(unsaid):
    counts, notes = followed([0.0, 3.0, 0.0, 3.0, 0.0, 0.0, 2.0, 2.0])
    assert counts == [4, 1, 1, 1, 1, 4, 2, 2]
    assert notes == ["1 thread instead of 4: other processes keep 3.0 of 4 cores busy"]


def test_a_quiet_machine_has_nothing_said(unsaid):
    assert followed([0.0, 0.2, 0.1]) == ([4, 4, 4], [])


def test_what_was_busy_before_is_known_at_the_first_look(unsaid):
    assert followed([2.0])[0] == [2]


def test_between_two_looks_nothing_is_measured(unsaid):
    machine, asked = Machine(), []

    def see() -> Seen:
        asked.append(machine.clock)
        return machine.see()

    watched = Threads(4, Load(see), clock=lambda: machine.clock)
    for _ in range(1000):
        watched.count()
        machine.pass_by(0.01, others=3.0)
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert min(gaps[3:]) >= EVERY_S
    assert gaps[1] <= 2 * SHORTEST_S  # the first answer comes soon
    assert watched.count() == 1


@pytest.mark.parametrize("name", threads.TOLD)
def test_what_the_user_says_stays(unsaid, monkeypatch, name):
    monkeypatch.setenv(name, "3")
    assert followed([3.0, 3.0, 3.0], usual=3) == ([3, 3, 3], [])


def test_an_engine_takes_what_is_free(unsaid):
    machine = Machine()
    with threads_kept():
        torch.set_num_threads(4)
        load = Load(machine.see)
        machine.pass_by(1.0, others=2.0)
        graphs = load_model("video-diffusion").model.graphs()
        engine = torch_engine(graphs, "cpu", load)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(4)  # somebody else's work, between two runs
        engine.run("text", **graphs["text"].inputs())
        assert torch.get_num_threads() == 2


def test_a_program_has_its_threads_back(unsaid, monkeypatch, toy_weights):
    monkeypatch.setattr(threads, "choose", lambda *told: 1)
    with threads_kept():
        torch.set_num_threads(2)
        made = stream(load_model(toy_weights("toy-gan")), Request("", seed=1))
        for _ in made.stream:
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("model", "name"),
    [("cogvideo", "text"), ("cogvideo", "keyframes"), ("video-diffusion", "fast")],
)
def test_a_clip_s_numbers_do_not_depend_on_how_many(model, name):
    """To the bit: with 3, 5 or 7 threads GELU and SiLU would differ in the last one."""
    graph = load_model(model).model.graphs()[name]
    torch.manual_seed(0)
    inputs, engine, found = graph.inputs(), TorchEngine({name: graph}), []
    for count in (1, 2, 4):
        with threads_kept():
            torch.set_num_threads(count)
            found.append(engine.run(name, **inputs))
    for output, tensor in found[0].items():
        assert all(torch.equal(tensor, other[output]) for other in found[1:])
