"""Receipts survive in all four formats, and files without one say so."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.errors import UsageError
from dln.core.files import sha256_file
from dln.core.media.clip import Clip
from dln.core.media.receipt import SCHEMA, make_receipt, read_receipt
from dln.core.media.video import write_clip

SUFFIXES = (".mp4", ".webm", ".gif", ".png")
CLIP = Clip(np.linspace(0, 255, 5 * 16 * 16 * 3).astype(np.uint8).reshape(5, 16, 16, 3), 8)


def receipt(prompt: str = 'лев пьёт, "quoted"; a=b \\ \U0001f981') -> dict:
    return make_receipt(
        prompt=prompt,
        seed=2**63 - 1,
        model="cogvideo",
        weights_sha256="a" * 64,
        engine="torch",
        settings={"frames": 17, "fps": 8.0, "guidance": 2.5, "note": "x" * 3000, "top_p": None},
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("scale", [1, None])
def test_a_receipt_survives(tmp_path: Path, suffix: str, scale: int | None):
    path = write_clip(CLIP, tmp_path / f"clip{suffix}", receipt(), scale)
    assert read_receipt(path) == receipt()


@settings(max_examples=25, deadline=None)
@given(prompt=st.text(max_size=80), suffix=st.sampled_from(SUFFIXES))
def test_any_prompt_survives(tmp_path_factory, prompt: str, suffix: str):
    path = tmp_path_factory.getbasetemp() / f"prompt{suffix}"
    write_clip(CLIP, path, receipt(prompt), scale=1, overwrite=True)
    assert read_receipt(path)["prompt"] == prompt


def test_a_receipt_says_what_made_it():
    made = receipt()
    assert made["schema"] == SCHEMA
    assert made["versions"]["dln"]
    assert made["versions"]["torch"]
    keys = ["schema", "prompt", "seed", "model", "weights_sha256", "engine", "settings", "versions"]
    assert list(made) == keys


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("other", [None, {"title": "not ours"}])
def test_a_file_without_a_receipt_says_so(tmp_path: Path, suffix: str, other: dict | None):
    path = write_clip(CLIP, tmp_path / f"clip{suffix}", other, scale=1)
    with pytest.raises(UsageError, match=f"clip{suffix} has no receipt"):
        read_receipt(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, suffix: str):
    path = write_clip(CLIP, tmp_path / f"clip{suffix}", receipt(), scale=1)
    data = path.read_bytes()
    for length in (0, 5, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(UsageError, match="clip"):
            read_receipt(path)
    with pytest.raises(UsageError, match="There is no file"):
        read_receipt(tmp_path / f"none{suffix}")


def test_the_hash_is_of_the_bytes(tmp_path: Path):
    path = tmp_path / "weights"
    path.write_bytes(b"abc" * 1_000_000)
    assert sha256_file(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
