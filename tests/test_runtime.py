"""The choice of the device."""

import pytest
import torch

from pplr_cli.errors import DeviceError, UsageError
from pplr_cli.runtime import check_processes, choose_device, process_device


def test_auto_is_the_first_gpu_or_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
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
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert process_device("cuda") == torch.device("cuda", 1)
    assert process_device("cpu") == torch.device("cpu")
    check_processes(torch.device("cuda", 0), "cuda", 2)
    check_processes(torch.device("cpu"), "cpu", 8)
    with pytest.raises(DeviceError, match="`--devices 4`: there are 2 GPUs"):
        check_processes(torch.device("cuda", 0), "auto", 4)
    with pytest.raises(UsageError, match="a GPU of its own"):
        check_processes(torch.device("cuda", 1), "cuda:1", 2)
