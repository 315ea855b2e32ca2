"""Command lines and the files that stand for them: prompts, options, --set, --config."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import strategies as st

from dln.cli.main import tree

from .arguments import TOML, arguments, json_flag, toml_files
from .case import Case
from .films import SRT
from .pantry import Pantry

Cases = st.SearchStrategy[Case]


def prompts(pantry: Pantry) -> Cases:
    """By a text-to-video model, by the ranking, and into a file's name."""
    names = ("lion", "drinking", "on", "a", "sofa", "лев", "пьёт", "in", "the", "snow", "cat")
    mixed = st.lists(st.one_of(st.sampled_from(names), arguments), max_size=6).map(" ".join)
    model = {"m.safetensors": pantry["video-diffusion.safetensors"]}
    real = ("--model", "m.safetensors", "--steps", "1", "--frames", "1", "--native", "--seed", "1")

    def case(prompt: str, how: tuple[str, ...], flag: tuple[str, ...], dashes: bool) -> Case:
        last = ("--", prompt) if dashes else (prompt,)
        return Case(("generate", *how, *flag, *last), model if "m.safetensors" in how else {})

    ways = st.sampled_from(
        ((*real, "--out", "a.png"), (*real, "--out", "a.gif"), real, ("--dry-run",),
         ("--dry-run", "--best-of", "2"), ("--dry-run", "--out", "x/"))
    )  # fmt: skip
    return st.builds(case, mixed, ways, json_flag, st.booleans())


# Lines that are cheap, whatever is said beside them: --dry-run, or no work without sound files.
LINES: dict[str, tuple[str, ...]] = {
    "generate": ("--model", "m.safetensors", "--dry-run"),
    "film": ("story.srt", "--model", "t.safetensors", "--dry-run"),
    "train": ("toy-gan", "--dry-run"),
    "export": ("m.safetensors", "--dry-run"),
    "evaluate": ("resnet", "--count", "2"),
    "bench": ("toy-none", "--against", "sgd"),
    "verify": ("c.gif",),
    "plot": ("run",),
    "gallery": ("clips",),
    "models show": ("toy-gan",),
    "models list": (),
    "models import": ("theirs.pkl",),
    "models rm": ("clips", "--yes"),
    "config show": ("generate", "lion"),
    "help": ("models", "show"),
    "guide": ("api",),
    "doctor": ("--deep", "--only", "codec-gif", "--limit", "1"),
    "data list": (),
    "data show": ("menagerie",),
    "data check": ("clips",),
    "caption": ("c.gif", "--model", "m.safetensors"),
    "data caption": ("clips", "--model", "m.safetensors"),
    "data render": ("new", "--count", "1", "--size", "16"),
    "carbon estimate": ("--region", "norway"),
    "carbon compare": ("--kwh", "3"),
    "carbon schedule": ("--region", "gb", "--start", "2022-06-01T00:00Z"),
    "carbon audit": ("--plan", "none.json", "--", "true"),
    "carbon report": ("finished/emissions.json",),
    "carbon backtest": ("years.csv", "--fit", "2021", "--fit", "2022", "--score", "2023"),
    "carbon regions": ("norway",),
}
# Numbers of these are work that may be asked for, however large: only small ones are drawn.
WORK = ("--count", "-n", "--seeds", "--epochs", "--runs", "--warmup", "--workers", "--frames",
        "--limit")  # fmt: skip
WRITING = ("--out", "--graphs", "--config")
SMALL = ("0", "-1", "1", "nan", "1.5", "x", "", "1e999", "٣", "1_0")
ENVIRONMENT = {
    "WORLD_SIZE": ("abc", "-1", "", "1.5", "9" * 5000),
    "RANK": ("abc", "-1", "nan"),
    "LOCAL_RANK": ("abc", "-7", "9" * 5000),
    "COLUMNS": ("abc", "-5", "0", "1", "9" * 30),
    "OMP_NUM_THREADS": ("abc", "-1", "0"),
    "XDG_CACHE_HOME": ("relative", "", "/dev/null/x", "a" * 5000),
    "DLN_MODELS": ("/nowhere", ":", "a" * 5000, "\x1b[31m"),
    "LANG": ("xx_XX.UTF-9", ""),
}


def options(pantry: Pantry) -> Cases:
    """Every option of every command with values that it may not take, or twice, or alone."""
    names = sorted(LINES)
    flags = {name: list(flags_of(name)) for name in names}
    files = {
        "m.safetensors": pantry["toy-gan.safetensors"],
        "t.safetensors": pantry["video-diffusion.safetensors"],
        "story.srt": SRT.encode(),
        "c.gif": pantry["toy-gan.gif"],
        "years.csv": pantry["years.csv"],
        "theirs.pkl": pantry["theirs.pkl"],
        **pantry.tree("clips"),
        "finished/emissions.json": pantry["finished/emissions.json"],
    }

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        name = draw(st.sampled_from(names))
        words = [*name.split(), *LINES[name]]
        cut = words.index("--") if "--" in words else len(words)
        for _ in range(draw(st.integers(0, 3))):
            flag, takes = draw(st.sampled_from(flags[name]))
            value = [draw(arguments_of(flag))] if takes else []
            words[cut:cut] = [flag, *value]
        for place in range(len(name.split()), len(words)):
            if draw(st.integers(0, 11)) == 0 and words[place - 1] not in (*WORK, *WRITING):
                words[place] = draw(arguments_of("--out" if name == "data render" else ""))
        told = draw(st.sampled_from(sorted(ENVIRONMENT))) if draw(st.integers(0, 9)) == 0 else None
        environment = {told: draw(st.sampled_from(ENVIRONMENT[told]))} if told else {}
        return Case((*words, *draw(json_flag)) if cut == len(words) else tuple(words), files,
                    environment=environment)  # fmt: skip

    return drawn()


def every_command(level: Any, words: str = "") -> Iterator[str]:
    """Every command below, by the words that call it."""
    children = getattr(level, "commands", {})
    for name, child in children.items():
        yield from every_command(child, f"{words} {name}".strip())
    if not children:
        yield words


def arguments_of(flag: str) -> st.SearchStrategy[str]:
    """What to give for it. A place to write is never out of the case's folder, nor is work long."""
    if flag in WORK:
        return st.sampled_from(SMALL)
    if flag in (*WRITING, "-o"):
        inside = ("a" * 300, "x/y/z", "clips", "m.safetensors", "o.mp4", "o.PNG", "\udcff.gif", ".",
                  "\x1b[31m.mp4", "o.exe", "clips/", "none.toml", "years.csv/x.png",
                  " ")  # fmt: skip
        return st.sampled_from(inside)
    return arguments


def flags_of(words: str) -> Iterator[tuple[str, bool]]:
    """Each spelling of each option of a command, and whether a value follows."""
    level: Any = tree()
    for word in words.split():
        level = level.commands[word]
    for parameter in level.params:
        for flag in (*parameter.opts, *parameter.secondary_opts):
            if flag.startswith("-") and flag not in ("--help", "-h", "--force", "--no-dry-run"):
                yield flag, not getattr(parameter, "is_flag", False)


MODELS = ("toy-gan", "toy-stream", "resnet", "vit", "recognizer", "video-diffusion", "cogvideo")
STRANGE = ("", ".", "a.b.c", "base.", "width.x", "names.0", "__class__", "_", "a" * 300)


def fields_of(model: str) -> list[str]:
    """The names that --set knows of a model, groups with a dot."""
    from dln.core.models.registry import find, load

    system = load(find(model))
    preset = system.PRESETS[system.about.default_preset]

    def names(config: Any, before: str) -> Iterator[str]:
        for item in fields(config):
            yield before + item.name
            if is_dataclass(inner := getattr(config, item.name)):
                yield from names(inner, f"{before}{item.name}.")

    return list(names(preset, ""))


def sets(pantry: Pantry) -> Cases:
    """--set of models and of samplers."""
    known = {model: fields_of(model) for model in MODELS}
    weights = {f"{name}.safetensors": pantry[f"{name}.safetensors"] for name in MODELS[:2]}
    own = {"toy-gan.safetensors": "truncation", "toy-stream.safetensors": "start"}

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        kind, files = draw(st.integers(0, 5)), {}
        if kind <= 3:
            model = draw(st.sampled_from(MODELS))
            argv, names = ("train", model, "--dry-run"), known[model]
        elif kind == 4:
            argv = ("train", "toy-gan", "--steps", "1", "--out", "run")
            names = known["toy-gan"]
        else:
            model, files = draw(st.sampled_from(sorted(weights))), weights
            argv = ("generate", "--model", model, "--seed", "1", "--native", "--out", "a.gif")
            names = [own[model]]
        told: tuple[str, ...] = ()
        for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
            name = draw(st.sampled_from(names if draw(st.integers(0, 7)) else STRANGE))
            value = draw(st.one_of(st.sampled_from(TOML), st.sampled_from(TOML), arguments))
            told += ("--set", f"{name}={value}")
        if draw(st.integers(0, 19)) == 0:
            told += ("--set", draw(arguments))
        return Case((*argv, *told, *draw(json_flag)), files)

    return drawn()


CONFIGS: dict[tuple[str, ...], str] = {
    ("generate", "--model", "m.safetensors", "--dry-run"):
        'frames = 2\nfps = 4.0\nseed = 3\ncount = 1\npreview = false\ndevice = "cpu"\n'
        '[set]\ntruncation = 0.5\n',
    ("train", "toy-gan", "--dry-run"):
        'steps = 3\nbatch = 2\nlr = 0.001\nseed = 1\ndata = "menagerie"\nsharpness = "none"\n'
        'workers = 0\ncheckpoint_every = 5\noptimizer = "adamw"\n[set]\nwidth = 8\n',
    ("export", "m.safetensors", "--dry-run"): 'precision = "fp32"\nbatch = 2\ncheck = true\n',
    ("evaluate", "resnet"): 'count = 2\nseed = 0\nsteps = [1, 2]\nguidance = 1.0\n',
    ("verify", "c.gif"): 'model = "m.safetensors"\ndevice = "cpu"\n',
}  # fmt: skip


def toml(pantry: Pantry) -> Cases:
    """Files of --config, and the config.toml of a run that goes on."""
    files = {"m.safetensors": pantry["toy-gan.safetensors"], "c.gif": pantry["toy-gan.gif"]}
    halted = pantry.tree("halted")
    resumed = ("train", "toy-gan", "--resume", "--out", "halted", "--steps", "2")

    def configured(argv: tuple[str, ...], data: bytes, flag: tuple[str, ...]) -> Case:
        return Case((*argv, "--config", "c.toml", *flag), {**files, "c.toml": data})

    def resuming(data: bytes, flag: tuple[str, ...]) -> Case:
        return Case((*resumed, *flag), {**halted, "halted/config.toml": data})

    several = [st.builds(configured, st.just(argv), toml_files(text), json_flag)
               for argv, text in CONFIGS.items()]  # fmt: skip
    own = toml_files(pantry.text("halted/config.toml"))
    return st.one_of(*several, st.builds(resuming, own, json_flag))
