"""What ResNet is, told without loading it."""

from ..about import About

ABOUT = About(
    name="resnet",
    title="ResNet: residual networks for images",
    task="image-classification",
    paper="arXiv:1512.03385",
    presets=("mini", "resnet18", "resnet50"),
    default_preset="mini",
    stages=("classifier",),
)
