"""ResNet: deep residual learning for image recognition (He et al. 2016, 1512.03385)."""
