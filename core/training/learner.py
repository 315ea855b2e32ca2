"""One player's optimiser, gradients and average."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .accelerator import summed
from .batches import Batch
from .ema import Ema
from .muon import Muon
from .parts import BUCKET
from .player import Player, Turn
from .settings import FitSettings
from .sharpness import Penalty
from .state import load_optimizer_tensors, optimizer_tensors

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True, eq=False)
class PreparedTurn:
    """A turn whose objective is on the device; `forward` is what is called."""

    turn: Turn
    objective: nn.Module
    forward: Callable[[Batch], dict[str, Any]]

    @property
    def averages(self) -> bool:
        """Whether the backward pass itself averages the gradients over the processes."""
        return isinstance(self.objective, DistributedDataParallel)

    def unaveraged(self) -> AbstractContextManager[None]:
        """Around a backward pass that averages nothing."""
        objective = self.objective
        if isinstance(objective, DistributedDataParallel):
            return objective.no_sync()
        return nullcontext()


class Learner:
    """A player with its optimisers, its average and its turns, prepared for the device and
    processes."""

    def __init__(
        self,
        player: Player,
        named: dict[str, Tensor],
        settings: FitSettings,
        accelerator: "Accelerator",
    ) -> None:
        """named: what is averaged, by the names that a checkpoint gives the averages."""
        self.player = player
        self.parameters = player.parameters
        self.optimizers = create_optimizers(player, accelerator.device)
        self.turns = [_prepared(turn, player, settings, accelerator) for turn in player.turns]
        self.ema = Ema(named, player.average) if player.average else None

    def gradients(
        self,
        prepared: PreparedTurn,
        batches: list[Batch],
        precision: str,
        accelerator: "Accelerator",
        penalty: Penalty | None = None,
    ) -> dict[str, Tensor]:
        """Mean gradients over micro-batches and processes; the mean loss and statistics.

        penalty: is added to the loss that gives the gradients and logged beside it.
        """
        for parameter in self.parameters:
            parameter.grad = None
        sums: dict[str, Tensor] = {}
        for number, batch in enumerate(batches):
            last = number == len(batches) - 1
            with nullcontext() if last else prepared.unaveraged():
                with _autocast(precision, accelerator.device):
                    result = dict(prepared.forward(batch))
                    logits: Any = result.pop("logits", ())
                    extra = penalty(batch, logits) if penalty else None
                total = result["loss"] if extra is None else result["loss"] + extra
                (total / len(batches)).backward()
                if penalty:
                    result["trajectory"] = torch.zeros(()) if extra is None else extra
            for name, value in result.items():
                share = torch.as_tensor(value).detach().float().to(accelerator.device)
                sums[name] = sums.get(name, 0) + share / len(batches)
        if accelerator.num_processes > 1 and not prepared.averages:
            average_gradients(self.parameters, accelerator)
        return sums

    def step(self, step: int, steps: int) -> float:
        """Clip, then one step of the optimisers at the rate of `step` of `steps`. Returns the
        gradient's norm; no step where it isn't finite."""
        player = self.player
        if player.mend is not None:
            mend(self.parameters, player.mend)
        limit = math.inf if player.clip_norm is None else player.clip_norm
        norm = float(nn.utils.clip_grad_norm_(self.parameters, limit))
        if math.isfinite(norm):
            rate = player.learning_rate * player.rate.factor(step, steps)
            with self.moving():
                for optimizer in self.optimizers.values():
                    gain = player.muon_gain if isinstance(optimizer, Muon) else 1.0
                    for group in optimizer.param_groups:
                        group["lr"] = rate * gain
                    optimizer.step()
        return norm

    @property
    def moved(self) -> list[nn.Parameter]:
        """What the optimisers move, where that is not the parameters themselves."""
        return []

    def moving(self) -> AbstractContextManager[None]:
        """Around what moves weights."""
        return nullcontext()

    def follow(self, step: int) -> None:
        """The average does; `step` counts the earlier steps."""
        if self.ema:
            self.ema.update(step)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The average is in place of the weights."""
        with self.ema.swapped() if self.ema else nullcontext():
            yield

    def settle(self) -> None:
        """The average becomes the weights."""
        if self.ema:
            with self.moving():
                self.ema.copy_to_weights()

    def states(self) -> dict[str, Tensor]:
        """The optimisers' tensors as a checkpoint keeps them."""
        named = self.optimizers.items()
        return {k: v for name, o in named for k, v in optimizer_tensors(o, name).items()}

    def averages(self) -> dict[str, Tensor]:
        """As a checkpoint keeps them."""
        return self.ema.averages if self.ema else {}

    def load(self, states: dict[str, Tensor], averages: dict[str, Tensor]) -> None:
        """Take back its own of what `states` and `averages` of all players gave. KeyError or
        ValueError where they are of another kind."""
        for name, optimizer in self.optimizers.items():
            load_optimizer_tensors(optimizer, name, states)
        if self.ema:
            self.ema.load(averages)


def _prepared(
    turn: Turn, player: Player, settings: FitSettings, accelerator: "Accelerator"
) -> PreparedTurn:
    """torch.compile takes no double backward, which is what later turns regularise with: of
    several turns it compiles the first."""
    objective: nn.Module = turn.objective.to(accelerator.device)
    whole = len(player.turns) == 1 and turn.pieces is None
    if accelerator.num_processes > 1 and whole:
        objective = _distributed(objective, accelerator.device)
    compiled = settings.compile and turn is player.turns[0]
    return PreparedTurn(turn, objective, torch.compile(objective) if compiled else objective)


def _distributed(objective: nn.Module, device: torch.device) -> nn.Module:
    """Its gradients are averaged over the processes while the backward pass goes on."""
    with warnings.catch_warnings():
        # torch 2.13 renames broadcast_buffers, which 2.9 knows by no other name.
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(
            objective,
            device_ids=None if device.type == "cpu" else [device],
            broadcast_buffers=False,
        )


@torch.no_grad()
def mend(parameters: list[nn.Parameter], most: float) -> None:
    """In gradients, 0 for what is no number, and `most` with its sign for what is infinite."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.nan_to_num_(nan=0.0, posinf=most, neginf=-most)


@torch.no_grad()
def average_gradients(parameters: list[nn.Parameter], accelerator: "Accelerator") -> None:
    """Over the processes, after the backward pass. A parameter that no process has a gradient of
    keeps none: a gradient penalty, whose double backward DistributedDataParallel does not take,
    has no use for the last bias."""
    for number in range(0, len(parameters), BUCKET):
        bucket = parameters[number : number + BUCKET]
        given = torch.tensor([float(p.grad is not None) for p in bucket], device=accelerator.device)
        slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        flat = torch.cat([given, *(slope.flatten().float() for slope in slopes)])
        total = summed(accelerator, flat) / accelerator.num_processes
        known, *means = torch.split(total, [len(bucket), *(p.numel() for p in bucket)])
        for place in known.nonzero().flatten().tolist():
            slope = slopes[place]
            bucket[place].grad = slope.copy_(means[place].view(slope.shape))


def create_optimizers(player: Player, device: torch.device) -> dict[str, torch.optim.Optimizer]:
    """AdamW or SGD under the player's name, and Muon beside it where the player wants it."""
    chosen = {id(p) for p in player.muon}
    rest = [p for p in player.parameters if id(p) not in chosen]
    make = _sgd if player.optimizer == "sgd" else _adamw
    optimizers: dict[str, torch.optim.Optimizer] = {}
    if rest:
        optimizers[player.name] = make(player, rest, device)
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
