"""Each kind of input that a user or a stranger hands in, and how its cases are drawn."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from .case import Case
from .commands import options, prompts, sets, toml
from .data import metadata, pictures, shards, videos
from .films import films
from .models import manifests, onnx, pickles, receipts, weight_files
from .pantry import Pantry
from .records import hours, plans, records, runs
from .services import answers

KINDS: dict[str, Callable[[Pantry], st.SearchStrategy[Case]]] = {
    "prompts": prompts,
    "options": options,
    "sets": sets,
    "toml": toml,
    "metadata": metadata,
    "pictures": pictures,
    "videos": videos,
    "shards": shards,
    "films": films,
    "safetensors": weight_files,
    "pickles": pickles,
    "onnx": onnx,
    "receipts": receipts,
    "plans": plans,
    "records": records,
    "runs": runs,
    "manifests": manifests,
    "csv": hours,
    "http": answers,
}


def drawing(cases: int, always_the_same: bool) -> settings:
    """So many cases, however slow, none of them made smaller: that would take hours."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(max_examples=cases, derandomize=always_the_same, database=None, deadline=None,
                    phases=[Phase.generate], suppress_health_check=slow)  # fmt: skip
