"""The GPU benchmark itself, part by part on the CPU with the smallest sizes."""

import json
import time
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_profile import waiting_lines
from benchmarks.gpu_report import Part, Report, head

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["step", "labels", "devices"])
def test_a_part_ends_with_its_rows(name: str, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    gpu.main(["--device", "cpu", "--tiny", "--part", name, "--json", str(out)])
    document = json.loads(out.read_text())
    rows = document["parts"][name]
    assert not [row for row in rows if "error" in row]
    assert len(rows) > 1
    table = out.with_suffix(".md").read_text()
    assert all(row["what"] in table for row in rows if "what" in row)
    assert document["head"]["torch"] == torch.__version__


@pytest.mark.long
@pytest.mark.parametrize(("name", "wanted"), [("epoch", "fifty_epochs_min"), ("learn", "scores")])
def test_the_parts_that_run_commands(name: str, wanted: str, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    gpu.main(["--device", "cpu", "--tiny", "--part", name, "--json", str(out)])
    rows = json.loads(out.read_text())["parts"][name]
    assert not [row for row in rows if "error" in row or row.get("code")]
    assert any(wanted in row for row in rows)


def test_a_failing_part_is_reported_and_the_next_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(part: Part) -> None:
        part.row(what="first", ms=1.0)
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(gpu, "PARTS", {"a": (fails, 1.0), "b": (lambda p: p.row(what="b"), 1.0)})
    report = gpu.main(["--device", "cpu"])
    assert report.parts["a"][:2] == [
        {"what": "first", "ms": 1.0},
        {"what": "a", "error": "RuntimeError: no such kernel"},
    ]
    assert report.parts["b"][0] == {"what": "b"}


def test_what_does_not_fit_the_time_is_skipped_by_name() -> None:
    report = Report(None, head(CPU))
    part = Part("step", CPU, tiny=True, report=report, deadline=time.monotonic() + 10)
    with part.guarded("compile", needs=60) as fits:
        assert not fits
    (row,) = report.parts["step"]
    assert row["what"] == "compile"
    assert row["skipped"].endswith("s left of the part's time")


def test_lines_that_wait_are_named() -> None:
    part = Part("step", CPU, tiny=True, report=Report(None, {}))

    def work() -> None:
        import warnings

        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)

    (line,) = waiting_lines(part, work)
    assert ":" in line
