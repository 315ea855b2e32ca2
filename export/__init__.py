"""Graphs to files to engines.

ONNX Runtime looks up its vendor's host and leaves an id of the device under ~/.cache as soon as it
is imported, unless the environment says no before; its own call that turns telemetry off comes too
late. What imports it is in this package, so the word is said here. Who has set the variable, be it
to 0, has been asked, and keeps what was chosen.
"""

import os

if not os.environ.get("ORT_DISABLE_TELEMETRY"):
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
