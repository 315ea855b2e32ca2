"""Pictures as a model takes them."""

import numpy as np

from ..errors import UsageError


def picture(path: str, size: int) -> np.ndarray:
    """A picture's file as RGB uint8 (size, size, 3): its middle square. UsageError where it
    cannot be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as found:
            square = ImageOps.fit(found.convert("RGB"), (size, size), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "it is no picture that can be read"
        raise UsageError(f"cannot read the picture {path}: {reason}") from error
    return np.array(square)
