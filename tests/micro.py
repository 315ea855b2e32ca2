"""Each model so small that training, sampling and exporting it take seconds.

MICRO: what of a model's default preset is another number, as `override` takes it. All kinds of
layers are in it: even and odd layers of CogVideo, attention over space in the base of the cascade
and over time at one of two levels above it.
"""

from typing import Any

import torch
from torch import nn

from dln.core.models.cogvideo.model import Model
from dln.core.models.registry import MODELS, load
from dln.core.runs.build import resolve_config
from dln.core.text.vocabulary import Vocabulary

LIVELY = 0.2  # standard deviation of weights that training begins with smaller, or at zero

_UNET = {"head": 8, "condition": 16, "condition_layers": 1}
MICRO: dict[str, dict[str, Any]] = {
    "cogvideo": {
        "large": False,  # LARGE has it
        "image_size": 16,
        "text_length": 8,
        "width": 32,
        "layers": 2,
        "heads": 2,
        "window": 2,
        "image_position": 8,
        "positions": 12,
        "tokenizer": {
            "codebook_size": 50,
            "code_dim": 4,
            "encoder_widths": (8, 8, 8),
            "decoder_widths": (8, 8, 8),
            "encoder_blocks": (1, 1, 1),
            "decoder_blocks": (1, 1, 1),
            "clusters": 7,
        },
    },
    "cogview2": {
        "image_size": 16,
        "text_length": 8,
        "width": 32,
        "layers": 2,
        "heads": 2,
        "image_position": 8,
        "positions": 13,
        "direct_layers": 1,
        "iterative": {"width": 16, "layers": 1, "heads": 2, "text_length": 5},
        "tokenizer": {
            "codebook_size": 50,
            "code_dim": 4,
            "encoder_widths": (8, 8, 8),
            "decoder_widths": (8, 8, 8),
            "encoder_blocks": (1, 1, 1),
            "decoder_blocks": (1, 1, 1),
            "clusters": 7,
        },
    },
    "video-diffusion": {
        "frames": 4,
        "images": 1,
        "clips": 6,
        "text_length": 8,
        "text_width": 16,
        "fast_steps": 2,
        "base": {"image_size": 8, "widths": (8,), "spatial": (4,), "temporal": (), **_UNET},
        "upsample": {"image_size": 16, "crop": 8, "widths": (8, 16), "temporal": (8,), **_UNET},
    },
    "recognizer": {"image_size": 32, "frames": 3, "width": 16, "trunk": (8, 8, 16)},
    "stylegan-v": {
        "side": 32,
        "latent": 16,
        "channel_base": 256,
        "channel_max": 16,
        "waves": 8,
    },
    "nuwa-infinity": {
        "patch": 2,
        "extent_rows": 1,
        "extent_columns": 1,
        "extent_frames": 1,
        "width": 32,
        "layers": 1,
        "heads": 2,
        "text_length": 8,
        "vqgan": {
            "codebook_size": 50,
            "code_dim": 4,
            "encoder_widths": (8, 8),
            "encoder_blocks": (1, 0),
            "decoder_widths": (8, 8),
            "decoder_blocks": (1, 0),
            "guide_widths": (8, 8),
            "judge_width": 4,
        },
        "training": {"patches": 4, "frames": 2, "views": 8},
    },
    "long-video-gan": {
        "low_height": 8,
        "low_width": 16,
        "height": 16,
        "width": 32,
        "noise_channels": 2,
        "filters": 4,
        "shortest_rate": 26.0,
        "longest_rate": 400.0,
        "low_channels": 16,
        "low_judge_channels": 1,
        "frames": 16,
        "latent": 8,
        "layers": 4,
        "margin": 2,
        "channel_base": 256,
        "channel_max": 8,
        "judge_base": 256,
        "judge_max": 8,
    },
    "resnet": {"width": 8, "blocks": (1, 1)},
    "vit": {"width": 16, "depth": 2, "heads": 2},
}
# CogVideo with both super-resolutions: 16 pixels become 48.
LARGE: dict[str, Any] = {
    **MICRO["cogvideo"],
    "positions": 13,
    "large": {"direct_layers": 1, "iterative": MICRO["cogview2"]["iterative"]},
}
VARIANTS = {"cogvideo large": ("cogvideo", LARGE)}


def micro(name: str) -> tuple[str, dict[str, Any]]:
    """The model of a name or of a variant of one, and what of it is another number."""
    return VARIANTS.get(name, (name, MICRO.get(name, {})))


def large_cogvideo() -> Model:
    """CogVideo with large frames of 4 x 4 coarse codes, every weight of which changes what comes
    out."""
    torch.manual_seed(0)
    sizes = {**LARGE, "image_size": 32, "positions": 25}
    config = resolve_config(load(MODELS["cogvideo"]), "tiny", sizes)
    made = Model(config, Vocabulary(["lion", "drinking"]))
    enlivened(made)
    return made.eval()


def enlivened(model: nn.Module) -> nn.Module:
    """The model with weights so large that every one changes what comes out."""
    for parameter in model.parameters():
        if parameter.numel() == 1 or parameter.std() < LIVELY:
            nn.init.normal_(parameter, std=LIVELY)
    return model
