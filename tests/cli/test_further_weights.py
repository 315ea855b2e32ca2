"""Weights that come along beside a model's own are shown and used by their own name."""

from pathlib import Path

from dln.core.models import locate


def test_they_are_shown_by_their_name(dln):
    shown = dln("models", "show", "recognizer-vistas", "--json").json
    assert shown["name"] == "recognizer"
    assert shown["card"]["data"]["name"] == "vistas,camera=still"
    assert Path(shown["weights_path"]).stat().st_size < 1_100_000
    further = dln("models", "show", "recognizer", "--json").json["further_weights"]
    assert further == ["recognizer-vistas", "recognizer-props"]


def test_doctor_tells_where_they_are_missing(dln, monkeypatch):
    def rows() -> dict[str, dict]:
        return {check["name"]: check for check in dln("doctor", "--json").json["checks"]}

    assert rows()["weights recognizer-vistas"]["status"] == "ok"
    monkeypatch.setattr(locate, "files", lambda package: Path("nowhere"))
    row = rows()["weights recognizer-vistas"]
    assert (row["status"], row["hint"]) == ("missing", "dln train recognizer --data vistas")


def test_captioned_videos_have_no_labels_to_learn(dln, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    refused = dln("train", "recognizer", "--data", str(tmp_path))
    assert refused.code == 2
