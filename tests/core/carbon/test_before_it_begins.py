"""An audit before its command runs: a signal that comes while the meter gets ready."""

import os
import signal
import sys
from pathlib import Path

import pytest

from dln.core.carbon.meter import audit as module
from dln.core.carbon.meter.audit import audit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_begun_then(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int):
    closed: list[bool] = []

    class Interrupted:
        def __init__(self, *_: object) -> None:
            os.kill(os.getpid(), number)

        def close(self) -> None:
            closed.append(True)

    def recorder(*_: object) -> None:
        raise AssertionError("a record of nothing")

    monkeypatch.setattr(module, "Meter", Interrupted)
    ran = tmp_path / "ran"
    assert audit(["touch", str(ran)], recorder) == 128 + number  # pyright: ignore
    assert closed == [True]
    assert not ran.exists()
