"""Iterative super-resolution: fine codes again, a part of them at a time, from those around them.

CogView2's third part, "local parallel autoregression" (2204.14217, section 3.3): a transformer of
its own sees the text and, near each token, the codes that are kept; the others are
<start_of_image>. In six rounds fewer and fewer are drawn again.
"""

import torch
from torch import Tensor, nn

from ..layers.backbone import Backbone, initialise
from .config import Config
from .direct import repeated
from .local import HIDDEN, Tiles, attend_parts, gathered, tiles


class IterativeSR(nn.Module):
    """The transformer of iterative super-resolution."""

    def __init__(self, config: Config, words: int) -> None:
        super().__init__()
        self.config = config.refiner
        self.backbone = Backbone(self.config, words)
        self.positions = nn.Embedding(config.fine_length, self.config.width)
        initialise(self.positions)

    @torch.no_grad()
    def start_from(self, backbone: Backbone) -> None:
        """Begin as the backbone, where the sizes are the same."""
        own, theirs = (net.state_dict() for net in (self.backbone, backbone))
        if {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in theirs.items()}:
            self.backbone.load_state_dict(theirs)
            self.positions.weight.copy_(repeated(backbone, self.config))

    def forward(
        self, text: Tensor, seen: Tensor, codes: Tensor, near: Tiles | None = None
    ) -> Tensor:
        """text, seen: (B, S), codes: (B, M), <start_of_image> where they are asked for -> scores
        (B, M, codes), row after row."""
        config, backbone = self.config, self.backbone
        near = near or tiles(config.grid, config.kernel, config.cross, codes.device)
        texts = text.shape[1]
        fine = (backbone.tokens(codes) + self.positions.weight).index_select(1, near.order)
        x = torch.cat([backbone.read(text, seen), fine], dim=1)
        padding = (1 - seen).to(torch.float32)[:, None, None] * HIDDEN
        for layer in backbone.blocks:
            q, k, v = layer.attention.heads(layer.norm1(x), config.heads)
            (qt, qf), (kt, kf), (vt, vf) = (
                t.split([texts, config.fine_length], dim=2) for t in (q, k, v)
            )
            scores = (qt * qt.shape[-1] ** -0.5) @ kt.transpose(-1, -2) + padding.to(q.dtype)
            weights = scores.softmax(-1, dtype=torch.float32).to(q.dtype)
            read = (weights @ vt).transpose(1, 2).flatten(2)
            said = kt[:, :, None], vt[:, :, None], padding[:, None]
            beside = gathered(kf, near.fine), gathered(vf, near.fine), near.fine.bias
            attended = torch.cat([read, attend_parts(qf, [said, beside])], dim=1)
            x = layer.finish(x, layer.attention.dense(attended))
        return backbone.logits(x[:, texts:].index_select(1, near.inverse))
