"""The manual's pages, which lie in guide/, a subject each."""

from collections.abc import Mapping
from importlib.resources import files


def read_pages() -> Mapping[str, str]:
    """The pages' texts by their subjects, in the order of the alphabet."""
    found = sorted((files("dln.cli") / "guide").iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".md"): file.read_text(encoding="utf-8")
        for file in found
        if file.name.endswith(".md")
    }


def title_of(text: str) -> str:
    """A page's first line, without its mark."""
    return text.partition("\n")[0].lstrip("# ")
