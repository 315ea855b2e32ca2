"""Attention as transformers over tokens train it, and as their cached steps compute it."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

Pair = tuple[Tensor, Tensor]  # keys and values


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """q: (B, H, Q, D), k, v: (B, H, K, D), bias: like (B, H, Q, K) -> (B, Q, H * D)."""
    if torch.is_grad_enabled() and q.device.type == "cpu":
        # The fused kernel's backward is up to four times slower on a CPU than the plain products.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias.to(q.dtype)
        out = scores.softmax(-1).to(v.dtype) @ v
    else:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
    return rearrange(out, "b h q d -> b q (h d)")


def attend_cached(q: Tensor, past: Pair, new: Pair, mask: Tensor) -> Tensor:
    """Attention over cached and new keys without joining them: (1, B, H, Q, D) -> (B Q, H D).

    past: (B, H, P, D), new: like q; mask: like (B, H, Q, P + Q). q is scaled.
    """
    scores = torch.cat([q @ past[0].transpose(-1, -2), q @ new[0].transpose(-1, -2)], dim=-1)
    weights = (scores + mask).softmax(-1, dtype=torch.float32).to(scores.dtype)
    cached, own = weights.split([past[0].shape[2], q.shape[-2]], dim=-1)
    out = cached @ past[1] + own @ new[1]
    return out.transpose(-2, -3).reshape(-1, out.shape[2] * out.shape[4])


def fixed_linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear map with these weights (out, in) and bias, which do not learn."""
    # On the meta device first: initial weights would only be drawn to be overwritten.
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight = nn.Parameter(weight.detach(), requires_grad=False)
    linear.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return linear
