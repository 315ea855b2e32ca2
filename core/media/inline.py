"""Files within a page, which then asks nobody for anything."""

from __future__ import annotations

from base64 import b64encode


def data_uri(kind: str, data: bytes) -> str:
    """kind: its media type, "video/mp4" -> what stands in the place of an address."""
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"
