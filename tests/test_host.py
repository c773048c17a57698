"""Cores and memory as the system tells it."""

import os
import platform
import resource
import subprocess
import sys

import pytest

from pplr_cli import host


def test_this_machine_has_memory() -> None:
    assert 0 < host.memory()["free"] <= host.memory()["total"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen")
def test_only_cores_that_this_process_may_use_count() -> None:
    allowed = os.sched_getaffinity(0)
    assert host.cores() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert host.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_container_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/meminfo": "MemTotal: 64000000 kB\nMemAvailable:   32000000 kB\n",
        "/sys/fs/cgroup/memory.max": "8000000000\n",
        "/sys/fs/cgroup/memory.current": "2000000000\n",
    }
    monkeypatch.setattr(host, "read", lambda path: files.get(path, ""))
    assert host.memory() == {"total": 8_000_000_000, "free": 6_000_000_000}
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert host.memory() == {"total": 65_536_000_000, "free": 32_768_000_000}


def test_unknown_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "read", lambda path: "")
    assert host.memory() == {"total": 0, "free": 0}


def test_a_missing_file_reads_as_nothing() -> None:
    assert host.read("/nowhere/at/all") == ""


def page_faults(setting: str) -> int:
    """Return the page faults of a process that frees and takes 100 MB again."""
    code = f"""
import resource
from pplr_cli import host
{setting}
text = b"x" * 100_000_000
del text
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
text = b"x" * 100_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    return int(subprocess.check_output([sys.executable, "-c", code], text=True))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to")
def test_freed_memory_is_kept() -> None:
    page = resource.getpagesize()
    assert page_faults("") > 0
    assert page_faults("host.keep_freed_memory()") < 0.01 * 100_000_000 / page
