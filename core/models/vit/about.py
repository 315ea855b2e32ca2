"""What ViT is, told without loading it."""

from ..about import About

ABOUT = About(
    name="vit",
    title="ViT: transformers for images",
    task="image-classification",
    paper="arXiv:2010.11929",
    presets=("mini", "tiny", "small"),
    default_preset="mini",
    stages=("classifier",),
)
