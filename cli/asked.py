"""What can be said of a clip that is asked for before the model is loaded, or anything is made."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .clips import Job

if TYPE_CHECKING:
    from dln.core.models.about import About

PICTURES = ("image", "last_image")


def check_asked(prompt: str, model: str, wish: dict[str, Any]) -> "About":
    """What is asked. UsageError for a model that is not there, makes no clips, lacks a prompt or
    would leave one unread, for what it has no use for, words that it does not know and pictures
    that are none; MissingCapability where it has no weights; told without PyTorch."""
    from dln.core.models.locate import identify, look
    from dln.core.models.request import Request

    about = identify(model)
    about.check_prompt(prompt)
    Request.of(prompt, 0, wish)
    silent = about.wordless and not prompt.strip()
    about.check(wish)
    header = look(model)
    if header.vocabulary is not None and not silent:
        check_words(prompt, header.vocabulary)
    for name in PICTURES:
        if name in wish:
            check_picture(wish[name])
    return about


def check_words(prompt: str, words: Sequence[str]) -> None:
    """UsageError for a prompt that has none of these."""
    from dln.core.text.reader import check_prompt
    from dln.core.text.vocabulary import Vocabulary

    check_prompt(prompt, Vocabulary(words))


def check_picture(path: str) -> None:
    """UsageError where it cannot be read as one."""
    from dln.core.media.picture import read_picture

    read_picture(Path(path))


def check_rates(paths: Sequence[Path], wish: dict[str, Any]) -> None:
    """UsageError for a rate that the files cannot tell."""
    from dln.core.media.rates import check_rate

    if "fps" in wish:
        check_rate(wish["fps"], paths[0].suffix)


def check_able(job: Job) -> None:
    """Whether this machine and these weights can do it. PyTorch is loaded only where it takes part
    in the answer. MissingCapability, UsageError."""
    if not job.runner.is_torch:
        check_engine(job)
    elif job.runner.device not in ("auto", "cpu"):
        from dln.core.models.engine import pick_device

        pick_device(job.runner.device)
    if not {"frames", "label", "size", "extend", "video", *PICTURES}.isdisjoint(job.wish):
        check_sizes(job)


def check_engine(job: Job) -> None:
    """MissingCapability where it is not here, UsageError for an export that is not of the model."""
    from dln.core.models.locate import identify, locate, weights_sha256
    from dln.export.open import check_engine, check_given, wanted_of

    runner, engine = job.runner, job.runner.engine.value
    check_engine(engine, runner.device)
    if runner.graphs is not None:
        own = identify(job.model).name, weights_sha256(locate(job.model))
        wanted = wanted_of(*own, runner.precision.value, trt=engine == "trt")
        check_given(runner.graphs, wanted, lambda text: None)


def check_sizes(job: Job) -> None:
    """UsageError and MissingCapability for frames, sizes, classes, pictures and clips that the
    weights, or the engine, have no way with."""
    from dln.core.models.locate import identify
    from dln.core.models.package import config_of
    from dln.core.models.registry import sampling
    from dln.core.models.request import Request

    system, config = sampling(identify(job.model)), config_of(job.model)
    request = Request.of(job.prompt, job.seeds[0], job.wish)
    system.check(config, request, job.runner.named, job.runner.is_torch)
