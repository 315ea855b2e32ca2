"""The residual network in the arrangement that everybody trains: the stride of a bottleneck lies in
its 3x3 convolution, the last batch norm of a block begins at zero (Goyal et al. 2017)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .config import Config

EXPANSION = 4


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1, beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * EXPANSION if bottleneck else width
        shapes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        if not bottleneck:
            shapes = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        self.convolutions = nn.ModuleList(conv(*shape) for shape in shapes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(shape[1]) for shape in shapes)
        last = self.norms[-1]
        assert isinstance(last, nn.BatchNorm2d)
        nn.init.zeros_(last.weight)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(conv(inputs, outputs, 1, stride))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        made = x
        pairs = list(zip(self.convolutions, self.norms, strict=True))
        for number, (convolution, norm) in enumerate(pairs, 1):
            made = norm(convolution(made))
            if number < len(pairs):
                made = F.relu(made)
        return F.relu(made + self.shortcut(x))


def conv(inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class Network(nn.Module):
    """Images to logits."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, large = config.width, config.stem == "imagenet"
        stem: list[nn.Module] = [conv(3, width, 7 if large else 3, 2 if large else 1)]
        stem += [nn.BatchNorm2d(width), nn.ReLU()]
        if large:
            stem.append(nn.MaxPool2d(3, 2, 1))
        self.stem = nn.Sequential(*stem)
        self.stages = nn.Sequential()
        inputs = width
        for number, count in enumerate(config.blocks):
            inner = width * 2**number
            for place in range(count):
                stride = 2 if number and not place else 1
                self.stages.append(Block(inputs, inner, stride, config.bottleneck))
                inputs = inner * EXPANSION if config.bottleneck else inner
        self.head = nn.Linear(inputs, config.classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, classes)."""
        return self.head(self.stages(self.stem(images)).mean(dim=(2, 3)))
