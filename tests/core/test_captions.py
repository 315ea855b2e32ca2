"""The ways in which people hand in captions: each is read for what it says, or named."""

import csv
import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dln.core.data import check_source, open_source
from dln.core.data.folder import Folder
from dln.core.data.images import ImageFolder
from dln.core.data.listing import read_listing
from dln.core.data.menagerie.source import Menagerie
from dln.core.data.render import render_folder
from dln.core.errors import UsageError
from dln.core.models.video_diffusion.model import Model
from dln.core.models.video_diffusion.system import SYSTEM
from dln.core.models.video_diffusion.training import DiffusionStage
from dln.core.text.vocabulary import Vocabulary
from dln.core.training.options import TrainOptions

from .toy_diffusion import TOY

ENDS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r"
WORDINGS = st.text(st.sampled_from(ENDS + "\n ab,;\t\"'\\é狮"), min_size=1, max_size=12)
CAPTIONS = st.lists(WORDINGS.map(lambda text: f"x{text}y"), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("rendered")
    render_folder(Menagerie(1, 3, None), folder, size=(32, 32), fps=4)
    return (folder / "00000.mp4").read_bytes()


@pytest.fixture
def videos(tmp_path: Path, clip: bytes) -> Path:
    """A folder with a.mp4, b.mp4 and sub/c.mp4, and no captions."""
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.mp4", "b.mp4", "sub/c.mp4"):
        (folder / name).write_bytes(clip)
    return folder


def put(folder: Path, **files: str | bytes) -> Path:
    """Files whose names have __ for the dot."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def row(text: Any, name: str = "a.mp4") -> str:
    return json.dumps({"file_name": name, "text": text}, ensure_ascii=False)


def every(folder: Path) -> list[set[str]]:
    """All captions of each clip, by drawing them often."""
    source = open_source(str(folder))
    rngs = [np.random.default_rng(seed) for seed in range(40)]
    return [{source.caption(clip, rng) for rng in rngs} for clip in range(len(source))]


def problems(folder: Path) -> list[tuple[str, str, str]]:
    return [(each.file, each.kind, each.reason) for each in check_source(str(folder)).problems]


@settings(max_examples=80, deadline=None)
@given(
    texts=CAPTIONS,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]),
)
def test_a_quoted_field_keeps_what_it_holds(tmp_path_factory, texts, end, mark, encoding):
    folder = tmp_path_factory.getbasetemp() / "fields"
    folder.mkdir(exist_ok=True)
    if end == "\r":  # in the files of old Macs every line end is one
        texts = [text.replace("\n", "") for text in texts]
    file = io.StringIO(newline="")
    rows = csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL, delimiter=mark)
    rows.writerows([("file_name", "text"), *((f"{n}.mp4", text) for n, text in enumerate(texts))])
    bom = "\ufeff" * (encoding == "utf-16-be")
    (folder / "metadata.csv").write_bytes((bom + file.getvalue()).encode(encoding))
    listing = read_listing(folder)
    assert listing.malformed == []
    assert [entry.texts for entry in listing.entries] == [
        (text.replace("\r\n", "\n"),) for text in texts
    ]


@settings(max_examples=60, deadline=None)
@given(texts=CAPTIONS, end=st.sampled_from(["\n", "\r\n", "\n\n"]), last=st.booleans())
def test_a_json_string_keeps_what_it_holds(tmp_path_factory, texts, end, last):
    folder = tmp_path_factory.getbasetemp() / "strings"
    folder.mkdir(exist_ok=True)
    lines = end.join([*map(row, texts), *[""] * last])
    (folder / "metadata.jsonl").write_text(lines, encoding="utf-8", newline="")
    listing = read_listing(folder)
    assert (listing.malformed, [e.texts for e in listing.entries]) == ([], [(t,) for t in texts])


@pytest.mark.parametrize("end", [*ENDS, "\t"])
def test_characters_that_a_string_holds_as_they_are(tmp_path: Path, end: str):
    """Json has them escaped; whoever wrote them so meant no line's end."""
    line = row("one?two").replace("?", end)
    put(tmp_path, metadata__jsonl=f"{line}\nbroken\n{row('three')}\n")
    listing = read_listing(tmp_path)
    assert [(e.line, *e.texts) for e in listing.entries] == [(1, f"one{end}two"), (3, "three")]
    assert [each.reason for each in listing.malformed] == ["line 2: not JSON (Expecting value)"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata__csv", 'file_name,text\ra.mp4,5" disk\rb.mp4,"x""\ry"\rc.mp4,8" long\r'),
        ("metadata__jsonl", "\r".join([row('5" disk'), row("x\\"), row("y")]) + "\n"),
    ],
)
def test_lines_may_end_as_on_old_macs(tmp_path: Path, name: str, text: str):
    listing = read_listing(put(tmp_path, **{name: text}))
    assert listing.malformed == []
    jsonl = ('5" disk', "x\\", "y")
    texts = jsonl if "jsonl" in name else ('5" disk', 'x"\ry', '8" long')
    assert [entry.texts for entry in listing.entries] == [(each,) for each in texts]


def test_line_numbers_are_those_of_an_editor(tmp_path: Path):
    text = (
        '\n\nfile_name,text\na.mp4,"one\ntwo\u2028three"\n\na.mp4\nb.mp4,"never closed\nc.mp4,c\n'
    )
    listing = read_listing(put(tmp_path, metadata__csv=text))
    assert [(e.line, e.texts) for e in listing.entries] == [(4, ("one\ntwo\u2028three",))]
    assert [each.reason for each in listing.malformed] == [
        "line 7: 1 fields where the first line has 2",
        "line 8: a quote opens that nothing closes: what follows it is not read",
    ]


def test_a_list_gives_several_captions(videos: Path):
    wordings = ["a lion drinks", "the lion is drinking", "лев пьёт"]
    put(videos, metadata__jsonl="\n".join([row(wordings), row(["alone"], "b.mp4")]))
    assert every(videos) == [set(wordings), {"alone"}]
    assert check_source(str(videos)).captions == 4
    folder = Folder(videos)
    assert folder.caption(0) == wordings[0]
    draws = [[folder.caption(0, np.random.default_rng(7)) for _ in range(9)] for _ in "12"]
    assert draws[0] == draws[1]
    rng = np.random.default_rng(7)
    folder.caption(1, rng)
    assert rng.random() == np.random.default_rng(7).random()
    assert {"lion", "drinks", "пьет", "alone"} <= set(folder.words())


def test_one_caption_has_the_identity_it_always_had(videos: Path):
    """Runs that began before there could be several go on."""
    size = (videos / "a.mp4").stat().st_size
    digest = sha256(repr(("a.mp4", size, "a lion")).encode()).hexdigest()
    found = []
    for text in ("a lion", ["a lion"], ["a lion", "a cat"], ["a cat", "a lion"], "a lion, a cat"):
        put(videos, metadata__jsonl=row(text))
        found.append(Folder(videos).fingerprint())
    assert found[0] == found[1] == digest
    assert len(set(found)) == 4
    for files in ({"prompts__txt": "a lion", "videos__txt": "a.mp4"}, {"a__txt": "a lion"}):
        (videos / "metadata.jsonl").unlink(missing_ok=True)
        assert Folder(put(videos, **files)).fingerprint() == digest
        [(videos / name.replace("__", ".")).unlink() for name in files]


WRONG = [
    ([], "text is an empty list"),
    (["a", 3], "text is a list, and number 2 of it is a number, not a string"),
    (["a", None], "text is a list, and number 2 of it is null, not a string"),
    ([" ", "a"], "text is a list, and number 1 of it is empty"),
    ([["a"]], "text is a list, and number 1 of it is a list, not a string"),
    ({"short": "a"}, "text is an object, not a string or a list of strings"),
    (True, "text is true, not a string or a list of strings"),
    (0, "text is a number, not a string or a list of strings"),
    (2.5, "text is a number, not a string or a list of strings"),
    (None, "text is null, not a string or a list of strings"),
]


@pytest.mark.parametrize(("text", "reason"), WRONG)
def test_text_of_another_kind_is_malformed(videos: Path, text: Any, reason: str):
    lines = [row("sound", "b.mp4"), row("sound", "sub/c.mp4"), row(text)]
    put(videos, metadata__jsonl="\n".join(lines))
    assert problems(videos) == [("metadata.jsonl", "malformed", f"line 3: {reason}")]
    assert every(videos) == [{"sound"}, {"sound"}]


@pytest.mark.parametrize("name", [5, None, ["a.mp4"], True, {}])
def test_a_name_of_another_kind_is_malformed(tmp_path: Path, name: Any):
    listing = read_listing(put(tmp_path, metadata__jsonl=row("a", name)))
    assert listing.entries == []
    (malformed,) = listing.malformed
    assert malformed.reason.startswith("line 1: file_name is ")


def tarred(path: Path, clip: bytes, values: Any, **more: bytes) -> str:
    """A shard of one clip, its .json, and members of other suffixes."""
    members = {"mp4": clip, "json": json.dumps(values).encode(), **more}
    with tarfile.open(path, "w") as tar:
        for suffix, data in members.items():
            info = tarfile.TarInfo(f"k.{suffix}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.mark.parametrize("name", ["text", "caption"])
@pytest.mark.parametrize(("text", "reason"), WRONG)
def test_text_of_another_kind_in_a_shard(tmp_path: Path, clip: bytes, name, text, reason):
    pytest.importorskip("webdataset")
    spec = tarred(tmp_path / "x.tar", clip, {name: text})
    for _ in "12":  # the second time out of the index
        (problem,) = check_source(spec).problems
        assert problem.kind == "malformed"
        assert problem.reason == f"its .json: {reason.replace('text', name, 1)}"
    assert check_source(tarred(tmp_path / "y.tar", clip, {name: text}, txt=b"a lion")).sound == 1


def test_several_captions_in_a_shard(tmp_path: Path, clip: bytes):
    pytest.importorskip("webdataset")
    wordings = ["a lion\u2028drinks", "лев"]
    spec = tarred(tmp_path / "x.tar", clip, {"text": wordings, "caption": "unread"})
    for _ in "12":
        source = open_source(spec)
        drawn = {source.caption(0, np.random.default_rng(seed)) for seed in range(30)}
        assert drawn == set(wordings)
        assert source.words() == ["a", "drinks", "lion", "лев"]
    one = (tarred(tmp_path / "y.tar", clip, {"text": text}) for text in ("a", ["a"]))
    told = (sha256(repr(()).encode()), repr(("k.mp4"[:1], len(clip), "a", None)).encode())
    told[0].update(told[1])
    assert [open_source(spec).fingerprint() for spec in one] == [told[0].hexdigest()] * 2
    null = tarred(tmp_path / "z.tar", clip, {"text": None, "caption": "a cat"})
    assert open_source(null).caption(0, np.random.default_rng(0)) == "a cat"


@pytest.mark.parametrize(
    ("indent", "value", "told", "take"),
    [
        (None, [json.loads(row("a"))] * 2, "one JSON array (2 items)", "'.[]'"),
        (1, [json.loads(row("a"))] * 3, "one JSON array (3 items)", "'.[]'"),
        (2, json.loads(row("a")), "one JSON object over several lines", "'.'"),
    ],
)
def test_json_that_is_no_jsonl_is_named(tmp_path: Path, indent, value, told, take):
    put(tmp_path, metadata__jsonl=json.dumps(value, indent=indent))
    with pytest.raises(UsageError) as caught:
        read_listing(tmp_path)
    assert f"is {told}; .jsonl means one object on each line" in caught.value.message
    assert take in (caught.value.hint or "")


@pytest.mark.parametrize(
    "text", ["[\n" + ",\n".join([row("a"), row("b")]) + "\n]\n",
             "\n".join([json.dumps(json.loads(row("a")), indent=4)] * 3)]
)  # fmt: skip
def test_json_with_lines_that_look_right_is_named(tmp_path: Path, text: str):
    with pytest.raises(UsageError, match=r"one JSON array \(2 items\)|JSON objects over several"):
        read_listing(put(tmp_path, metadata__jsonl=text))


@pytest.mark.parametrize(
    ("file", "content", "has", "rename"),
    [
        ("metadata__csv", "video,caption\na.mp4,x\n", "'video,caption'",
         "Rename video to file_name and caption to text."),
        ("metadata__csv", "File Path;text\na.mp4;x\n", "'File Path;text'", "metadata.csv begins"),
        ("metadata__csv", "file_name,Prompt\na.mp4,x\n", "'file_name,Prompt'",
         "Rename Prompt to text."),
        ("metadata__jsonl", '{"video_path": "a.mp4", "prompt": "x"}', "video_path, prompt",
         "Rename video_path to file_name and prompt to text."),
        ("metadata__jsonl", '[1, 2]\n{"a": 1}', "no column", "metadata.jsonl has lines"),
    ],
)  # fmt: skip
def test_other_columns_are_named(tmp_path: Path, file: str, content: str, has: str, rename: str):
    with pytest.raises(UsageError, match="no column") as caught:
        read_listing(put(tmp_path, **{file: content}))
    assert has in caught.value.message
    assert (caught.value.hint or "").startswith(rename)


@pytest.mark.parametrize("prompts", ["prompts__txt", "prompt__txt", "captions__txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_prompts_and_videos_go_line_by_line(videos: Path, prompts: str, end: str):
    texts = ["\ufeffa lion, \u2028drinking", "", "a cat", "", "lost", "gone"]
    names = ["sub/c.mp4", "a.mp4", "b.mp4", "", "", "../out.mp4"]
    put(videos, **{prompts: end.join(texts) + end, "videos__txt": end.join(names)})
    assert every(videos) == [{"a lion, \u2028drinking"}, {"a cat"}]
    assert sorted(problems(videos)) == [
        ("../out.mp4", "malformed", "line 6 names a place outside the folder"),
        ("a.mp4", "uncaptioned", "its text on line 2 is empty"),
        ("videos.txt", "malformed",
         f"line 5 is empty, and {prompts.replace('__', '.')} has a caption there"),
    ]  # fmt: skip


def test_pairs_that_do_not_match(videos: Path):
    put(videos, prompts__txt="a\nb\nc\n", videos__txt="a.mp4\nb.mp4\n\n\n\n")
    with pytest.raises(UsageError, match=r"prompts.txt has 3 lines and videos.txt 5: line i"):
        Folder(videos)
    put(videos, prompts__txt="a\nb\n\n\n\n\n")
    assert every(videos) == [{"a"}, {"b"}]
    (videos / "videos.txt").unlink()
    with pytest.raises(UsageError, match=r"it has prompts.txt and no videos.txt"):
        Folder(videos)


def test_a_text_beside_each_file(videos: Path, clip: bytes):
    (videos / "sub" / "deep.er.webm").write_bytes(clip)
    (videos / "walk").mkdir()
    for number in range(8):
        Image.new("RGB", (8, 8), (0, 0, 20 * number)).save(videos / "walk" / f"{number}.png")
    for name in ("photo.png", "bare.jpg"):
        Image.new("RGB", (20, 12), (200, 30, 10)).save(videos / "sub" / name)
    put(videos, a__txt="a lion\n", b__TXT="a cat".encode("utf-16"), walk__txt="walking")
    put(videos / "sub", c__txt=b"\xff\xffno", photo__txt="a photo", README__txt="of no clip")
    source = Folder(videos)
    assert [source.caption(n) for n in range(4)] == ["a lion", "a cat", "a photo", "walking"]
    assert [source.duration(n) for n in (2, 3)] == [1.0, 1.0]
    still = source.frames(2, np.array([0, 0.9]), (8, 8))[0]
    assert np.abs(still.astype(int) - (200, 30, 10)).max() < 3
    assert source.frames(3, np.array([0.0, 0.99]), (8, 8))[0][:, 0, 0, 2].tolist() == [0, 140]
    assert problems(videos) == [
        ("sub/c.mp4", "malformed", "its .txt is not UTF-8: byte 0 is wrong"),
        ("sub/bare.jpg", "uncaptioned", "no .txt stands beside it"),
        ("sub/deep.er.webm", "uncaptioned", "no .txt stands beside it"),
    ]
    put(videos / "sub", **{"deep.er__txt": " \n", "c__txt": b"x" * (1 << 20) + b"y"})
    reasons = [reason for *_, reason in problems(videos)]
    assert reasons[:2] == [
        "its .txt has more than 1,048,576 bytes: it is no file of this kind",
        "its text in the .txt beside it is empty",
    ]


def test_classes_stay_classes(tmp_path: Path):
    """Pictures in folders are labelled, unless a .txt stands beside each folder."""
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (8, 8)).save(tmp_path / "set" / name / f"{number}.png")
    put(tmp_path / "set", cat__txt="a cat", notes__txt="of ours")
    source = open_source(str(tmp_path / "set"))
    assert isinstance(source, ImageFolder)
    assert source.report is None
    put(tmp_path / "set" / "cat", **{"0__txt": "a black cat"})
    report = open_source(str(tmp_path / "set")).report
    assert report
    assert report.summary().endswith("the .txt files beside its pictures are not read.")
    (tmp_path / "set" / "cat" / "0.txt").unlink()
    with pytest.raises(UsageError, match="folders of images, one for each class"):
        check_source(str(tmp_path / "set"))
    put(tmp_path / "set", dog__txt="a dog")
    assert every(tmp_path / "set") == [{"a cat"}, {"a dog"}]


def test_what_is_read_of_several_ways_and_that_it_is_said(videos: Path):
    ways = [
        {"metadata__csv": "file_name,text\na.mp4,of csv\n"},
        {"metadata__jsonl": row("of jsonl")},
        {"prompts__txt": "of a pair\n", "videos__txt": "a.mp4\n"},
        {"a__txt": "of a text", "b__txt": "of another"},
    ]
    names = ["metadata.csv", "metadata.jsonl", "prompts.txt with videos.txt",
             "2 .txt files beside the clips"]  # fmt: skip
    read = ["metadata.csv is read", "metadata.jsonl is read", "prompts.txt is read with videos.txt"]
    texts = [{"of csv"}, {"of jsonl"}, {"of a pair"}, {"of a text"}]
    for files in ways:
        put(videos, **files)
    for number, files in enumerate(ways):
        assert every(videos)[0] == texts[number]
        notes = [f"{note.file} {note.text}" for note in check_source(str(videos)).notes]
        told = " nor ".join(names[number + 1 :])
        assert notes == [f"{each}, and not {told}" for each in read[number : number + 1]]
        for name in files:
            (videos / name.replace("__", ".")).unlink()
    with pytest.raises(UsageError, match=r"no metadata.csv or metadata.jsonl"):
        check_source(str(videos))
    with pytest.raises(UsageError, match=r"beside a video; it has captions.json, table.csv\."):
        check_source(str(put(videos, table__csv="", captions__json="")))


def test_a_lesson_draws_its_caption_anew_and_always_the_same(videos: Path, tmp_path: Path):
    """By seed, epoch and row alone, so that a training which goes on draws what it would have."""
    wordings = ["lion drinking", "lion dancing", "panda asleep"]
    put(videos, metadata__jsonl=row(wordings), a__txt="unread")
    words = []
    for _ in "12":
        source = Folder(videos)
        vocabulary = Vocabulary(source.words())
        model = Model(TOY, vocabulary)
        stage = cast(DiffusionStage, SYSTEM.stages(model, source, TrainOptions(seed=5))[0])
        stage.prepare(tmp_path, lambda event: None)
        batches = [stage.collate(np.array([0]), epoch) for epoch in range(30)]
        words.append([
            vocabulary.decode(each["words"][0, -1][each["seen"][0, -1].bool()].tolist())
            for each in batches
        ])  # fmt: skip
        assert source.report.summary().endswith("is read, and not 1 .txt file beside the clips.")
    assert words[0] == words[1]
    assert set(words[0]) - {""} == set(wordings)
