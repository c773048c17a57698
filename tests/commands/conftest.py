"""Compare the JSON documents described under docs/ with real ones."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pplr_cli.config import presets
from pplr_cli.engine.checkpoint import save_weights
from pplr_cli.engine.network import Network

DOCS = Path(__file__).parents[2] / "docs"
KINDS = {
    "text": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "object": dict,
    "list": list,
    "null": type(None),
}


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Path:
    """A weights file with random weights and the settings of `tiny`."""
    path = tmp_path_factory.mktemp("weights") / "best.pth"
    torch.manual_seed(0)
    settings = presets.resolve(str(tiny_preset), "train").document()
    save_weights(Network("tiny", classes=6), path, {"mode": "train", "settings": settings})
    return path


@pytest.fixture(scope="session")
def check_schema() -> Callable[..., None]:
    """Compare documents with the table of a page: each field named, its type right, none unused.

    A list or object needs no line of its own if its content has.
    """

    def check(page: str, *documents: dict[str, Any]) -> None:
        table = _table((DOCS / page).read_text(encoding="utf-8"))
        used = set()
        for document in documents:
            for path, value in _fields(document, ""):
                rows = [row for row in table if re.fullmatch(_pattern(row), path)]
                if not rows and isinstance(value, dict | list) and value:
                    continue
                assert rows, f"{page} does not name `{path}`"
                used.add(rows[0])
                kinds = [KINDS[kind] for kind in table[rows[0]].split(" or ")]
                right = any(isinstance(value, kind) for kind in kinds)
                boolean = isinstance(value, bool)
                assert right, f"`{path}` is {value!r}, not {table[rows[0]]}"
                assert not boolean or bool in kinds, f"`{path}` is {value!r}"
        assert set(table) == used, f"{page} names what no document holds"

    return check


def _table(text: str) -> dict[str, str]:
    """Return the type of each field from the lines "| `field`, `field` | type | meaning |"."""
    section = text.partition("## The JSON document")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (`[^|]+`) \| ([a-z ]+) \| .*\|$", section, re.MULTILINE)
    return {field: kind for fields, kind in lines for field in re.findall(r"`([^`]+)`", fields)}


def _pattern(row: str) -> str:
    return re.escape(row).replace(r"\*", r"[^.]+")


def _fields(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _fields(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from _fields(item, f"{path}[]")
