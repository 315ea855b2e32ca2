"""One player's optimiser and gradients."""

import math
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .batches import Batch
from .muon import Muon
from .settings import FitSettings
from .sharpness import Penalty
from .stage import Player

if TYPE_CHECKING:
    from accelerate import Accelerator


class Learner:
    """A player with its optimiser and its objective, prepared for the device and processes."""

    def __init__(self, player: Player, settings: FitSettings, accelerator: "Accelerator") -> None:
        self.player = player
        self.parameters = player.parameters
        self.optimizers = create_optimizers(player, accelerator.device)
        self.objective: nn.Module = player.objective.to(accelerator.device)
        if accelerator.num_processes > 1:
            with warnings.catch_warnings():
                # torch 2.13 renames broadcast_buffers, which 2.9 knows by no other name.
                warnings.simplefilter("ignore", FutureWarning)
                self.objective = accelerator.prepare_model(self.objective)
        self.forward = torch.compile(self.objective) if settings.compile else self.objective

    def gradients(
        self,
        batches: list[Batch],
        precision: str,
        accelerator: "Accelerator",
        penalty: Penalty | None = None,
    ) -> dict[str, Tensor]:
        """Mean gradients over micro-batches and processes; the mean loss and statistics.

        penalty: is added to the loss that gives the gradients and logged beside it.
        """
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for number, batch in enumerate(batches):
            last = number == len(batches) - 1
            with nullcontext() if last else accelerator.no_sync(self.objective):
                with _autocast(precision, accelerator.device):
                    result = dict(self.forward(batch))
                    logits = result.pop("logits", ())
                    extra = penalty(batch, logits) if penalty else None
                total = result["loss"] if extra is None else result["loss"] + extra
                (total / len(batches)).backward()
                if penalty:
                    result["trajectory"] = torch.zeros(()) if extra is None else extra
            for name, value in result.items():
                share = torch.as_tensor(value).detach().float().to(accelerator.device)
                sums[name] = sums.get(name, 0) + share / len(batches)
        return sums

    def step(self, factor: float, clip_norm: float | None) -> float:
        """Clip, then one step. Returns the gradient's norm; no step where it isn't finite."""
        limit = math.inf if clip_norm is None else clip_norm
        norm = float(nn.utils.clip_grad_norm_(self.parameters, limit))
        if math.isfinite(norm):
            for optimizer in self.optimizers.values():
                gain = self.player.muon_gain if isinstance(optimizer, Muon) else 1.0
                for group in optimizer.param_groups:
                    group["lr"] = self.player.learning_rate * factor * gain
                optimizer.step()
        return norm


def create_optimizers(player: Player, device: torch.device) -> dict[str, torch.optim.Optimizer]:
    """AdamW or SGD under the player's name, and Muon beside it where the player wants it."""
    chosen = {id(p) for p in player.muon}
    rest = [p for p in player.parameters if id(p) not in chosen]
    make = _sgd if player.optimizer == "sgd" else _adamw
    optimizers: dict[str, torch.optim.Optimizer] = {player.name: make(player, rest, device)}
    if player.muon:
        optimizers[f"{player.name}-muon"] = Muon(
            player.muon, player.learning_rate, player.weight_decay
        )
    return optimizers


def _adamw(
    player: Player, parameters: list[nn.Parameter], device: torch.device
) -> torch.optim.AdamW:
    kind = {"fused": True} if device.type == "cuda" else {"foreach": True}
    groups = _groups(player, parameters)
    return torch.optim.AdamW(groups, lr=player.learning_rate, betas=player.betas, **kind)


def _sgd(player: Player, parameters: list[nn.Parameter], device: torch.device) -> torch.optim.SGD:
    """SGD with the player's first beta for its momentum."""
    groups = _groups(player, parameters)
    momentum = player.betas[0]
    return torch.optim.SGD(groups, lr=player.learning_rate, momentum=momentum, foreach=True)


def _groups(player: Player, parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
    """Weight decay leaves biases and gains alone."""
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": player.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
