"""Which of the places that a listing or an archive names are read."""

import os
import stat
from os.path import isabs, normpath
from pathlib import PurePath

from ..errors import UsageError


def leads_out(name: str) -> bool:
    """Whether a name that is meant within a folder leads out of it."""
    return isabs(name) or ".." in PurePath(normpath(name)).parts[:1]


def regular(status: os.stat_result, what: str) -> os.stat_result:
    """The status. UsageError for a folder, and for a pipe or a device: reading one may never
    end."""
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{what} is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{what} is a device or a pipe, not a file")
    return status
