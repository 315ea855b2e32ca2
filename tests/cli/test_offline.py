"""Every command in processes that are watched: none asks anybody, or writes anywhere but where it
is told to and into dln's own cache."""

import json
import os
import shlex
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from toy_export import weights  # pyright: ignore[reportMissingImports]

from dln.cli.libraries import FOLDERS, keep_in_cache
from dln.cli.main import tree

pytest.importorskip("resource", reason="counts commands with the fuzzer, which limits memory")

from ..core.snapshots import pickled, snapshot
from ..fuzz.commands import every_command
from .furnished import three_years

WATCH = Path(__file__).parent / "watch"
PLACES = {
    "HOME": "home",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
    "TMPDIR": "temporary",
}
# Command lines one after the other, and after each the files that are new.
DRIVER = """
import json, os, sys
from dln.cli.main import run

def files():
    root = os.environ["DLN_ROOT"]
    return {os.path.relpath(os.path.join(place, name), root)
            for place, _, names in os.walk(root) for name in names}

if __name__ == "__main__":
    for argv in json.loads(sys.argv[2]):
        before = files()
        code = run(argv)
        with open(sys.argv[1], "a") as told:
            told.write(json.dumps([code, sorted(files() - before)]) + "\\n")
"""
# Each command line, and what it may make in the working folder; a folder's name ends with /.
LINES: dict[str, tuple[str, ...]] = {
    "models list": (),
    "models show cogvideo": (),
    "models import theirs.pkl --out imported.safetensors": ("imported.safetensors",),
    "doctor": (),
    "doctor --deep --only codec-gif --only power-rapl": (),
    "data list": (),
    "data render clips --count 2 --size 32": ("clips/",),
    "data render rides --data vistas,camera=ride --count 1 --size 32": ("rides/",),
    "data show vistas,camera=still": (),
    "data show clips": (),
    "data check clips": (),
    "caption clips/00000.mp4 --model pictures.safetensors": (),
    "data caption clips --model pictures.safetensors --force": (),
    "carbon regions norway": (),
    "carbon estimate --region norway --model vit": (),
    "carbon compare --kwh 3 --out bars.png": ("bars.png",),
    "carbon schedule --region gb --start 2022-06-01T00:00Z --out plan.json": ("plan.json",),
    "carbon backtest grid.csv --fit 2021 --fit 2022 --score 2023": (),
    "carbon audit --region norway --out audit.json -- " + sys.executable + " -c 1": ("audit.json",),
    "carbon report audit.json --out figures": ("figures/",),
    "train toy-gan --data clips --steps 2 --region norway --out run": ("run/",),
    "train toy-gan --data clips --dry-run --region norway": (),
    "generate --model run --out a.mp4": ("a.mp4",),
    "generate --model toy.safetensors --engine onnx --seed 1 --out b.gif": ("b.gif",),
    "film story.srt --model text.safetensors --audio a.wav --size 32 --out film.mp4": ("film.mp4",),
    "verify a.mp4": (),
    "verify film.mp4": (),
    "verify b.gif --model toy.safetensors": (),
    "export toy.safetensors --out exported": ("exported/",),
    "export toy.safetensors --readiness": (),
    "verify exported --model toy.safetensors": (),
    "bench toy.safetensors --engine torch --runs 1 --threads 1 --out bench": ("bench/",),
    "evaluate toy.safetensors --data menagerie --count 3": (),
    "plot run --out curves.png": ("curves.png",),
    "gallery . run --out gallery.html": ("gallery.html",),
    "models rm run --yes": (),
    "config show --out mine.toml generate lion --frames 8": ("mine.toml",),
    "help models show": (),
    "guide api": (),
}


@dataclass(frozen=True)
class Watched:
    """What became of the lines. seen: look-ups, connections and files out of the folders."""

    outcomes: dict[str, tuple[int, list[str]]]
    seen: str
    code: int
    err: str


Watch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folders, all of them empty."""
    folder = tmp_path_factory.mktemp("user")
    for name in (*PLACES.values(), "work"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(scope="module")
def watch(root: Path) -> Watch:
    """watch(log, *args) -> Python with these arguments, as that user; log: what it does unasked."""
    paths = [str(WATCH), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]

    def started(log: Path, *args: str) -> subprocess.CompletedProcess[str]:
        log.touch()
        theirs = {name: value for name, value in os.environ.items()
                  if name not in (*FOLDERS, "ORT_DISABLE_TELEMETRY")}  # fmt: skip
        theirs |= {name: str(root / folder) for name, folder in PLACES.items()}
        theirs |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1",
                   "DLN_ROOT": str(root), "DLN_WATCH": str(log)}  # fmt: skip
        return subprocess.run([sys.executable, *args], cwd=root / "work", env=theirs,
                              capture_output=True, text=True, timeout=300)  # fmt: skip

    return started


@pytest.fixture(scope="module")
def watched(root: Path, watch: Watch, toy_weights: Callable[[str], Path],
            tmp_path_factory: pytest.TempPathFactory) -> Watched:  # fmt: skip
    """All lines in one process, whose children are watched too."""
    apart = tmp_path_factory.mktemp("watched")
    (root / "work" / "toy.safetensors").write_bytes(toy_weights("toy-gan").read_bytes())
    (root / "work" / "text.safetensors").write_bytes(weights("video-diffusion").read_bytes())
    (root / "work" / "story.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nlion drinking\n")
    with wave.open(str(root / "work" / "a.wav"), "wb") as silence:
        silence.setparams((1, 2, 8000, 0, "NONE", ""))
        silence.writeframes(bytes(8000))
    pictures = toy_weights("cogview2").read_bytes()
    (root / "work" / "pictures.safetensors").write_bytes(pictures)
    (root / "work" / "theirs.pkl").write_bytes(pickled(snapshot()[0]))
    (root / "work" / "grid.csv").write_text(three_years())
    driver, told, log = apart / "driver.py", root / "told", apart / "log"
    driver.write_text(DRIVER)
    told.touch()
    argvs = json.dumps([shlex.split(line) for line in LINES])
    ran = watch(log, str(driver), str(told), argvs)
    found = map(json.loads, told.read_text().splitlines())
    outcomes = {line: (code, files) for line, (code, files) in zip(LINES, found, strict=False)}
    return Watched(outcomes, log.read_text(), ran.returncode, ran.stderr)


def test_no_command_is_left_out() -> None:
    every = list(every_command(tree()))
    assert len(every) > 15
    missing = [
        name for name in every if not any(f"{line} ".startswith(f"{name} ") for line in LINES)
    ]
    assert missing == []


@pytest.mark.parametrize("line", LINES)
def test_a_command_writes_where_it_is_told_to(watched: Watched, line: str) -> None:
    assert line in watched.outcomes, watched.err[-3000:]
    code, files = watched.outcomes[line]
    assert code == 0, watched.err[-3000:]
    allowed = ("cache/dln/", *(f"work/{made}" for made in LINES[line]))
    assert [name for name in files if not name.startswith(allowed)] == []
    for made in LINES[line]:
        assert any(name.startswith(f"work/{made}") for name in files)


def test_no_command_asks_anybody(watched: Watched) -> None:
    """Nor does any write out of these folders, as into a /tmp that it did not ask for."""
    assert watched.seen == ""
    assert watched.code == 0, watched.err[-3000:]


NATIVE = (
    "import ctypes; ctypes.CDLL(None).getaddrinfo(b'example.org', b'80', None, ctypes.c_void_p())"
)
SEEN = {
    "import socket; socket.getaddrinfo('example.org', 80)": "socket.getaddrinfo",
    "import socket; socket.socket().connect(('192.0.2.1', 80))": "",
    "open(__import__('sys').argv[1] + '/left', 'w')": "open ",
    NATIVE: "",
}


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's filters of system calls")
@pytest.mark.parametrize(("code", "seen"), SEEN.items())
def test_the_watch_sees(watch: Watch, tmp_path: Path, code: str, seen: str) -> None:
    """What it is there for: a look-up by Python, one by C, a socket, a file elsewhere."""
    ran = watch(tmp_path / "log", "-c", code, str(tmp_path))
    assert (tmp_path / "log").read_text().startswith(seen)
    assert seen == "open " or ran.returncode == -31


@pytest.mark.parametrize(("theirs", "ours"), [(None, "1"), ("", "1"), ("0", "0"), ("1", "1")])
def test_telemetry_is_off_unless_asked_for(theirs: str | None, ours: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {} if theirs is None else {"ORT_DISABLE_TELEMETRY": theirs}
    code = "import dln.export, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert ran.stdout.split() == [ours]


def test_what_the_user_chose_for_a_library_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FOLDERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MPLCONFIGDIR", "/theirs")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    keep_in_cache()
    assert os.environ["MPLCONFIGDIR"] == "/theirs"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(Path("/somewhere/dln/inductor"))
