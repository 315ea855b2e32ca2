"""The networks that one would take instead, of other packages or as plainly as published, each as
one call at given sizes. What a package is not here for is told, with the line that installs it."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from dln.core.errors import MissingCapability, reason_of

from .rows import Contender, numbers
from .stylegan2 import StyleGAN2

BATCH = 2  # of tokens: a prompt with and without its words, as guidance takes it
# VideoGPT's prior (2104.10157) for 16 frames of 64 x 64 pixels: 4 x 16 x 16 codes of 2048.
VIDEOGPT = {"codes": 2048, "width": 576, "layers": 8, "heads": 4}
VIDEOGPT_TOKENS = 1024
TRANSFORMERS = "pip install -c constraints.txt transformers"
DIFFUSERS = "pip install -c constraints.txt diffusers"
UNET3D = "pip install -c constraints.txt video-diffusion-pytorch"


@dataclass(frozen=True)
class Clip:
    """What denoising is measured at. widths: channels of each level; blocks: residual, a level."""

    frames: int = 16
    side: int = 32
    widths: tuple[int, ...] = (64, 128, 256)
    blocks: int = 2
    head: int = 32
    text: int = 64


def package(name: str, hint: str) -> Any:
    """MissingCapability with the line that installs it, also where it is here and broken."""
    try:
        return import_module(name)
    except Exception as error:
        raise MissingCapability(f"{name} cannot be imported: {reason_of(error)}", hint) from error


def gpt2(
    name: str, device: str, cached: int, codes: int, width: int, layers: int, heads: int
) -> Contender:
    """transformers' GPT-2 of these sizes: one more token after `cached` of them."""
    made = package("transformers", TRANSFORMERS)
    config = made.GPT2Config(vocab_size=codes, n_embd=width, n_layer=layers, n_head=heads,
                             n_positions=max(VIDEOGPT_TOKENS, cached + 1),
                             bos_token_id=None, eos_token_id=None)  # fmt: skip
    model = made.GPT2LMHeadModel(config).eval().to(device)
    before = torch.randint(codes, (BATCH, cached), device=device)
    token, known = before[:, :1], model(before, use_cache=True).past_key_values

    def call() -> object:
        return model(token, past_key_values=fresh(known), use_cache=True)

    what = f"transformers, {layers} layers of {width}, {cached} tokens before, batch {BATCH}"
    return Contender("tokens", name, what, "token", 1, call, numbers(model))


def fresh(cache: Any) -> Any:
    """The same keys and values as a cache of its own: a step puts longer ones into its layers."""
    made = copy.copy(cache)
    made.layers = [copy.copy(layer) for layer in cache.layers]
    return made


def unet3d(clip: Clip, device: str) -> Contender:
    """video-diffusion-pytorch's Unet3D, which attends linearly at every level."""
    with torchvision_spared():
        made = package("video_diffusion_pytorch", UNET3D)
    first, *_ = clip.widths
    model = made.Unet3D(dim=first, cond_dim=clip.text, attn_dim_head=clip.head,
                        dim_mults=tuple(width // first for width in clip.widths))  # fmt: skip
    model.eval().to(device)
    x = torch.randn(1, 3, clip.frames, clip.side, clip.side, device=device)
    text = torch.randn(1, clip.text, device=device)
    time = torch.zeros(1, dtype=torch.long, device=device)
    return denoiser("video-diffusion-pytorch", "Unet3D", clip, model,
                    lambda: model(x, time, cond=text))  # fmt: skip


@contextmanager
def torchvision_spared() -> Any:
    """video-diffusion-pytorch imports torchvision for its trainer alone, and makes a ToTensor."""
    empty: Any = ModuleType("torchvision")
    empty.transforms, empty.utils = SimpleNamespace(ToTensor=object), None
    with patch.dict(sys.modules, torchvision=empty):
        yield


def diffusers(clip: Clip, device: str) -> Contender:
    """diffusers' UNet3DConditionModel, which attends fully at every level but the last."""
    last = len(clip.widths) - 1
    model = package("diffusers", DIFFUSERS).UNet3DConditionModel(
        in_channels=3,
        out_channels=3,
        block_out_channels=clip.widths,
        layers_per_block=clip.blocks,
        down_block_types=("CrossAttnDownBlock3D",) * last + ("DownBlock3D",),
        up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * last,
        norm_num_groups=8,
        cross_attention_dim=clip.text,
        attention_head_dim=clip.head,
    )
    model.eval().to(device)
    x = torch.randn(1, 3, clip.frames, clip.side, clip.side, device=device)
    text = torch.randn(1, 16, clip.text, device=device)
    time = torch.zeros(1, device=device)
    return denoiser("diffusers", "UNet3DConditionModel", clip, model, lambda: model(x, time, text))


def denoiser(
    name: str, kind: str, clip: Clip, model: torch.nn.Module, call: Callable[[], object]
) -> Contender:
    what = f"{kind}, {clip.frames} x {clip.side} x {clip.side}, widths {clip.widths}"
    return Contender("denoising", name, what, "step", 1, call, numbers(model))


def stylegan2(latent: int, widths: list[int], frames: int, device: str) -> Contender:
    """Each frame by itself, of a w of its own."""
    model = StyleGAN2(latent, widths).eval().to(device)
    w = torch.randn(frames, latent, device=device)
    side = 4 * 2 ** (len(widths) - 1)
    what = f"plain, {side} x {side}, widths {tuple(widths)}, {frames} at once"
    return Contender("frames", "StyleGAN2", what, "frame", frames, lambda: model(w),
                     numbers(model))  # fmt: skip
