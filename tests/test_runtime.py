"""The choice of the device."""

import os

import pytest
import torch

from pplr_cli.errors import DeviceError, UsageError
from pplr_cli.runtime import Runtime, choose_device, use_deterministic_algorithms


def test_auto_is_the_first_gpu_or_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("auto") == torch.device("cuda", 0)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "mps", ""])
def test_unknown_devices_are_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        choose_device(name)


def test_no_silent_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="no GPU"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(DeviceError, match="there are 2 GPUs"):
        choose_device("cuda:2")


def test_each_of_several_processes_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda", 2, 1) == torch.device("cuda", 1)
    assert choose_device("cpu", 8, 1) == torch.device("cpu")
    with pytest.raises(DeviceError, match="`--devices 4`: there are 2 GPUs"):
        choose_device("auto", 4)
    with pytest.raises(UsageError, match="a GPU of its own"):
        choose_device("cuda:1", 2)


@pytest.mark.parametrize(("capability", "refused"), [((7, 5), True), ((8, 0), False)])
def test_bf16_is_refused_where_it_is_emulated(
    capability: tuple[int, int], refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    gpu = torch.device("cuda", 1)
    Runtime(gpu, precision="fp32")
    Runtime(torch.device("cpu"), precision="bf16")
    if refused:
        with pytest.raises(DeviceError, match=r"capability 7\.5, bf16 needs 8\.0") as caught:
            Runtime(gpu, precision="bf16")
        assert "--precision fp32" in str(caught.value.hint)
    else:
        Runtime(gpu, precision="bf16")


def test_deterministic_algorithms_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        use_deterministic_algorithms()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
