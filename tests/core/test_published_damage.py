"""Published files that are cut off, damaged, or ask for too much: a sentence, and soon."""

import io
import pickle
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dln.core.errors import UsageError
from dln.core.models.published import streams
from dln.core.models.published.objects import Name, Record
from dln.core.models.published.parts import Published, attributes, tensors_of
from dln.core.models.published.tensors import Tensor, as_torch
from dln.core.models.published.tokens import Damaged

from .snapshots import (
    Call,
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


def sound() -> bytes:
    module = nn.Sequential(nn.Linear(2, 3))
    return pickled({"G_ema": network(module), "n": [1.5, "text", b"bytes", {1, 2}]})


def test_every_beginning_of_a_file_is_refused(read: Read) -> None:
    data = sound()
    for length in range(0, len(data), 23):
        with pytest.raises(UsageError, match="cannot be read as published weights"):
            read(data[:length])


@pytest.mark.parametrize("write", [write_stream, write_archive])
def test_every_beginning_of_torchs_files_is_refused(write: Any, read: Read) -> None:
    file = io.BytesIO()
    write({"a": torch.arange(4.0)}, file, 2)
    data = file.getvalue()
    for length in range(0, len(data), 37):
        with pytest.raises(UsageError, match="cannot be read as published weights"):
            read(data[:length])


@pytest.mark.parametrize("write", [write_pickle, write_stream, write_archive])
def test_a_damaged_file_is_read_or_refused(write: Any, read: Read) -> None:
    file = io.BytesIO()
    write({"a": torch.arange(4.0), "b": nn.Linear(2, 2)}, file, 2)
    rng, data = np.random.default_rng(0), bytearray(file.getvalue())
    for place in rng.integers(0, len(data), 150):
        was, data[place] = data[place], rng.integers(256)
        with suppress(UsageError, Damaged):
            found = read(bytes(data))
            held = found.values() if isinstance(found, dict) else [found]
            [as_torch(tensor) for tensor in held if isinstance(tensor, Tensor)]
        data[place] = was


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for begin in (b"", b"\x80\x04", b"(" * 5):
        with suppress(Damaged):  # and nothing else
            run(begin + data)


LAUGHS = b"".join(b"\x86\x94h%ch%c" % (n, n) for n in range(1, 60))
BAD = {
    "nothing": b"",
    "nothing on the stack": b".",
    "no mark": b"t.",
    "no memo": b"h\x05.",
    "a later protocol": b"\x80\x09N.",
    "a frame that is longer": b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
    "a number without end": b"\x8b\xff\xff\xff\x7f" + b"\x01" * 9 + b".",
    "a long number": b"\x8b\x00\x10\x00\x00" + b"\x01" * 4096 + b".",
    "a number of many figures": b"I" + b"9" * 9999 + b"\n.",
    "bytes that are not there": b"B\xff\xff\xff\xff.",
    "a negative length": b"T\xff\xff\xff\xff",
    "no text": b"X\x02\x00\x00\x00\xff\xff.",
    "a registered class": b"\x82\x01.",
    "what lies outside": b"Nq\x00Q.",
    "a list as a key": b"}](NNu.",
    "deep in itself": b"(" * 5000,
    "a list to call": b"])R.",
    "arguments that are none": b"cos\nsystem\nNR.",
    "items of a list": b"]NNs.",
    "a name of numbers": b"K\x01K\x02\x93.",
    "a long name": b"c" + b"a" * 5000 + b"\nb\n.",
    "laughs as a key": b"}N\x94h\x00h\x00" + LAUGHS + b"\x86Ns.",
    "a web page": b"<!DOCTYPE html><html>",
    "a name in Git": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "a tensor without a storage": b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))tR.",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bad_pickles_are_refused_in_words(data: bytes, read: Read) -> None:
    with pytest.raises(UsageError, match=r"theirs.pkl cannot be read .*: it |: .+"):
        read(data)


def test_a_few_bytes_ask_for_little(read: Read) -> None:
    """What refers to itself twice, sixty times, is made and not unfolded."""
    read(b"N\x94h\x00h\x00" + LAUGHS + b"\x86.")
    with pytest.raises(Damaged, match="instructions"):
        run(b"N0" * 9000 + b"N.", opcodes=9000)


def test_the_same_bytes_are_not_copied_for_ever() -> None:
    """Text that is encoded, a list that is copied, again and again."""
    text = pickle.dumps("a" * 5000, 2)[:-1] + b"q\x00"
    encode = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0"
    with pytest.raises(Damaged, match="memory"):
        run(text + encode * 500 + b"N.")
    listed = pickle.dumps(list(range(1000)), 2)[:-1]
    with pytest.raises(Damaged, match="memory"):
        run(listed + b"q\xff" + b"c__builtin__\nlist\nh\xff\x85R0" * 500 + b"N.")


def test_a_tensor_has_no_more_numbers_than_its_storage(read: Read) -> None:
    """Strides of nothing would make terabytes of one number."""
    for tensor in (torch.zeros(1).expand(10**9), torch.zeros(5).as_strided((3, 3), (1, 1))):
        with pytest.raises(UsageError, match="storage of"):
            read(pickle.dumps(tensor))
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    storage = torch.zeros(4).untyped_storage()
    for offset, shape, strides in (
        (3, (2,), (1,)), (0, (2,), (4,)), (-1, (1,), (1,)), (0, (-1,), (1,)), (0, (True,), (1,)),
        (0, (2, 2), (1,)), (0, (1.0,), (1,)), (0, [1], [1]), (0, (1,) * 99, (1,) * 99),
        (2**62, (1,), (1,)), (0, (2**62,), (0,)),
    ):  # fmt: skip
        typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32,
                                           _internal=True)  # fmt: skip
        asked = Made(rebuild, (typed, offset, shape, strides, False, OrderedDict()))
        with pytest.raises(UsageError, match="cannot be read"):
            read(pickled(asked))


def test_the_same_numbers_do_not_fill_memory(read: Read) -> None:
    shared = torch.zeros(1000)
    file = io.BytesIO()
    write_archive({str(n): shared[n:] for n in range(9)}, file, 2)
    found = read(file.getvalue())
    with pytest.raises(Damaged, match="again"):
        Published(None, found).state()


def test_networks_within_themselves_are_refused() -> None:
    told: dict[str, Any] = {"_modules": {}}
    module = Made(Named("torch.nn", "Module"), (), told)
    for _ in range(40):  # each has the last one twice
        module = Made(Named("torch.nn", "Module"), (), {"_modules": {"a": module, "b": module}})
    with pytest.raises(Damaged, match="within each other"):
        tensors_of(run(pickled(module)))
    own = Record(Name("torch.nn", "Module"))
    own.state = {"_modules": {"itself": own}}
    with pytest.raises(Damaged, match="within each other"):
        tensors_of(own)
    assert attributes(Record(Name("a", "b"), state=3)) == {}


def archive(path: Path, compression: int = zipfile.ZIP_STORED, **more: bytes) -> None:
    file = io.BytesIO()
    torch.save({"a": torch.arange(4.0)}, file)
    with zipfile.ZipFile(file) as held, zipfile.ZipFile(path, "w", compression) as out:
        for name in held.namelist():
            key = name.split("/", 1)[1].replace("/", "_").replace(".", "_")
            out.writestr(name, more.get(key, held.read(name)))


def test_archives_are_read_uncompressed_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    archive(path)
    assert as_torch(streams.read(path)["a"]).tolist() == [0, 1, 2, 3]
    archive(path, zipfile.ZIP_DEFLATED)
    with pytest.raises(UsageError, match="compressed"):
        streams.read(path)
    archive(path, data_0=b"short")
    with pytest.raises(UsageError, match="lacks the numbers"):
        streams.read(path)
    archive(path, byteorder=b"big")
    with pytest.raises(UsageError, match="order of bytes"):
        streams.read(path)
    archive(path, data_pkl=pickle.dumps(Call(open, str(tmp_path / "touched"), "w")))
    assert isinstance(streams.read(path), Record)
    assert not (tmp_path / "touched").exists()


def test_files_of_an_archive_do_not_lie_on_each_other(tmp_path: Path) -> None:
    """A list of files that are all the same bytes would promise more than there is."""
    path = tmp_path / "theirs.pt"
    archive(path)
    with zipfile.ZipFile(path, "a") as held:
        big = max(held.infolist(), key=lambda entry: entry.file_size)
        for number in range(50):
            twin = zipfile.ZipInfo(f"archive/twin{number}")
            for name in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(twin, name, getattr(big, name))
            held.filelist.append(twin)
            held._didModify = True  # pyright: ignore
    with pytest.raises(UsageError, match="lie on each other"):
        streams.read(path)


def test_no_file_and_huge_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        streams.read(tmp_path / "nothing.pkl")
    with pytest.raises(UsageError, match="folder"):
        streams.read(tmp_path)
    huge = tmp_path / "huge.pkl"
    huge.touch()
    for size, words in ((streams.MOST_BYTES + 1, "more than"), (1 << 36, "no instruction")):
        try:
            with huge.open("r+b") as file:
                file.truncate(size)
        except OSError:
            pytest.skip("the disk takes no file with holes")
        with pytest.raises(UsageError, match=words):
            streams.read(huge)
