"""Pipelines fetched from the hub, once, where the user asks for it; nothing else here reaches the
network."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...errors import DlnError, MissingCapability, UsageError, reason_of
from ...installed import install_line
from .config import KNOWN
from .folder import INDEX, index_of, parts, unknown
from .guest import ABOUT

NAMED = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
FILES = ("*.json", "*.safetensors", "*.txt", "*.model")  # of each part


def fetched(name: str) -> str:
    """ "diffusers:OWNER/NAME" -> "diffusers:FOLDER", of the hub's own cache, filled where it lacks
    any. A folder that is there stays as it is.

    UsageError for what is no name of the hub's, or no pipeline that is known here, of which no
    weights are fetched; DlnError where fetching fails.
    """
    guest, _, place = name.partition(":")
    if guest != ABOUT.name or os.path.isdir(place):
        return name
    if not NAMED.fullmatch(place):
        raise UsageError(f"{place!r} is neither a folder nor a name on the hub",
                         f"--model {ABOUT.name}:OWNER/NAME --download")  # fmt: skip
    try:
        from huggingface_hub import hf_hub_download, snapshot_download
    except ImportError as error:
        raise MissingCapability("fetching takes the package huggingface_hub",
                                install_line("diffusers")) from error  # fmt: skip
    try:
        index = index_of(Path(hf_hub_download(place, INDEX)).parent)
        if index["_class_name"] not in KNOWN:
            raise unknown(Path(place), index)
        wanted = [f"{part}/{kind}" for part in parts(index) for kind in FILES]
        return f"{guest}:{snapshot_download(place, allow_patterns=[INDEX, *wanted])}"
    except DlnError:
        raise
    except Exception as error:  # whatever the hub answers
        raise DlnError(f"{place} cannot be fetched: {reason_of(error)}",
                       "its files in a folder: --model diffusers:FOLDER") from error  # fmt: skip
