"""Published language models, which weights name and nobody fetches."""

import json
import os
import subprocess
import sys
import types
from typing import Any

import pytest
import torch

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


def test_of_clip_its_text_encoder_reads(tmp_path):
    transformers = pytest.importorskip("transformers")
    words = ["l", "a", "k", "e", "a</w>", "e</w>", "la", "ke</w>", "lake</w>", "<|startoftext|>",
             "<|endoftext|>"]  # fmt: skip
    (tmp_path / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nl a\nk e</w>\nla ke</w>\n")
    files = [str(tmp_path / name) for name in ("vocab.json", "merges.txt")]
    transformers.CLIPTokenizer(*files).save_pretrained(tmp_path)
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 16}  # fmt: skip
    text = {**sizes, "vocab_size": 11, "max_position_embeddings": 8, "bos_token_id": 9,
            "eos_token_id": 10}  # fmt: skip
    vision = {**sizes, "image_size": 16, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    states, seen = Pretrained(str(tmp_path), 6).encode("a lake")
    assert states.shape == (6, 12)
    assert seen.tolist() == [1, 1, 1, 1, 0, 0]
    alone = transformers.CLIPTextModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        expected = alone(torch.tensor([[9, 4, 8, 10]])).last_hidden_state[0]
    assert torch.equal(states[:4], expected)
    assert not states[4:].any()
    assert Pretrained(str(tmp_path), 6).encode("")[1].tolist() == [1, 1, 0, 0, 0, 0]
