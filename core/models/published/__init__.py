"""Checkpoints as others publish them, read without running anything that they name."""
