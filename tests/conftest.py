"""What all tests share."""

import os
from pathlib import Path

# They compute little: a second thread costs them more than it does, most of all on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Small systems of their own, each one folder: the contract holds for them as for those that ship.
os.environ["DLN_MODELS"] = str(Path(__file__).parent / "systems")
