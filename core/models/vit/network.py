"""The vision transformer: pre-norm blocks over patches and a class token, learned positions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import Config


class Block(nn.Module):
    """Self-attention, then an MLP, each on normalised input and added to it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.before_mlp = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, tokens, width) -> same."""
        batch, tokens, width = x.shape
        joined = self.qkv(self.before_attention(x)).view(batch, tokens, 3, self.heads, -1)
        query, key, value = joined.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.project(seen.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.mlp(self.before_mlp(x))


class Network(nn.Module):
    """Images to logits, read from the class token."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, tokens = config.width, (config.image_size // config.patch) ** 2
        self.patches = nn.Conv2d(3, width, config.patch, config.patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, tokens + 1, width))
        self.blocks = nn.Sequential(*(Block(width, config.heads) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, config.classes)
        for parameter in (self.class_token, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, classes)."""
        patches = self.patches(images).flatten(2).transpose(1, 2)
        first = self.class_token.expand(patches.shape[0], -1, -1)
        x = torch.cat([first, patches], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])
