"""What libraries keep on disk, which dln's own cache has a place for, what they say, and how their
threads wait."""

import os
import warnings
from contextlib import suppress

from dln.core.cache import cache_folder

FOLDERS = {
    "MPLCONFIGDIR": "matplotlib",  # its list of fonts
    "TORCHINDUCTOR_CACHE_DIR": "inductor",  # what torch.compile made, else left in /tmp
    "TRITON_CACHE_DIR": "triton",
}


def keep_in_cache() -> None:
    """Each library is told to keep its files below dln's cache, unless the user has told it where.

    Nothing is made here. A user without a home leaves it to them.
    """
    with suppress(RuntimeError):
        for name, folder in FOLDERS.items():
            if not os.environ.get(name):
                os.environ[name] = str(cache_folder() / folder)


# How OpenMP's threads wait, in the words of OpenMP, of GNU's library and of Intel's.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def share_cores() -> None:
    """PyTorch's threads sleep while they wait for each other, unless the user has told them how to
    wait: one that spins may hold the very core that the other needs. Read when PyTorch is loaded.
    """
    if not any(os.environ.get(name) for name in WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def hush() -> None:
    """Pillow's remarks on files that it reads all the same are for who programs with it."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
