"""Each engine's clips by the clock, as a ratio to eager torch's on this machine."""

from statistics import median

from dln.core.models.engine import pick_device
from dln.core.models.package import load_model
from dln.core.models.request import Request
from dln.core.training.speed import waiter

from ..bench_worker import create, device_name, prompt_of, time_clips, warm_up
from .listed import speed_name
from .onnx import log
from .outcome import Found, Job

RUNS, WARM = 3, 1  # clips
SEED = 0


def timed(job: Job, model: str, engine: str) -> Found:
    """The median of RUNS clips. MissingCapability where the engine is not here."""
    loaded, device = load_model(model), pick_device("auto")
    made = create(engine, loaded, device, "fp32", log)
    request = Request(prompt=prompt_of(loaded, None), seed=SEED)
    warm_up(made, loaded, request, WARM)
    device = str(getattr(made, "device", device))  # ONNX Runtime may have taken another
    found = time_clips(made, loaded, request, RUNS, waiter(device))
    taken = median(found["clips_s"])
    numbers = {"clip_s": taken, "clips_s": found["clips_s"], "frames": found["frames"],
               "device": device_name(device)}  # fmt: skip
    told = f"{taken:.2f} s a clip of {found['frames']} frames on {numbers['device']}"
    if base := job.before.get(speed_name(model, "torch")):
        numbers["ratio_to_torch"] = base["clip_s"] / taken
        told = f"{numbers['ratio_to_torch']:.2f} x torch: {told}"
    return Found(told, numbers)
