"""The reader of others' pickles: what they hold is what Python and torch read."""

import io
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dln.core.models.published.parts import setting, tensors_of
from dln.core.models.published.tensors import as_torch

from .snapshots import (
    PROTOCOLS,
    Made,
    Named,
    Read,
    network,
    pickled,
    reader,
    run,
    write_archive,
    write_pickle,
    write_stream,
)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """What the reader makes of a file with these bytes."""
    return reader(tmp_path)


def thawed(value: Any) -> Any:
    """With the bytes that were not copied as bytes."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dict):
        return {key: thawed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(thawed, value))
    return value


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False), st.text(), st.binary(max_size=300),
    st.sampled_from(("\n", "'\"\\", "\u20ac\\u0041", "\ud800", b"\n\x00'", "x" * 3000)),
)  # fmt: skip
keys = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.binary(max_size=5),
                 st.tuples(st.text(), st.integers()))  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(keys, inner),
        st.dictionaries(keys, inner).map(OrderedDict), st.sets(keys), st.frozensets(keys),
        st.dictionaries(st.text(), inner).map(lambda held: defaultdict(list, held)),
        inner.map(lambda value: [value, value]), st.binary().map(bytearray),
    ),
    max_leaves=20,
)  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(values, st.sampled_from(PROTOCOLS))
def test_plain_values_are_what_python_reads(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert thawed(run(data)) == pickle.loads(data) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_lies_in_itself_is_read(protocol: int) -> None:
    value: list[Any] = [1]
    value.append({"again": value})
    read = run(pickle.dumps(value, protocol))
    assert read[1]["again"] is read


TENSORS = {
    "plain": torch.arange(6.0).reshape(2, 3),
    "transposed": torch.arange(6, dtype=torch.float64).reshape(2, 3).T,
    "part": torch.arange(20, dtype=torch.int32)[4:16:3],
    "none": torch.empty(0, 3),
    "one": torch.tensor(7, dtype=torch.int64),
    "half": torch.randn(5).half(),
    "brain": torch.randn(2, 2).bfloat16(),
    "truth": torch.tensor([True, False]),
    "bytes": torch.arange(9, dtype=torch.uint8),
    "learning": nn.Parameter(torch.randn(3, 2)),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("write", [write_pickle, write_stream, write_archive])
def test_tensors_are_what_torch_wrote(write: Any, protocol: int, read: Read) -> None:
    file = io.BytesIO()
    write({**TENSORS, "shared": TENSORS["plain"][1]}, file, protocol)
    found = read(file.getvalue())
    assert set(found) == {*TENSORS, "shared"}
    for name, tensor in (TENSORS | {"shared": TENSORS["plain"][1]}).items():
        theirs = as_torch(found[name])
        assert theirs.dtype == tensor.dtype
        assert torch.equal(theirs, tensor), name


def test_a_module_has_the_tensors_of_its_state(read: Read) -> None:
    """Bare, and wrapped with its source."""
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()))
    for data in (pickle.dumps(module), pickled(network(module, "Net"))):
        found = tensors_of(read(data))
        state = module.state_dict()
        filters = {name for name in found if name.endswith("resample_filter")}
        assert found.keys() - filters == state.keys()
        assert all(torch.equal(as_torch(found[name]), state[name]) for name in state)


def test_settings_are_found_within_settings() -> None:
    kind = Made(Named("numpy", "dtype"), ("f8", False, True), (3, "<", None))
    scalar = Named("numpy.core.multiarray", "scalar")
    nodes = {
        "_content": {
            "rate": Made(Named("omegaconf.nodes", "AnyNode"), (), {"_val": 25}),
            "gain": Made(scalar, (kind, np.float64(1.5).tobytes())),
        }
    }
    told = run(pickled({"cfg": Made(Named("omegaconf.dictconfig", "DictConfig"), (), nodes)}))
    assert setting(told, "cfg", "rate") == 25
    assert setting(told, "cfg", "gain") == 1.5
    assert setting(told, "cfg", "nothing", "at all") is None
    assert setting(run(pickle.dumps({"gain": np.float32(2.5)})), "gain") == 2.5
