"""What this machine can do."""

import builtins
import json
import os
import sys
import tomllib
import warnings
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pplr_cli import host
from pplr_cli.runs import machine


def test_facts_are_plain_values_and_true() -> None:
    facts = machine.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["packages"]["torch"] == version("torch")
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert 1 <= facts["cpu"]["cores"] <= (os.cpu_count() or 1)
    assert 0 < facts["memory_gb"]["free"] <= facts["memory_gb"]["total"]
    assert len(facts["cuda"]["devices"]) == torch.cuda.device_count()


def test_nothing_is_broken_here() -> None:
    assert machine.problems() == []


def test_environment_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_DATA_DIR", "/sets")
    assert machine.describe()["environment"]["PPLR_DATA_DIR"] == "/sets"


def test_gpus_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(name="Card", total_memory=24_000_000_000, major=8, minor=6)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(host, "read", lambda path: DRIVER if "nvidia" in path else "")
    cuda = machine.describe()["cuda"]
    assert cuda["devices"] == [{"name": "Card", "memory_gb": 24.0, "capability": "8.6"}] * 2
    assert cuda["driver"] == "580.95.05"


DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 2025\n"


def test_old_driver_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old\nmore", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    cuda = machine.describe()["cuda"]
    assert cuda["note"] == "The NVIDIA driver on your system is too old"
    assert cuda["devices"] == []


def broken(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Make `import name` raise."""
    real: Any = builtins.__import__

    def fail(wanted: str, *arguments: Any, **options: Any) -> Any:
        if wanted == name:
            raise error
        return real(wanted, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", fail)
    monkeypatch.setattr(
        machine, "import_module", lambda wanted: fail(wanted) and sys.modules[wanted]
    )


def test_torchvision_of_another_release(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, "torchvision", RuntimeError("operator torchvision::nms does not exist"))
    (problem,) = machine.problems()
    assert problem.message == (
        "`import torchvision` fails: operator torchvision::nms does not exist"
    )
    assert problem.hint is not None
    assert "one release" in problem.hint


def test_everything_broken_is_still_described(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, "torch", ImportError("libcudart.so: cannot open\nmore"))
    facts = machine.describe()
    assert facts["cuda"]["note"] == "libcudart.so: cannot open"
    broken(monkeypatch, "torch", ImportError())
    assert machine.describe()["cuda"]["note"] == "ImportError"


def test_no_proc_no_facts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "read", lambda path: "")
    facts = machine.describe()
    assert facts["memory_gb"] == {"total": 0.0, "free": 0.0}
    assert facts["cpu"]["model"]


def test_the_extras_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = project["optional-dependencies"]
    assert set(machine.EXTRAS) == {n for n in declared if not n.startswith(("test", "dev"))}
    monkeypatch.setattr(
        machine, "find_spec", lambda name: None if name == "onnxscript" else object()
    )
    assert machine.missing_extras() == {
        "export": "pplr export to ONNX and safetensors",
        "onnx": "pplr export to ONNX",
    }
