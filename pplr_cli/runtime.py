"""Where and how to compute: device, precision, threads, processes, reporter."""

import os
from dataclasses import dataclass

import torch

from pplr_cli.config.fields import Precision
from pplr_cli.distributed.processes import ALONE, Processes
from pplr_cli.errors import DeviceError, UsageError
from pplr_cli.progress import SILENT, Reporter

BF16_CAPABILITY = (8, 0)
"""Compute capability from which a GPU computes in bf16; older ones emulate it, slowly."""


@dataclass(frozen=True)
class Runtime:
    """The resources of a command; they are not settings of a run.

    Raises:
        DeviceError: bf16 on a GPU that only emulates it.
    """

    device: torch.device = torch.device("cpu")  # where the network runs
    reporter: Reporter = SILENT  # gets progress and warnings
    precision: Precision = "fp32"  # of the forward pass; features and losses are float32
    workers: int = 1  # threads that decode images
    cache: bool = True  # whether decoded images are kept on disk
    processes: Processes = ALONE  # those that share the run

    def __post_init__(self) -> None:
        if self.precision == "bf16" and self.device.type == "cuda":
            capability = torch.cuda.get_device_capability(self.device)
            if capability < BF16_CAPABILITY:
                have, need = (".".join(map(str, c)) for c in (capability, BF16_CAPABILITY))
                raise DeviceError(
                    f"`--precision bf16`: this GPU has capability {have}, bf16 needs {need}",
                    "use --precision fp32",
                )

    def autocast(self) -> torch.autocast:
        """Return the context in which the network runs."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def choose_device(name: str, processes: int = 1, place: int = 0) -> torch.device:
    """Return the device for `--device`: `auto`, `cpu`, `cuda` or `cuda:N`; never another one.

    Args:
        name: the option.
        processes: those that share the run on this machine; each has a GPU of its own.
        place: of this process among them, from 0.

    Raises:
        UsageError: the name is none of these, or names one GPU for several processes.
        DeviceError: the machine has no such device, or too few.
    """
    try:
        device = torch.device("cuda" if name == "auto" else name)
    except RuntimeError:
        device = None
    if device is None or device.type not in {"cpu", "cuda"}:
        raise UsageError(f"`--device {name}`: unknown device", "use auto, cpu, cuda or cuda:1")
    available = torch.cuda.is_available()
    if device.type == "cpu" or (name == "auto" and not available):
        return torch.device("cpu")
    if not available:
        raise DeviceError(
            f"`--device {name}`: torch sees no GPU on this machine",
            "use --device cpu; `pplr doctor` shows the driver",
        )
    if processes > 1 and device.index is not None:
        raise UsageError(
            f"`--device {name}`: each of several processes has a GPU of its own",
            "use --device cuda; CUDA_VISIBLE_DEVICES chooses among the GPUs",
        )
    index, count = device.index or 0, torch.cuda.device_count()
    if index >= count:
        raise DeviceError(f"`--device {name}`: there are {count} GPUs", f"use 0 to {count - 1}")
    if processes > count:
        raise DeviceError(f"`--devices {processes}`: there are {count} GPUs", f"use 1 to {count}")
    return torch.device("cuda", index + place)


def use_deterministic_algorithms() -> None:
    """Make PyTorch choose algorithms that give the same bits in each run on the same GPU.

    To be called before the first product on a GPU. PyTorch warns of an operation that has no such
    algorithm. On a CPU the results are always the same.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
