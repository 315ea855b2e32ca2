"""Pipelines of diffusers in folders: other people's text-to-video models, made accountable."""
