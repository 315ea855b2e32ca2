"""Tars of samples: served as webdataset itself groups them, whole or damaged, and trained on."""

import io
import json
import os
import pickle
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dln.core.data import check_source, open_source
from dln.core.data.folder import Folder
from dln.core.data.menagerie.source import Menagerie
from dln.core.data.render import render_folder
from dln.core.errors import Interrupted, MissingCapability, UsageError
from dln.core.installed import install_line
from dln.core.media.clip import Clip
from dln.core.media.video import write_clip
from dln.core.runs.train import train
from dln.core.training.events import Event, Note, Started, Stepped, silent
from dln.core.training.options import TrainOptions

webdataset = pytest.importorskip("webdataset")
Members = Iterable[tuple[str, bytes]]


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Four rendered videos and their captions in a folder."""
    folder = tmp_path_factory.mktemp("clips")
    render_folder(Menagerie(4, 3, None), folder, size=(32, 32), fps=4)
    return folder


def write_tar(path: Path, members: Members, mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def sample(clips: Path, number: int, key: str, folder: str = "") -> list[tuple[str, bytes]]:
    source = Folder(clips)
    video = (clips / f"{number:05}.mp4").read_bytes()
    return [(f"{folder}{key}.mp4", video), (f"{folder}{key}.txt", source.caption(number).encode())]


def png(colour: tuple[int, int, int], size: tuple[int, int] = (20, 12)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_shards_hold_what_webdataset_reads_and_show_what_the_files_show(clips, tmp_path):
    with webdataset.ShardWriter(str(tmp_path / "s-%03d.tar"), maxcount=2, verbose=0) as writer:
        for number in range(4):
            (_, video), (_, text) = sample(clips, number, "x")
            writer.write(
                {"__key__": f"part/{number}", "mp4": video, "json": {"text": text.decode()}}
            )
    spec = str(tmp_path / "s-{000..001}.tar")
    source, folder = open_source(spec), Folder(clips)
    read = list(webdataset.WebDataset(spec, shardshuffle=False))
    assert (source.name, len(source), len(read)) == (spec, 4, 4)
    times = np.array([0.0, 1.3, 2.0, 99.0])
    rng = np.random.default_rng(0)
    for index, theirs in enumerate(read):
        assert json.loads(theirs["json"])["text"] == source.caption(index, rng)
        assert source.caption(index, rng) == folder.caption(index)
        assert source.duration(index) == folder.duration(index)
        ours = source.frames(index, times, (24, 32))
        assert np.array_equal(ours[0], folder.frames(index, times, (24, 32))[0])
        assert ours[1] is None
    assert source.words() == folder.words()
    assert source.report == check_source(spec)
    assert source.report
    assert (source.report.sound, source.report.problems) == (4, [])
    assert (source.classes, source.labels(0)) == ((), None)
    two = open_source(f"{tmp_path}/s-000.tar::{tmp_path}/s-001.tar", count=3)
    assert len(two) == 3
    assert two.fingerprint() != source.fingerprint()
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.frames(3, times, (8, 8))[0], source.frames(3, times, (8, 8))[0])


def test_a_cut_picture_is_named_and_left_out(tmp_path: Path):
    whole = png((9, 9, 9), (64, 64))
    members = [("a.png", whole), ("a.cls", b"0"), ("b.png", whole[:-40]), ("b.cls", b"0")]
    source = open_source(str(write_tar(tmp_path / "s.tar", members)), held_out=None)
    assert (len(source), source.classes) == (1, ("0",))
    assert source.report
    (problem,) = source.report.problems
    assert (problem.file, problem.kind) == ("s.tar:b.png", "unreadable")


def test_a_tar_in_the_place_of_another_is_read_anew(clips: Path, tmp_path: Path):
    """Of the same size and time, as after cp -p."""
    (_, video), _ = sample(clips, 0, "x")
    captions = []
    for text in (b"a cat", b"a dog"):
        new = write_tar(tmp_path / "new.tar", [("0.mp4", video), ("0.txt", text)])
        os.utime(new, ns=(1, 1))
        new.replace(tmp_path / "s.tar")
        captions.append(open_source(str(tmp_path / "s.tar")).caption(0, np.random.default_rng(0)))
    assert captions == ["a cat", "a dog"]


def test_a_place_that_is_no_utf8(clips: Path, tmp_path: Path):
    place = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        place.mkdir()
    except OSError:
        pytest.skip("this disk takes UTF-8 alone")
    path = write_tar(place / "s.tar", sample(clips, 0, "0"))
    assert [len(open_source(str(path))) for _ in range(2)] == [1, 1]


@pytest.mark.parametrize("suffix", [".webm", ".gif", ".mov", ".avi", ".mkv"])
def test_every_container_is_read_inside_a_tar(make_video, tmp_path, suffix: str):
    codec, pix_fmt = {
        ".webm": ("libvpx", "yuv420p"), ".gif": ("gif", "rgb8"), ".mov": ("mjpeg", "yuvj420p"),
        ".avi": ("mpeg4", "yuv420p"), ".mkv": ("libx264", "yuv420p"),
    }[suffix]  # fmt: skip
    frames = np.arange(12, dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2) * 20
    path = make_video(tmp_path / f"v{suffix}", frames.repeat(3, 3), codec, 10, pix_fmt)
    row = f"file_name,text\nv{suffix},brighter\n"
    (tmp_path / "metadata.csv").write_text(row)
    members = [("0.txt", b"first"), (f"v{suffix}", path.read_bytes()), ("v.txt", b"brighter")]
    shards = open_source(str(write_tar(tmp_path / "s.tar", members)))
    folder, times = Folder(tmp_path), np.array([0.0, 0.55, 1.1, 5.0])
    assert shards.duration(0) == folder.duration(0)
    ours, theirs = (each.frames(0, times, (16, 16))[0] for each in (shards, folder))
    assert np.array_equal(ours, theirs)
    cut = [(f"v{suffix}", path.read_bytes()[: path.stat().st_size * 2 // 3]), ("v.txt", b"cut")]
    with pytest.raises(UsageError, match=rf"t.tar:v{suffix}: .*(cut off|cannot be read)"):
        open_source(str(write_tar(tmp_path / "t.tar", cut)))


def test_every_problem_of_a_tar_is_named(clips, tmp_path):
    good = sample(clips, 0, "good", "sub/folder/")
    video = good[0][1]
    brief = write_clip(Clip(np.zeros((4, 16, 16, 3), np.uint8), 4), tmp_path / "brief.mp4")
    members = [
        *good,
        *sample(clips, 1, "../outside"),
        *sample(clips, 1, "/root"),
        ("silent.mp4", video),
        ("lonely.txt", b"a lion"),
        ("junk.mp4", b"no video"), ("junk.txt", b"junk"),
        ("brief.mp4", brief.read_bytes()), ("brief.txt", b"brief"),
        ("bad.mp4", video), ("bad.json", b"{"),
        ("list.mp4", video), ("list.json", b"[]"),
        ("latin.mp4", video), ("latin.txt", "лев".encode("cp1251")),
        ("twice.mp4", video), ("twice.txt", b"one"), ("twice.mp4", video),
        ("__index__", b"webdataset's own"), (".hidden", b""), ("LICENSE", b"free"),
        ("later.mp4", video), ("README", b"between"), ("later.JSON", b'{"caption": " a cat "}'),
        ("sub/folder/good.mp4", video), ("sub/folder/good.txt", b"again"),
    ]  # fmt: skip
    path = write_tar(tmp_path / "s.tar", members)
    source = open_source(str(path))
    assert [source.caption(i, np.random.default_rng(0)) for i in range(len(source))] == [
        good[1][1].decode(),
        "a cat",
    ]
    assert source.report
    kinds = [(each.file.removeprefix("s.tar:"), each.kind) for each in source.report.problems]
    assert sorted(kinds) == sorted([
        ("../outside.mp4", "malformed"), ("../outside.txt", "malformed"),
        ("/root.mp4", "malformed"), ("/root.txt", "malformed"), ("silent", "uncaptioned"),
        ("lonely", "missing"), ("junk.mp4", "unreadable"), ("brief.mp4", "too short"),
        ("bad", "malformed"), ("list", "malformed"), ("latin", "malformed"),
        ("twice", "malformed"), ("sub/folder/good", "malformed"),
    ])  # fmt: skip
    assert source.report == open_source(str(path)).report
    assert source.report.summary().startswith("Skipped 13 of 15")


@pytest.mark.parametrize("cut", range(0, 14000, 1700))
def test_a_tar_cut_anywhere_serves_what_is_whole(clips, tmp_path, cut: int):
    members = [*sample(clips, 0, "a"), *sample(clips, 1, "b")]
    whole = write_tar(tmp_path / "whole.tar", members).read_bytes()
    path = tmp_path / "s.tar"
    path.write_bytes(whole[: -cut - 10240] if cut else whole[:-10240])
    report = check_source(str(path))
    assert report.problems
    assert report.sound <= 2
    assert all(problem.reason for problem in report.problems)
    if report.sound:
        source = open_source(str(path))
        assert source.frames(len(source) - 1, np.array([99.0]), (8, 8))[0].shape == (1, 8, 8, 3)


def test_what_is_no_shard_is_said_in_one_sentence(clips, tmp_path, monkeypatch):
    (tmp_path / "junk.tar").write_bytes(b"no tar at all" * 99)
    (tmp_path / "empty.tar").write_bytes(b"")
    write_tar(tmp_path / "texts.tar", [("a.txt", b"a lion")])
    write_tar(tmp_path / "none.tar", [])
    write_tar(tmp_path / "packed.tar.gz", sample(clips, 0, "a"), "w:gz")
    for name, message in [
        ("junk.tar", "no tar that can be read"),
        ("empty.tar", "no tar that can be read"),
        ("texts.tar", "no video or picture has this key"),
        ("none.tar", "No video in .* can be used"),
        ("packed.tar.gz", "it is compressed.*gunzip"),
        ("gone-{0..3}.tar", "gone-0.tar: no such file"),
    ]:
        with pytest.raises(UsageError, match=message) as caught:
            open_source(str(tmp_path / name))
        assert "dln data check" in (caught.value.hint or "")
    for name in ("pipe:curl x/a.tar", "https://x/a.tar"):
        with pytest.raises(UsageError, match="read from the disk"):
            open_source(name)
    with pytest.raises(UsageError, match="names no shards"):
        open_source("${NONE}.tar")
    write_tar(tmp_path / "s.tar", sample(clips, 0, "a"))
    with pytest.raises(UsageError, match="no labels"):
        open_source(f"{tmp_path / 's.tar'},noise=0.1")
    monkeypatch.setitem(__import__("sys").modules, "webdataset", None)
    with pytest.raises(MissingCapability, match="webdataset") as missing:
        open_source(str(tmp_path / "s.tar"))
    assert missing.value.hint == install_line("data")


def test_a_shard_that_changed_is_read_again(clips, tmp_path):
    path = write_tar(tmp_path / "s.tar", sample(clips, 0, "a"))
    first = open_source(str(path))
    write_tar(path, [*sample(clips, 0, "a"), *sample(clips, 1, "b")])
    second = open_source(str(path))
    assert (len(first), len(second)) == (1, 2)
    assert first.fingerprint() != second.fingerprint()


def coloured(path: Path, count: int = 20) -> str:
    """Red and green pictures in two shards, with their classes."""
    for shard in range(2):
        members = []
        for number in range(count // 2):
            kind = number % 2
            picture = png((200, 10 * number, 0) if kind else (0, 10 * number, 200))
            members += [(f"{shard}{number}.png", picture), (f"{shard}{number}.cls", b"%d" % kind)]
        write_tar(path / f"s-{shard}.tar", members)
    return str(path / "s-{0..1}.tar")


def test_classes_of_shards(tmp_path):
    spec = coloured(tmp_path)
    teach, measure, every = (open_source(spec, held_out=held) for held in (False, True, None))
    assert [len(each) for each in (teach, measure, every)] == [16, 4, 20]
    assert (every.classes, every.words()) == (("0", "1"), ["0", "1"])
    assert every.labels(1) == {"class": "1"}
    assert every.image(1, (6, 10))[0, 0].tolist() == [200, 10, 0]
    assert every.frames(1, np.zeros(2), (6, 10))[0].shape == (2, 6, 10, 3)
    assert [every.label(index) for index in range(3)] == [0, 1, 0]
    noisy = open_source(f"{spec},noise=0.4", held_out=None)
    assert sum(noisy.label(i) != every.label(i) for i in range(20)) > 2
    assert noisy.fingerprint() != every.fingerprint()
    black = png((0, 0, 0))
    members = [
        ("a.png", black), ("a.json", b'{"class": "cat"}'),
        ("b.png", black), ("b.json", b'{"class": "dog", "text": "a dog"}'),
        ("c.png", black), ("c.txt", b"unlabelled"),
    ]  # fmt: skip
    pets = open_source(str(write_tar(tmp_path / "pets.tar", members)), held_out=None)
    assert pets.classes == ("cat", "dog")
    assert [pets.caption(i, np.random.default_rng(0)) for i in (0, 1)] == ["cat", "a dog"]
    assert pets.report
    assert [(p.file, p.kind) for p in pets.report.problems] == [("pets.tar:c.png", "uncaptioned")]


def stop_at(step: int):
    def on_event(event: Event) -> None:
        if isinstance(event, Stepped) and event.step >= step:
            raise KeyboardInterrupt

    return on_event


TOKENIZER = {"image_size": 16, "window": 2, "clip_seconds": 1.0,
             "tokenizer": {"codebook_size": 16, "code_dim": 4, "encoder_widths": (8, 8, 8),
                           "encoder_blocks": (0, 0, 0), "decoder_widths": (8, 8, 8),
                           "decoder_blocks": (0, 0, 0), "clusters": 4}}  # fmt: skip


@pytest.mark.parametrize("model", ["resnet", "cogvideo"])
def test_training_on_shards_resumes_exactly_and_needs_no_table(
    model: str, clips, tmp_path, monkeypatch
):
    """The same bits uninterrupted, stopped and resumed, and with no room for tables."""
    if model == "resnet":
        spec, more = coloured(tmp_path), {"batch": 4}
    else:
        members = [each for number in range(4) for each in sample(clips, number, str(number))]
        spec = str(write_tar(tmp_path / "s.tar", members))
        more = {"batch": 4, "stage": "tokenizer", "config": TOKENIZER}

    def go(name: str, on_event, **options) -> dict[str, torch.Tensor]:
        path = tmp_path / name
        asked = TrainOptions(out=path, device="cpu", checkpoint_every=4, **options)
        train(model, asked, on_event)
        (final,) = path.glob("state/*/final.safetensors")
        return load_file(final)

    begin = {"data": spec, "steps": 12, "precision": "fp32", **more}
    whole = go("whole", silent, **begin)
    with pytest.raises(Interrupted):
        go("stopped", stop_at(6), **begin)
    events: list[Event] = []
    resumed = go("stopped", events.append, resume=True, stage=more.get("stage"))
    assert next(event.step for event in events if isinstance(event, Started)) in (4, 8)
    monkeypatch.setattr("dln.core.data.table.LARGEST_SHARE", 0)
    events.clear()
    read = go("read", events.append, **begin)
    assert not list(tmp_path.glob("read/**/*.bin"))
    assert any("computed whenever" in e.text for e in events if isinstance(e, Note))
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
        assert torch.equal(tensor, read[name]), name
