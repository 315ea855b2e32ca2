"""What a shell completes: models, runs, presets, stages, regions, data; told without PyTorch.

`dln --install-completion` teaches it to the shell. Files are completed by the shell itself.
"""

from collections.abc import Iterable, Sequence

import typer

from .places import RUNS


def beginning(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that go on from what is typed, in its letters: Typer drops others."""
    count = len(incomplete)
    return [
        incomplete + name[count:] for name in names if name[:count].lower() == incomplete.lower()
    ]


def models(incomplete: str) -> list[str]:
    """The models that there are."""
    from dln.core.models.registry import MODELS

    return beginning(MODELS, incomplete)


def held(incomplete: str) -> list[str]:
    """Runs, finished or not, and files of weights."""
    runs = (str(path.parent) for path in sorted(RUNS.glob("*/config.toml")))
    return beginning([*runs, *(path.name for path in sorted(RUNS.parent.glob("*.safetensors")))],
                     incomplete)  # fmt: skip


def weights(incomplete: str) -> list[str]:
    """All that stands for weights: models, further ones that came along, runs and files."""
    from dln.core.models.registry import MODELS

    further = [name for about in MODELS.values() for name in about.further]
    return [*models(incomplete), *beginning(further, incomplete), *held(incomplete)]


def checks(incomplete: str) -> list[str]:
    """Those of `dln doctor --deep`."""
    from dln.export.checkup.listed import every_check

    return beginning([check.name for check in every_check()], incomplete)


def presets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Those of the model that the line names."""
    return beginning(of_model(ctx, "presets"), incomplete)


def stages(ctx: typer.Context, incomplete: str) -> list[str]:
    return beginning(of_model(ctx, "stages"), incomplete)


def of_model(ctx: typer.Context, what: str) -> Sequence[str]:
    from dln.core.models.registry import MODELS

    # words that no option has taken are left in args while an option's value is typed
    words = (ctx.params.get("model"), *ctx.args)
    about = next((MODELS[word] for word in words if word in MODELS), None)
    return getattr(about, what) if about else ()


def regions(incomplete: str) -> list[str]:
    """Codes and names of countries, grid zones, states and cloud regions."""
    from dln.core.carbon.places.regions import search

    known = search("")
    return beginning(sorted({name for each in known for name in (each.code, each.name)}),
                     incomplete)  # fmt: skip


def data(incomplete: str) -> list[str]:
    """The built-in data sets."""
    from dln.core.data import BUILT_IN

    return beginning(BUILT_IN, incomplete)


def subjects(incomplete: str) -> list[str]:
    """The pages of the guide."""
    from .pages import read_pages

    return beginning(read_pages(), incomplete)


def commands(ctx: typer.Context, incomplete: str) -> list[str]:
    """The commands at this point of the line."""
    from .main import tree

    level = tree()
    for word in ctx.params.get("words") or ():
        level = getattr(level, "commands", {}).get(word)
    return beginning(getattr(level, "commands", {}), incomplete)
