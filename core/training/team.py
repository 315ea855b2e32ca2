"""Optimising a stage: its players' turns, their averages, and what flattens the minimum."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import DlnError, UsageError
from .accelerator import shares_out, summed
from .batches import Batch
from .history import History
from .learner import Learner, PreparedTurn
from .player import Player, Turn
from .run import Run
from .settings import FitSettings
from .sharded import ShardedLearner
from .sharpness import Mesa, Penalty, Saf, Sharpness, ascended
from .stage import Stage, averaged_buffers, learning, trainable_parameters

if TYPE_CHECKING:
    from accelerate import Accelerator


class Diverged(Exception):
    """A loss or a gradient is not finite; the text names it. The weights are as they were."""


@dataclass(frozen=True)
class Learnt:
    """What one optimiser step tells: its statistics at the weights before it."""

    player: Player
    turn: Turn
    stats: dict[str, Tensor]


class Team:
    """The players of a stage in training."""

    def __init__(
        self, stage: Stage, settings: FitSettings, run: Run, accelerator: "Accelerator"
    ) -> None:
        """UsageError where the stage cannot be trained with the method for flat minima."""
        refusal = obstacle(stage, settings.sharpness)
        if refusal:
            raise refusal
        self.stage, self.settings, self.accelerator = stage, settings, accelerator
        named = trainable_parameters(stage)
        stage.modules.to(accelerator.device).train()
        self.learners: list[Learner] = []
        kind = ShardedLearner if shares_out(accelerator) else Learner
        for player in stage.players:
            with learning(player, stage):
                own = named[player.name] | averaged_buffers(player, stage)
                self.learners.append(kind(player, own, settings, accelerator))
        self.penalty = _penalty(stage, settings.sharpness, run, accelerator)

    def take_turns(self, step: int, batches: list[Batch]) -> Iterator[Learnt]:
        """The turns that are due at `step` (from 0) on its micro-batches, one optimiser step after
        the other. Diverged, before its step, where loss or gradient is not finite."""
        for learner in self.learners:
            for prepared in learner.turns:
                if prepared.turn.due(step):
                    yield from self.take_turn(learner, prepared, step, batches)

    def take_turn(
        self, learner: Learner, prepared: PreparedTurn, step: int, batches: list[Batch]
    ) -> Iterator[Learnt]:
        """One of them, an optimiser step for each piece of the batches."""
        for pieces in self._lockstep(learner.player, prepared.turn, batches):
            stats = self._learn(learner, prepared, pieces, step)
            yield Learnt(learner.player, prepared.turn, stats)

    def after_step(self, step: int) -> None:
        """The averages follow; `step` counts the earlier steps."""
        for learner in self.learners:
            learner.follow(step)
        if self.penalty:
            self.penalty.after_step()

    def _lockstep(
        self, player: Player, turn: Turn, batches: list[Batch]
    ) -> Iterator[list[dict[str, Any]]]:
        """The first pieces of all micro-batches, then the second ones ... DlnError where a
        micro-batch, here or on another process, has fewer than the others, or none."""
        if turn.pieces is None:
            yield batches
            return
        rows, count = [iter(turn.pieces(batch)) for batch in batches], 0
        while True:
            pieces = [piece for piece in (next(row, None) for row in rows) if piece is not None]
            missing = summed(self.accelerator, torch.tensor(float(len(rows) - len(pieces))))
            if missing > 0:
                break
            yield pieces
            count += 1
        if count == 0 or missing < self.accelerator.num_processes * len(rows):
            raise DlnError(
                f"stage '{self.stage.name}' goes on piece by piece, and the micro-batches of "
                f"{player.name} have different numbers of pieces, or none"
            )

    def _learn(
        self, learner: Learner, prepared: PreparedTurn, batches: list[Batch], step: int
    ) -> dict[str, Tensor]:
        with learning(learner.player, self.stage):
            stats = self._gradients(learner, prepared, batches)
        loss, norm = float(stats["loss"]), math.nan
        if math.isfinite(loss):
            norm = learner.step(step, self.stage.steps)
        if not math.isfinite(norm):
            what = "gradient" if math.isfinite(loss) else "loss"
            raise Diverged(f"the {what} of {learner.player.name}")
        return stats | {"norm": torch.tensor(norm)}

    def _gradients(
        self, learner: Learner, prepared: PreparedTurn, batches: list[Batch]
    ) -> dict[str, Tensor]:
        """The gradients that the step takes; loss and statistics at the weights themselves."""
        precision, sharpness = self.settings.precision, self.settings.sharpness
        flattens = prepared is self.learners[0].turns[0]
        if not (flattens and sharpness.method == "sam"):
            penalty = self.penalty if flattens else None
            return learner.gradients(prepared, batches, precision, self.accelerator, penalty)
        device = self.accelerator.device
        # Both gradients are of one function: the same noise, where there is any.
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            stats = learner.gradients(prepared, batches, precision, self.accelerator)
        with ascended(learner.parameters, sharpness, self.stage.modules):
            learner.gradients(prepared, batches, precision, self.accelerator)
        return stats

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averages are in place of the weights, for the players that have any. All processes
        enter it together."""
        with ExitStack() as stack:
            for learner in self.learners:
                stack.enter_context(learner.averaged())
            yield

    def settle(self) -> None:
        """The averages become the weights."""
        for learner in self.learners:
            learner.settle()

    def modules(self) -> nn.Module:
        """Every module on the device: the stage's, MESA's teacher, and parts that are moved."""
        teacher = [self.penalty.teacher] if isinstance(self.penalty, Mesa) else []
        parts = [nn.ParameterList(learner.moved) for learner in self.learners]
        return nn.ModuleList([self.stage.modules, *teacher, *parts])

    def tables(self) -> list[dict[Any, Any]]:
        """Every table of tensors that lies on the device beside the modules."""
        averages = [learner.ema.averages for learner in self.learners if learner.ema]
        optimizers = [o for learner in self.learners for o in learner.optimizers.values()]
        return [*averages, *(state for o in optimizers for state in o.state.values())]


def obstacle(stage: Stage, sharpness: Sharpness) -> UsageError | None:
    """Why a method for flat minima, which acts on the first turn of the first player, cannot do so
    in this stage; None where it can."""
    method = sharpness.method
    if method == "none":
        return None
    if stage.players[0].turns[0].pieces is not None:
        return UsageError(
            f"stage '{stage.name}' learns piece by piece, and a piece reads what an earlier one "
            f"left: {method.upper()}, which looks at it twice, would change that",
            "--sharpness none trains it",
        )
    if sharpness.tracks and stage.outputs is None:
        return UsageError(
            f"the loss of stage '{stage.name}' does not start from logits: "
            f"{method.upper()} has nothing to compare there",
            "--sharpness sam asks for a gradient alone",
        )
    return None


def _penalty(
    stage: Stage, chosen: Sharpness, run: Run, accelerator: "Accelerator"
) -> Penalty | None:
    """SAF's or MESA's. UsageError where SAF's history has no room."""
    if not chosen.tracks or stage.outputs is None:
        return None
    if chosen.method == "mesa":
        return Mesa(chosen, stage.players[0].objective)
    folder, main = run.cache / stage.name, accelerator.is_main_process
    with accelerator.main_process_first():
        history = History(folder, len(stage), stage.outputs, chosen.lag, chosen.half, main)
        return Saf(chosen, history)
