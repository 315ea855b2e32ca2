"""What all tests share."""

import os

# They compute little: a second thread costs them more than it does, most of all on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
