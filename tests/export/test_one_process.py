"""A program that samples on ONNX Runtime and then exports: one pool of threads serves both."""

import os
import subprocess
import sys

PROGRAM = """
import sys
from dln.core.models.package import load_model
from dln.export.engines import _shared_pool
from dln.export.open import open_engine

loaded = load_model(sys.argv[1])
for precision in ("fp32", "int8"):
    engine = open_engine("onnx", loaded, "cpu", precision, lambda text: None)
    print(engine.name, len(_shared_pool))
"""


def test_int8_is_exported_after_something_was_sampled(toy_weights, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(toy_weights("toy-gan"))],
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.stdout.split() == ["onnx", "1", "onnx-int8", "1"], ended.stderr
