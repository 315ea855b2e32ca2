"""Films: every line to the frame, from clips that are made once, in memory that does not grow."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dln.core.errors import Interrupted, UsageError
from dln.core.files import sha256_file
from dln.core.generation import film
from dln.core.generation.film import Studio, make_film, planned
from dln.core.generation.generate import Streaming
from dln.core.generation.shots import (
    Script,
    check_words,
    default_fps,
    line_seed,
    shots_of,
    take_seed,
)
from dln.core.generation.verify import script_of
from dln.core.media.picture import read_picture
from dln.core.media.receipt import MOST_LETTERS, Filmed, read_receipt, receipt_of
from dln.core.media.stream import Stream
from dln.core.media.video import frames_of, write_stream
from dln.core.models.cogvideo.config import Config
from dln.core.models.package import Loaded
from dln.core.models.pipelines import config as pipelines
from dln.core.models.pipelines import guest
from dln.core.models.registry import MODELS, load
from dln.core.models.request import Request
from dln.core.models.system import Usual
from dln.core.text.subtitles import MOST_LINES, Line
from dln.core.text.vocabulary import Vocabulary

CLIP, SIDE = 33, 4  # frames of the stand-in's clips, at 8 a second, and their pixels
COGVIDEO = MODELS["cogvideo"]
USUAL = Usual(CLIP, 8.0, CLIP)


def script(*times: tuple[float, float], words: str = "lion drinking", **asked: Any) -> Script:
    """Lines from and to so many seconds, at the pace of the clips unless told."""
    lines = [Line(n, round(1000 * a), round(1000 * b), words)
             for n, (a, b) in enumerate(times, start=1)]  # fmt: skip
    return Script(lines, [line_seed(0, line.number) for line in lines], **{"fps": 8.0, **asked})


@dataclass
class Crew:
    """Makes clips whose frames say what they are: red is the clip's number in the order of making,
    green the frame's. asked: each clip's request; first: what pictures clips go on from."""

    stop_before: int | None = None
    asked: list[Request] = field(default_factory=list)
    first: list[np.ndarray | None] = field(default_factory=list)
    pictures: bool = False

    def stream(self, loaded, request: Request, *, engine, on_progress, **_: Any) -> Streaming:
        number = len(self.asked)
        if number == self.stop_before:
            raise KeyboardInterrupt
        self.asked.append(request)
        self.first.append(request.image and read_picture(Path(request.image)))  # pyright: ignore
        count = 1 if self.pictures else request.frames or CLIP

        def blocks() -> Iterator[np.ndarray]:
            for first in range(0, count, 10):
                block = np.zeros((min(10, count - first), SIDE, SIDE, 3), np.uint8)
                block[..., 0] = 10 * (number + 1)
                block[..., 1] = (first + np.arange(len(block)))[:, None, None] % 256
                yield block

        return Streaming(Stream(blocks(), 8.0, (SIDE, SIDE), count), {})


ENGINE: Any = SimpleNamespace(name="torch", device="cpu")
LOADED = Loaded(SimpleNamespace(config=Config(), reader=Vocabulary(["lion", "drinking"])),  # pyright: ignore
                COGVIDEO, {}, "a" * 64, Path("a.safetensors"), True)  # fmt: skip


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Crew:
    crew = Crew()
    monkeypatch.setattr(film, "stream", crew.stream)
    return crew


@pytest.fixture
def studio(crew: Crew, tmp_path: Path) -> Callable[..., Studio]:
    return lambda wanted, loaded=LOADED: Studio(loaded, wanted, tmp_path / "parts", ENGINE)


def seen(made: Studio) -> list[tuple[int, int]]:
    """(clip, frame) of each frame of the film, (0, 0) for black; its length is what it says."""
    made.shoot()
    stream = made.projected()
    found = [(int(block[0, 0, 0, 0]) // 10, int(block[0, 0, 0, 1])) for block in stream]
    assert len(found) == stream.frames == made.film.script.frames
    return found


def test_a_line_is_shown_for_its_time_and_goes_on_to_the_next(studio):
    found = seen(studio(script((0.5, 1), (2, 3))))
    assert found == [
        *4 * [(0, 0)],  # nothing is said yet
        *[(1, n) for n in range(12)],  # half a second, and on to the next line
        *[(2, n) for n in range(8)],
    ]


def test_the_last_frame_stays_where_a_clip_ends_in_a_gap(studio):
    found = seen(studio(script((0, 1), (10, 11))))
    assert found[:80] == [*[(1, n) for n in range(CLIP)], *47 * [(1, CLIP - 1)]]
    assert found[80:] == [(2, n) for n in range(8)]


def test_a_line_longer_than_a_clip_goes_on_from_its_last_frame(studio, crew):
    found = seen(studio(script((0, 10))))
    joined = [(1, n) for n in range(CLIP)] + [(take, n) for take in (2, 3) for n in range(1, CLIP)]
    assert found == joined[:80]
    assert [request.image is None for request in crew.asked] == [True, False, False]
    for take in (1, 2):
        np.testing.assert_array_equal(
            crew.first[take], np.full((SIDE, SIDE, 3), 1) * [10 * take, 32, 0]
        )
    seed = line_seed(0, 1)
    assert [request.seed for request in crew.asked] == [
        seed,
        take_seed(seed, 1),
        take_seed(seed, 2),
    ]
    assert len({request.seed for request in crew.asked}) == 3


def test_without_pictures_a_new_clip_follows():
    about = replace(COGVIDEO, takes=("text",))
    (shot,) = shots_of(script((0, 10)), about, USUAL)
    assert [(take.frames, take.follows) for take in shot.takes] == 3 * [(CLIP, False)]
    (shot,) = shots_of(script((0, 10)), about, Usual(CLIP, 8.0))
    assert [take.request.frames for take in shot.takes] == [80]
    (shot,) = shots_of(script((0, 4)), about, Usual(CLIP, 8.0))
    assert [take.request.frames for take in shot.takes] == [None]


@pytest.mark.parametrize("fps", [4, 16, 24, 30])
def test_clips_keep_their_pace_at_another_rate(studio, fps):
    found = seen(studio(script((0, 2), (2, 8), fps=fps)))
    assert found[: 2 * fps] == [(1, n * 8 // fps) for n in range(2 * fps)]
    places = [(n - 2 * fps) * 8 // fps for n in range(2 * fps, 8 * fps)]
    assert found[2 * fps :] == [(2, n) if n < CLIP else (3, n - CLIP + 1) for n in places]


@pytest.mark.parametrize(
    ("own", "shown"), [(8, 24), (4, 24), (10, 30), (24, 24), (25, 25), (0.5, 24)]
)
def test_unless_told_cuts_are_within_a_fiftieth_of_a_second(studio, own, shown):
    assert default_fps(Usual(CLIP, own)) == shown
    assert default_fps(None) == 24
    lines = [Line(1, 0, 1020, "lion"), Line(2, 1020, 2000, "lion")]
    film = studio(Script(lines, [1, 2])).film
    assert film.script.fps == 24
    assert abs(film.shots[1].first / 24 - 1.02) < 0.021


@given(st.lists(st.integers(250, 90_000), min_size=1, max_size=60),
       st.sampled_from([8, 24, 24_000 / 1001, 25, 30_000 / 1001, 59.94]))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_cut_drifts(lasting, fps):
    """Each line begins within half a frame of its time, however many went before."""
    ends = np.cumsum(lasting).tolist()
    lines = [
        Line(n, end - ms, end, "lion")
        for n, (end, ms) in enumerate(zip(ends, lasting, strict=True))
    ]
    wanted = Script(lines, [0] * len(lines), fps)
    shots = shots_of(wanted, COGVIDEO, USUAL)
    for shot in shots:
        late = shot.first / wanted.rate - Fraction(shot.line.start, 1000)
        assert abs(late) <= 1 / wanted.rate / 2
    assert sum(shot.frames for shot in shots) == wanted.frames
    assert wanted.frames == pytest.approx(ends[-1] * fps / 1000, abs=0.51)


def test_lines_fade_in_over_what_was_before(studio):
    made = studio(script((0.5, 1.5), (2, 3), blend=0.5))
    made.shoot()
    reds = [int(block[0, 0, 0, 0]) for block in made.projected()]
    assert reds == [0, 0, 0, 0, 2, 4, 6, 8, *8 * [10], 12, 14, 16, 18, *4 * [20]]
    greens = [int(block[0, 0, 0, 1]) for block in made.projected()]
    # the clip before goes on underneath: four fifths of its frame 12, one fifth of frame 0
    assert greens[16] == round(0.8 * 12)


def test_a_blend_ends_before_the_next_begins(studio):
    shots = studio(script((0, 1), (1, 1.5), (1.5, 3), blend=1)).film.shots
    assert [shot.fade for shot in shots] == [0, 4, 8]


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"blend": -1}, "--blend|blend for"), ({"blend": float("nan")}, "blend for"),
     ({"blend": float("inf")}, "blend for"), ({"every": 0}, "picture comes every"),
     ({"every": float("nan")}, "picture comes every"), ({"fps": 0}, "fps is from"),
     ({"size": (20_000, 8)}, "a size is the height and the width")],
)  # fmt: skip
def test_seconds_that_are_none(asked, words):
    with pytest.raises(UsageError, match=words):
        script((0, 1), **asked)


def test_a_line_shorter_than_a_frame():
    with pytest.raises(UsageError, match="line 2 is shorter than a frame, of which a second has 8"):
        shots_of(script((0, 1), (1, 1.05), (1.1, 2)), COGVIDEO, USUAL)


def test_a_film_without_end():
    with pytest.raises(UsageError, match="at most 1,000,000 frames, not 8,000,008"):
        shots_of(script((0, 1), (1_000_000, 1_000_001)), COGVIDEO, USUAL)


def test_the_size_of_a_film(studio):
    made = studio(script((0, 1), size=(6, 8)))
    made.shoot()
    assert {block.shape for block in made.projected()} == {(1, 6, 8, 3)}


def test_memory_does_not_grow_with_the_film(studio):
    made = studio(script((0, 1), (400, 401), blend=0.5, size=(64, 64)))
    made.shoot()
    tracemalloc.start()
    try:
        total = sum(block.nbytes for block in made.projected())
        assert tracemalloc.get_traced_memory()[1] < total / 50
    finally:
        tracemalloc.stop()


def test_pictures_turn_into_each_other_with_noise_that_is_carried(studio, crew, monkeypatch):
    """One a second, half a second apart in the film's frames: the noise goes on along the line."""
    crew.pictures = True
    about = replace(COGVIDEO, gives="picture")
    monkeypatch.setattr(type(load(COGVIDEO)), "usual", lambda *_: None)
    wanted = script((0, 2.5), (4, 4.5), fps=4)
    made = studio(wanted, replace(LOADED, about=about))
    made.shoot()
    reds = [int(block[0, 0, 0, 0]) for block in made.projected()]
    first = [10, 12, 15, 18, 20, 22, 25, 28, 30, 32, 35, 38, *4 * [40]]
    assert reds == [*first, 50, 52]
    line = [request for request in crew.asked if request.seed == line_seed(0, 1)]
    assert [request.drift for request in line] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert {request.prompt for request in line} == {"lion drinking"}
    assert made.film.seconds == 4.5


def test_words_are_looked_up_in_all_lines_before_anything_is_made():
    lines = [Line(1, 0, 1, "lion drinking"), Line(2, 1, 2, "a lion drinkin in xyzzy"),
             Line(3, 2, 3, "♪"), Line(4, 3, 4, "")]  # fmt: skip
    reader = Vocabulary(["lion", "drinking"])
    with pytest.raises(UsageError) as caught:
        check_words(lines, reader, COGVIDEO)
    told = caught.value.message
    assert "line 2: the model does not know 'drinkin', 'xyzzy'" in told
    assert "line 3: the model knows nothing in '♪'" in told
    assert "line 4: cogvideo needs a prompt" in told
    assert "line 1" not in told
    assert caught.value.hint == "nearest: drinking"
    with pytest.raises(UsageError, match="; and 3 more lines"):
        check_words(8 * [lines[2]], reader, COGVIDEO)
    check_words(lines[:1], reader, COGVIDEO)
    check_words(lines[:3], None, COGVIDEO)


def test_a_model_that_makes_no_films():
    for name in ("stylegan-v", "recognizer"):
        with pytest.raises(UsageError, match="makes no films"):
            planned(MODELS[name], load(MODELS[name]).Config(), script((0, 1)), "torch", True)


def test_a_pipeline_makes_films_of_its_own_clips():
    """81 frames at 16 a second; none goes on from a picture, so another seed follows."""
    config = pipelines.Config("WanPipeline", frames=81, fps=16.0, size=(480, 832))
    made = planned(guest.ABOUT, config, script((0, 2), (2, 12), size=(64, 96)), "torch", True)
    assert [len(shot.takes) for shot in made.shots] == [1, 2]
    assert {take.frames for take in made.takes} == {81}
    assert {take.request.size for take in made.takes} == {(64, 96)}
    assert not any(take.follows for take in made.takes)
    assert len({take.request.seed for take in made.takes}) == 3
    with pytest.raises(UsageError, match="multiples of 16 pixels"):
        planned(guest.ABOUT, config, script((0, 2), size=(64, 90)), "torch", True)


def test_what_the_model_refuses_is_told_before_anything_is_made(studio, crew):
    with pytest.raises(UsageError, match="cogvideo has no magic"):
        studio(script((0, 1), settings={"magic": 1}))
    assert not crew.asked


TWO = script((0, 1), (1, 6))


def test_stopped_and_started_again_it_ends_the_same(studio, crew, tmp_path):
    whole = make_film(studio(TWO), tmp_path / "film.mp4", 0)
    assert (whole.clips, whole.made, whole.frames) == (3, 3, 48)
    expected = sha256_file(whole.path)
    assert list(tmp_path.iterdir()) == [whole.path]
    crew.asked.clear()
    crew.stop_before = 2
    with pytest.raises(Interrupted, match=r"2 of 3 clips are kept in .*parts"):
        make_film(studio(TWO), tmp_path / "film.mp4", 0, overwrite=True)
    assert sha256_file(whole.path) == expected  # the one before is untouched
    crew.stop_before = None
    again = make_film(studio(TWO), tmp_path / "film.mp4", 0, overwrite=True)
    assert len(crew.asked) == 3
    assert again.made == 1
    assert sha256_file(again.path) == expected
    assert list(tmp_path.iterdir()) == [whole.path]


def test_a_changed_story_keeps_the_lines_that_stayed(studio, crew):
    studio(TWO).shoot()
    crew.asked.clear()
    later = script((0, 1.5), (2, 7), (7, 8))
    studio(replace(later, lines=[replace(later.lines[0], text="lion"), *later.lines[1:]])).shoot()
    assert [request.seed for request in crew.asked] == [line_seed(0, 1), line_seed(0, 3)]


@pytest.mark.parametrize(
    "change",
    [{"sha256": "b" * 64}, {"engine": "onnx"}, {"device": "cuda"}, {"settings": {"clusters": 8}}],
    ids=str,
)
def test_whatever_decides_a_clip_is_in_its_name(crew, tmp_path, change):
    def keys(sha256="a" * 64, engine="torch", device="cpu", **asked) -> list[str]:
        runs: Any = SimpleNamespace(name=engine, device=device)
        loaded = replace(LOADED, sha256=sha256)
        return Studio(loaded, replace(TWO, **asked), tmp_path, runs).keys

    assert len(set(keys())) == 3
    assert keys() == keys()
    assert set(keys()).isdisjoint(keys(**change))


def test_damaged_clips_are_made_anew_and_other_files_stay(studio, crew, tmp_path):
    made = studio(TWO)
    made.shoot()
    folder = tmp_path / "parts"
    (folder / f"{made.keys[0]}.npy").write_bytes(b"\x93NUMPY damaged")
    clip = (folder / f"{made.keys[1]}.npy").read_bytes()
    (folder / f"{made.keys[1]}.npy").write_bytes(clip[:-1])
    (folder / "mine.txt").write_text("mine")
    assert made.missing() == 2
    make_film(studio(TWO), tmp_path / "film.mp4", 0)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_the_receipt_lists_every_line(studio, tmp_path):
    song = tmp_path / "song.wav"
    song.write_bytes(b"any")
    made = studio(replace(TWO, blend=0.25))
    receipt = film.receipt_of_film(made, 7, song)
    assert receipt["weights_sha256"] == "a" * 64
    assert (receipt["seed"], receipt["model"], receipt["settings"]) == (7, "cogvideo", {"fps": 8.0})
    told = receipt["film"]
    assert told["sound"] == {"name": "song.wav", "sha256": sha256_file(song)}
    assert told["lines"][1] == {"number": 2, "start_ms": 1000, "end_ms": 6000,
                                "seed": line_seed(0, 2), "prompt": "lion drinking"}  # fmt: skip
    path = write_stream(Stream(iter([np.zeros((48, 4, 4, 3), np.uint8)]), 8, (4, 4), 48),
                        tmp_path / "film.mp4", receipt)  # fmt: skip
    assert read_receipt(path) == receipt
    found = receipt_of(path)
    assert isinstance(found.film, Filmed)
    again = script_of(found.film, Request(fps=8.0), path)
    assert again == replace(TWO, blend=0.25, fps=8.0)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_receipt_of_thousands_of_lines(studio, tmp_path, suffix):
    """Russian takes six letters a letter."""
    times = [(n / 2, (n + 1) / 2) for n in range(MOST_LINES)]
    receipt = film.receipt_of_film(studio(script(*times)), 0, None)
    for line in receipt["film"]["lines"]:
        line["prompt"] = "лев пьёт воду из стакана на траве"
    assert len(json.dumps(receipt)) < MOST_LETTERS
    frames = Stream(iter([np.zeros((2, 4, 4, 3), np.uint8)]), 8, (4, 4), 2)
    path = write_stream(frames, tmp_path / f"film{suffix}", receipt, 1)
    assert len(list(frames_of(path))) == 2
    found = receipt_of(path).film
    assert found is not None
    assert len(found.lines) == MOST_LINES


def test_a_script_that_no_receipt_holds(studio, crew, tmp_path, monkeypatch):
    monkeypatch.setattr(film, "MOST_LETTERS", 500)
    with pytest.raises(UsageError, match="more letters than a film's receipt"):
        make_film(studio(TWO), tmp_path / "film.mp4", 0)
    assert not crew.asked


def test_seeds_follow_from_the_film_s_and_the_line_s_number():
    seeds = {line_seed(seed, number) for seed in range(20) for number in range(1, 50)}
    assert len(seeds) == 20 * 49
    assert all(0 <= seed < 2**31 for seed in seeds)
