"""A checksum of everything that a report says."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

SEAL = "sha256"


def sealed(table: dict[str, Any]) -> dict[str, Any]:
    """With the checksum of everything else in it."""
    return table | {SEAL: checksum(table)}


def checksum(table: dict[str, Any]) -> str:
    """SHA-256 of the table without its seal, as JSON in ASCII with sorted keys and no spaces."""
    rest = {key: value for key, value in table.items() if key != SEAL}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()
