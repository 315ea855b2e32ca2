"""What an engine's process timed, as numbers to read: percentiles, shares, rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

MIB = 2**20


@dataclass(frozen=True)
class GraphTimes:
    """One graph on one engine. A share is of 1: of the clip's time, or of a rate of the machine.

    read_mib_per_clip: weights and inputs that its matrix products read; limit_share: seconds that
    its calls would take at least over those that they take; limit: what most of the former go to,
    "products" or "streaming".
    """

    name: str
    calls_per_clip: int
    call_p20_ms: float
    call_median_ms: float
    call_p95_ms: float
    clip_s: float
    clip_share: float
    gflop_per_clip: float
    read_mib_per_clip: float
    matrix_share: float
    streaming_gb_per_s: float
    streaming_share: float
    limit_share: float
    limit: str


@dataclass(frozen=True)
class EngineTimes:
    """One engine. ratio_to_torch: how many times as fast as eager torch in this run.

    host_s: the sampling loop's own seconds a clip; limit_share: the part of a clip's time that its
    graphs would take at the machine's own rates; peak_memory_mib: of the whole process, libraries
    included; peak_gpu_memory_mib: None without a GPU, or where the engine allocates by itself;
    energy_per_clip_j: None where not measured, energy_source says how it was found.
    """

    name: str
    asked: bool
    device: str
    threads: int
    load_1min: float | None
    prepare_s: float
    clips: int
    frames: int
    clip_p20_s: float
    clip_median_s: float
    clip_p95_s: float
    frames_per_s: float
    ratio_to_torch: float | None
    host_s: float
    host_share: float
    limit_share: float
    matrix_gflop_per_s: float
    matrix_size: int
    matrix_dtype: str
    peak_memory_mib: float | None
    peak_gpu_memory_mib: float | None
    energy_per_clip_j: float | None
    energy_source: str
    graphs: tuple[GraphTimes, ...]
    notes: tuple[str, ...]


def summarise(
    name: str, raw: Mapping[str, Any], base_s: float | None, asked: bool = True
) -> EngineTimes:
    """What a worker timed, as numbers to read. base_s: eager torch's median seconds a clip."""
    clips, energy = raw["clips_s"], raw["energy"]
    middle = median(clips)
    calls = raw["calls_s"]
    graphs = [graph_times(graph, calls[graph], raw, middle) for graph in calls]
    inside = (sum(sum(times[index]) for times in calls.values()) for index in range(len(clips)))
    host = median(whole - part for whole, part in zip(clips, inside, strict=True))
    least = sum(graph.limit_share * graph.clip_s for graph in graphs)
    return EngineTimes(
        name=name,
        asked=asked,
        device=raw["device"],
        threads=raw["threads"],
        load_1min=raw["load_1min"],
        prepare_s=raw["prepare_s"],
        clips=len(clips),
        frames=raw["frames"],
        clip_p20_s=percentile(clips, 20),
        clip_median_s=middle,
        clip_p95_s=percentile(clips, 95),
        frames_per_s=raw["frames"] / middle,
        ratio_to_torch=base_s / middle if base_s else None,
        host_s=host,
        host_share=host / middle,
        limit_share=least / middle,
        matrix_gflop_per_s=raw["matrix_flop_per_s"] / 1e9,
        matrix_size=raw["matrix_size"],
        matrix_dtype=raw["matrix_dtype"],
        peak_memory_mib=scaled(raw["peak_memory_bytes"], 1 / MIB),
        peak_gpu_memory_mib=scaled(raw["peak_gpu_memory_bytes"], 1 / MIB),
        energy_per_clip_j=scaled(energy["joules"], 1 / len(clips)),
        energy_source=energy["source"],
        graphs=tuple(graphs),
        notes=tuple(raw["notes"]),
    )


def graph_times(
    name: str, clips: Sequence[Sequence[float]], raw: Mapping[str, Any], clip_s: float
) -> GraphTimes:
    """clips: for each clip the seconds of the graph's calls; clip_s: a clip's median seconds."""
    calls = [second for clip in clips for second in clip]
    spent = median(sum(clip) for clip in clips)
    rate, streamed = raw["matrix_flop_per_s"], raw["work"][name]["streaming_bytes_per_s"]
    shapes = raw["work"][name]["shapes"]
    flop = sum(times * flop for times, flop, _ in shapes)
    read = sum(times * read for times, _, read in shapes)
    least = [(times, flop / rate, read / streamed) for times, flop, read in shapes]
    by_products = sum(times * product for times, product, read in least if product >= read)
    by_reading = sum(times * read for times, product, read in least if product < read)
    return GraphTimes(
        name=name,
        calls_per_clip=len(clips[0]),
        call_p20_ms=percentile(calls, 20) * 1e3,
        call_median_ms=median(calls) * 1e3,
        call_p95_ms=percentile(calls, 95) * 1e3,
        clip_s=spent,
        clip_share=spent / clip_s,
        gflop_per_clip=flop / 1e9,
        read_mib_per_clip=read / MIB,
        matrix_share=flop / rate / spent,
        streaming_gb_per_s=streamed / 1e9,
        streaming_share=read / streamed / spent,
        limit_share=(by_products + by_reading) / spent,
        limit="products" if by_products >= by_reading else "streaming",
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of them lie, linear between the two nearest."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
