"""A weights file, and the schemas of all documents that these tests print."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from pplr_cli.commands.documents import DOCUMENTS, Document
from pplr_cli.config import presets
from pplr_cli.engine.checkpoint import save_weights
from pplr_cli.engine.network import Network


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Path:
    """A weights file with random weights and the settings of `tiny`."""
    path = tmp_path_factory.mktemp("weights") / "best.pth"
    torch.manual_seed(0)
    settings = presets.resolve(str(tiny_preset), "train").document()
    save_weights(Network("tiny", classes=6), path, {"mode": "train", "settings": settings})
    return path


@pytest.fixture(autouse=True)
def _valid_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validate each document that a command prints against its schema."""
    dumps = json.dumps

    def checked(document: Any, **options: Any) -> str:
        text = dumps(document, **options)
        if isinstance(document, Document):
            assert type(document) in DOCUMENTS.values()
            TypeAdapter(type(document)).validate_json(text, strict=True)
        return text

    monkeypatch.setattr(json, "dumps", checked)
