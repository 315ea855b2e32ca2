"""What the toy of classes is, told without loading it."""

from dln.core.models.about import About

ABOUT = About(
    name="toy-classes",
    title="Toy of classes: a colour for each",
    task="class-to-video",
    presets=("tiny",),
    takes=("class",),
    gives="clip",
)
