"""Pickles of classes that are nowhere: what others publish, and what attackers do."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from dln.core.models.published import streams
from dln.core.models.published.machine import Machine
from dln.core.models.published.makers import MAKERS
from dln.core.models.published.tokens import Budget, Tape
from dln.core.models.stylegan_v.config import Config

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
Read = Callable[[bytes], Any]
SMALL = Config(side=32, latent=8, channel_base=256, channel_max=8, waves=4, fps=30.0)


@dataclass(frozen=True)
class Named:
    """A class or function, by the name that stands in the pickle."""

    module: str
    name: str

    def __call__(self) -> None:
        """Picklers ask whether it can be called."""


@dataclass(eq=False)
class Made:
    """What a pickle asks to make: a call, then a state, then items."""

    kind: Named
    args: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


class Writer(pickle._Pickler):  # pyright: ignore
    """The pickler in Python, which can be told how these are written."""

    def save_named(self, named: Named) -> None:
        self.write(b"c%s\n%s\n" % (named.module.encode(), named.name.encode()))  # pyright: ignore

    def save_made(self, made: Made) -> None:
        items = iter(made.items.items())
        self.save_reduce(made.kind, made.args, made.state, None, items, obj=made)  # pyright: ignore

    dispatch: ClassVar = pickle._Pickler.dispatch | {  # pyright: ignore
        Named: save_named,
        Made: save_made,
    }


def pickled(value: Any, protocol: int = 4) -> bytes:
    file = io.BytesIO()
    Writer(file, protocol).dump(value)
    return file.getvalue()


def reader(folder: Path) -> Read:
    """What the reader makes of a file with these bytes."""

    def read(data: bytes) -> Any:
        path = folder / "theirs.pkl"
        path.write_bytes(data)
        return streams.read(path)

    return read


def run(data: bytes, opcodes: int = 10_000) -> Any:
    """What is in a pickle, without a file."""
    return Machine(Tape(memoryview(data), Budget(10 * len(data) + 4096, opcodes)), MAKERS).run()


def write_pickle(value: Any, file: io.BytesIO, protocol: int) -> None:
    file.write(pickle.dumps(value, protocol))


def write_stream(value: Any, file: io.BytesIO, protocol: int) -> None:
    torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=False)


def write_archive(value: Any, file: io.BytesIO, protocol: int) -> None:
    torch.save(value, file, pickle_protocol=protocol)


class Call:
    """Unpickled, it calls."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.told = (function, args)

    def __reduce__(self) -> Any:
        return self.told


def network(module: nn.Module, name: str = "Network", **attributes: Any) -> Made:
    """A module as the authors' networks are wrapped, its source and all."""
    buffers = OrderedDict(module._buffers)
    if getattr(module, "weight", torch.empty(0)).dim() == 4:
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        buffers["resample_filter"] = torch.outer(taps, taps) / 64
    state = {
        "training": False,
        "_parameters": OrderedDict(module._parameters),
        "_buffers": buffers,
        "_backward_hooks": OrderedDict(),
        "_modules": OrderedDict((name, network(part)) for name, part in module._modules.items()
                                if part is not None),
        **attributes,
    }  # fmt: skip
    told = {"type": "class", "version": 6, "module_src": "raise SystemExit('it was run')\n",
            "class_name": name, "state": state}  # fmt: skip
    return Made(Named("src.torch_utils.persistence", "_reconstruct_persistent_obj"), (told,))


def settings(value: Any) -> Any:
    """A dictionary as omegaconf's nodes."""
    if isinstance(value, dict):
        held = {key: settings(inner) for key, inner in value.items()}
        return Made(Named("omegaconf.dictconfig", "DictConfig"), (), {"_content": held})
    return Made(Named("omegaconf.nodes", "AnyNode"), (), {"_val": value})


def made_with(config: Config) -> dict[str, Any]:
    """The keywords of the authors' generator of these sizes."""
    cfg = {
        "sampling": {"max_dist": config.longest_span, "fps": config.fps},
        "motion": {"motion_z_distance": config.anchor_distance, "gen_strategy": "conv"},
        "time_enc": {"dim": config.waves, "max_period_len": config.longest_period,
                     "cond_type": "concat_const"},
    }  # fmt: skip
    sizes = {"channel_base": config.channel_base, "channel_max": config.channel_max,
             "conv_clamp": config.clamp}  # fmt: skip
    return {
        "c_dim": len(config.classes),
        "w_dim": config.latent,
        "img_resolution": config.side,
        "mapping_kwargs": Made(Named("src.dnnlib.util", "EasyDict"), (), None,
                               {"num_layers": config.mapping_layers}),
        "synthesis_kwargs": sizes,
        "cfg": settings(cfg),
    }  # fmt: skip


def snapshot(config: Config = SMALL, **changed: Any) -> tuple[dict[str, Any], nn.Module]:
    """A training's snapshot of StyleGAN-V with networks drawn from seed 0, and the networks.

    changed: keywords that the generator is said to be made with.
    """
    from dln.core.models.stylegan_v.model import Model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(config)
    init = made_with(config) | changed
    generator = network(model.generator, "Generator", _init_kwargs=init, cfg=init["cfg"])
    held = {
        "training_set_kwargs": {"cfg": settings({"name": "sky"})},
        "G_ema": generator,
        "D": network(model.discriminator, "Discriminator"),
        "D_opt": Made(Named("torch.optim.adam", "Adam"), (), {"defaults": {"lr": 0.002}}),
        "stats": {"cur_nimg": 192},
    }
    return held, model
