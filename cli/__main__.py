"""`python -m dln.cli` is the console script `dln`."""

import sys

from .main import run

sys.exit(run())
