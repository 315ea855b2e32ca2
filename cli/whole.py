"""How far a training is, over all of its stages: one share and one time left."""

from collections.abc import Iterable

from dln.core.training.events import Going, Share, Stepped


class Whole:
    """stages: what the run consists of; none where nobody has said, then each is all there is."""

    def __init__(self, stages: Iterable[Share] = ()) -> None:
        self.stages = {share.stage: share for share in stages}
        self.done = {share.stage: share.done for share in self.stages.values()}
        self.pace = 0.0  # seconds of a step that costs 1
        self.left: float | None = None  # seconds, None until a step has been taken

    def heed(self, event: Stepped | Going) -> None:
        """A stage has come so far. The time of later ones: their steps cost so many of its own."""
        own = self.stages.setdefault(event.stage, Share(event.stage, event.steps, 0, 1.0))
        self.done[event.stage], ahead = event.step, event.steps - event.step
        if ahead:
            self.pace = event.eta / ahead / own.cost
        names = list(self.stages)
        later = names[names.index(event.stage) + 1 :]
        costs = sum(self._left(name) for name in later)
        self.left = event.eta + self.pace * costs

    def _left(self, name: str) -> float:
        share = self.stages[name]
        return (share.steps - self.done.get(name, 0)) * share.cost

    @property
    def share(self) -> float:
        """Of the run that is done, from 0 to 1."""
        total = sum(share.steps * share.cost for share in self.stages.values())
        return 1 - sum(map(self._left, self.stages)) / total if total else 0.0
