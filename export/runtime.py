"""Is there an ONNX Runtime, and only one? Nothing here imports torch."""

from importlib import metadata
from typing import Any

from dln.core.errors import MissingCapability

_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")


def require_onnxruntime() -> Any:
    """The module onnxruntime. MissingCapability where it is missing, broken or there twice."""
    here = [name for name in _RUNTIMES if _installed(name)]
    repair = f"pip uninstall -y {' '.join(here)} && pip install {here[-1] if here else ''}"
    if len(here) > 1:
        raise MissingCapability(
            f"{' and '.join(here)} are both installed and overwrite each other", hint=repair
        )
    try:
        import onnxruntime

        onnxruntime.InferenceSession  # noqa: B018
    except (ImportError, AttributeError) as error:
        missing = "pip install onnxruntime" if not here else repair
        raise MissingCapability(f"onnxruntime does not load: {error}", hint=missing) from error
    return onnxruntime


def _installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False
