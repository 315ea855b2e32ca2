"""The GPUs that torch finds, and whether they compute."""

from dln.core.errors import DlnError, MissingCapability

from ..finished import gpu_in_sight
from .outcome import Found, Job

CUDA_TORCH = "a CUDA build of torch: https://pytorch.org/get-started/locally"
SIDE = 256


def names() -> list[str]:
    """Of the CUDA GPUs that torch can use. MissingCapability where there is none, with why."""
    try:
        import torch
    except ImportError as error:
        raise MissingCapability(f"torch does not load: {error}", "pip install torch") from error
    if torch.cuda.is_available():
        return [torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())]
    built = torch.version.cuda
    why = f"torch is built for CUDA {built}; no GPU answers" if built else "torch is CPU only"
    if gpu_in_sight():
        raise MissingCapability(why, CUDA_TORCH if built is None else "nvidia-smi says why")
    raise MissingCapability(f"{why}, and no NVIDIA GPU is in sight",
                            f"a machine with one, and there {CUDA_TORCH}")  # fmt: skip


def products(job: Job) -> Found:
    """Every GPU's product of two matrices against the CPU's: of small integers, so that it is
    exact in float32 whatever the order."""
    found = names()
    import torch

    a, b = (torch.randint(-8, 9, (SIDE, SIDE)).float() for _ in range(2))
    about = []
    for number, name in enumerate(found):
        got = a.to(f"cuda:{number}") @ b.to(f"cuda:{number}")
        if not torch.equal(got.cpu(), a @ b):
            raise DlnError(f"{name} (cuda:{number}) multiplies other numbers than the CPU")
        about.append(torch.cuda.get_device_properties(number))
    rows = [{"name": each.name, "memory_gib": round(each.total_memory / 2**30, 1),
             "compute_capability": f"{each.major}.{each.minor}"} for each in about]  # fmt: skip
    told = (f"{r['name']}, {r['memory_gib']:.0f} GiB, compute capability "
            f"{r['compute_capability']}" for r in rows)  # fmt: skip
    return Found("; ".join(told) + f"; CUDA {torch.version.cuda}", {"gpus": rows})
