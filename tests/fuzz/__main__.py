"""python -m tests.fuzz: see long.py."""

from .long import main

if __name__ == "__main__":
    raise SystemExit(main())
