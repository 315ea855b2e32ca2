"""Published language models, which weights name and nobody fetches."""

import os
import subprocess
import sys
import types
from typing import Any

import pytest

from dln.core.errors import MissingCapability, UsageError
from dln.core.text.pretrained import Pretrained


def test_a_language_model_that_is_not_here_is_said(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(UsageError, match="neither the name of a language model nor a folder"):
        Pretrained(str(tmp_path / "nothing"), 4).encode("lion")
    with pytest.raises(MissingCapability, match="not here"):
        Pretrained(str(tmp_path), 4).encode("lion")


ASKS = """
import sys
def refuse(event, args):
    if event.startswith("socket.") and event != "socket.__new__":
        print("asked", event, args, flush=True)
        raise OSError("no network")
sys.addaudithook(refuse)
from dln.core.errors import DlnError
from dln.core.text.pretrained import Pretrained
for name in sys.argv[1:]:
    try:
        Pretrained(name, 4).encode("lion")
    except DlnError as error:
        print(type(error).__name__, error.hint)
"""


def test_the_name_of_an_encoder_asks_nobody(tmp_path):
    """Neither does a name turn into a command that somebody copies."""
    pytest.importorskip("transformers")
    names = ["bert-large-uncased", "someone/some-model", "x'); import os; ('", "../x", ""]
    environment = os.environ | {"HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ASKS, *names], text=True, capture_output=True,
                          env=environment, check=True)  # fmt: skip
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == 2 * ["MissingCapability"] + 3 * ["UsageError"]
    assert "from_pretrained('bert-large-uncased')" in lines[0]


def test_an_encoder_is_asked_for_on_this_machine_alone(monkeypatch):
    """The package says where it would look; what it gives is no matter here."""
    asked: list[dict[str, Any]] = []

    class Auto:
        @classmethod
        def from_pretrained(cls, name: str, **options: Any) -> None:
            asked.append(options)
            raise OSError("not here")

    package = types.ModuleType("transformers")
    monkeypatch.setattr(package, "AutoModel", Auto, raising=False)
    monkeypatch.setattr(package, "AutoTokenizer", Auto, raising=False)
    monkeypatch.setitem(sys.modules, "transformers", package)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(MissingCapability, match="is not here") as caught:
        Pretrained("some/model", 4).encode("lion")
    assert asked[0]["local_files_only"] is True
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert "some/model" in (caught.value.hint or "")
    for name in ("x'); import os; ('", "../x", "", "a/b/c", "http://a/b"):
        with pytest.raises(UsageError, match="neither the name"):
            Pretrained(name, 4).encode("lion")
