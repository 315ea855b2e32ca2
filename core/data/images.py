"""Labelled images as data sets: scikit-learn's handwritten digits, and a folder for each class."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from ..errors import MissingCapability, UsageError
from ..installed import install_line
from ..media.names import is_image
from ..media.picture import fitted, read_picture, recent_picture
from .source import Source, still_frames

EVERY = 5  # of the samples, one is held out where the data does not say which
TRAIN, TEST = "train", "val"


class Stills(Source):
    """Labelled images as clips that stand still."""

    pictures = True

    def duration(self, index: int) -> float:
        return 1.0

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, None]:
        """The same image at each time."""
        return np.repeat(self.image(index, size)[None], len(times), axis=0), None

    def caption(self, index: int, rng: np.random.Generator) -> str:
        return self.classes[self.label(index)]

    def words(self) -> list[str]:
        from ..text.vocabulary import normalise

        return sorted({word for name in self.classes for word in normalise(name)})

    def labels(self, index: int) -> dict[str, str]:
        return {"class": self.classes[self.label(index)]}

    @abstractmethod
    def image(self, index: int, size: tuple[int, int]) -> np.ndarray: ...

    @abstractmethod
    def label(self, index: int) -> int: ...


class Digits(Stills):
    """1,797 real handwritten digits of 8 x 8 pixels (UCI; scikit-learn's `load_digits`).

    held_out: False for the four fifths that teach, True for the fifth that does not, None for all.
    noise: the share of the teaching labels that are wrong, each any other class alike, always the
    same ones. MissingCapability where scikit-learn is not installed.
    """

    name = "digits"
    classes = tuple("0123456789")

    def __init__(self, held_out: bool | None = False, noise: float = 0.0) -> None:
        images, labels = _digits()
        rows = split_rows(np.arange(len(images)), held_out)
        self.noise = 0.0 if held_out else noise
        self._images = np.round(images[rows] * (255 / 16)).astype(np.uint8)
        self._labels = noisy(labels[rows], len(self.classes), self.noise)

    def __len__(self) -> int:
        return len(self._images)

    def image(self, index: int, size: tuple[int, int]) -> np.ndarray:
        return fitted(self._images[index][..., None].repeat(3, axis=-1), size)

    def label(self, index: int) -> int:
        return int(self._labels[index])

    def fingerprint(self) -> str:
        return sha256(self._images.tobytes() + self._labels.tobytes()).hexdigest()


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingCapability(
            "digits come with scikit-learn, which is not installed", install_line("data")
        ) from error
    found = load_digits()
    return found.images, found.target.astype(np.int64)  # pyright: ignore


class ImageFolder(Stills):
    """A folder with a folder of images for each class, or with train/ and val/ that hold such.

    Without val/ one image in five is held out. held_out and noise as in Digits. UsageError where
    there are fewer than two classes, or an image cannot be read.
    """

    flips = True

    def __init__(self, path: str, held_out: bool | None = False, noise: float = 0.0) -> None:
        self.name = path
        self.noise = 0.0 if held_out else noise
        self.classes = tuple(classes_of(Path(path)))
        entries = _entries(Path(path), self.classes, held_out)
        if not entries:
            raise UsageError(f"{path} holds no images to {'measure' if held_out else 'learn'} with")
        self._paths = [file for file, _ in entries]
        truth = np.array([label for _, label in entries])
        self._labels = noisy(truth, len(self.classes), self.noise)

    def __len__(self) -> int:
        return len(self._paths)

    def image(self, index: int, size: tuple[int, int]) -> np.ndarray:
        return fitted(read_picture(self._paths[index]), size)

    def shape(self, index: int) -> tuple[int, int]:
        height, width = recent_picture(self._paths[index]).shape[:2]
        return height, width

    def whole(self, index: int, times: np.ndarray) -> np.ndarray:
        return still_frames(recent_picture(self._paths[index]), len(times))

    def label(self, index: int) -> int:
        return int(self._labels[index])

    @cached_property
    def _fingerprint(self) -> str:
        digest = sha256(repr((self.classes, self.noise)).encode())
        for path in self._paths:
            digest.update(f"{path.name} {path.stat().st_size}".encode())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        return self._fingerprint


class Middles(Source):
    """A data set whose actors are known, with the actor for its class."""

    flips = True

    def __init__(self, source: Source, classes: tuple[str, ...]) -> None:
        self.source, self.classes, self.name = source, classes, source.name

    def __len__(self) -> int:
        return len(self.source)

    def duration(self, index: int) -> float:
        return self.source.duration(index)

    def frames(
        self, index: int, times: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return self.source.frames(index, times, size)

    def caption(self, index: int, rng: np.random.Generator) -> str:
        return self.source.caption(index, rng)

    def words(self) -> list[str]:
        return self.source.words()

    def fingerprint(self) -> str:
        return self.source.fingerprint()

    def label(self, index: int) -> int:
        return self.classes.index((self.labels(index) or {})["actor"])

    def labels(self, index: int) -> dict[str, str] | None:
        return self.source.labels(index)


def is_image_folder(path: Path) -> bool:
    """Whether the folder holds folders of images and no listing of videos."""
    return os.path.isdir(path) and any(_class_folders(path))


def noisy(labels: np.ndarray, classes: int, share: float, seed: int = 0) -> np.ndarray:
    """Symmetric label noise: each label is, with probability `share`, any of the others."""
    if not 0 <= share < 1:
        raise UsageError(f"noise is a share from 0 to below 1, not {share:g}")
    if not share:
        return labels
    if classes < 2:
        raise UsageError("noise takes at least two classes")
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(labels)) < share
    shift = rng.integers(1, classes, len(labels))
    return np.where(wrong, (labels + shift) % classes, labels)


def split_rows(rows: np.ndarray, held_out: bool | None) -> np.ndarray:
    """What teaches (held_out False), the one in EVERY that measures (True), or all (None)."""
    last = np.arange(len(rows)) % EVERY == EVERY - 1
    return rows if held_out is None else rows[last == held_out]


def classes_of(path: Path) -> list[str]:
    """The names of the folders that hold images, of train/ where there is one."""
    return sorted(folder.name for folder in _class_folders(path))


def _class_folders(path: Path) -> Iterator[Path]:
    """Each is known by its first image: there may be a million."""
    for folder in (path / TRAIN if (path / TRAIN).is_dir() else path).iterdir():
        with suppress(OSError):  # what may not be looked into is no class
            if (
                folder.is_dir()
                and not folder.name.startswith(".")
                and any(map(is_image, folder.iterdir()))
            ):
                yield folder


def images_in(folder: Path) -> list[Path]:
    """The images in a folder, by name: files, no pipe, which might never end."""
    with os.scandir(folder) as entries:
        return sorted(Path(each) for each in entries if is_image(Path(each)) and each.is_file())


def _folders(path: Path, name: str) -> list[Path]:
    places = [path / TRAIN, path / TEST] if os.path.isdir(path / TRAIN) else [path]
    return [place / name for place in places if os.path.isdir(place / name)]


def _entries(path: Path, classes: Sequence[str], held_out: bool | None) -> list[tuple[Path, int]]:
    if len(classes) < 2:
        raise UsageError(f"{path} has fewer than two folders of images: one for each class")
    if os.path.isdir(path / TEST):
        places = {False: [TRAIN], True: [TEST], None: [TRAIN, TEST]}[held_out]
        found = [(path / place / name, label) for place in places
                 for label, name in enumerate(classes)]  # fmt: skip
        return [(file, label) for folder, label in found if folder.is_dir()
                for file in images_in(folder)]  # fmt: skip
    return [
        (file, label)
        for label, name in enumerate(classes)
        for file in _folder_split(path, name, held_out)
    ]


def _folder_split(path: Path, name: str, held_out: bool | None) -> list[Path]:
    files = [file for folder in _folders(path, name) for file in images_in(folder)]
    return [files[row] for row in split_rows(np.arange(len(files)), held_out)]
