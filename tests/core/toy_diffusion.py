"""A Video Diffusion of a few weights."""

import torch

from dln.core.models.video_diffusion.about import Sampling
from dln.core.models.video_diffusion.config import Config, UNetConfig, Upsampler
from dln.core.models.video_diffusion.model import Model
from dln.core.text.vocabulary import Vocabulary

TOY = Config(
    frames=4,
    images=2,
    text_length=6,
    text_width=8,
    fast_steps=2,
    upsample_steps=2,
    base=UNetConfig(
        image_size=8, widths=(8, 16), spatial=(2,), head=8, temporal=(4, 2), condition=8
    ),
    upsample=Upsampler(rate=2, image_size=16, widths=(8, 16), head=8, temporal=(2,), condition=8),
)
WORDS = Vocabulary(["lion", "penguin", "drinking", "dancing"])
FITTED, REPLACED = (Sampling(steps=2, reconstruction=weight) for weight in (0.3, 0.0))


def toy(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    model = Model(TOY, WORDS)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()
