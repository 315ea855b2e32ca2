"""The trainings of NUWA-Infinity's tokenizers: VQGAN on pictures, then PG-VQGAN's guide on frames.

Likeness of pixels and of features, and from a part of the steps on a discriminator of patches
(2012.09841), as published. The guide learns alone: codes and decoder stay what they are, so that
pictures and first frames are drawn as before, and it can be left out or learnt anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import UsageError
from ...media.clip import Clip
from ...training.player import Player
from ...training.stage import Stage
from ..layers.lessons import held_back, lesson_rng, measuring_rows
from ..layers.pixels import to_frames, to_pixels
from .judge import PatchJudge, adaptive_weight, fooling, telling
from .likeness import Likeness
from .views import Views, views_table
from .vqgan import Vqgan

if TYPE_CHECKING:
    from ...training.events import OnEvent
    from ...training.options import TrainOptions
    from .model import Model

COMMITMENT = 0.25
BETAS = (0.5, 0.9)  # of the adversary, as published
PAIRS = 3  # frames of the guide's lessons: the one that is drawn and two before it
TRUE, PLAIN, GUIDED = range(PAIRS)  # how the frame before comes to be
LEAD = 0.05  # of the steps, in which the adversary learns and does not count yet
MEASURED = 32  # views
SHOWN = 8


class Game:
    """on: whether the adversary counts by now."""

    on = False


class Painting(nn.Module):
    """Pictures come back like what they were, and one day such that the judge takes them for it."""

    def __init__(
        self, vqgan: Vqgan, judge: PatchJudge, likeness: Likeness, game: Game, share: float
    ) -> None:
        """share: of the adaptive weight."""
        super().__init__()
        self.vqgan, self.judge, self.likeness, self.game = vqgan, judge, likeness, game
        self.share = share

    @property
    def last(self) -> nn.Parameter:
        """The last weights that learn, where two losses' gradients are compared."""
        return self.vqgan.last

    def painted(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures that are made, unclamped, the real ones, and the commitment."""
        real = pictures_of(batch["frames"])
        made, commitment = self.vqgan(real)
        return made, real, commitment

    # Two of its losses are asked for their gradients before the sum is: nothing to be compiled.
    @torch.compiler.disable
    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """batch: of the stage's `collate` -> loss and what it consists of."""
        made, real, commitment = self.painted(batch)
        likeness = self.likeness(made, real)
        loss, told = likeness + COMMITMENT * commitment, {"likeness": likeness.detach()}
        if self.game.on:
            adversarial = fooling(self.judge(made))
            weight = adaptive_weight(likeness, adversarial, self.last, self.share)
            loss, told = loss + weight * adversarial, told | {"weight": weight}
        return {"loss": loss, "psnr": psnr(made.detach(), real), **told}


class GuidedPainting(Painting):
    """A frame, by its codes and the frame before: the true one, or one that was drawn itself."""

    @property
    def last(self) -> nn.Parameter:
        return cast(nn.Parameter, cast(nn.Conv2d, self.vqgan.guide.into[-1]).weight)

    def painted(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        frames = pictures_of(batch["frames"].flatten(0, 1)).unflatten(0, (-1, PAIRS))
        vqgan = self.vqgan
        with torch.no_grad():
            codes = vqgan.encode(frames.flatten(0, 1)).unflatten(0, (-1, PAIRS))
            plain = vqgan.decode(codes[:, 1])
            guided = vqgan.decode(codes[:, 1], vqgan.decode(codes[:, 0]))
            choices = torch.stack([frames[:, 1], plain, guided]).to(plain.dtype)
            rows = torch.arange(len(codes), device=codes.device)
            before = choices[batch["before"], rows]
        made = vqgan.drawn(vqgan.vectors(codes[:, 2]), before)
        return made, frames[:, 2], made.new_zeros(())


class Judging(nn.Module):
    """The judge tells real pictures from made ones."""

    def __init__(self, painting: Painting) -> None:
        super().__init__()
        self.painting = painting

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """batch: of the stage's `collate` -> hinge loss, mean scores."""
        codebook = self.painting.vqgan.codebook
        counting = codebook.training
        with torch.no_grad():
            codebook.eval()  # while it learns it counts: each picture once
            made, real, _ = self.painting.painted(batch)
            codebook.train(counting)
        told, taken = self.painting.judge(real), self.painting.judge(made)
        scores = {"real": told.detach().float().mean(), "fake": taken.detach().float().mean()}
        return {"loss": telling(told, taken), **scores}


def pictures_of(frames: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) -> (B, 3, H, W) in [0, 1]."""
    pixels = frames.permute(0, 3, 1, 2).float() / 255
    return pixels.contiguous(memory_format=torch.channels_last)


def psnr(made: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of pictures (B, 3, H, W) in [0, 1], in decibels, their mean."""
    error = (made.float().clamp(0, 1) - real.float()).square().mean((1, 2, 3))
    return -10 * error.clamp(min=1e-10).log10().mean()


class PaintingStage(Stage):
    """What both share: crops of views, and an adversary that comes in later."""

    told: ClassVar = {"psnr": "dB"}
    painting: type[Painting] = Painting

    def __init__(
        self, model: Model, views: Views, options: TrainOptions, judge: PatchJudge
    ) -> None:
        self.model, self.views, self.options = model, views, options
        self.judge, self.game = judge, Game()
        self.modules = nn.ModuleDict({**self.own(), "judge": judge})
        self.modules.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.players = self._players()

    def own(self) -> dict[str, nn.Module]:
        """The networks of the model that it holds."""
        raise NotImplementedError

    def learning(self) -> list[nn.Parameter]:
        """What learns of them."""
        return [p for module in self.own().values() for p in module.parameters()]

    def _players(self) -> list[Player]:
        told, device = self.model.config.training, next(self.model.parameters()).device
        likeness = Likeness(self.views.source.name, told.perceptual).to(device)
        painting = self.painting(self.model.vqgan, self.judge, likeness, self.game, told.adversary)
        judge = list(self.judge.parameters())
        return [
            Player(self.name, painting, self.learning(), told.tokenizer_rate, weight_decay=0.01),
            Player("judge", Judging(painting), judge, told.judge_rate, BETAS, average=None),
        ]

    @property
    def phases(self) -> tuple[float, ...]:
        begin = self.model.config.training.judged_after
        return tuple(share for share in (0.0, begin, begin + LEAD) if share < 1)

    @property
    def begin(self) -> int:
        """The step from which on the adversary learns."""
        return int(self.model.config.training.judged_after * self.steps)

    def counts(self, step: int) -> bool:
        """Whether it counts by then: who has learnt nothing yet only disturbs."""
        return step >= self.begin + int(LEAD * self.steps)

    def prepare(self, cache: Path, on_event: OnEvent) -> None:
        self.table = views_table(self.views, cache, self.options.workers or 0, on_event)
        judge = self.players[1]
        judge.turns = [replace(turn, after=self.begin) for turn in judge.turns]
        self.game.on = self.counts(0)

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        self.game.on = self.counts(step)

    def state(self) -> dict[str, Tensor]:
        return {"judged": torch.tensor(float(self.game.on))}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.game.on = bool(state["judged"])

    @cached_property
    def side(self) -> int:
        """Pixels along a side of a crop. UsageError where no view is so large."""
        pictures, clips = self.views.kinds
        kept = [self.views.kept(clip) for clip in (False, True) if (pictures, clips)[clip]]
        config = self.model.config
        most = min(config.training.crop, config.side * min(min(shape[1:]) for shape in kept))
        unit = max(8, config.vqgan.cell)
        if most < unit:
            raise UsageError(
                f"the tokenizer learns from {unit} x {unit} pixels at least, and a view has {most}",
                f"--set training.crop={unit}",
            )
        return most // unit * unit

    def cropped(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(T, H, W, 3) -> (T, side, side, 3) anywhere in it, half of them mirrored."""
        top, left = (int(rng.integers(n - self.side + 1)) for n in pixels.shape[1:3])
        part = pixels[:, top : top + self.side, left : left + self.side]
        return part[:, :, ::-1] if rng.random() < 0.5 else part

    def measuring(self, views: int) -> np.ndarray:
        """Those of so many views that measure."""
        return measuring_rows(views, self.some(MEASURED), self.some(MEASURED))

    def rng(self, epoch: int, row: int) -> np.random.Generator:
        return lesson_rng(self.options.seed, self.name, epoch, row)


class VqganStage(PaintingStage):
    """Pictures to codes and back."""

    name = "vqgan"
    steps, batch = 5000, 8

    def own(self) -> dict[str, nn.Module]:
        vqgan = self.model.vqgan
        return {"encoder": vqgan.encoder, "codebook": vqgan.codebook, "decoder": vqgan.decoder}

    def __len__(self) -> int:
        return len(self.views) - held_back(len(self.views))

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        return {"frames": torch.from_numpy(np.stack([self._crop(int(n), epoch) for n in indices]))}

    def _crop(self, row: int, epoch: int) -> np.ndarray:
        rng, pixels = self.rng(epoch, row), self.views.pixels(self.table, row)
        frame = int(rng.integers(len(pixels)))
        return self.cropped(pixels[frame : frame + 1], rng)[0]

    def example(self, count: int) -> dict[str, Tensor]:
        return {"frames": torch.zeros(count, self.side, self.side, 3, dtype=torch.uint8)}

    def after_step(self, step: int, reduce: Callable[[Tensor], Tensor]) -> None:
        super().after_step(step, reduce)
        self.model.vqgan.codebook.update(reduce)

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Peak signal-to-noise ratio of pictures that did not teach, and how many codes they use;
        some of them, before and after."""
        vqgan, found, used, shown = self.model.vqgan, [], set(), []
        device = next(vqgan.parameters()).device
        for row in self.measuring(len(self.views)):
            pixels = np.array(self.views.pixels(self.table, int(row))[:1])
            real = to_pixels(pixels).to(device)
            codes = vqgan.encode(real)
            made = vqgan.decode(codes)
            found.append(float(psnr(made, real)))
            used |= {*codes.flatten().tolist()}
            if len(shown) < SHOWN:
                shown += [Clip(pixels, 1.0), Clip(to_frames(made), 1.0)]
        return {"psnr": float(np.mean(found)), "codes_used": float(len(used))}, shown


class GuideStage(PaintingStage):
    """Frames with the help of the one before."""

    name = "guide"
    needs = ("vqgan",)
    painting = GuidedPainting
    steps, batch = 800, 8

    def own(self) -> dict[str, nn.Module]:
        return {"guide": self.model.vqgan.guide}

    @cached_property
    def rows(self) -> np.ndarray:
        """The views that are clips."""
        return np.array([row for row in range(len(self.views)) if self.views.clip(row)])

    def __len__(self) -> int:
        return len(self.rows) - held_back(len(self.rows))

    def collate(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        frames, before = zip(
            *(self._lesson(int(self.rows[n]), epoch) for n in indices), strict=True
        )
        return {"frames": torch.from_numpy(np.stack(frames)), "before": torch.tensor(before)}

    def _lesson(self, row: int, epoch: int) -> tuple[np.ndarray, int]:
        rng, pixels = self.rng(epoch, row), self.views.pixels(self.table, row)
        first = int(rng.integers(len(pixels) - PAIRS + 1))
        return self.cropped(pixels[first : first + PAIRS], rng), int(rng.integers(PAIRS))

    def example(self, count: int) -> dict[str, Tensor]:
        shape = count, PAIRS, self.side, self.side, 3
        frames = torch.zeros(shape, dtype=torch.uint8)
        return {"frames": frames, "before": torch.zeros(count, dtype=torch.long)}

    def evaluate(self) -> tuple[dict[str, float], list[Clip] | None]:
        """Peak signal-to-noise ratio of frames that did not teach: alone, after the true one
        before, and as the last of a clip of which each frame helped to draw the next."""
        vqgan, found, shown = self.model.vqgan, [], []
        device = next(vqgan.parameters()).device
        for row in self.rows[self.measuring(len(self.rows))]:
            pixels = np.array(self.views.pixels(self.table, int(row)))
            real = to_pixels(pixels).to(device)
            codes = vqgan.encode(real)
            chain = [vqgan.decode(codes[:1])]
            for number in range(1, len(codes)):
                chain.append(vqgan.decode(codes[number : number + 1], chain[-1]))
            alone, told = vqgan.decode(codes[-1:]), vqgan.decode(codes[-1:], real[-2:-1])
            found.append([float(psnr(made, real[-1:])) for made in (alone, told, chain[-1])])
            if len(shown) < SHOWN:
                shown += [Clip(pixels, 2.0), Clip(to_frames(torch.cat(chain)), 2.0)]
        names = "psnr_alone", "psnr", "psnr_chained"
        return dict(zip(names, np.mean(found, axis=0).tolist(), strict=True)), shown


def judge_of(model: Model) -> PatchJudge:
    """A new adversary, where the model is."""
    return PatchJudge(model.config.vqgan.judge_width).to(next(model.parameters()).device)
