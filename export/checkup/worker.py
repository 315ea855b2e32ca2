"""The process of one check: python -m dln.export.checkup.worker.

Reads one request as JSON on stdin (apart.ask writes it) and answers with one Outcome as JSON on
stdout; all that libraries print goes to stderr.
"""

import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from ..answering import end_after, end_with, own_stdout
from .outcome import Found, Job, judged

GRACE_S = 10


def main() -> None:
    """Answer the one request of stdin."""
    answer = own_stdout()
    asked = json.load(sys.stdin)
    end_with(asked["parent"])
    end_after(asked["limit_s"] + GRACE_S)
    job = Job(Path(asked["folder"]), asked["before"])
    found = judged(lambda: call(asked["task"], job, asked["given"]))
    with answer:
        json.dump(asdict(found), answer)


def call(task: str, job: Job, given: Mapping[str, Any]) -> Found:
    """ "file:function" of this room, imported here. The log gets tracebacks."""
    file, _, name = task.partition(":")
    try:
        return getattr(import_module(f".{file}", __package__), name)(job, **given)
    except Exception:
        traceback.print_exc()
        raise


if __name__ == "__main__":
    main()
