"""What a stage wants to be seen of it while it trains."""

import pytest

from dln.cli.watch import Watch
from dln.core.training.events import Stepped


def stepped(stage: str, step: int, **told: float) -> Stepped:
    return Stepped(stage, step, 8, 0.5, rate=2.0, eta=65.0, told=told)


def cells(watch: Watch) -> tuple[list[str], list[list[str]]]:
    """The headings and the rows of the live table."""
    drawn = watch.drawn()
    columns = [list(column.cells) for column in drawn.columns]
    rows = [[str(cell) for cell in row] for row in zip(*columns, strict=True)]
    return [str(column.header) for column in drawn.columns], rows


def test_the_table_has_a_column_for_each():
    watch = Watch()
    watch.step(stepped("tokenizer", 8))
    assert cells(watch)[0] == ["stage", "step", "loss", "samples/s", "time left"]
    watch.step(stepped("adversarial", 1, real=0.25, R1=1e-3))
    watch.step(stepped("adversarial", 2, real=0.5))
    names, rows = cells(watch)
    assert names == ["stage", "step", "loss", "real", "R1", "samples/s", "time left"]
    assert rows == [
        ["tokenizer", "8/8", "0.5", "", "", "2", "1:05"],
        ["adversarial", "2/8", "0.5", "0.5", "0.001", "2", "1:05"],
    ]


def test_a_plain_line_has_them_too(capsys: pytest.CaptureFixture[str]):
    watch = Watch()
    watch.due = lambda: True  # pyright: ignore[reportAttributeAccessIssue]
    watch.step(stepped("adversarial", 2, real=0.5, augmented=0.05))
    assert capsys.readouterr().err == (
        "adversarial 2/8 loss 0.5, real 0.5, augmented 0.05, 2 samples/s, 1:05 left\n"
    )
