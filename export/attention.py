"""What TensorRT's fused kernels of Attention do not do: rules as of restrictions.

The builder refuses some of it only where the parser did not.
"""

from .sites import Complaint, Rule, Site, refusal

HEAD_CHANNELS = (16, 256)
_APART = "export with opset 20, where attention is MatMul and Softmax"


def _unfused(site: Site) -> bool:
    """Whether the builder writes it with other layers and needs no kernel: for one query, and for
    plain heads side by side in one dimension."""
    shape = site.shape(0)
    if not shape or len(shape) not in (3, 4):
        return False
    if shape[-2] == 1:
        return True
    plain = site.number("q_num_heads", 0) == site.number("kv_num_heads", 0)
    return len(shape) == 3 and plain and not site.given(3) and not site.number("is_causal", 0)


def _attention_type(site: Site) -> Complaint | None:
    if site.dtype(0) not in ("FLOAT", "DOUBLE") or _unfused(site):
        return None
    return refusal(
        "the fused kernels of Attention are for float16 and bfloat16",
        "export with opset 20, where attention is MatMul and Softmax, or with --precision fp16",
    )


def _attention_heads(site: Site) -> Complaint | None:
    channels = _head_channels(site)
    smallest, largest = HEAD_CHANNELS
    if channels is None or smallest <= channels <= largest or _unfused(site):
        return None
    return refusal(
        f"no kernel of Attention takes heads of {channels} channels, only {smallest} to {largest}",
        _APART,
    )


def _head_channels(site: Site) -> int | None:
    """Queries are (B, heads, Q, channels) or (B, Q, heads * channels)."""
    shape, heads = site.shape(0), site.number("q_num_heads", 0)
    if not shape or shape[-1] is None:
        return None
    if len(shape) == 4:
        return shape[-1]
    return shape[-1] // heads if heads else None


def _attention_past(site: Site) -> Complaint | None:
    if not (site.given(4) or site.given(5) or len(site.outputs()) > 1):
        return None
    return refusal(
        "Attention takes no past keys and values, and returns none",
        "join them with Concat before the node, or export with opset 20",
    )


def _attention_mask(site: Site) -> Complaint | None:
    kind = site.dtype(3)
    if kind is None:
        return None
    if site.number("is_causal", 0):
        return refusal("Attention is causal or masked, not both", "put both into the mask")
    if kind in ("INT8", "INT32", "INT64", "UINT8"):
        return refusal(f"Attention takes no mask of {kind}", "make it boolean")
    return None


def _attention_softmax(site: Site) -> Complaint | None:
    odd = [name for name in ("softcap", "softmax_precision") if site.attribute(name)]
    return refusal(f"Attention has no {odd[0]}", _APART) if odd else None


def _attention_values(site: Site) -> Complaint | None:
    """Heads of keys and of values are of one size."""
    keys, values = site.shape(1), site.shape(2)
    if not keys or not values or None in (keys[-1], values[-1]) or keys[-1] == values[-1]:
        return None
    return refusal("Attention's keys and values must be of one shape", _APART)


ATTENTION: tuple[Rule, ...] = (
    *(_attention_type, _attention_heads, _attention_past),
    *(_attention_mask, _attention_softmax, _attention_values),
)
