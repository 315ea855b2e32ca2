"""Each generator beside what one would take instead, on the same machine, in turn."""
