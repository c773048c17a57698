"""Safetensors files are weights; broken ones are named."""

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch

from pplr_cli.errors import PplrError, WeightsError
from pplr_cli.weights.loading import read_state_dict


def test_tensors_and_their_origin_are_read(tmp_path: Path) -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    tensors = {"base.0.weight": torch.rand(2, 3), "n": torch.tensor(4)}
    save(tensors, tmp_path / "a.safetensors", metadata={"pplr": '{"mode": "train"}'})
    found = read_state_dict(tmp_path / "a.safetensors")
    assert found.about == {"mode": "train"}
    assert all(torch.equal(found.tensors[name], tensors[name]) for name in tensors)
    save(tensors, tmp_path / "b.safetensors")
    assert read_state_dict(tmp_path / "b.safetensors").about is None


@pytest.mark.parametrize("damage", ["cut", "text", "origin", "values"])
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    path = tmp_path / "a.safetensors"
    value = float("nan") if damage == "values" else 1.0
    origin = "{" if damage == "origin" else "{}"
    save({"w": torch.full((9,), value)}, path, metadata={"pplr": origin})
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    if damage == "text":
        path.write_text("no tensors")
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        read_state_dict(path)


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"x")
    real = builtins.__import__

    def missing(name: str, *more: Any) -> Any:
        if name == "safetensors":
            raise ModuleNotFoundError("No module named 'safetensors'")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(PplrError, match="needs the package `safetensors`") as caught:
        read_state_dict(tmp_path / "a.safetensors")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("`pip install 'pplr[export]'`; `import safetensors` fails")
