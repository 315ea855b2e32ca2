"""Video Diffusion Models: a cascade of factorised space-time U-Nets (2204.03458)."""
