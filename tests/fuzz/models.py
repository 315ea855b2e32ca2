"""What models are kept in and made: weights, graphs, receipts, manifests."""

import io
from typing import Any

from hypothesis import strategies as st

from .arguments import json_flag
from .case import Case
from .nasty import damaged, documents, json_files
from .pantry import Pantry
from .weights import onnx_files, safetensors

Cases = st.SearchStrategy[Case]


def weight_files(pantry: Pantry) -> Cases:
    """Weights of models, by every command that opens them."""
    names = ("toy-gan", "toy-stream", "toy-classes", "toy-pieces", "video-diffusion", "recognizer")
    commands = (
        ("generate", "--model", "m.safetensors", "--seed", "1", "--native", "--out", "a.gif"),
        ("generate", "lion", "--model", "m.safetensors", "--steps", "1", "--frames", "1",
        "--out", "a.png"),
        ("generate", "--model", "m.safetensors", "--dry-run"),
        ("export", "m.safetensors", "--dry-run"),
        ("evaluate", "m.safetensors", "--count", "0"),
        ("train", "toy-gan", "--start-from", "m.safetensors", "--steps", "1", "--out", "run"),
    )  # fmt: skip

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        data = draw(safetensors(pantry[f"{draw(st.sampled_from(names))}.safetensors"]))
        return Case((*draw(st.sampled_from(commands)), *draw(json_flag)), {"m.safetensors": data})

    return drawn()


def pickles(pantry: Pantry) -> Cases:
    """What others publish, with bytes or with sizes changed."""
    from ..core.snapshots import SMALL, made_with, pickled, snapshot

    init = made_with(SMALL)
    plain = {name: init[name] for name in init if name not in ("cfg", "mapping_kwargs")}

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        if draw(st.integers(0, 2)):
            name = draw(st.sampled_from(("theirs.pkl", "archive.pt", "stream.pt")))
            data = draw(damaged(pantry[name], 6))
        else:
            changed = draw(documents(plain))
            held, _ = snapshot(**(changed if isinstance(changed, dict) else {}))
            data = pickled(held, draw(st.integers(0, 5)))
        return Case(("models", "import", "x.pkl", *draw(json_flag)), {"x.pkl": data})

    return drawn()


def onnx(pantry: Pantry) -> Cases:
    """Somebody's graph, to be told whether TensorRT takes it."""
    name = st.sampled_from(("m.onnx", "m.onnx", "M.ONNX"))
    return st.builds(
        lambda data, name, flag: Case(("export", name, "--readiness", *flag), {name: data}),
        onnx_files(pantry["exported/onnx/synthesis.onnx"]), name, json_flag,
    )  # fmt: skip


def receipts(pantry: Pantry) -> Cases:
    """What a clip says of itself."""
    from dln.core.media.receipt import read_receipt

    sound = {name: read_receipt(pantry.folder / name) for name in (
        "toy-gan.gif", "toy-gan.png", "toy-stream.webm", "toy-gan.mp4")}  # fmt: skip

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        name = draw(st.sampled_from(sorted(sound)))
        model, suffix = name.split(".")
        text = draw(json_files(sound[name]))
        clip = with_comment(pantry[name], suffix, text)
        own = ("--model", "m.safetensors") if draw(st.booleans()) else ()
        weights = pantry[f"{model}.safetensors"]
        files = {f"c.{suffix}": clip, "m.safetensors": weights, f"{model}.safetensors": weights}
        return Case(("verify", f"c.{suffix}", *own, *draw(json_flag)), files)

    return drawn()


def with_comment(clip: bytes, suffix: str, text: bytes) -> bytes:
    """The same frames with another text."""
    if suffix in ("mp4", "webm"):
        import av

        out: Any = io.BytesIO()
        source: Any = av.open(io.BytesIO(clip))
        with source, av.open(out, "w", suffix) as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            told = text.decode("utf-8", "replace").replace("\0", "")
            target.metadata["comment"] = told[:200_000]
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        return out.getvalue()
    from PIL import Image, PngImagePlugin

    out = io.BytesIO()
    with Image.open(io.BytesIO(clip)) as picture:
        if suffix == "gif":
            picture.save(out, "GIF", save_all=True, comment=text[:200_000])
        else:
            told = PngImagePlugin.PngInfo()
            told.add_text("comment", text.decode("latin-1", "replace").replace("\0", "")[:200_000])
            picture.save(out, "PNG", pnginfo=told)
    return out.getvalue()


def manifests(pantry: Pantry) -> Cases:
    """What an export's folder says of itself."""
    files = {**pantry.tree("exported"), "m.safetensors": pantry["toy-gan.safetensors"]}
    spoilt = json_files(pantry.json("exported/manifest.json"))
    ways = st.sampled_from((
        ("export", "m.safetensors", "--out", "exported", "--no-check"),
        ("export", "m.safetensors", "--out", "exported"),
        ("export", "m.safetensors", "--out", "exported", "--dry-run"),
        ("generate", "--model", "m.safetensors", "--engine", "onnx", "--graphs", "exported",
        "--seed",
         "1", "--native", "--out", "a.gif"),
        ("verify", "exported", "--model", "m.safetensors"),
        ("verify", "exported"),
    ))  # fmt: skip
    return st.builds(
        lambda argv, data, flag: Case((*argv, *flag), {**files, "exported/manifest.json": data}),
        ways, spoilt, json_flag,
    )  # fmt: skip
