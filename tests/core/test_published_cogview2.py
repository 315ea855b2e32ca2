"""The authors' checkpoints of CogView2, read as somebody's files: published names, tiny sizes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dln.core.errors import UsageError
from dln.core.models.cogview2.config import PRESETS
from dln.core.models.cogview2.model import Model
from dln.core.models.cogview2.published import HEAD, config_of
from dln.core.models.imported import import_published
from dln.core.models.package import load_model, save_model
from dln.core.text.vocabulary import Vocabulary

WIDTH, LAYERS, GRID, ROWS = 2 * HEAD, 2, 4, 20_030


def checkpoint(kind: str, seed: int, grid: int = GRID) -> dict[str, Any]:
    """What the authors save of CogLM ("coglm"), direct ("dsr") and iterative super-resolution
    ("itersr"), in half precision."""
    rng = torch.Generator().manual_seed(seed)

    def put(*shape: int) -> torch.Tensor:
        return (0.02 * torch.randn(*shape, generator=rng)).half()

    top, found = "transformer.", {}

    def linear(name: str, out: int, into: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = put(out, into), put(out)

    found[f"{top}word_embeddings.weight"] = put(ROWS, WIDTH)
    found[f"{top}position_embeddings.weight"] = put(64, WIDTH)
    norms = [f"{top}final_layernorm"]
    for layer in range(LAYERS):
        own = f"{top}layers.{layer}."
        linear(f"{own}attention.query_key_value", 3 * WIDTH, WIDTH)
        linear(f"{own}attention.dense", WIDTH, WIDTH)
        linear(f"{own}mlp.dense_h_to_4h", 4 * WIDTH, WIDTH)
        linear(f"{own}mlp.dense_4h_to_h", WIDTH, 4 * WIDTH)
        norms += [
            f"{own}{part}_layernorm" for part in ("input", "post_attention", "third", "fourth")
        ]
        if kind == "dsr":
            linear(f"mixins.attention_plus.query_key_value.{layer}", 3 * WIDTH, WIDTH)
            linear(f"mixins.attention_plus.dense.{layer}", WIDTH, WIDTH)
    for norm in norms:
        found[f"{norm}.weight"], found[f"{norm}.bias"] = put(WIDTH), put(WIDTH)
    if kind != "coglm":
        name = "mixins.extra_position_embedding.position_embeddings.weight"
        found[name] = put(9 * grid * grid, WIDTH)
    return {"module": found, "iteration": 3}


@pytest.fixture
def saved(tmp_path: Path):
    def save(kind: str, seed: int = 0, **sizes) -> Path:
        path = tmp_path / f"{kind}-{seed}.pt"
        torch.save(checkpoint(kind, seed, **sizes), path)
        return path

    return save


def test_both_super_resolutions_make_one_model(saved, tmp_path):
    imported = import_published(saved("dsr"), other=saved("itersr", 1))
    model, config = imported.model, imported.model.config
    assert imported.about.name == "cogview2"
    assert (config.width, config.layers, config.heads) == (WIDTH, LAYERS, 2)
    assert (config.image_size, config.fine_grid, config.vocabulary_rows) == (32, 12, ROWS)
    assert config.iterative.width == WIDTH
    assert imported.drawn == "tokenizer"
    assert imported.card["published"]["parts"] == ["image", "direct", "iterative"]
    theirs, mine = checkpoint("dsr", 0)["module"], model.state_dict()
    refiner = checkpoint("itersr", 1)["module"]
    for own, their, held in (
        ("image.tokens.weight", "transformer.word_embeddings.weight", theirs),
        ("image.layers.1.norm3.bias", "transformer.layers.1.third_layernorm.bias", theirs),
        ("direct.attention.1.qkv.weight", "mixins.attention_plus.query_key_value.1.weight", theirs),
        ("iterative.backbone.layers.0.up.bias", "transformer.layers.0.mlp.dense_h_to_4h.bias",
         refiner),
        ("iterative.positions.weight",
         "mixins.extra_position_embedding.position_embeddings.weight", refiner),
    ):  # fmt: skip
        assert torch.equal(mine[own], held[their].float()), own
    save_model(tmp_path / "m.safetensors", model, imported.card)
    graphs: Any = load_model(tmp_path / "m.safetensors").model.graphs()  # pyright: ignore
    assert torch.isfinite(graphs["direct"].module(**graphs["direct"].inputs())[0]).all()


def test_a_file_alone_lacks_the_others(saved):
    imported = import_published(saved("coglm"))
    assert imported.drawn == "tokenizer and direct and iterative"
    assert imported.model.config.image_size == 32  # as many as there are positions for
    imported = import_published(saved("itersr"))
    assert imported.drawn == "tokenizer and image and direct"
    assert imported.model.config.iterative.width == WIDTH
    assert imported.model.config.width == HEAD


def test_the_published_sizes_are_told_by_shapes_alone():
    """On the meta device: the model that is made has the shapes of both files."""
    with torch.device("meta"):
        model = Model(PRESETS["paper"], Vocabulary([]))
    shapes = {name: tensor for name, tensor in model.state_dict().items()
              if not name.startswith("tokenizer.")}  # fmt: skip
    config = config_of(shapes)
    assert replace(config, tokenizer=PRESETS["paper"].tokenizer) == PRESETS["paper"]


def test_what_does_not_fit_is_refused(saved, tmp_path):
    with pytest.raises(UsageError, match="both are the same part"):
        import_published(saved("dsr"), other=saved("dsr", 1))
    with pytest.raises(UsageError, match="no square picture"):
        import_published(saved("dsr"), other=saved("itersr", 1, grid=6))
    for broken, told in (
        ("transformer.layers.1.mlp.dense_4h_to_h.bias", "do not fit"),
        ("transformer.final_layernorm.weight", "holds no weights"),
    ):
        held = checkpoint("dsr", 0)
        del held["module"][broken]
        torch.save(held, tmp_path / "broken.pt")
        with pytest.raises(UsageError, match=told):
            import_published(tmp_path / "broken.pt")


def test_cogvideos_own_checkpoints_are_none_of_its(saved, tmp_path):
    """They have CogView2's names, and a mix of two attentions besides."""
    held = checkpoint("dsr", 0)
    held["module"]["mixins.attention_plus.attn_distribution.0"] = torch.zeros(WIDTH)
    torch.save(held, tmp_path / "cogvideo.pt")
    with pytest.raises(UsageError, match="holds no weights of any model"):
        import_published(tmp_path / "cogvideo.pt")
