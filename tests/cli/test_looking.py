"""How far the first look at somebody's videos is, is told before a training begins."""

import csv
import tarfile
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.live import Live

from dln.cli import watch
from dln.cli.show import screen
from dln.core.data import open_source
from dln.core.errors import Interrupted
from dln.core.media.clip import Clip
from dln.core.media.video import write_clip
from dln.core.runs import train as runs
from dln.core.training.events import Event, Looked
from dln.core.training.options import TrainOptions


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Three clips with captions, which nobody has looked at yet."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in "abc":
        write_clip(Clip(np.full((8, 16, 16, 3), 99, np.uint8), 8.0), folder / f"{name}.mp4")
    with open(folder / "metadata.csv", "w", newline="") as file:
        rows = [(f"{name}.mp4", "a lion drinks") for name in "abc"]
        csv.writer(file).writerows([("file_name", "text"), *rows])
    return folder


def test_a_look_is_told_file_by_file_and_once(videos: Path):
    told: list[tuple[int, int, str]] = []
    for _ in range(2):
        open_source(str(videos), on_progress=lambda *each: told.append(each))
    assert told == [(1, 3, "files"), (2, 3, "files"), (3, 3, "files")]


@pytest.mark.parametrize(
    ("tars", "steps"),
    [(1, [(1, 3, "files"), (2, 3, "files"), (3, 3, "files")]),
     (2, [(1, 2, "tars"), (2, 2, "tars")])],
)  # fmt: skip
def test_one_tar_is_told_file_by_file_and_several_tar_by_tar(videos: Path, tars, steps):
    pytest.importorskip("webdataset")
    for number in range(tars):
        with tarfile.open(videos / f"{number}.tar", "w") as tar:
            for name in "abc":
                (videos / "caption").write_text("a lion")
                tar.add(videos / f"{name}.mp4", f"{name}.mp4")
                tar.add(videos / "caption", f"{name}.txt")
    told: list[tuple[int, int, str]] = []
    spec = "::".join(str(videos / f"{number}.tar") for number in range(tars))
    open_source(spec, on_progress=lambda *each: told.append(each))
    assert told == steps


def test_a_training_passes_it_on_before_its_folder_is_touched(videos: Path, tmp_path: Path):
    heard: list[Event] = []

    def hear(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Looked) and event.done == 2:
            raise KeyboardInterrupt

    run = tmp_path / "run"
    run.mkdir()
    (run / "emissions.json").write_text("somebody's own")
    options = TrainOptions(data=str(videos), out=run, device="cpu", precision="fp32")
    with pytest.raises(Interrupted, match="before it began") as stopped:
        runs.train("video-diffusion", options, hear)
    assert heard == [Looked(1, 3, "files"), Looked(2, 3, "files")]
    assert "--resume" not in (stopped.value.hint or "")
    assert [path.name for path in run.iterdir()] == ["emissions.json"]
    heard.clear()
    with pytest.raises(Interrupted):
        runs.train("video-diffusion", options, hear)
    assert heard[0] == Looked(1, 2, "files")  # one is known by now


def test_lines_come_now_and_then_where_nobody_watches(monkeypatch, capsys):
    seen = watch.Watch()
    monkeypatch.setattr(seen, "due", iter([False, True, False]).__next__)
    monkeypatch.setattr(screen, "quiet", False)
    monkeypatch.setattr(screen, "json", False)
    for done in (1, 2, 3):
        seen(Looked(done, 3, "files"))
    assert capsys.readouterr().err == "looking at files 2/3\n"


def test_a_terminal_shows_it_for_as_long_as_it_lasts():
    console = Console(file=StringIO(), force_terminal=True, width=80)

    def shown(live: Live) -> str:
        with console.capture() as drawn:
            console.print(live.get_renderable())
        return drawn.get()

    with Live(console=console, auto_refresh=False) as live:
        seen = watch.Watch(live)
        seen(Looked(1, 3, "files"))
        assert "looking at files" in shown(live)
        assert "1/3" in shown(live)
        seen(Looked(3, 3, "files"))
        assert not shown(live).strip()
