"""What an export's stages are recorded under: the code that decides them, and no other."""

from dataclasses import replace
from pathlib import Path

from dln.core import models
from dln.core.models.registry import MODELS
from dln.export import keys
from dln.export.keys import fingerprint

ROOT = Path(keys.__file__).parents[1]


def test_the_key_of_a_stage_knows_the_code_that_decides_it(monkeypatch):
    """Each source of core/models and of export/ is changed in turn: the key of a model changes
    with its own folder, the shared blocks, graphs and engines, and the export; with no other."""
    changed: list[Path] = []
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: b"other" if path in changed else read(path)
    )

    def key(model: str) -> str:
        keys.code_sha256.cache_clear()
        return fingerprint(model, "a", 1)

    before = {model: key(model) for model in ("cogvideo", "video-diffusion")}
    assert before["cogvideo"] != before["video-diffusion"]
    files = [path for part in ("core/models", "export") for path in (ROOT / part).rglob("*.py")]
    stale: dict[str, set[str]] = {model: set() for model in before}
    for path in files:
        changed[:] = [path]
        for model in before:
            if key(model) != before[model]:
                stale[model].add(path.relative_to(ROOT).as_posix())
    changed.clear()
    keys.code_sha256.cache_clear()
    shared = ("core/models/layers/", "core/models/graph.py", "core/models/engine.py", "export/")
    for model, own in {"cogvideo": "cogvideo", "video-diffusion": "video_diffusion"}.items():
        decides = (*shared, f"core/models/{own}/")
        names = [path.relative_to(ROOT).as_posix() for path in files]
        assert stale[model] == {name for name in names if name.startswith(decides)}


def test_a_new_system_leaves_the_keys_of_the_others(monkeypatch, tmp_path):
    """A folder among the models, found as an import would find it, and never imported."""
    (tmp_path / "unheard").mkdir()
    (tmp_path / "unheard" / "__init__.py").write_text("raise ImportError('it was imported')")
    before = fingerprint("cogvideo", "a")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    monkeypatch.setitem(MODELS, "unheard", replace(MODELS["cogvideo"], module="unheard"))
    keys.code_sha256.cache_clear()
    assert fingerprint("cogvideo", "a") == before
    own = fingerprint("unheard", "a")
    (tmp_path / "unheard" / "sample.py").write_text("")
    keys.code_sha256.cache_clear()
    assert own != fingerprint("unheard", "a")
    assert fingerprint("cogvideo", "a") == before != fingerprint("cogvideo", "b")
