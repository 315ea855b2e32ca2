"""What the data decide and weights to start from have decided already."""

from types import SimpleNamespace
from typing import Any

import pytest

from dln.core.errors import UsageError
from dln.core.runs.start import extended

from .toy_run import Config, Model, Whole, World


class Fitting(Whole):
    """Other data would have made it wider."""

    def fitted(self, config: Any, source: Any) -> dict[str, Any]:
        return {"width": 99}

    def reader(self, config: Any, words: Any) -> None:
        return None


def test_what_changes_no_network_is_kept_as_the_weights_have_it():
    system, start = Fitting(World()), Model(Config(width=7), None)
    source: Any = SimpleNamespace(name="elsewhere", words=list)
    with pytest.raises(UsageError, match="other width than elsewhere"):
        extended(system, start, {}, source)
    system.free = ("width",)
    assert extended(system, start, {}, source).config.width == 7
