"""A detector that the user brings: a program, which runs for whom it is trusted by."""

import hashlib

import numpy as np
import pytest
import torch

from dln.core.errors import UsageError
from dln.core.metrics import i3d
from dln.core.metrics.i3d import I3D
from dln.core.metrics.likeness import Likeness

from .test_frechet import Detector, film, scripted


class Other(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Flat(torch.nn.Module):
    def forward(
        self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool
    ) -> torch.Tensor:
        return x.flatten()


class Hostile(torch.nn.Module):
    """Empties a file when it is loaded."""

    def __init__(self, victim: str):
        super().__init__()
        self.victim, self.sum = victim, 0

    def forward(
        self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool
    ) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.victim, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.victim, self.training = state
        self.sum = int(torch.from_file(self.victim, True, 5, dtype=torch.uint8).fill_(48).sum())


def test_a_program_that_nobody_trusts_is_not_run(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("never")
    path = scripted(tmp_path, Hostile(str(victim)))
    for refused in (I3D, Likeness):
        with pytest.raises(UsageError, match="is a program") as caught:
            refused(path)
        assert "--trust" in (caught.value.hint or "")
    assert victim.read_text() == "never"
    I3D(path, trust=True)
    assert victim.read_text() == "00000"


def test_the_published_detector_is_known_by_its_hash(tmp_path, monkeypatch):
    path = scripted(tmp_path, Detector())
    monkeypatch.setattr(i3d, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    assert I3D(path)([film(0)]).shape == (1, 6)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UsageError, match="not the published detector"):
        I3D(path)


def test_i3d_is_called_as_the_protocol_says(tmp_path):
    clips = [film(n) for n in range(3)]
    found = I3D(scripted(tmp_path, Detector()), trust=True)(clips)
    assert (found.shape, found.dtype) == ((3, 6), np.float64)
    expected = [[*clip.frames[0].mean((0, 1)), *clip.frames[15].mean((0, 1))] for clip in clips]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    shorter = I3D(scripted(tmp_path, Detector()), trust=True)(clips, frames=10)
    np.testing.assert_allclose(shorter[1, 3:], clips[1].frames[9].mean((0, 1)), rtol=1e-5)


def test_i3d_refuses_what_it_cannot_take(tmp_path):
    path = scripted(tmp_path, Detector())
    with pytest.raises(UsageError, match="12 frames is too short for I3D on 16"):
        I3D(path, trust=True)([film(0, frames=12)])
    with pytest.raises(UsageError, match="10 frames or more, not 9"):
        I3D(path, trust=True)([film(0)], frames=9)
    (tmp_path / "text.pt").write_text("no model")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "weights.pt")
    for name, words in (("none.pt", "no file"), ("text.pt", "no TorchScript"),
                        ("weights.pt", "no TorchScript")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            I3D(tmp_path / name, trust=True)
    with pytest.raises(UsageError, match="takes no rescale, resize, return_features"):
        I3D(scripted(tmp_path, Other()), trust=True)
    with pytest.raises(UsageError, match="no row of features"):
        I3D(scripted(tmp_path, Flat()), trust=True)([film(0)])
