"""A stranger's folder as a pipeline: what it is, or one sentence; nothing of it is run."""

import importlib.util
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from dln.core.errors import MissingCapability, UsageError
from dln.core.models.locate import identify, look, read_header, weights_sha256
from dln.core.models.pipelines import folder as folders
from dln.core.models.pipelines import hub
from dln.core.models.pipelines.config import Config

INDEX: dict[str, Any] = {
    "_class_name": "CogVideoXPipeline",
    "_diffusers_version": "0.42.1",
    "scheduler": ["diffusers", "CogVideoXDDIMScheduler"],
    "text_encoder": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "CogVideoXTransformer3DModel"],
    "vae": ["diffusers", "AutoencoderKLCogVideoX"],
}
# As published with CogVideoX-2b, of what the reader looks at.
VAE = {"block_out_channels": [128, 256, 256, 512], "temporal_compression_ratio": 4}
TRANSFORMER = {"sample_height": 60, "sample_width": 90, "sample_frames": 49, "patch_size": 2}
EMPTY = b"\x02\0\0\0\0\0\0\0{}"  # a safetensors file of no tensors


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole pipeline, but for its tensors."""
    monkeypatch.setattr(folders, "find_spec", lambda name: object())
    folder = tmp_path / "theirs"
    for part, config in (("vae", VAE), ("transformer", TRANSFORMER), ("text_encoder", {})):
        write(folder / part / "config.json", config)
        (folder / part / "model.safetensors").write_bytes(EMPTY)
    write(folder / "scheduler" / "scheduler_config.json", {})
    write(folder / "tokenizer" / "tokenizer.json", {})
    write(folder / "model_index.json", INDEX)
    return folder


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def refused(place: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        look(f"diffusers:{place}")
    return caught.value


def test_a_pipeline_is_told_of_without_its_tensors(place):
    assert identify(f"diffusers:{place}").name == "diffusers"
    told = look(f"diffusers:{place}")
    assert told.card["pipeline"] == "CogVideoXPipeline"
    # 60 x 90 latents of 8 x 8 pixels; 13 latent frames, of which the first stands alone
    assert told.config["size"] == (480, 720)
    assert (told.config["frames"], told.config["pace"], told.config["side"]) == (49, 8, 16)
    assert told.config["fps"] == 8


@pytest.mark.parametrize(
    ("name", "vae", "transformer", "expected"),
    [
        # Wan2.1-T2V-1.3B, Wan2.2-TI2V-5B and LTX-Video as published, of what the reader looks at
        ("WanPipeline", {}, {"patch_size": [1, 2, 2]}, (81, 16, (480, 832), 4, 16)),
        ("WanPipeline", {"scale_factor_spatial": 16, "scale_factor_temporal": 4},
         {"patch_size": [1, 2, 2]}, (81, 16, (480, 832), 4, 32)),
        ("LTXPipeline", {"spatio_temporal_scaling": [True, True, True, False], "patch_size": 4,
                         "patch_size_t": 1}, {}, (161, 25, (512, 704), 8, 32)),
    ],
)  # fmt: skip
def test_the_clip_of_each_kind(place, name, vae, transformer, expected):
    write(place / "model_index.json", INDEX | {"_class_name": name})
    write(place / "vae" / "config.json", vae)
    write(place / "transformer" / "config.json", transformer)
    config = Config(**read_header(place).config)
    found = config.frames, config.fps, config.size, config.pace, config.side
    assert found == expected


def test_the_hash_is_of_every_file_and_its_place(place):
    first = weights_sha256(place)
    assert weights_sha256(place) == first
    hidden = place / "vae" / ".cache"
    hidden.mkdir()
    (hidden / "lock").write_text("x")
    (place / "README.md").write_text("of no part")
    assert weights_sha256(place) == first
    seen = {first}
    for path in (place / "scheduler" / "scheduler_config.json", place / "model_index.json"):
        path.write_text(path.read_text() + " ")
        seen.add(weights_sha256(place))
    (place / "vae" / "model.safetensors").rename(place / "vae" / "other.safetensors")
    seen.add(weights_sha256(place))
    assert len(seen) == 4


def test_what_is_no_pipeline(place, tmp_path):
    assert "there is no folder" in refused(tmp_path / "nowhere").message
    assert "--download" in str(refused(tmp_path / "nowhere").hint)
    (tmp_path / "empty").mkdir()
    assert "no model_index.json" in refused(tmp_path / "empty").message
    (place / "model_index.json").write_text("{")
    assert "damaged" in refused(place).message
    write(place / "model_index.json", [1])
    assert "damaged" in refused(place).message
    with pytest.raises(UsageError, match="lies in a folder"):
        look("diffusers:")


def test_a_folder_without_its_prefix_says_how(place):
    with pytest.raises(UsageError) as caught:
        look(str(place))
    assert caught.value.hint == f"--model diffusers:{place}"


def test_pictures_and_unknown_kinds(place):
    index = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
    }
    write(place / "model_index.json", INDEX | index | {"vae": ["diffusers", "AutoencoderKL"]})
    assert "makes pictures" in refused(place).message
    write(place / "model_index.json", INDEX | {"_class_name": "CogVideoPipeline"})
    assert "not known here. Did you mean 'CogVideoXPipeline'" in refused(place).message
    assert "LTXPipeline" in str(refused(place).hint)


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": ["mine", "CogVideoXPipeline"]},
        {"vae": ["mine", "AutoencoderKLCogVideoX"]},
        {"vae": ["diffusers", "os.system"]},
        {"transformer": ["diffusers_modules.local", "X"]},
    ],
)
def test_code_of_its_own_is_never_run(place, change):
    (place / "mine.py").write_text("raise SystemExit('run')")
    (place / "vae" / "mine.py").write_text("raise SystemExit('run')")
    write(place / "model_index.json", INDEX | change)
    assert "never run" in refused(place).message


def test_pickles_are_refused(place):
    (place / "vae" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({}))
    assert "a pickle, which is not opened" in refused(place).message
    (place / "vae" / "diffusion_pytorch_model.bin").unlink()
    write(place / "vae" / "model.safetensors.index.json", {"weight_map": {"a": "../a.bin"}})
    assert "no safetensors" in refused(place).message


def test_what_is_not_whole(place):
    (place / "vae" / "model.safetensors").unlink()
    assert "no weights in safetensors" in refused(place).message
    write(place / "model_index.json", INDEX | {"transformer_2": ["diffusers", "Other"]})
    (place / "vae" / "model.safetensors").write_bytes(EMPTY)
    assert "its transformer_2 is missing" in refused(place).message
    write(place / "model_index.json", INDEX)
    write(place / "transformer" / "config.json", {"sample_height": "x", "sample_width": 1})
    assert "damaged" in refused(place).message


def test_a_decoder_that_draws_by_itself_is_refused(place):
    vae = {"spatio_temporal_scaling": [True], "patch_size": 4, "patch_size_t": 1}
    write(place / "model_index.json", INDEX | {"_class_name": "LTXPipeline"})
    write(place / "vae" / "config.json", vae | {"decoder_inject_noise": [False, True]})
    assert "no seed reaches" in refused(place).message
    write(place / "vae" / "config.json", vae | {"decoder_inject_noise": [False, False]})
    assert look(f"diffusers:{place}").config["pace"] == 2


def test_a_cut_off_file_of_weights_is_found_before_anything_is_loaded(place):
    from dln.core.errors import DlnError

    (place / "vae" / "model.safetensors").write_bytes(EMPTY[:-1])
    with pytest.raises(DlnError, match="damaged"):
        look(f"diffusers:{place}")


def test_without_the_package_there_is_a_line_that_installs_it(place, monkeypatch):
    monkeypatch.setattr(folders, "find_spec", importlib.util.find_spec)
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(MissingCapability) as caught:
        look(f"diffusers:{place}")
    assert "diffusers" in caught.value.message
    assert "pip install" in str(caught.value.hint)


def test_fetching_looks_at_the_list_of_parts_first(place, monkeypatch):
    asked: list[Any] = []
    fake = type("hub", (), {
        "hf_hub_download": staticmethod(lambda name, file: str(place / file)),
        "snapshot_download": staticmethod(lambda name, allow_patterns: asked.append(allow_patterns)
                                          or str(place)),
    })  # fmt: skip
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", fake)
    assert hub.fetched("diffusers:zai/CogVideoX") == f"diffusers:{place}"
    patterns = asked.pop()
    assert "vae/*.safetensors" in patterns
    assert not [each for each in patterns if each.endswith((".bin", ".py", "*"))]
    assert hub.fetched(f"diffusers:{place}") == f"diffusers:{place}"
    write(place / "model_index.json", INDEX | {"_class_name": "FluxPipeline"})
    with pytest.raises(UsageError, match="not known here"):
        hub.fetched("diffusers:zai/CogVideoX")
    for name in ("diffusers:../x/y", "diffusers:x", "diffusers:a/b/c"):
        with pytest.raises(UsageError, match="neither a folder nor a name"):
            hub.fetched(name)
    assert not asked
