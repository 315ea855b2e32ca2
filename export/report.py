"""report.md of an export: what was made, what was proven, what was not."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dln.core.files import atomic_write
from dln.core.text.shown import in_markdown

REPORT = "report.md"


def write_report(folder: Path, manifest: dict[str, Any]) -> None:
    """Atomically, beside the manifest."""
    with atomic_write(folder / REPORT, "w") as file:
        file.write(text(manifest))


def is_current(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether the report there says what the manifest does."""
    path = folder / REPORT
    return path.is_file() and path.read_bytes() == text(manifest).encode()


def text(manifest: dict[str, Any]) -> str:
    """The whole report; it follows from the manifest."""
    return "\n".join(lines(manifest)) + "\n"


def lines(manifest: dict[str, Any]) -> Iterator[str]:
    """Markdown."""
    yield f"# {in_markdown(manifest['model'])}, {manifest['precision']}, opset {manifest['opset']}"
    yield ""
    yield f"Weights {manifest['weights_sha256']}."
    yield ""
    yield from graph_table(manifest["graphs"])
    yield ""
    yield from sampling_lines(manifest["sampling"])
    if manifest["engines"]:
        yield ""
        yield from engine_table(manifest["engines"])
    yield ""
    yield f"Made with {listed(manifest['versions'])}."
    if earlier := manifest.get("proven_with"):
        yield f"Proven when the weights were made, with {listed(earlier)}."


def listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def graph_table(graphs: dict[str, Any]) -> Iterator[str]:
    yield "| graph | MB | varies | weights | checked on | runs | largest error | SNR, dB |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, entry in graphs.items():
        size = sum(part["bytes"] for part in (entry, *entry["data"])) / 1e6
        sizes = (entry["parity"] or {}).get("sizes", entry["sizes"])
        ranges = ", ".join(f"{n} {low} to {high}" for n, (low, _, high) in sizes.items())
        weights = ", ".join(f"{count} {kind}" for kind, count in entry["weights"].items())
        parity = entry["parity"]
        if parity is None:
            proof = "not checked | | |"
        else:
            ratio = "exact" if parity["snr_db"] is None else parity["snr_db"]
            proof = f"{parity['executed']} | {parity['runs']} | {parity['error']:.2g} | {ratio} |"
        yield f"| {in_markdown(name)} | {size:.1f} | {ranges} | {weights} | {proof}"


def sampling_lines(sampling: dict[str, Any] | None) -> Iterator[str]:
    if sampling is None:
        yield "The whole sampling loop was not compared."
        return
    clips = sampling.get("clips", [])
    for seed, (prompt, clip) in enumerate(zip(sampling["prompts"], clips, strict=False)):
        yield f"- {in_markdown(repr(prompt)) if prompt else f'seed {seed}'}: {compared([clip])}"
    for name, found in sampling.get("calls", {}).items():
        ratio = "exact" if found["snr_db"] is None else f"{found['snr_db']} dB"
        yield f"- while sampling, '{in_markdown(name)}': {found['runs']} calls, worst SNR {ratio}"
    for name in sampling.get("unproven", []):
        yield f"- no request calls '{in_markdown(name)}': unproven while sampling"


def loop_words(sampling: dict[str, Any] | None) -> str:
    """What the comparison of the sampling loop has shown, in one line."""
    if sampling is None:
        return "not compared"
    if clips := sampling.get("clips"):
        return f"{len(clips)} clips: {compared(clips)}"
    calls = sampling.get("calls", {}).values()
    ratios = [call["snr_db"] for call in calls if call["snr_db"] is not None]
    worst = f", worst SNR {min(ratios)} dB" if ratios else ""
    return f"every call of {len(sampling['prompts'])} clips within the limits{worst}"


def compared(clips: Sequence[dict[str, Any]]) -> str:
    """What whole loops on both engines have shown, in words: the worst of these clips."""
    error = max(clip["error"] for clip in clips)
    integers = sum(clip["integers"] for clip in clips)
    differing = sum(clip["differing_integers"] for clip in clips)
    levels = max(clip["max_level_difference"] for clip in clips)
    counted = f"{differing} of {integers} integers differ, " if integers else ""
    return f"{counted}values by at most {error:.1e}, pixels by at most {levels} of 255"


def engine_table(engines: dict[str, Any]) -> Iterator[str]:
    yield "| engine | MB | built by | for compute capability | seconds | executed |"
    yield "|---|---|---|---|---|---|"
    for name, entry in engines.items():
        targets = ", ".join(entry["compute_capabilities"]) or "this GPU"
        ran = entry["executed"] or "no: built, not verified"
        yield (
            f"| {in_markdown(name)} | {entry['bytes'] / 1e6:.1f} "
            f"| {entry['backend']} {entry['version']} | {targets} | {entry['seconds']} | {ran} |"
        )
