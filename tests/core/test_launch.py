"""What launchers say in the environment, and what nobody who launches would."""

import pytest

from dln.core.errors import DlnError, UsageError
from dln.core.training.accelerator import launched_processes

VARIABLES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def nothing_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "said",
    [
        {"WORLD_SIZE": "abc"},
        {"WORLD_SIZE": "0"},
        {"WORLD_SIZE": "-3"},
        {"WORLD_SIZE": "1.5"},
        {"WORLD_SIZE": "9" * 5000},
        {"WORLD_SIZE": "\u0663"},
        {"RANK": "first"},
        {"LOCAL_RANK": "0x1"},
        {"LOCAL_WORLD_SIZE": "?"},
        {"MASTER_PORT": "70000"},
        {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "no such address"},
    ],
    ids=lambda said: " ".join(said),
)
def test_nonsense_is_a_sentence(monkeypatch: pytest.MonkeyPatch, said: dict[str, str]):
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        launched_processes()
    assert len(caught.value.message) < 300
    assert caught.value.hint


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK"])
def test_a_process_that_is_not_of_the_launch_says_so_itself(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    """A UsageError would be shown by the first process alone, and this takes itself for another."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(DlnError, match=f"{name} is 1, but WORLD_SIZE is 1") as caught:
        launched_processes()
    assert caught.value.exit_code == 1


def test_what_launchers_say_is_taken(monkeypatch: pytest.MonkeyPatch):
    assert launched_processes() == 1
    for name, value in zip(VARIABLES, ("3", "2", "0", "1", "127.0.0.1", "29500"), strict=True):
        monkeypatch.setenv(name, value)
    assert launched_processes() == 3
    monkeypatch.setenv("LOCAL_RANK", "-1")
    assert launched_processes() == 3
