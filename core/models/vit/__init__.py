"""ViT: transformers for image recognition (Dosovitskiy et al. 2021, 2010.11929)."""
