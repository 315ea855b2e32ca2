"""AdamW and Muon, as a player asks for them."""

import pytest
import torch
from torch import nn

from dln.core.training.learner import create_optimizers
from dln.core.training.muon import Muon, orthogonal
from dln.core.training.player import Player
from dln.core.training.state import load_optimizer_tensors, optimizer_tensors

from .toy_training import Toy


def test_weight_decay_spares_vectors():
    (optimizer,) = create_optimizers(Toy().players[0], torch.device("cpu")).values()
    groups = optimizer.param_groups
    shapes = {group["weight_decay"]: [p.ndim for p in group["params"]] for group in groups}
    assert shapes == {0.1: [2, 2], 0.0: [1, 1]}


def test_muon_takes_matrices_of_one_shape_together_and_moves_each_as_if_alone():
    torch.manual_seed(0)
    shapes = [(6, 4), (4, 6), (6, 4), (8, 2, 3, 3), (8, 2, 3, 3)]
    together = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    optimizers = [Muon(together, 0.1, 0.01), *(Muon([p], 0.1, 0.01) for p in alone)]
    for _ in range(3):
        for one, other in zip(together, alone, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_muon_s_update_has_all_singular_values_about_1():
    torch.manual_seed(0)
    matrices = torch.randn(3, 20, 50, dtype=torch.float64)
    for update in (orthogonal(matrices), orthogonal(matrices.mT).mT):
        values = torch.linalg.svdvals(update)
        assert 0.5 < values.min() < values.max() < 1.3
        ours, _, theirs = torch.linalg.svd(matrices, full_matrices=False)
        alike = ours.mT @ update @ theirs.mT  # the same directions, so nearly diagonal
        off = alike - torch.diag_embed(alike.diagonal(dim1=-2, dim2=-1))
        assert off.abs().max() < 1e-6


def test_a_player_of_matrices_alone_is_muon_s():
    layer = torch.nn.Linear(3, 3, bias=False)
    player = Player("all", layer, list(layer.parameters()), 0.1, muon=list(layer.parameters()))
    assert list(create_optimizers(player, torch.device("cpu"))) == ["all-muon"]


def test_muon_moves_its_matrices_and_adamw_the_rest():
    player = Toy().players[0]
    player.muon = [p for p in player.parameters if p.ndim == 2][:1]
    adamw, muon = create_optimizers(player, torch.device("cpu")).values()
    moved = [id(p) for o in (adamw, muon) for g in o.param_groups for p in g["params"]]
    assert sorted(moved) == sorted(id(p) for p in player.parameters)
    assert [id(p) for g in muon.param_groups for p in g["params"]] == [id(player.muon[0])]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_moments_come_back_in_the_parameters_order_in_memory(device: str):
    """AdamW's fused kernel, the one on a GPU, refuses any other."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.manual_seed(0)
    kernels = nn.Conv2d(4, 6, 3, device=device).to(memory_format=torch.channels_last)  # pyright: ignore
    player = Player("one", kernels, list(kernels.parameters()), 0.1)

    def stepped(optimizer: torch.optim.Optimizer) -> None:
        for parameter in kernels.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()

    (first,) = create_optimizers(player, torch.device(device)).values()
    stepped(first)
    saved = {k: v.cpu().contiguous() for k, v in optimizer_tensors(first, "one").items()}
    (again,) = create_optimizers(player, torch.device(device)).values()
    load_optimizer_tensors(again, "one", saved)
    for parameter in kernels.parameters():
        for name in ("exp_avg", "exp_avg_sq"):
            assert again.state[parameter][name].stride() == parameter.stride()
            assert torch.equal(again.state[parameter][name], first.state[parameter][name])
    stepped(again)
