"""A method without its parts: what is held against what, and that only the part differs."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from dln.core.data import open_source
from dln.core.errors import UsageError
from dln.core.models.nuwa_infinity.system import ABLATIONS, SYSTEM
from dln.core.models.package import load_model, save_model
from dln.core.models.registry import find
from dln.core.runs.build import build
from dln.core.study.ablation import (
    ALL,
    Ablated,
    Ablation,
    Arm,
    Trial,
    ablation,
    cells,
    chosen,
    write,
)
from dln.core.study.report import NUMBERS, PAGE

sys.path.append(str(Path(__file__).parents[1]))
from micro import MICRO  # pyright: ignore[reportMissingImports]

DATA, COUNT = "vistas,camera=panorama", 8
ARMS = [
    Arm("default", 0, 4.0, None, 50.0, 1.0, 10.0, 2.0),
    Arm("no-pool", 0, 6.0, None, 90.0, 1.5, 8.0, 1.0),
    Arm("default", 1, 5.0, None, 70.0, None, 12.0, 4.0),
    Arm("no-pool", 1, 6.5, None, 80.0, 1.7, 8.0, 1.0),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(5)
    source = open_source(DATA, count=COUNT)
    model = build(find("nuwa-infinity"), None, MICRO["nuwa-infinity"], source)
    path = tmp_path_factory.mktemp("weights") / "micro.safetensors"
    save_model(path, model, {"model": "nuwa-infinity", "data": {"name": DATA}})
    return str(path)


def asked(weights: str, *variants: str) -> Ablation:
    return Ablation(weights, variants, count=COUNT, pictures=4, size=(16, 24))


def test_rows_by_hand(tmp_path):
    found = Ablated(Ablation("nuwa-infinity", seeds=2), tuple(ARMS))
    first, second = found.rows()
    assert (first["variant"], first["loss"], first["loss_of_clips"]) == ("default", 4.5, None)
    assert (first["seams"], second["seams"]) == (None, pytest.approx(1.6))
    assert second["block_frechet_distance"] == 85
    assert [path.name for path in write(tmp_path, found)] == [PAGE, NUMBERS]
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "| no-pool | 6.25 | - | 85 | 1.6 | 8 | 1 |" in page
    told = json.loads((tmp_path / NUMBERS).read_text(encoding="utf-8"))
    assert [Arm(**arm) for arm in told["arms"]] == ARMS
    assert cells(found)[1][0] == "no-pool"


def test_only_what_is_learnt_anew_differs(weights, tmp_path):
    loaded, source = load_model(weights), open_source(DATA, count=COUNT)
    trial = Trial(asked(weights), loaded, source, DATA, tmp_path, Accelerator(cpu=True))

    def begun(changed: dict, seed: int) -> dict[str, torch.Tensor]:
        model, stage = trial.begun(changed, seed)
        assert stage.name == "transformer"
        return model.state_dict()

    plain, again, other = begun({}, 0), begun({}, 0), begun({}, 1)
    blind = begun(ABLATIONS["no-pool"], 0)
    for name, tensor in loaded.model.state_dict().items():
        if name.startswith("vqgan."):
            assert all(torch.equal(each[name], tensor) for each in (plain, other, blind))
    name = next(n for n in plain if n.startswith("transformer.") and plain[n].ndim > 1)
    assert torch.equal(plain[name], again[name])
    assert not torch.equal(plain[name], other[name])
    assert not torch.equal(plain[name], loaded.model.state_dict()[name])


def test_every_variant_is_trained_and_measured(weights):
    found = ablation(asked(weights, "default", "step-a-picture", "default"))
    first, picture = found.arms
    (again,) = ablation(asked(weights, "default")).arms
    assert (first.variant, picture.variant) == ("default", "step-a-picture")
    assert first.loss == again.loss != picture.loss
    assert first.block_frechet_distance == again.block_frechet_distance > 0
    assert min(first.step_ms, first.seconds_per_picture) > 0
    assert first.loss_of_clips is None


def test_all_are_those_that_differ():
    config = SYSTEM.PRESETS["tiny"]
    assert chosen((ALL,), ABLATIONS, config) == tuple(n for n in ABLATIONS if n != "extent-1")
    further = replace(config, extent_rows=2)
    assert chosen((ALL,), ABLATIONS, further) == tuple(ABLATIONS)
    with pytest.raises(UsageError, match=r"no variant 'no-pol'.*no-pool"):
        chosen(("default", "no-pol"), ABLATIONS, config)


def test_what_has_no_variants_is_told(toy_weights):
    with pytest.raises(UsageError, match="toy-gan tells no variants"):
        ablation(Ablation(str(toy_weights("toy-gan"))))
    with pytest.raises(UsageError, match="at least 1"):
        Ablation("nuwa-infinity", pictures=0)
