"""The training on what actors of the menagerie hold: a glass, an apple, and how much is left."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...data.menagerie import ACTIONS, CLIP_SECONDS, Story, draw_story, render
from ...data.menagerie.actions import pose_of
from ...data.table import build_table
from ...errors import UsageError
from ...training.events import Note
from ...training.stage import Player, Stage
from ..layers.lessons import in_parts
from ..layers.pixels import noter
from .augment import augment
from .training import RecognizerObjective

if TYPE_CHECKING:
    from ...data import Source
    from ...media.clip import Clip
    from ...training.events import OnEvent
    from ...training.options import TrainOptions
    from .model import Model

STORIES, FRESH = 3000, 500  # that teach; of other seeds, that measure
MOMENTS = 4  # of each story
HOLDING = {"drinking": 0.4, "eating": 0.4}  # the share of stories; the others hold nothing of it
NONE = -1.0  # is left where nothing is held


class PropsStage(Stage):
    """Single frames to what is held, and what is left of it."""

    name = "recognizer"

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        if source.name != "menagerie":
            raise UsageError(f"actors of the menagerie hold things, and none of {source.name}",
                             "--data menagerie")  # fmt: skip
        self.model, self.options, self.seed = model, options, options.seed or 0
        self.modules = model
        self.steps, self.batch = 2500, 64
        self.outputs = model.outputs
        own = list(model.network.parameters())
        objective = RecognizerObjective(model.network)
        self.players = [Player(self.name, objective, own, 2e-3, weight_decay=0.02)]
        self.stories = moments_told(STORIES, self.seed)
        self.fresh = moments_told(FRESH, self.seed + 1)

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        on_event(Note(f"{STORIES} stories for the recognizer"))
        self.table, self.exams = (
            build_table(
                cache / f"{name}.bin", len(told), (MOMENTS, 3, self.side, self.side), np.uint8,
                partial(drawn, told, self.side), workers=self.options.workers or 0,
                on_note=noter(on_event), key=f"{self.seed} {self.side}",
            )
            for name, told in (("props", self.stories), ("exams", self.fresh))
        )  # fmt: skip

    @property
    def side(self) -> int:
        return self.model.config.image_size

    def __len__(self) -> int:
        return STORIES * MOMENTS

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        rows = [self._worn(int(index), epoch) for index in indices]
        return self._batch(rows, [self.stories[n // MOMENTS] for n in indices.tolist()],
                           indices % MOMENTS)  # fmt: skip

    def _worn(self, index: int, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch, index])
        return augment(self.table[index // MOMENTS, index % MOMENTS][None], rng)[0]

    def _batch(self, rows: list[np.ndarray], told: list[Any], moments: Any) -> dict[str, Tensor]:
        held = [truth(story, times[m]) for (story, times), m in zip(told, moments, strict=True)]
        things = self.model.config.things
        return {
            "frames": torch.from_numpy(np.stack(rows)[:, None]),
            "labels": torch.tensor([[things.index(kind)] for kind, _ in held]),
            "left": torch.tensor([left for _, left in held], dtype=torch.float32),
        }

    def example(self, count: int) -> dict[str, Tensor]:
        frames = torch.zeros(count, 1, 3, self.side, self.side, dtype=torch.uint8)
        labels = torch.zeros(count, 1, dtype=torch.int64)
        return {"frames": frames, "labels": labels, "left": torch.zeros(count)}

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """How often what is held is seen in frames that did not teach, and by how much what is left
        of it is off, in the mean: clean and worn."""
        device, found = next(self.modules.parameters()).device, {}
        for kind in ("", "worn_"):
            sums: dict[str, float] = {}
            for part in in_parts(np.arange(FRESH), 64):
                rows = [self.exams[int(row), 0] for row in part]
                if kind:
                    rngs = [np.random.default_rng([self.seed, int(row)]) for row in part]
                    rows = [augment(r[None], rng)[0] for r, rng in zip(rows, rngs, strict=True)]
                batch = self._batch(rows, [self.fresh[n] for n in part], np.zeros(len(part), int))
                scores = self.players[0].objective({k: t.to(device) for k, t in batch.items()})
                for name in ("held", "left_off"):
                    share = float(scores[name]) * len(part) / FRESH
                    sums[name] = sums.get(name, 0.0) + share
            found[f"{kind}held_accuracy"] = sums["held"]
            found[f"{kind}left_off"] = sums["left_off"]
        return {"accuracy": found["held_accuracy"], **found}, None


def moments_told(count: int, seed: int) -> list[tuple[Story, np.ndarray]]:
    """So many stories, and MOMENTS of each in seconds."""
    rng, found = np.random.default_rng([seed, count]), []
    others = [action for action in ACTIONS if action not in HOLDING]
    for _ in range(count):
        place = rng.random()
        action = others[int(rng.integers(len(others)))]
        for name, share in HOLDING.items():
            if 0 <= place < share:
                action = name
            place -= share
        story = draw_story(int(rng.integers(1 << 62)), held_out=None, action=action)
        found.append((story, rng.uniform(0, CLIP_SECONDS, MOMENTS)))
    return found


def drawn(told: list[tuple[Story, np.ndarray]], side: int, number: int) -> np.ndarray:
    """The moments of a story: uint8 (MOMENTS, 3, side, side)."""
    story, times = told[number]
    return np.moveaxis(render(story, times, side)[0], -1, 1)


def truth(story: Story, time: float) -> tuple[str, float]:
    """What is held, and what is left of it: by the name of one of THINGS."""
    held = pose_of(story, time).held
    return ("nothing", NONE) if held is None else (held.kind, held.amount)
