"""A description of this machine: versions, processors, memory, GPUs, broken packages."""

import platform
import re
import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from pplr_cli import __version__, env, host
from pplr_cli.errors import PplrError, broken_import

if TYPE_CHECKING:
    import torch

PACKAGES = (
    *("torch", "torchvision", "numba", "numpy", "scipy"),
    *("scikit-learn", "pillow", "pydantic", "rich", "matplotlib", "gdown", "faiss-cpu"),
)
NEEDED = ("torch", "torchvision", "numba", "sklearn", "scipy", "PIL")
"""Compiled modules that training needs."""


class Extra(NamedTuple):
    """An optional part of the installation: its modules, and what needs them."""

    modules: tuple[str, ...]
    needed_for: str


_ONNX = ("onnx", "onnxruntime", "onnxscript")
EXTRAS = {
    "export": Extra((*_ONNX, "safetensors"), "pplr export to ONNX and safetensors"),
    "onnx": Extra(_ONNX, "pplr export to ONNX"),
    "parquet": Extra(("pyarrow",), "features as .parquet files"),
    "search": Extra(("faiss",), "clustering.search=approximate"),
    "infomap": Extra(("infomap",), "clustering.algorithm=infomap"),
    "timm": Extra(("timm",), "backbones of timm"),
    "tensorboard": Extra(("tensorboard",), "--log tensorboard"),
    "wandb": Extra(("wandb",), "--log wandb"),
    "mlflow": Extra(("mlflow",), "--log mlflow"),
}
"""By the name that `pip install 'pplr[NAME]'` takes; a missing one is no problem."""


def missing_extras() -> dict[str, str]:
    """Return what each missing extra is needed for, by name."""
    return {
        name: extra.needed_for
        for name, extra in EXTRAS.items()
        if any(find_spec(module) is None for module in extra.modules)
    }


def describe() -> dict[str, Any]:
    """Return the machine's description as plain values; never fails."""
    return {
        "pplr": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "cpu": {"model": cpu_model(), "cores": host.cores()},
        "memory_gb": {name: round(size / 1e9, 1) for name, size in host.memory().items()},
        "cuda": _cuda(),
        "environment": {variable.name: variable.get() for variable in env.ALL},
    }


def problems() -> list[PplrError]:
    """Import everything that a run needs; return an error for each failure."""
    found = []
    for name in NEEDED:
        try:
            import_module(name)
        except Exception as error:  # a broken binary may raise anything
            found.append(broken_import(name, _first_line(error)))
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_model() -> str:
    """Return the processor's name, or its architecture if the name is unknown."""
    match = re.search(r"^model name\s*: (.+)$", host.read("/proc/cpuinfo"), re.MULTILINE)
    return match[1] if match else platform.machine()


def device_name(device: "torch.device") -> str:
    """Return the name of the GPU or the processor."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_model()


def _cuda() -> dict[str, Any]:
    """Return the GPUs that torch sees; `note` is its warning, if any."""
    try:
        import torch
    except Exception as error:
        return {"version": None, "devices": [], "note": _first_line(error)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    driver = re.search(r"Kernel Module\D*([\d.]+)", host.read("/proc/driver/nvidia/version"))
    return {
        "version": torch.version.cuda,
        "driver": driver[1] if driver else None,
        "devices": [_device(torch.cuda.get_device_properties(index)) for index in range(count)],
        "note": _first_line(caught[0].message) if caught else None,
    }


def _device(properties: Any) -> dict[str, Any]:
    return {
        "name": properties.name,
        "memory_gb": round(properties.total_memory / 1e9, 1),
        "capability": f"{properties.major}.{properties.minor}",
    }


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
