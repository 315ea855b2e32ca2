"""What is seen of a training: each stage's numbers, and how far the whole of it is."""

import pytest
from rich.console import Console

from dln.cli.show import screen
from dln.cli.watch import Watch
from dln.cli.whole import Whole
from dln.core.training.events import Going, Planned, Share, Stepped


def stepped(stage: str, step: int, **told: float) -> Stepped:
    return Stepped(stage, step, 8, 0.5, rate=2.0, eta=65.0, told=told)


def cells(watch: Watch) -> tuple[list[str], list[list[str]]]:
    """The headings and the rows of the live table."""
    drawn = watch.table()
    columns = [list(column.cells) for column in drawn.columns]
    rows = [[str(cell) for cell in row] for row in zip(*columns, strict=True)]
    return [str(column.header) for column in drawn.columns], rows


def test_the_table_has_a_column_for_each():
    watch = Watch()
    watch.step(stepped("tokenizer", 8))
    assert cells(watch)[0] == ["stage", "step", "loss", "samples/s"]
    watch.step(stepped("adversarial", 1, real=0.25, R1=1e-3))
    watch.step(stepped("adversarial", 2, real=0.5))
    names, rows = cells(watch)
    assert names == ["stage", "step", "loss", "real", "R1", "samples/s"]
    assert rows == [
        ["tokenizer", "8/8", "0.5", "", "", "2"],
        ["adversarial", "2/8", "0.5", "0.5", "0.001", "2"],
    ]


def test_a_plain_line_has_them_too(capsys: pytest.CaptureFixture[str]):
    watch = Watch()
    watch.due = lambda: True  # pyright: ignore[reportAttributeAccessIssue]
    watch.step(stepped("adversarial", 2, real=0.5, augmented=0.05))
    assert capsys.readouterr().err == (
        "adversarial 2/8 loss 0.5, real 0.5, augmented 0.05, 2 samples/s, 25 % done, 1:05 left\n"
    )


PLAN = (Share("first", 100, 100, 9.0), Share("second", 200, 50, 2.0), Share("third", 50, 0, 4.0))


def test_one_time_left_for_all_stages():
    """The second stage's 100 steps take 0.5 s each, the third one's 50 cost twice as much."""
    whole = Whole(PLAN)
    assert whole.left is None
    assert whole.share == pytest.approx((900 + 100) / 1500)
    for event, left, done in (
        (Going("second", 100, 200, 0.1, 2.0, eta=50.0), 50 + 50 * 1.0, 900 + 200),
        (Stepped("second", 200, 200, 0.1, eta=0.0), 50.0, 1300),
        (Going("third", 40, 50, 0.1, 2.0, eta=30.0), 30.0, 1300 + 160),  # slower than thought
        (Stepped("third", 50, 50, 0.1, eta=0.0), 0.0, 1500),
    ):
        whole.heed(event)
        assert whole.left == pytest.approx(left)
        assert whole.share == pytest.approx(done / 1500)


def test_a_line_at_the_first_step_then_now_and_then(capsys: pytest.CaptureFixture[str]):
    watch = Watch()
    watch(Planned(PLAN))
    for step in (51, 52, 53):
        watch(Going("second", step, 200, 0.25, 4.0, eta=100.0))
    told = capsys.readouterr().err
    assert told.startswith("second 51/200 loss 0.25, 4 samples/s, 67 % done, ")
    assert told.count("\n") == 1


def test_one_bar_for_all_stages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(screen, "quiet", False)
    console = Console(width=100, record=True, force_terminal=False)
    watch = Watch()
    watch(Planned(PLAN))
    assert "done" not in drawn(console, watch)
    watch.heard = True
    for stage, step in (("second", 200), ("third", 25)):
        watch(Going(stage, step, 200, 0.25, 4.0, eta=3600.0))
    told = drawn(console, watch)
    assert told.count("% done") == 1
    assert "93 % done, 1:00:00 left" in told


def drawn(console: Console, watch: Watch) -> str:
    with console.capture() as captured:
        console.print(watch.drawn())
    return captured.get()
