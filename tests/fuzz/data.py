"""Data sets: what is said of files, pictures, videos and tars."""

import io
import json
import tarfile

from hypothesis import strategies as st

from .arguments import json_flag
from .case import Case
from .nasty import PLACES, WORDS, damaged, json_files, tables, texts
from .pantry import Pantry

Cases = st.SearchStrategy[Case]


def metadata(pantry: Pantry) -> Cases:
    """The captions of a folder of videos: metadata.csv, metadata.jsonl, prompts.txt with
    videos.txt, a .txt beside a video."""
    videos = {name: data for name, data in pantry.tree("clips").items() if name.endswith(".mp4")}
    cells = (*WORDS, *PLACES, "00000.mp4", "00000.mp4\0", '"', '"a\nb"', "00001.MP4", "🦁.mp4")
    listed = tables(pantry.text("clips/metadata.csv"), cells)
    rows = [json.loads(line) for line in pantry.text("metadata.jsonl").splitlines()]
    lines = st.tuples(*(json_files(row) for row in rows)).map(b"\n".join)
    told = damaged("a lion\r\nлев\u2028пьёт\n".encode())
    own = st.one_of(
        st.builds(dict, st.fixed_dictionaries({"clips/metadata.csv": st.one_of(
            listed, listed, damaged(pantry["clips/metadata.csv"]))})),
        st.builds(dict, st.fixed_dictionaries({"clips/metadata.jsonl": lines})),
        st.builds(dict, st.fixed_dictionaries({
            "clips/prompts.txt": told, "clips/videos.txt": damaged(b"00000.mp4\n00001.mp4\n")})),
        st.builds(dict, st.fixed_dictionaries({"clips/00000.txt": told})),
    )  # fmt: skip
    commands = st.sampled_from((("data", "check", "clips"), ("data", "check", "clips"),
                                ("data", "show", "clips"),
                                ("train", "toy-gan", "--data", "clips", "--dry-run")))  # fmt: skip
    return st.builds(lambda argv, files, flag: Case((*argv, *flag), {**videos, **files}),
                     commands, own, json_flag)  # fmt: skip


def pictures(pantry: Pantry) -> Cases:
    """What a clip begins with, and a folder of images for each class."""
    suffixes = ("png", "jpg", "gif", "webp", "bmp", "tiff")

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        suffix = draw(st.sampled_from(suffixes))
        data = draw(damaged(pantry[f"picture.{suffix}"], 8))
        name = f"p.{draw(st.sampled_from((suffix, suffix, 'png', 'jpg', 'PNG')))}"
        kind = draw(st.integers(0, 5))
        if kind <= 2:
            return Case(files={"p": data}, call="picture")
        whole = {"images/a/x.png": pantry["picture.png"], f"images/b/{name}": data}
        argv = (("data", "show", "images"), ("data", "check", "images"),
                ("train", "resnet", "--data", "images", "--dry-run"))[kind - 3]  # fmt: skip
        return Case((*argv, *draw(json_flag)), whole)

    return drawn()


def videos(pantry: Pantry) -> Cases:
    """Clips to verify, and videos of a data set."""
    names = ("toy-gan.mp4", "toy-gan.gif", "toy-stream.webm", "clips/00000.mp4")
    listing = b"file_name,text\n%s,a lion\n00001.mp4,a cat\n"

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        name = draw(st.sampled_from(names))
        suffix = draw(
            st.sampled_from((name.rpartition(".")[2], "mp4", "webm", "gif", "avi", "MOV"))
        )
        data, flag = draw(damaged(pantry[name], 8)), draw(json_flag)
        if draw(st.booleans()):
            given = f"v.{suffix}"
            return Case(("data", "check", "clips", *flag), {
                f"clips/{given}": data, "clips/00001.mp4": pantry["clips/00001.mp4"],
                "clips/metadata.csv": listing % given.encode()})  # fmt: skip
        files = {f"v.{suffix}": data, "m.safetensors": pantry["toy-gan.safetensors"]}
        return Case(("verify", f"v.{suffix}", "--model", "m.safetensors", *flag), files)

    return drawn()


def shards(pantry: Pantry) -> Cases:
    """Tars of samples: their bytes, and captions and names in them."""

    def packed(names: list[str], caption: bytes) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in names:
                info = tarfile.TarInfo(name.replace("\0", "") or "x")
                held = pantry["clips/00000.mp4"] if name.endswith(".mp4") else caption
                info.size = len(held)
                tar.addfile(info, io.BytesIO(held))
        return file.getvalue()

    names = st.one_of(
        st.sampled_from(("0.mp4", "0.txt", "0.json", "0.cls", "../0.mp4", "0.jpg")), texts
    )
    tars = st.one_of(
        damaged(pantry["shard.tar"], 6),
        st.builds(packed, st.lists(names, max_size=5), st.one_of(
            st.binary(max_size=40), json_files({"text": "a lion", "label": 1}))),
    )  # fmt: skip
    commands = st.sampled_from((("data", "check"), ("data", "show")))
    return st.builds(lambda argv, data, flag: Case((*argv, "s.tar", *flag), {"s.tar": data}),
                     commands, tars, json_flag)  # fmt: skip
