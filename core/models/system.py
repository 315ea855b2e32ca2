"""What a model's folder offers: the contract of every system.

A folder holds about.py (what it is, without torch) and system.py with SYSTEM, an instance of a
subclass of `System`. What has a body here is optional.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from torch import nn

from ..errors import UsageError
from ..text.vocabulary import Vocabulary
from .about import About
from .graph import Graph, Value
from .proof import Proof

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data import Source
    from ..media.clip import Clip
    from ..media.stream import Stream
    from ..progress import OnProgress
    from ..text.reader import Reader
    from ..training.options import TrainOptions
    from ..training.stage import Stage
    from .engine import Engine
    from .published.parts import Published
    from .request import Request


class SystemModel(nn.Module):
    """The networks of a system. config: its dataclass of sizes; reader: how it reads prompts, None
    for a model without text.

    Everything that its graphs compute from is a parameter or a persistent buffer: a file's weights
    are laid into a model that was never drawn.
    """

    config: Any
    reader: Reader | None = None

    @property
    def outputs(self) -> int | None:
        """Logits a sample in the stage that has most; None where no loss starts from logits."""
        return None

    def graphs(self) -> dict[str, Graph]:
        """The named functions that generation runs and export writes."""
        raise TypeError(f"{type(self).__name__} has no graphs")


class Usual(NamedTuple):
    """A clip of which nothing is told but its prompt: its frames, and frames a second. most: how
    many can be asked for, None where a clip goes on as long as one likes."""

    frames: int
    fps: float
    most: int | None = None


class System(ABC):
    """One system: how it is configured, built, trained and sampled.

    free: fields of its configuration that no network's size hangs on: a training may differ in them
    from the weights that it starts from. ablations: variants of what its last stage learns, by
    their names, each with what it changes of the configuration.
    """

    about: About
    Config: type
    PRESETS: Mapping[str, Any]
    Model: type[SystemModel]
    free: tuple[str, ...] = ()
    ablations: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def fitted(self, config: Any, source: Source) -> dict[str, Any]:
        """The fields of the configuration that the data decide, such as the classes."""
        return {}

    def opened(self, path: Path, config: Any) -> SystemModel:
        """The model in a guest's folder, in float32 on the CPU."""
        raise TypeError(f"{self.about.name} lies in a file")

    def reader(self, config: Any, words: Sequence[str]) -> Reader | None:
        """How prompts are read; words: of the training data's captions, or of a file."""
        return Vocabulary(words) if self.about.text else None

    def learnt(self, model: Any, source: Source) -> Source:
        """The clips as its training sees them, such as longer ones where they can be told so."""
        return source

    def inherited(self, model: Any, start: Any) -> dict[str, Tensor]:
        """Of the weights that a training starts from, those that `model` takes over, by their names
        there. UsageError where the free fields of the two do not fit."""
        return start.state_dict()

    @abstractmethod
    def stages(self, model: Any, source: Source, options: TrainOptions) -> list[Stage]:
        """The trainings in order; each is prepared when its turn comes."""

    def check(self, config: Any, request: Request, engine: str, gradients: bool) -> None:
        """UsageError for a request that `about` allows and weights of this configuration cannot
        fulfil, MissingCapability for one that `engine` cannot: whether it has gradients is told.
        """
        return

    def sample(
        self, engine: Engine, model: Any, request: Request, on_progress: OnProgress
    ) -> Stream:
        """Frames for a request that `about` allows, block after block. UsageError for one that
        these weights cannot fulfil."""
        raise UsageError(
            f"{self.about.name} makes no clips: its task is {self.about.task}",
            hint="dln models list",
        )

    def usual(self, config: Any) -> Usual | None:
        """The clip that weights of this configuration make unless more is told, for films; None
        for what makes pictures, or takes no part in any."""
        return None

    def seams(self, model: Any, frames: int) -> list[int]:
        """The frames of a clip of that length at which one block goes on from the one before."""
        return []

    def rates(self, model: Any) -> list[float]:
        """Frames a second of clips between whose frames it draws others, lowest first; none for one
        that draws a clip's frames otherwise."""
        return []

    def between(
        self, engine: Engine, model: Any, request: Request, known: np.ndarray, fps: float
    ) -> np.ndarray:
        """uint8 (F, H, W, 3), F odd, at one of `rates` -> the frames that it draws halfway between
        neighbours, (F - 1, H, W, 3), for the request's prompt and seed."""
        raise TypeError(f"{self.about.name} draws no frames between others")

    def held(self, whole: Any) -> Any:
        """This system's model within that of another one which holds it (`about.within`), or its
        configuration within that one's."""
        raise TypeError(f"{self.about.name} is part of no other model")

    def side(self, model: Any) -> int | None:
        """Pixels along a side of the patches that its pictures are drawn in, from the top left;
        None for one that draws them as a whole."""
        return None

    def reconstruct(self, model: Any, frames: np.ndarray) -> np.ndarray | None:
        """uint8 (T, H, W, 3) through the model's tokenizer and back, None for a model without."""
        return None

    def caption(self, engine: Engine, model: Any, frames: np.ndarray) -> str:
        """In words what pictures of one thing show, uint8 (F, S, S, 3), S its `image_size`: of a
        model whose `about` tells captions."""
        raise UsageError(f"{self.about.name} tells no captions: its task is {self.about.task}")

    def proofs(self, model: Any) -> Sequence[Proof]:
        """Requests of a generator that call all of its graphs, as users do: exports are proven,
        calibrated and verified by them. Engines without gradients must be able to follow them."""
        return [Proof(), Proof("another seed")]

    def inspected(self, model: Any, clips: Sequence[Clip]) -> dict[str, dict[str, Value]]:
        """What its graphs take in of clips, for a model that judges: {graph: inputs}. An int8
        export is calibrated on it; a graph that is not named, on its examples."""
        return {}

    def published(self, *held: Any) -> Published | None:
        """The weights in what each of the authors' files holds (`published.streams.read`), one in
        most systems: None where they are none of this system's, Damaged where they are and do not
        fit, UsageError where there should be more of them."""
        return None

    def constants(self, model: Any) -> dict[str, Any]:
        """What a program that has the graphs alone must know of their use, as JSON: the schedule,
        special tokens, ranges of pixels, the names of classes. It lies in an export's manifest."""
        return {}
