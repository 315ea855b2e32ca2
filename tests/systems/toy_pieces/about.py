"""What the toy of pieces is, told without loading it."""

from dln.core.models.about import About

ABOUT = About(
    name="toy-pieces",
    title="Toy of pieces: a picture patch after patch",
    task="unconditional-picture",
    presets=("tiny",),
    gives="picture",
)
