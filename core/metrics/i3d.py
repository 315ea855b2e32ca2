"""Features of a video classifier that the user brings, for the Fréchet video distance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..door import read_bytes
from ..errors import UsageError

if TYPE_CHECKING:
    from ..media.clip import Clip

# Of StyleGAN-V's i3d_torchscript.pt, 51,235,320 bytes.
SHA256 = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"
MOST_BYTES = 1 << 31
SHORTEST = 10  # frames: I3D halves the time three times and then pools what is left
PUBLISHED = (16, 128)  # frames of StyleGAN-V's two protocols, each with 2048 clips
TAKES = ("rescale", "resize", "return_features")
HINT = "give the i3d_torchscript.pt of StyleGAN-V"


class I3D:
    """A video classifier in a TorchScript file, called as StyleGAN-V (2112.14683) calls it.

    Such a file is a program, and runs when it is loaded: the published i3d_torchscript.pt is
    known by its hash (published), another is loaded with `trust` alone. UsageError for a file that
    is not trusted, or is no such detector.
    """

    def __init__(self, path: Path, device: str = "cpu", trust: bool = False) -> None:
        self.path, self.device = path, device
        program = read_bytes(path, MOST_BYTES)
        self.published = hashlib.sha256(program).hexdigest() == SHA256
        if not self.published and not trust:
            raise UsageError(
                f"{path} is not the published detector, and a TorchScript file is a program: "
                "loading it may read, write and run anything that you may",
                hint=f"{HINT}, or add --trust where you know who made the file",
            )
        self.detector = loaded_detector(program, path, device)

    @torch.inference_mode()
    def __call__(self, clips: Sequence[Clip], frames: int = 16) -> np.ndarray:
        """Features of the first `frames` frames of clips of one size: float64 (N, D), D is 400.

        The protocol has 16 or 128 frames; fewer than 10 are a UsageError, and so is a shorter clip.
        """
        first = torch.from_numpy(np.stack([beginning(clip, frames) for clip in clips]))
        pixels = first.movedim(-1, 1).to(self.device).float()  # (N, 3, T, H, W), 0 to 255
        found: Any = self.detector(pixels, rescale=True, resize=True, return_features=True)
        if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(clips):
            raise UsageError(f"{self.path} gives no row of features for each clip", hint=HINT)
        return found.cpu().double().numpy()


def beginning(clip: Clip, frames: int) -> np.ndarray:
    """The clip's first `frames` frames. UsageError where I3D could not take them."""
    if frames < SHORTEST:
        raise UsageError(f"I3D takes {SHORTEST} frames or more, not {frames}")
    if len(clip.frames) < frames:
        raise UsageError(
            f"a clip of {len(clip.frames)} frames is too short for I3D on {frames}",
            hint=f"make clips of {frames} frames or more",
        )
    return clip.frames[:frames]


def loaded_detector(program: bytes, path: Path, device: str) -> Any:
    """The detector in those very bytes, and not in what the file at `path` holds by now. UsageError
    where there is none."""
    try:
        detector = torch.jit.load(BytesIO(program), map_location=device).eval()
        takes = {argument.name for argument in detector.forward.schema.arguments}
    except (RuntimeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is no TorchScript file", hint=HINT) from error
    if missing := [name for name in TAKES if name not in takes]:
        raise UsageError(f"the detector in {path} takes no {', '.join(missing)}", hint=HINT)
    return detector
