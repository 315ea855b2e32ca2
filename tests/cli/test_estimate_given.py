"""`dln carbon estimate` with an option that a script left empty."""

import pytest


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--hours", "10"], "no device ''"), (["--model", "recognizer"], "no device ''"),
     ([], "--gpu needs --hours")],
)  # fmt: skip
def test_a_device_without_a_name(dln, words: list[str], told: str):
    outcome = dln("carbon", "estimate", "--region", "de", "--gpu", "", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert told in outcome.err
