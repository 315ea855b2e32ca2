"""The drawings of the guide hold what the code holds: names of graphs, shapes, sizes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch

from dln.core.models.cogvideo.masks import GIVEN, NEW
from dln.core.models.cogview2 import graphs as cogview2_graphs
from dln.core.models.cogview2.local import Tiles, tiles
from dln.core.models.cogview2.rounds import ROUNDS
from dln.core.models.graph import Graph, flatten
from dln.core.models.long_video_gan import super_generator, windows
from dln.core.models.registry import MODELS, find, load
from dln.core.models.video_diffusion.sample import STEPS
from dln.core.runs.build import made

from .manual import ROOT

PAGE = (ROOT / "cli" / "guide" / "architectures.md").read_text(encoding="utf-8")
DRAWINGS = dict(re.findall(r"^## (.+?)\n.*?```text\n(.*?)```", PAGE, re.M | re.S))
WIDEST = 78  # columns, of a terminal that has 80
STROKES = "─│┌┐└┘├┤┬┴┼▼~"


@dataclass(frozen=True)
class Built:
    """A preset's sizes, and its graphs without weights."""

    config: Any
    graphs: dict[str, Graph]

    def __call__(self, graph: str, tensor: str) -> str:
        """The shape of an input or an output but for what is one a call: "3 x 64 x 64"."""
        sizes = {name: size.smallest for name, size in self.graphs[graph].sizes.items()}
        alone = self.shape(graph, tensor, sizes)
        if not sizes:
            return " x ".join(map(str, alone[1:]))
        first = next(iter(sizes))
        two = self.shape(graph, tensor, sizes | {first: sizes[first] + 1})
        return " x ".join(str(one) for one, other in zip(alone, two, strict=True) if one == other)

    def shape(self, graph: str, tensor: str, sizes: dict[str, int]) -> torch.Size:
        found = self.graphs[graph]
        with torch.device("meta"), torch.no_grad():
            inputs = found.example(**sizes)
            if tensor in (held := flatten(inputs)):
                return held[tensor].shape
            return found.module(**inputs)[found.outputs.index(tensor)].shape


@cache
def built(name: str, preset: str) -> Built:
    system = load(find(name))
    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(cogview2_graphs, "tiles", on_the_host)
        graphs = made(system, system.PRESETS[preset], []).graphs()
    for graph in graphs.values():
        graph.module.to("meta")
    return Built(system.PRESETS[preset], graphs)


def on_the_host(*sizes: int) -> Tiles:
    """Its tables hang on their own numbers, which nothing without memory has."""
    with torch.device("cpu"):
        return tiles(*sizes)


Told = Callable[[str, Callable[[Built], Any]], str]


def cogvideo(told: Told) -> list[str]:
    rounds = len(built("cogvideo", "tiny").config.durations) - 1
    given, new = ([str(slot + 1) for slot in slots] for slots in (GIVEN, NEW))
    ends = [str(4 * 2**level + 1) for level in range(1, rounds + 1)]
    return [
        *backbone(told),
        told("{} tokens", lambda m: m("text", "text")),
        told("{}", lambda m: m("text", "keyframes_k")),
        told("drawn out of {}", lambda m: m("image", "logits").split(" x ")[-1]),
        told("{}", lambda m: m("encode", "frames")),
        told("{} codes", lambda m: m("encode", "indices")),
        told("{0} x {0}", lambda m: m.config.grid),
        told("frames 2 to {}, code", lambda m: m.config.frames),
        told("{} seconds", lambda m: f"{m.config.frames} frames in {m.config.clip_seconds:g}"),
        told("{} codes", lambda m: f"{m.config.frames} x {m('encode', 'indices')}"),
        f"frames {given[0]}, {given[1]} and {given[2]} are given, {new[0]} and {new[1]} drawn",
        f"{rounds} rounds",
        f"{ends[0]}, {ends[1]}, then {ends[2]} frames",
        told("{} codes", lambda m: f"{m.config.most_frames} x {m('encode', 'indices')}"),
        told("{}", lambda m: f"{m.config.most_frames} x {m('decode', 'pixels')}"),
        told("{} fine codes", lambda m: m("decode_large", "indices")),
        f"{len(ROUNDS)} rounds of drawing",
        told("{}", lambda m: f"{m.config.most_frames} x {m('decode_large', 'pixels')}"),
    ]


def cogview2(told: Told) -> list[str]:
    return [
        *backbone(told),
        told("{} tokens", lambda m: m("text", "text")),
        told("{}", lambda m: m("text", "image_k")),
        told("drawn out of {}", lambda m: m("image", "logits").split(" x ")[-1]),
        told("{}", lambda m: m("encode", "frames")),
        told("{}", lambda m: m("decode", "pixels")),
        told("{} codes", lambda m: m("direct", "coarse")),
        told("{0} x {0}", lambda m: m.config.grid),
        told("{} of the backbone's layers", lambda m: m.config.direct_layers or m.config.layers),
        told("{} scores", lambda m: m("direct", "logits")),
        told("{} codes", lambda m: m("iterative", "codes")),
        told("{} codes", lambda m: m("decode_large", "indices")),
        told("{0} x {0}", lambda m: m.config.fine_grid),
        told("{} layers", lambda m: m.config.iterative.layers),
        told("{} wide", lambda m: m.config.iterative.width),
        f"in {len(ROUNDS)} rounds",
        told("{}", lambda m: m("decode_large", "pixels")),
    ]


def backbone(told: Told) -> list[str]:
    return [
        told("{} layers", lambda m: m.config.layers),
        told("{} wide", lambda m: m.config.width),
        told("{} heads", lambda m: m.config.heads),
    ]


def video_diffusion(told: Told) -> list[str]:
    tiny = built("video-diffusion", "tiny").config
    levels = list(zip(tiny.base.sides, tiny.base.widths, strict=True))
    kinds = [[name for name, at in (("within", tiny.base.spatial), ("over", tiny.base.temporal))
              if side in at] for side in tiny.base.sides]  # fmt: skip
    rows = [f"{side} {width} {width} {side} {', '.join(kind)}"
            for (side, width), kind in zip(levels, kinds, strict=True)]  # fmt: skip
    return [
        told("{} words", lambda m: m("text", "words")),
        told("{} numbers", lambda m: m("text", "base_text")),
        f"{tiny.fast_steps} steps from noise",
        f"{STEPS} steps from noise",
        told("{}", lambda m: m("base", "x")),
        told("{} steps from noise of the clip's size", lambda m: m.config.upsample_steps),
        told("{}", lambda m: m("upsample", "x")),
        rows[0].replace(f"{tiny.base.widths[0]}", f"{tiny.base.widths[0]} channels", 1),
        *rows[1:],
    ]


def stylegan_v(told: Told) -> list[str]:
    return [
        told("z: {} numbers", lambda m: m("mapping", "z")),
        told("each {} frames", lambda m: m.config.anchor_distance),
        told("{}", lambda m: m("motion", "noise")),
        told("{} layers", lambda m: m.config.mapping_layers),
        told("{} waves", lambda m: m.config.waves),
        told("w: {}", lambda m: m("mapping", "w")),
        told("{} for each frame", lambda m: m("motion", "motion")),
        "{0} x {0} constants".format(built("stylegan-v", "tiny").config.sides[0]),
        told("{}", lambda m: ", ".join(map(str, m.config.sides))),
        told("{}", lambda m: m("synthesis", "pixels")),
    ]


def long_video_gan(told: Told) -> list[str]:
    lowest = built("long-video-gan", "tiny").config.low_blocks[0].before
    return [
        told("{} channels", lambda m: m.config.noise_channels),
        told("{} low-pass filters", lambda m: m.config.filters),
        told("{}", lambda m: m("latent", "codes")),
        f"codes of {windows.SCALE} frames",
        f"{super_generator.LAYERS} layers, frame",
        f"{super_generator.LAYERS} layers",
        f"styles of {windows.SCALE} frames",
        told("{}", lambda m: m("low", "styles")),
        f"3D convolutions at a {windows.SCALE}nd",
        f"doubled {windows.DOUBLINGS} times",
        f"from {lowest[0]} x {lowest[1]} pixels",
        told("{}", lambda m: m("low", "small")),
        told("z: {}", lambda m: m("mapping", "z")),
        told("w: {}", lambda m: m("mapping", "w")),
        told("{}", lambda m: m("super", "small")),
        told("each of {} alias-free layers", lambda m: m.config.layers),
        told("{}", lambda m: m("super", "pixels").removeprefix("1 x ")),
    ]


def nuwa_infinity(told: Told) -> list[str]:
    tiny = built("nuwa-infinity", "tiny")
    return [
        told("{} words", lambda m: m("text", "text")),
        told("{} layers", lambda m: m.config.layers),
        told("{}", lambda m: m("text", "text_k")),
        told("rows: {}", lambda m: m.config.extent_rows),
        told("columns: {}", lambda m: m.config.extent_columns),
        told("frames: {}", lambda m: m.config.extent_frames),
        told("{} wide", lambda m: m.config.width),
        told("{0} x {0} codes", lambda m: m.config.patch),
        told("drawn out of {}", lambda m: m("step", "logits").split(" x ")[-1]),
        told("{0} x {0}", lambda m: m.config.side),
        f"{tiny('decode', 'pixels').split()[0]} x height x width",
    ]


# Of each family: its name, the preset in brackets, and all that a drawing says in numbers.
FAMILIES: dict[str, tuple[str, str, Callable[[Told], list[str]]]] = {
    "CogVideo": ("cogvideo", "paper", cogvideo),
    "CogView2": ("cogview2", "paper", cogview2),
    "Video Diffusion": ("video-diffusion", "paper", video_diffusion),
    "StyleGAN-V": ("stylegan-v", "paper", stylegan_v),
    "LongVideoGAN": ("long-video-gan", "paper", long_video_gan),
    "NUWA-Infinity": ("nuwa-infinity", "large", nuwa_infinity),
}


def test_every_family_that_generates_is_drawn() -> None:
    ours = {
        name for name, about in MODELS.items() if about.generates and not name.startswith("toy")
    }
    assert {name for name, _, _ in FAMILIES.values()} == ours
    assert DRAWINGS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_drawing_shows_every_graph_and_where_the_seed_enters(family: str) -> None:
    drawing, graphs = DRAWINGS[family], built(FAMILIES[family][0], "tiny").graphs
    assert (
        set(re.findall(r"┌─ (\w+) ─", drawing)) <= graphs.keys() <= set(re.findall(r"\w+", drawing))
    )
    assert "~" in drawing
    assert max(map(len, drawing.splitlines())) <= WIDEST


@pytest.mark.parametrize("family", FAMILIES)
def test_every_number_of_a_drawing_is_the_codes(family: str) -> None:
    name, larger, phrases = FAMILIES[family]

    def told(form: str, value: Callable[[Built], Any]) -> str:
        """What is said of both presets: "6 layers (48)", or "8 channels" where they are alike."""
        tiny, large = (value(built(name, preset)) for preset in ("tiny", larger))
        number = re.search(r"{.*}", form)
        assert number
        return form.format(tiny) + (f" ({number[0].format(large)})" if large != tiny else "")

    left = " ".join(re.sub(f"[{STROKES}]", " ", DRAWINGS[family]).split())
    for phrase in sorted(set(phrases(told)), key=len, reverse=True):
        assert phrase in left
        left = left.replace(phrase, "...")
    assert not re.search(r"\d", left), left
