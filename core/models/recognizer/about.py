"""What the recognizer is, told without loading it."""

from ..about import About

ABOUT = About(
    name="recognizer",
    title="Recognizer: who does what, where, in a clip",
    task="recognition",
    presets=("tiny",),
    bundled="recognizer-tiny.safetensors",
)
