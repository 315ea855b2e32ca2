"""The tokenizer's adversary: a discriminator of patches, and how much it counts (2012.09841)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.equalised import EqualisedConv2d
from ..layers.judge import JudgeBlock

CLAMP = 256.0
SHARE = 0.8  # of the adaptive weight, as published
MOST = 1e4  # that it may be


class PatchJudge(nn.Module):
    """Pictures to a logit for each 8 x 8 pixels and their surroundings."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            JudgeBlock(width, width, 2 * width, CLAMP, colours=3),
            JudgeBlock(2 * width, 2 * width, 4 * width, CLAMP),
            JudgeBlock(4 * width, 4 * width, 4 * width, CLAMP),
            EqualisedConv2d(4 * width, 1, 3, active=False),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures: (B, 3, H, W) in [0, 1], sides multiples of 8 -> (B, 1, H / 8, W / 8)."""
        return self.layers(2 * pictures - 1)


def telling(real: Tensor, fake: Tensor) -> Tensor:
    """Logits of real and of made pictures -> the discriminator's hinge loss."""
    return (F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()) / 2


def fooling(fake: Tensor) -> Tensor:
    """Logits of made pictures -> the tokenizer's adversarial loss."""
    return -fake.float().mean()


def adaptive_weight(
    likeness: Tensor, adversarial: Tensor, last: nn.Parameter, share: float = SHARE
) -> Tensor:
    """What the adversarial loss counts for, so that its gradient by the decoder's last weights is
    as large as that of the likeness (equation 7), and `share` of it. Scalars -> a scalar."""
    (wanted,) = torch.autograd.grad(likeness, last, retain_graph=True)
    (given,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    return share * (wanted.norm() / (given.norm() + 1e-4)).clamp(max=MOST).detach()
