"""The page on Python: each of its examples runs, one after the other in one folder."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dln.core import Clip, MissingCapability, UsageError, generate, train
from dln.core.media.decode import read_all

PAGE = Path(__file__).parents[2] / "cli" / "guide" / "api.md"
EXAMPLES = re.findall(
    r"^## (\d+\. .+?)\n.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S | re.M
)
NEEDS = {"digits": "sklearn"}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the examples before have defined."""
    return {}


@pytest.fixture(autouse=True)
def in_it(workplace: Path, monkeypatch: pytest.MonkeyPatch, plain_terminal: None) -> None:
    monkeypatch.chdir(workplace)


def test_there_are_ten() -> None:
    assert len(EXAMPLES) == 10


@pytest.mark.parametrize(("title", "code"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_an_example_runs(title: str, code: str, names: dict[str, Any]) -> None:
    for word, package in NEEDS.items():
        if word in code:
            pytest.importorskip(package)
    exec(compile(code, f"{PAGE.name}, {title}", "exec"), names)


def test_what_the_examples_left(names: dict[str, Any], workplace: Path) -> None:
    if "losses" not in names:
        pytest.skip("the training needs scikit-learn")
    assert any(isinstance(loss, float) for loss in names["losses"])
    assert (workplace / "runs" / "digits" / "model.safetensors").is_file()
    assert read_all(workplace / "penguin.mp4", None)[0].shape[0] == 8
    assert names["same"].fps == 4
    assert names["same"].frames.shape == (8, 128, 128, 3)


class Figure(HTMLParser):
    """The tags of what a notebook is given, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: dict[str, dict[str, str | None]] = {}
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.words += data

    def data(self, tag: str, kind: str) -> bytes:
        source = self.tags[tag]["src"] or ""
        assert source.startswith(f"data:{kind};base64,")
        return base64.b64decode(source.partition(",")[2], validate=True)


def noise(frames: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, side, side, 3), np.uint8)


def grey(frames: int, side: int) -> np.ndarray:
    steps = np.linspace(40, 200, frames).astype(np.uint8)
    return np.broadcast_to(steps[:, None, None, None], (frames, side, side, 3)).copy()


def test_a_cell_shows_a_clip(tmp_path: Path) -> None:
    """The mp4 in the page holds the clip's frames; strangers' words are no markup."""
    clip = Clip(grey(5, 32), 8.0, {"prompt": "<b>lion</b>", "seed": 3})
    figure = Figure(clip._repr_html_())
    assert {"autoplay", "loop", "muted", "controls"} <= set(figure.tags["video"])
    (tmp_path / "shown.mp4").write_bytes(figure.data("video", "video/mp4"))
    frames, rate = read_all(tmp_path / "shown.mp4", None)
    assert rate == 8
    means = [np.mean(clip.frames, (1, 2, 3)), np.mean(frames, (1, 2, 3))]
    np.testing.assert_allclose(*means, atol=3)
    assert "b" not in figure.tags
    assert figure.words == "<b>lion</b>, seed 3, 5 frames of 32x32 pixels, 8 a second"


CELL = """
import numpy as np
from dln.core import Clip
Clip(np.zeros((3, 16, 16, 3), np.uint8), 8.0)
"""


def test_a_notebook_shows_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter's own kernel runs the cell, where it is installed."""
    nbclient: Any = pytest.importorskip("nbclient")
    nbformat: Any = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    (shown,) = book.cells[0].outputs
    assert shown.data["text/plain"] == "Clip(3 frames of 16x16 pixels, 8 a second)"
    (tmp_path / "shown.mp4").write_bytes(Figure(shown.data["text/html"]).data("video", "video/mp4"))
    assert len(read_all(tmp_path / "shown.mp4", None)[0]) == 3


def test_a_cell_shows_a_picture() -> None:
    from io import BytesIO

    from PIL import Image

    clip = Clip(noise(1, 6), 1.0)
    figure = Figure(clip._repr_html_())
    with Image.open(BytesIO(figure.data("img", "image/png"))) as shown:
        np.testing.assert_array_equal(np.asarray(shown), clip.frames[0])


def test_what_no_video_can_hold_is_told_in_words() -> None:
    figure = Figure(Clip(grey(2, 4), 50_000.0)._repr_html_())
    assert figure.tags.keys() == {"figure", "figcaption"}
    assert figure.words.startswith("2 frames of 4x4 pixels, 50000 a second, ")


def test_of_a_long_clip_a_page_holds_the_beginning(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("dln.core.api.MOST_INLINE", 20_000)
    clip = Clip(noise(6, 16), 8.0)
    whole = clip.save(tmp_path / "whole.mp4").stat().st_size
    assert whole > 20_000
    figure = Figure(clip._repr_html_())
    (tmp_path / "shown.mp4").write_bytes(figure.data("video", "video/mp4"))
    count = len(read_all(tmp_path / "shown.mp4", None)[0])
    assert 2 <= count < 6
    assert f"the first {count} are shown" in figure.words


@pytest.mark.parametrize("ending", ["mp4", "webm", "gif", "png"])
def test_save_keeps_the_receipt_and_overwrites_nothing(tmp_path: Path, ending: str) -> None:
    receipt = {"schema": "dln-receipt-1", "prompt": "lion", "seed": 1}
    path = tmp_path / f"a.{ending}"
    Clip(grey(2, 16), 8.0, receipt).save(path, scale=1)
    found = Clip.open(path)
    assert found.receipt == receipt
    assert found.frames.shape == (2, 16, 16, 3)
    with pytest.raises(UsageError, match="exists already"):
        found.save(path)
    assert found.save(path, force=True) == path


def test_clips_are_equal_by_their_frames() -> None:
    assert Clip(grey(2, 4), 8.0, {"seed": 1}) == Clip(grey(2, 4), 8.0)
    assert Clip(grey(2, 4), 8.0) != Clip(grey(2, 4), 4.0)
    assert Clip(grey(2, 4), 8.0) != Clip(grey(3, 4), 8.0)
    assert "2 frames of 4x4 pixels" in repr(Clip(grey(2, 4), 8.0))


def test_mistakes() -> None:
    with pytest.raises(UsageError, match="resnet makes no clips"):
        generate(model="resnet")
    with pytest.raises(MissingCapability, match="without weights"):
        generate(model="toy-gan")
    with pytest.raises(UsageError, match=r"no option 'stesp'\. Did you mean 'steps'"):
        train("resnet", stesp=2)


LIGHT = """
import sys
import dln.core
assert dln.core.__version__
from dln.core import Clip, DlnError
assert {"generate", "train", "load"} <= set(dir(dln.core))
assert not hasattr(dln.core, "nothing")
print([name for name in ("torch", "av", "pydantic", "PIL", "typer") if name in sys.modules])
"""


def test_the_import_is_light() -> None:
    ran = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert ran.stdout == "[]\n", ran.stderr
