"""Fewer steps: progressive distillation of the guided base (2202.00512; 2210.03142 for guidance).

A round trains the student to reach in one step what its teacher reaches in two; the first
teacher is the base under guidance, each later one the student of the round before. After the
last round the student needs `fast_steps` steps and no second evaluation for guidance.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ...data import Source
from ...media.clip import Clip
from ...training.events import Note, OnEvent, silent
from ...training.stage import Player
from .graphs import guided
from .schedule import alpha_sigma, cosine_log_snr, ddim_step, noised, spread, x_from
from .training import DiffusionObjective, DiffusionStage, centred

if TYPE_CHECKING:
    from ...training.options import TrainOptions
    from .denoiser import Denoiser
    from .model import Model

ROUNDS = 2


class DistillationObjective(DiffusionObjective):
    """Squared error of the student's v against the v that two steps of the teacher mean."""

    def __init__(self, student: Denoiser, teacher: Denoiser, steps: int, guidance: float) -> None:
        super().__init__(student)
        self.student, self.teacher = student, teacher
        self.steps, self.guidance, self.round = steps, guidance, 0

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """batch: frames uint8 (B, F, H, W, 3), words and seen (B, 1, S)."""
        x = centred(batch["frames"])
        steps = self.steps * 2 ** (ROUNDS - 1 - self.round)
        t = (torch.randperm(steps, device=x.device).repeat(len(x))[: len(x)] + 1) / steps
        z = noised(x, torch.randn_like(x), spread(self.ratio(t), x))
        with torch.no_grad():
            text = self.teacher.read(batch["words"], batch["seen"])
            goal = self.goal(z, t, steps, text)
        _, sigma = alpha_sigma(spread(self.ratio(t), x))
        own = self.student.read(batch["words"], batch["seen"])
        found = self.clean(z, self.student.unet(z, self.ratio(t), own).float(), self.ratio(t))
        return {"loss": ((found - goal) / sigma).square().mean()}  # as an error of v

    def clean(self, z: Tensor, found: Tensor, log_snr: Tensor) -> Tensor:
        """The x that a network's prediction means."""
        return x_from(self.student.config.target, z, found, spread(log_snr, z))

    def ratio(self, t: Tensor) -> Tensor:
        """Log-SNR at the times t."""
        return cosine_log_snr(t, self.student.config.shift)

    def goal(self, z: Tensor, t: Tensor, steps: int, text: Tensor) -> Tensor:
        """The x that takes z in one DDIM step to where the teacher's two half steps end."""
        middle, end = t - 0.5 / steps, t - 1 / steps
        half = self.step(z, t, middle, text)
        a, s = alpha_sigma(spread(self.ratio(t), z))
        a_end, s_end = alpha_sigma(spread(self.ratio(end), z))
        # The last step ends at x itself: there sigma is next to nothing.
        reached = self.step(half, middle, end, text)
        ratio = s_end / s
        return ((reached - ratio * z) / (a_end - ratio * a)).clamp(-1, 1)

    def step(self, z: Tensor, now: Tensor, then: Tensor, text: Tensor) -> Tensor:
        """One DDIM step of the teacher."""
        ratio = self.ratio(now)
        if self.round == 0:
            found = guided(self.teacher.unet, z, ratio, text, self.guidance)
        else:
            found = self.teacher.unet(z, ratio, text)
        here, there = spread(ratio, z), spread(self.ratio(then), z)
        x = self.clean(z, found, ratio).clamp(-1, 1)
        return ddim_step(z, x, alpha_sigma(here), alpha_sigma(there))


class DistillationStage(DiffusionStage):
    """The base's twin for few steps, guidance included."""

    name = "distill"
    needs = ("base",)
    steps, batch = 1500, 8
    phases = tuple(number / ROUNDS for number in range(ROUNDS))
    tell: OnEvent = staticmethod(silent)

    def __init__(self, model: Model, source: Source, options: TrainOptions) -> None:
        super().__init__(model, source, options)
        self.teacher = deepcopy(model.base)
        self.modules = nn.ModuleDict({"fast": self.denoiser, "teacher": self.teacher})
        self.objective = DistillationObjective(
            self.denoiser, self.teacher, model.config.fast_steps, model.config.guidance
        )
        own = list(self.denoiser.parameters())
        self.players = [Player(self.name, self.objective, own, 3e-4, betas=(0.9, 0.99))]

    def own(self) -> Denoiser:
        return cast("Denoiser", self.model.fast)

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        """Both begin as the base, which is complete by now."""
        super().prepare(cache, on_event)
        self.tell = on_event
        if not self.options.start_from:
            self.denoiser.load_state_dict(self.model.base.state_dict())
        self.teacher.load_state_dict(self.model.base.state_dict())

    def after_step(self, step: int, reduce) -> None:
        """When its round is over, the student becomes the teacher."""
        due = min(ROUNDS - 1, step * ROUNDS // self.steps)
        if due > self.objective.round:
            self.objective.round = due
            self.teacher.load_state_dict(self.denoiser.state_dict())
            steps = self.model.config.fast_steps * 2 ** (ROUNDS - 1 - due)
            self.tell(Note(f"distillation to {steps} steps"))

    def state(self) -> dict[str, Tensor]:
        return {"round": torch.tensor(self.objective.round)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.objective.round = int(state["round"])

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Clips in as few steps as the student is made for."""
        return {}, self.shown()

    def shown(self) -> list[Clip]:
        from .sample import preview

        return [preview(self.model, text, fast=True) for text in self.prompts()]
