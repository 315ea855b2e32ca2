"""A recurrent network that guesses the next patch of a picture."""

from torch import Tensor, nn

PATCH = 48  # numbers in two rows of eight pixels


class Network(nn.Module):
    """What it has read so far and a patch -> the next patch, and what it has read now."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.read, self.keep = nn.Linear(PATCH, width), nn.Linear(width, width, bias=False)
        self.guess = nn.Linear(width, PATCH)

    def forward(self, patch: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """patch: (B, PATCH); state: (B, width), None at the beginning -> (B, PATCH), state."""
        before = patch.new_zeros(patch.shape[0], self.width) if state is None else state
        after = (self.read(patch) + self.keep(before)).tanh()
        return self.guess(after), after
