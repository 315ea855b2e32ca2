"""Data sets: the built-in worlds, real digits, your own videos or images in a folder or tars."""

import re
from os.path import isdir, isfile, join
from pathlib import Path
from shlex import quote

from ..errors import UsageError, closest, short
from ..progress import OnProgress, unheard
from .report import Note, Report
from .source import Source

__all__ = [
    "Report",
    "Source",
    "check_source",
    "check_spec",
    "names_shards",
    "open_source",
]

BUILT_IN = ("menagerie", "vistas", "digits")
# Samples and classes of sets that a dry run may name without having them; ImageNet's number is the
# round one of SAF's paper (2205.14083), whose table is 14,648 MiB.
KNOWN = {"imagenet": (1_280_000, 1000), "cifar10": (50_000, 10), "cifar100": (50_000, 100)}


def open_source(
    spec: str,
    *,
    count: int | None = None,
    seed: int = 0,
    held_out: bool | None = False,
    on_progress: OnProgress = unheard,
    wordless: bool = False,
) -> Source:
    """The data set that `spec` names: "menagerie", "vistas", "digits", a folder of videos or of
    images (one folder a class), one video or picture, or tars ("shards-{000..099}.tar").
    "digits,noise=0.2" has 20 % wrong labels; "vistas,camera=ride,season=winter" are winter rides
    (`vistas.source.opened`).

    count: how many clips (of a built-in world 12000 unless told; of your own: all unless told, the
    first `count` otherwise). seed and held_out choose the stories of a world: held_out False
    leaves out the pairs kept for evaluation, True draws only those, None draws from all; of
    vistas and images it leaves out, or leaves, those that measure. on_progress: as check_source
    tells it. wordless: whether videos and pictures without captions will do.
    Raises UsageError for anything else.
    """
    world, *options = spec.split(",")
    if world == "vistas" and not isdir(spec):
        from .vistas.source import opened

        return opened(options, count, seed, held_out)
    name, noise = _parts(spec)
    if name == "menagerie" and not noise:
        from .menagerie.source import DEFAULT_COUNT, Menagerie

        return Menagerie(DEFAULT_COUNT if count is None else count, seed, held_out)
    if name == "digits":
        from .images import Digits

        return Digits(held_out, noise)
    if isdir(name):
        return _folder(name, count, held_out, noise, on_progress, wordless)
    if names_shards(name):
        from .shards import Shards

        return Shards(name, count, held_out, noise, on_progress)
    if isfile(name):
        from .folder import Folder

        return Folder(name, count, on_progress, wordless)
    raise _unknown(spec)


def check_spec(spec: str) -> None:
    """UsageError for what `open_source` refuses by its name alone; nothing is opened."""
    name, _ = _parts(spec)
    known = name.split(",")[0] in BUILT_IN or names_shards(name)
    if not (known or isdir(name) or isfile(name)):
        raise _unknown(spec)


def _unknown(spec: str) -> UsageError:
    return UsageError(
        f"There is no data set or folder named {short(spec)!r}.{closest(short(spec), BUILT_IN)}",
        "Data sets: menagerie, vistas, digits, the path of a folder with videos and metadata.csv "
        "or with a folder of images for each class, of a video or a picture, or of tars "
        "(shards-{000..099}.tar).",
    )


def check_source(spec: str, on_progress: OnProgress = unheard) -> Report:
    """Every file or sample of a folder of videos or of tars, and what cannot be used. UsageError
    where there is no such folder, or it is no data set.

    on_progress: is told how many files, or tars, of how many are done."""
    if names_shards(spec):
        from .shards import check
    elif isdir(spec) and _shows_classes(spec):
        told = f"{spec} holds folders of images, one for each class"
        hint = f"dln data show {quote(spec)}"
        raise UsageError(f"{told}: what is checked are captioned videos.", hint)
    else:
        from .folder import check
    return check(spec, on_progress)


def names_shards(spec: str) -> bool:
    """Whether the name of a data set means tars: "a.tar", "{a,b}.tar", "a.tar::b.tar"."""
    return re.search(r"\.tar\b", spec) is not None and not isdir(spec)


def _folder(
    path: str,
    count: int | None,
    held_out: bool | None,
    noise: float,
    on_progress: OnProgress,
    wordless: bool,
) -> Source:
    if _shows_classes(path) and not (wordless and _unsorted(path)):
        from .beside import has_texts
        from .images import ImageFolder

        source = ImageFolder(path, held_out, noise)
        if any(has_texts(join(path, inside, source.classes[0])) for inside in ("", "train")):
            unread = "has a class for each folder: the .txt files beside its pictures are not read"
            source.report = Report(path, len(source), notes=[Note(path, unread)])
        return source
    if noise:
        raise UsageError(f"{path} has no labels that noise could change")
    from .folder import Folder

    return Folder(path, count, on_progress, wordless)


def _shows_classes(path: str) -> bool:
    """Whether it is a folder of images for each class, and nothing in it captions videos."""
    from .beside import captioned_at_the_top
    from .images import is_image_folder
    from .listing import is_listed

    captioned = is_listed(path) or captioned_at_the_top(path)
    return not captioned and is_image_folder(Path(path))


def _unsorted(path: str) -> bool:
    """Whether images lie in the folder itself too, or in one folder of it alone."""
    from .images import classes_of, images_in

    return bool(images_in(Path(path))) or len(classes_of(Path(path))) < 2


def _parts(spec: str) -> tuple[str, float]:
    """ "digits,noise=0.2" -> ("digits", 0.2). A folder may have a comma in its name."""
    name, sign, share = spec.rpartition(",noise=")
    if not sign:
        return spec, 0.0
    try:
        return name, float(share)
    except ValueError as error:
        raise UsageError(f"noise is a share such as 0.2, not {share!r}") from error
