"""Pages of a gallery, read as strictly as XML, and a folder of everything for them to show."""

import base64
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from dln.core.media.clip import Clip
from dln.core.media.receipt import make_receipt
from dln.core.media.video import write_clip

VOID = ("meta", "link", "img", "input", "source", "br", "circle", "path", "polyline")
ADDRESSES = ("src", "href", "srcset", "poster", "action", "data", "xlink:href")
HOSTILE = '"><script>alert(1)</script><img src=https://example.org/x onerror=alert(1)>'
NAMED = "'x' onerror=alert(1) <b>.mp4"
FRAMES = (np.arange(5 * 16 * 16 * 3).reshape(5, 16, 16, 3) % 251).astype(np.uint8)
CLIP = Clip(FRAMES, 8.0)


class Page(HTMLParser):
    """What stands in it. Whatever is opened is closed, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.words = ""
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), attrs
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data
        if not {"style", "script"} & set(self.open):
            self.words += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def addresses(self) -> list[str]:
        """All that a browser might ask for."""
        return [told[name] for _, told in self.tags for name in ADDRESSES if name in told]

    def held(self, kind: str) -> list[bytes]:
        """The files of that media type that lie in it."""
        begin = f"data:{kind};base64,"
        return [base64.b64decode(each[len(begin) :], validate=True)
                for each in self.addresses() if each.startswith(begin)]  # fmt: skip


def receipt(prompt: str | None = "lion drinking", **changes: Any) -> dict[str, Any]:
    told = {"prompt": prompt, "seed": 7, "model": "cogvideo", "weights_sha256": "a" * 64,
            "engine": "torch", "settings": {"frames": 5, "guidance": 2.5}}  # fmt: skip
    return make_receipt(**{**told, **changes})


def filled(folder: Path) -> Path:
    """All four kinds, somebody's video, damaged files, hostile words."""
    folder.mkdir()
    for number, suffix in enumerate((".mp4", ".webm", ".gif", ".png")):
        told = receipt(f"лев №{number}", model=("cogvideo", "runs/mine")[number % 2])
        write_clip(CLIP, folder / f"{number}{suffix}", told, scale=1)
    write_clip(CLIP, folder / NAMED, scale=1)
    write_clip(CLIP, folder / "hostile.mp4", receipt(HOSTILE, model=HOSTILE), scale=1)
    whole = (folder / "0.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.gif").touch()
    (folder / "words.png").write_text("no picture")
    (folder / ".hidden.mp4").write_bytes(whole)
    (folder / "other.txt").write_text("no clip")
    return folder


def page_of(dln, *args: str) -> tuple[dict[str, Any], Page]:
    told = dln("gallery", *args, "--json", "--force").json
    return told, Page(Path(told["path"]))
