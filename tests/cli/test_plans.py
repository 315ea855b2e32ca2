"""`dln carbon schedule` and what follows a plan: lines that can be pasted, waiting that ends."""

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dln.core.carbon.plan.plan import Plan

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
LONG = "python train.py " + " ".join(f"--option-{i} {'x' * 20}" for i in range(12))


def alternating(folder: Path, start: datetime) -> str:
    """Four days: 100 and 300 g/kWh in turn, an hour each."""
    lines = ["timestamp_utc,gco2_per_kwh"]
    for hour in range(96):
        lines.append(f"{(start + timedelta(hours=hour)).isoformat()},{100 + 200 * (hour % 2)}")
    (folder / "grid.csv").write_text("\n".join(lines))
    return f"csv:{folder / 'grid.csv'}"


@pytest.fixture
def asked(tmp_path: Path) -> tuple[str, ...]:
    day = TODAY + timedelta(days=2)
    source = alternating(tmp_path, day)
    begin = (day + timedelta(hours=1)).isoformat()
    return ("carbon", "schedule", "--region", "fr", "--source", source, "--start", begin,
            "--duration", "2h", "--slack", "6h")  # fmt: skip


@pytest.mark.parametrize("columns", [None, "40", "80"])
def test_lines_are_never_broken(dln, asked, monkeypatch: pytest.MonkeyPatch, columns: str | None):
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    else:
        monkeypatch.delenv("COLUMNS", raising=False)
    shown = dln(*asked, "--command", LONG, "--out", "plan.json").out.splitlines()
    at = shown.index("CRON_TZ=UTC")
    given = shlex.join([str(Path("plan.json").resolve()), "--source", asked[5]])
    follows = f"dln carbon audit --plan {given} -- {LONG}"
    day = TODAY + timedelta(days=2)
    assert shown[at + 1] == f"00 02 {day:%d %m} * {follows}"
    later = [line for line in shown if line.endswith(f"| TZ=UTC at -t {day:%Y%m%d}0200")]
    assert shlex.split(later[0])[1] == follows
    slurm = next(line for line in shown if line.startswith("TZ=UTC sbatch"))
    assert shlex.split(slurm)[-1] == f"--wrap={follows}"


def test_pauses_need_a_plan_that_is_kept(dln, asked):
    bare = dln(*asked)
    assert "with --out plan.json" in bare.out
    assert "sbatch" not in bare.out
    kept = dln(*asked, "--out", "plan.json", "--json").json
    assert len(kept["blocks"]) == 2
    given = shlex.join([str(Path("plan.json").resolve()), "--source", asked[5]])
    assert kept["lines"]["cron"].endswith(f"* dln train cogvideo --carbon-plan {given}")
    whole = dln(*asked, "--mode", "start", "--command", "make", "--json").json
    assert whole["lines"]["cron"].endswith("* make")


def test_what_begins_now_has_no_date(dln):
    slack = ("--duration", "1h", "--slack", "0h")
    start = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    found = dln("carbon", "schedule", "--region", "de", *slack, "--start", start, "--json").json
    assert found["lines"] == {"now": "dln train cogvideo"}


def test_what_pauses_cost_is_told(dln, asked):
    cheap = dln(*asked, "--pause-cost", "10min", "--out", "plan.json", "--json").json
    assert (cheap["duration_seconds"], cheap["running_seconds"]) == (7200, 8400)
    # 140 minutes of three clean hours against an hour of each kind.
    assert cheap["saving_percent"] == pytest.approx(100 * (1 - 14_000 / 24_000))
    assert cheap["expected_saving_percent"] == cheap["saving_percent"]
    assert Plan.load(Path("plan.json")).saving_percent == cheap["saving_percent"]
    shown = dln(*asked, "--pause-cost", "10min").out
    assert "41.7 % less, net of what 2 pauses cost: 20:00 of running" in shown
    dear = dln(*asked, "--pause-cost", "55min", "--json").json
    assert len(dear["blocks"]) == 1
    assert not dear["worth_it"]


def test_a_back_test_promises_nothing_else(dln):
    """A plan's own saving stands beside a share, not beside the saving of other plans."""
    start = f"{TODAY:%Y}-06-01T03:00Z"
    told = dln("carbon", "schedule", "--region", "us-cal-ciso", "--start", start).out
    figures = [line for line in told.splitlines() if "expected" in line or "back-test" in line]
    assert "to be expected are" in figures[0]
    assert "kept 100 % of what they promised" in figures[1]
    assert "saved" not in told


WAITS = (
    ("us", "50", "one figure for every hour"),
    ("norway", "500", "one figure for every hour"),
    ("de", "1", "never at 1 g/kWh or below"),
)


@pytest.mark.parametrize(("region", "limit", "sentence"), WAITS)
@pytest.mark.parametrize("command", ["train", "audit"])
def test_waiting_for_ever_is_refused(
    dln, training, command: str, region: str, limit: str, sentence: str
):
    limits = ("--pause-above", limit, "--region", region)
    words = {
        "train": ("train", "cogvideo", *limits),
        "audit": ("carbon", "audit", *limits, "--", "true"),
    }[command]
    outcome = dln(*words)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert "--deadline" in outcome.err
    assert not training.paces


def test_a_deadline_ends_the_waiting(dln, training):
    end = (TODAY + timedelta(days=3)).isoformat()
    asked = ("--pause-above", "50", "--region", "us", "--deadline", end)
    assert dln("train", "cogvideo", *asked).code == 0
    runs = training.paces[-1].schedule.running
    assert not runs(TODAY + timedelta(days=1))
    assert runs(TODAY + timedelta(days=3))


HUGE = "99999999999d"


@pytest.mark.parametrize("option", ["--duration", "--slack", "--pause-cost", "--min-block"])
@pytest.mark.parametrize("text", [HUGE, "9" * 400 + "d", "3660d", "1e5h", "-1h"])
def test_times_beyond_all_use_are_a_sentence(dln, option: str, text: str):
    outcome = dln("carbon", "schedule", "--region", "de", f"{option}={text}")
    assert (outcome.code, outcome.out) == (2, "")
    assert "longer than ten years" in outcome.err or "is not a duration" in outcome.err


@pytest.mark.parametrize("option", ["--pause-cost", "--min-block"])
def test_what_outlasts_the_job_leaves_one_block(dln, option: str):
    found = dln("carbon", "schedule", "--region", "de", f"{option}=3000d", "--json").json
    assert len(found["blocks"]) == 1
    assert found["running_seconds"] == 8 * 3600


def test_a_deadline_beyond_the_calendar(dln):
    asked = ("train", "cogvideo", "--region", "de", "--pause-above", "50")
    outcome = dln(*asked, "--deadline", "99999999999-01-01")
    assert outcome.code == 2
    assert "is not a time" in outcome.err
