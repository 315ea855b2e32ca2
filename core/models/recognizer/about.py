"""What the recognizer is, told without loading it."""

from ..about import About

ABOUT = About(
    name="recognizer",
    title="Recognizer: who does what, where, in a clip; where and when a landscape is",
    task="recognition",
    presets=("tiny", "props"),
    stages=("recognizer",),
    bundled="recognizer-tiny.safetensors",
    further={
        "recognizer-vistas": "dln train recognizer --data vistas",
        "recognizer-props": "dln train recognizer --preset props",
    },
)
