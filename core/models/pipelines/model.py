"""A pipeline that is loaded, with its networks as graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn

from ...errors import DlnError, reason_of
from ..graph import Graph
from ..system import SystemModel
from .config import KNOWN, Config
from .folder import weights_in
from .kinds import Kind


class AnyWords:
    """Reads every word: the pipeline's own tokenizer does."""

    words: tuple[str, ...] = ()

    def encode(self, text: str) -> str:
        return text

    def unknown(self, text: str) -> list[str]:
        return []

    def nearest(self, word: str) -> list[str]:
        return []


class Pipeline(SystemModel):
    """A pipeline of diffusers. pipe: its own object; kind: what is known of its class here."""

    def __init__(self, config: Config, pipe: Any) -> None:
        super().__init__()
        self.config, self.reader, self.pipe = config, AnyWords(), pipe
        self.kind = kind_of(config.pipeline)

    def graphs(self) -> dict[str, Graph]:
        """ "text", "denoiser" (Wan 2.2 has a "denoiser_2" too), and a "decoder" of whole clips, or
        "decoder_first" and "decoder_next"."""
        return self._graphs

    @cached_property
    def _graphs(self) -> dict[str, Graph]:
        return {graph.name: graph for graph in self.kind.graphs(self.pipe)}

    @property
    def scale(self) -> tuple[int, int]:
        """How many frames, and pixels along a side, one place of the latents stands for."""
        pipe = self.pipe
        if hasattr(pipe, "vae_scale_factor_temporal"):
            return pipe.vae_scale_factor_temporal, pipe.vae_scale_factor_spatial
        return pipe.vae_temporal_compression_ratio, pipe.vae_spatial_compression_ratio


def kind_of(pipeline: str) -> Kind:
    """What is known of a class of pipelines."""
    return import_module(f".{KNOWN[pipeline].module}", __package__).KIND


def opened(folder: Path, config: Config) -> Pipeline:
    """The pipeline in a folder that `told_of` has looked at, in float32 on the CPU. DlnError for
    weights that do not fit."""
    import diffusers  # pyright: ignore[reportMissingImports]
    import torch

    try:
        with unheard():
            pipe = getattr(diffusers, config.pipeline).from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False,
                dtype=torch.float32,
            )  # fmt: skip
    except Exception as error:  # whatever diffusers makes of somebody's files
        raise DlnError(f"{folder} cannot be loaded: {reason_of(error)}") from error
    check_complete(folder, pipe)
    pipe.set_progress_bar_config(disable=True)
    return Pipeline(config, pipe)


def check_complete(folder: Path, pipe: Any) -> None:
    """DlnError where a network's weights are not all in its files: what lacks is drawn at random by
    those who load it, and nothing would tell. Of weights that are tied one name is enough."""
    for part, network in pipe.components.items():
        if not isinstance(network, nn.Module):
            continue
        there = {name for path in weights_in(folder / part) for name in names_in(path)}
        held = {t.data_ptr() for n, t in network.state_dict().items() if n in there}
        lacking = [n for n, t in network.state_dict().items() if t.data_ptr() not in held]
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise DlnError(f"{folder} is not whole: its {part} lacks {lacking[0]}{more}")


def names_in(path: Path) -> list[str]:
    """Of the tensors in a file."""
    with safe_open(path, "pt") as file:
        return list(file.keys())


@contextmanager
def unheard() -> Iterator[None]:
    """Inside, neither diffusers nor transformers draws bars or gives advice."""
    from diffusers.utils import logging as theirs  # pyright: ignore[reportMissingImports]
    from transformers.utils import logging as others  # pyright: ignore[reportMissingImports]

    libraries = [(each, each.get_verbosity()) for each in (theirs, others)]
    for each, _ in libraries:
        each.disable_progress_bar()
        each.set_verbosity_error()
    try:
        yield
    finally:
        for each, before in libraries:
            each.enable_progress_bar()
            each.set_verbosity(before)
