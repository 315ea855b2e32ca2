"""The authors' two generators of LongVideoGAN become one model of ours, equal in every number."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

from dln.core.errors import UsageError
from dln.core.models.imported import import_published
from dln.core.models.layers.kaiser import low_pass
from dln.core.models.long_video_gan.config import Config
from dln.core.models.long_video_gan.filters import bank
from dln.core.models.long_video_gan.model import Model
from dln.core.models.package import load_model, save_model
from dln.core.models.published.streams import read

from .snapshots import Made, network, pickled, snapshot

ORACLES = Path(__file__).parents[3] / "shared" / "oracles"
# What discriminators have beside generators of these sizes.
SMALL = Config(**MICRO["long-video-gan"] | {"frames": 128, "judge_base": 128})
Pair = tuple[Made, Made]


def state_of(made: Made) -> dict[str, Any]:
    return made.args[0]["state"]


def part(made: Made, *path: str) -> dict[str, Any]:
    """The state of a network within a network."""
    for name in path:
        made = state_of(made)["_modules"][name]
    return state_of(made)


def bare(made: Made) -> Made:
    """Without the filters of StyleGAN-V's layers, and without our matrices."""
    buffers = state_of(made)["_buffers"]
    for name in [name for name in buffers if name.startswith(("resample_filter", "part"))]:
        del buffers[name]
    for inner in state_of(made)["_modules"].values():
        bare(inner)
    return made


def theirs(config: Config = SMALL) -> tuple[Pair, Model]:
    """Both generators as the authors publish them, drawn from seed 0, and the networks."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(config)
    small = network(model.low_generator, "VideoGenerator", out_height=config.low_height,
                    out_width=config.low_width, temporal_ksize=3, temporal_padding=8)  # fmt: skip
    filters = torch.from_numpy(bank(config.filters, config.shortest_rate, config.longest_rate))
    noise = nn.Module()
    noise.register_buffer("blur_filters", (filters / filters.sum(1, True))[:, None].float())
    noise.register_buffer("output_scale", filters.sum(1)[None, :, None].float())
    state_of(small)["_modules"]["temporal_emb"] = network(
        noise, "BlurredNoise", noise_channels=config.noise_channels, blur_widths=config.filters,
        min_sampling_rate=config.shortest_rate, max_sampling_rate=config.longest_rate,
    )  # fmt: skip
    part(small, "temporal_layers", "0").update(
        in_channels=config.low_channels, activation_clamp=config.clamp
    )
    large = network(model.super_generator, "VideoGenerator", hr_height=config.height,
                    hr_width=config.width, lr_height=config.low_height, lr_width=config.low_width,
                    temporal_context=4)  # fmt: skip
    part(large, "SG3").update(z_dim=config.latent)
    sizes = {"channel_base": config.channel_base, "channel_max": config.channel_max}
    part(large, "SG3", "synthesis").update(
        num_layers=config.layers, margin_size=config.margin, _init_kwargs=sizes
    )
    halving = part(small, "temporal_downsample_latent")["_buffers"]
    halving["filter"] = halving["filter"][0, 0]
    return (bare(small), bare(large)), model


def written(folder: Path, *held: Any) -> list[Path]:
    paths = [folder / f"{number}.pkl" for number in range(len(held))]
    for path, each in zip(paths, held, strict=True):
        path.write_bytes(pickled(each))
    return paths


def imported(folder: Path, pair: Any) -> Any:
    first, second = written(folder, *pair)
    return import_published(first, None, second)


@pytest.mark.parametrize("turned", [False, True])
def test_two_files_become_one_of_ours(turned: bool, tmp_path: Path) -> None:
    """In whichever order they are named."""
    pair, model = theirs()
    made = imported(tmp_path, pair[::-1] if turned else pair)
    assert made.model.config == SMALL
    save_model(tmp_path / "ride.safetensors", made.model, made.card)
    loaded = load_model(tmp_path / "ride.safetensors")
    assert (loaded.about.name, loaded.model.config) == ("long-video-gan", SMALL)
    ours, state = loaded.model.state_dict(), model.state_dict()
    assert ours.keys() == state.keys()
    published = [name for name in state if "_generator." in name]
    assert all(torch.equal(ours[name], state[name]) for name in published)
    told = loaded.card["published"]
    assert (told["file"], told["with"]["file"]) == ("0.pkl", "1.pkl")
    assert loaded.card["drawn"] == "low_discriminator and super_discriminator"


@pytest.mark.parametrize(("number", "kind"), [(0, "small"), (1, "large")])
def test_one_file_alone_is_not_completed(number: int, kind: str, tmp_path: Path) -> None:
    (path,) = written(tmp_path, theirs()[0][number])
    with pytest.raises(UsageError, match=f"two files, .* of {kind} frames alone") as refused:
        import_published(path)
    assert "--with" in (refused.value.hint or "")


def changed(which: int, *path: str, **told: Any) -> Pair:
    pair = theirs()[0]
    part(pair[which], *path).update(told)
    return pair


def other_filter() -> Pair:
    """The halving of latents by another window."""
    pair = theirs()[0]
    buffers = part(pair[0], "temporal_downsample_latent")["_buffers"]
    buffers["filter"] = torch.from_numpy(low_pass(12, 1.0, 5.0, 8.0)).float()
    return pair


def filter_of_nothing() -> Pair:
    pair = theirs()[0]
    part(pair[1], "SG3")["_buffers"]["odd_filter"] = torch.ones(12)
    return pair


MISFITS = {
    "twice the small ones": (lambda: (theirs()[0][0],) * 2, "are not the generators"),
    "with another's": (lambda: (theirs()[0][0], snapshot()[0]), "are not the generators"),
    "of two trainings": (lambda: changed(1, lr_height=16), "have another height"),
    "other channels": (lambda: changed(0, "temporal_layers", "0", in_channels=32), "do not fit"),
    "other layers": (lambda: changed(1, "SG3", "synthesis", num_layers=5), "do not fit"),
    "no size": (lambda: changed(0, "temporal_emb", blur_widths=None), "do not tell their filters"),
    "an odd size": (lambda: changed(1, "SG3", z_dim="x" * 9999), "sizes that cannot be"),
    "a huge size": (lambda: changed(1, "SG3", z_dim=65536), "do not fit"),
    "other filters": (other_filter, "temporal_downsample_latent.filter"),
    "a filter more": (filter_of_nothing, "SG3.odd_filter"),
    "other padding": (lambda: changed(0, temporal_padding=4), "temporal_padding is not 8"),
    "other rates": (lambda: changed(0, "temporal_emb", min_sampling_rate=30.0), "temporal_emb"),
    "nothing inside": (lambda: (theirs()[0][0], Made(theirs()[0][1].kind, ({},))), "are not the"),
}


@pytest.mark.parametrize(("made", "said"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_one_sentence(made: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        imported(tmp_path, made())
    assert len(str(refused.value)) < 1000


def test_two_files_of_another_model(tmp_path: Path) -> None:
    held = snapshot()[0]
    with pytest.raises(UsageError, match="hold together no weights of any model here"):
        imported(tmp_path, (held, held))


@pytest.mark.skipif(not ORACLES.is_dir(), reason="the authors' structure is not here")
def test_the_authors_structure(tmp_path: Path) -> None:
    """Every tensor of their files is in ours, or is a filter that was checked."""
    paths = [ORACLES / f"long_video_gan_{kind}_tiny.pkl" for kind in ("low", "super")]
    made = import_published(paths[0], None, paths[1])
    config = made.model.config
    assert (config.low_height, config.low_width, config.height, config.width) == (36, 64, 144, 256)
    assert (config.filters, config.noise_channels, config.low_channels) == (4, 4, 8)
    assert (config.layers, config.margin, config.latent, config.channel_max) == (14, 10, 8, 4)
    ours = made.model.state_dict()
    told = json.loads((ORACLES / "long_video_gan_pkl_tiny.json").read_text())
    for kind, tensors in told.items():
        for name, (shape, _, total) in tensors.items():
            if name.endswith(("filter", "filters", "output_scale")):
                continue
            tensor = ours[f"{kind}_generator.{name}"]
            assert list(tensor.shape) == shape
            assert float(tensor.double().sum()) == pytest.approx(total, abs=1e-4), name
    save_model(tmp_path / "a.safetensors", made.model, made.card)
    assert load_model(tmp_path / "a.safetensors").model.config == config
    assert replace(config, shortest_rate=50.0, longest_rate=400.0) == config
    assert read(paths[0]) is not None
