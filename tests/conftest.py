"""What all tests share."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# They compute little: a second thread costs them more than it does, most of all on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where several are what a test is about, they wait asleep, as those of the commands do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Before any import of ONNX Runtime: some tests hold its own sessions against ours.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# What is started in the background, or to outlive its terminal, ignores these, and so does all
# that it starts.
for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
# Small systems of their own, each one folder: the contract holds for them as for those that ship.
places = [str(Path(__file__).parent / "systems"), os.environ.get("DLN_MODELS", "")]
os.environ["DLN_MODELS"] = os.pathsep.join(filter(None, places))


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own, so that the user's stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def toy_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """toy_weights("toy-gan") -> a file of such a model's weights, drawn from seed 0."""
    folder = tmp_path_factory.mktemp("weights")

    def weights(name: str) -> Path:
        import torch

        from dln.core.data import open_source
        from dln.core.models.package import save_model
        from dln.core.models.registry import find
        from dln.core.runs.build import build

        path = folder / f"{name}.safetensors"
        if not path.exists():
            torch.manual_seed(0)
            model = build(find(name), None, {}, open_source("menagerie", count=6))
            save_model(path, model, {"model": name})
        return path

    return weights
