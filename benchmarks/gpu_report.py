"""The rows that `benchmarks.gpu` measures: written as they come, as JSON and as Markdown tables."""

import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]


@dataclass
class Report:
    """Rows by part; every new row rewrites the JSON file, so that a run cut short keeps them.

    Attributes:
        out: the JSON file; the tables go beside it as `.md`. None = print only.
        head: card, versions and options.
        parts: the rows of each part, in the order of measurement.
    """

    out: Path | None
    head: Row
    parts: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, part: str, row: Row) -> None:
        """Keep, print and write one row."""
        self.parts.setdefault(part, []).append(row)
        print(f"[{part}] " + "  ".join(f"{k}={_text(v)}" for k, v in row.items()), flush=True)
        if self.out is not None:
            document = {"head": self.head, "parts": self.parts}
            self.out.write_text(json.dumps(document, indent=1, default=str), encoding="utf-8")
            self.out.with_suffix(".md").write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        """Return all rows as tables, one for each part and set of columns."""
        lines = [f"{key}: {value}  " for key, value in self.head.items()]
        for part, rows in self.parts.items():
            lines += ["", f"### {part}"]
            columns: list[str] = []
            for row in rows:
                if list(row) != columns:
                    columns = list(row)
                    lines += ["", _line(columns), _line(["---"] * len(columns))]
                lines.append(_line([_text(value) for value in row.values()]))
        return "\n".join(lines) + "\n"


@dataclass
class Part:
    """One part of the benchmark: where it runs, until when, and where its rows go.

    Attributes:
        name: of the part.
        device: to measure.
        tiny: smallest sizes, to test the script itself.
        report: gets the rows.
        deadline: `time.monotonic()` after which nothing new begins.
    """

    name: str
    device: torch.device
    tiny: bool
    report: Report
    deadline: float = float("inf")

    def row(self, **values: Any) -> None:
        """Add a row."""
        self.report.add(self.name, values)

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    @contextmanager
    def guarded(self, what: str, needs: float = 0.0) -> Iterator[bool]:
        """Give whether `needs` seconds are left; report an error inside and go on."""
        if self.left < needs:
            self.row(what=what, skipped=f"{self.left:.0f} s left of the part's time")
            yield False
            return
        try:
            yield True
        except Exception as error:
            self.row(what=what, error=f"{type(error).__name__}: {str(error)[:300]}")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def head(device: torch.device) -> Row:
    """Return card and versions."""
    found: Row = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {
            "card": card.name,
            "memory": f"{card.total_memory / 2**30:.0f} GiB",
            "cards": torch.cuda.device_count(),
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
