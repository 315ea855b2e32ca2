"""What runs leave and are told: plans, records of energy, a run's own files, measured hours."""

import gzip
import json

from hypothesis import strategies as st

from .arguments import json_flag, toml_files
from .case import Case
from .nasty import TIMES, damaged, json_files, spelt, tables, values
from .pantry import Pantry
from .weights import safetensors

Cases = st.SearchStrategy[Case]


def plans(pantry: Pantry) -> Cases:
    """Plans of other hands."""
    files = json_files(pantry.json("plan.json"))
    train = ("train", "toy-gan", "--carbon-plan", "p.json", "--on-pause", "exit", "--steps", "1",
             "--out", "run")  # fmt: skip

    def case(data: bytes, whole: int, flag: tuple[str, ...]) -> Case:
        if whole:
            return Case(files={"p.json": data}, call="plan")
        return Case((*train, *flag), {"p.json": data})

    return st.builds(case, files, st.integers(0, 3), json_flag)


def records(pantry: Pantry) -> Cases:
    """emissions.json and report.json."""
    own = json_files(pantry.json("finished/emissions.json"))
    reports = json_files(pantry.json("figures/report.json"))
    ways = st.sampled_from((
        ("carbon", "estimate", "--region", "norway", "--from-run", "r.json"),
        ("carbon", "estimate", "--region", "gb", "--from-run", "run"),
        ("carbon", "report", "r.json", "--out", "figures"),
        ("carbon", "report", "r.json", "--region", "gb", "--source", "typical", "--out", "figures"),
    ))  # fmt: skip
    verify = ("carbon", "report", "--verify", "r.json")

    def read(argv: tuple[str, ...], data: bytes, flag: tuple[str, ...]) -> Case:
        return Case((*argv, *flag), {"r.json": data, "run/emissions.json": data})

    return st.one_of(st.builds(read, ways, own, json_flag),
                     st.builds(read, st.just(verify), reports, json_flag))  # fmt: skip


def runs(pantry: Pantry) -> Cases:
    """A run's own files, as a resumed training, a generation and a report read them."""
    halted, finished = pantry.tree("halted"), pantry.tree("finished")
    resume = ("train", "toy-gan", "--resume", "--steps", "2", "--out")

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        whole = draw(st.sampled_from((halted, finished)))
        named = "halted" if whole is halted else "finished"
        name = draw(st.sampled_from(sorted(n for n in whole if not n.endswith(".dln.lock"))))
        sound = whole[name]
        if name.endswith(".json"):
            data = draw(json_files(json.loads(sound)))
        elif name.endswith(".toml"):
            data = draw(toml_files(sound.decode()))
        else:
            other = safetensors(sound) if ".safe" in name else values().map(spelt)
            data = draw(st.one_of(damaged(sound), other))
        files = {**whole, name: data}
        if draw(st.integers(0, 5)) == 0:
            del files[name]
        if named == "finished" and draw(st.booleans()):
            argv = ("generate", "--model", named, "--native", "--seed", "1", "--out", "a.gif")
        else:
            argv = (*resume, named)
        return Case((*argv, *draw(json_flag)), files)

    return drawn()


def hours(pantry: Pantry) -> Cases:
    """Measured intensities as CSV, packed or not."""
    cells = (*TIMES, "1e999", "nan", "-1", "", "0", "9" * 400, "2022-06-01T03:00Z", "300", "\0")
    few, many = pantry.text("hours.csv"), pantry.text("years.csv")
    schedule = ("carbon", "schedule", "--region", "gb", "--start", "2022-06-01T00:00Z", "--source")
    backtest = ("carbon", "backtest")

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        long = draw(st.integers(0, 3)) == 0
        sound = many if long else few
        data = draw(st.one_of(tables(sound, cells), tables(sound, cells), damaged(sound.encode())))
        name = "h.csv"
        if draw(st.integers(0, 3)) == 0:
            name, data = "h.csv.gz", gzip.compress(data, 1)
            data = draw(damaged(data)) if draw(st.booleans()) else data
        kind = draw(st.sampled_from(("csv", "recent28")))
        argv = (*backtest, name, "--fit", "2021", "--fit", "2022", "--score", "2023") if long else (
            *schedule, f"{kind}:{name}")  # fmt: skip
        return Case((*argv, *draw(json_flag)), {name: data})

    return drawn()
