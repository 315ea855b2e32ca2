"""Resumes what was stopped when the process that stopped it is gone, however it went.

Run as a script of its own: each line of stdin is the list of the processes now stopped, as
"pid:born" words; at the end of stdin those of the last line go on.
"""

import sys
from contextlib import suppress

import psutil


def resume(words: list[str]) -> None:
    """Let each go on, unless another process has its number by now."""
    for word in words:
        pid, _, born = word.partition(":")
        with suppress(psutil.Error, ValueError):
            process = psutil.Process(int(pid))
            if process.create_time() == float(born):
                process.resume()


def main() -> None:
    stopped: list[str] = []
    for line in sys.stdin:
        stopped = line.split()
    resume(stopped)


if __name__ == "__main__":
    main()
