"""The documents of `--json`, and the schemas under docs/schemas/."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest
from typer.testing import CliRunner

from pplr_cli.app import app, run
from pplr_cli.commands.documents import DOCUMENTS, SCHEMA
from scripts.write_schemas import FOLDER, schemas
from tests.conftest import Done
from tests.docs.test_options import COMMANDS

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Call:  # fmt: skip
    """Run a command on `tiny` in an empty folder and return its document."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_data, "data")

    def document(*words: object) -> dict[str, Any]:
        capsys.readouterr()
        assert run([*map(str, words), "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return document


@pytest.mark.skipif(
    [int(n) for n in pydantic.VERSION.split(".")[:2]] < [2, 13],
    reason="an older pydantic leaves out descriptions",
)
def test_the_schemas_are_up_to_date() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert written == schemas()  # else: python scripts/write_schemas.py


@pytest.mark.parametrize(
    "line",
    [
        *("train --preset none", "train-cam --resume --run-dir none", "prepare folder none"),
        *("evaluate --weights none", "search --weights none --query none --gallery none"),
        *("embed --weights none none --to f.npy", "cluster --weights none none"),
        *("assign --weights none none --known none", "export --weights none --to m.onnx"),
        *("labels none", "review none", "runs none", "compare none none"),
        *("presets show none", "presets copy none", "download-weights none"),
    ],
)
def test_a_command_that_fails_prints_no_document(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*line.split(), "--json"]) != 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_document(command: str) -> None:
    assert "--json" in CliRunner().invoke(app, [*command.split(), "--help"]).stdout
    name = command.replace(" ", "-").replace("train-cam", "train")
    assert name in DOCUMENTS


def test_every_document_is_valid(
    call: Call, done: Done, weights: Path, tiny_preset: Path, plant: Callable[..., Path]
) -> None:
    """The fixture `_valid_documents` compares what is printed with the schemas."""
    folder, crops, known = done.folder, plant(Path("crops"), ["a.jpg", "b.jpg"]), Path("known")
    shutil.copytree("data/tiny/images/query", known / "one")
    one = ("--weights", weights)
    documents = {
        "prepare": call("prepare", "folder", crops, "--name", "shop"),
        "prepare-check": call("prepare", "shop", "--check"),
        "train-dry-run": call("train", "--preset", tiny_preset, "--dry-run"),
        "evaluate": call("evaluate", *one, "--fail-below", "mAP=1%"),
        "search": call("search", *one, "--query", crops, "--gallery", crops),
        "embed": call("embed", *one, crops, "--to", "f.npy"),
        "cluster": call("cluster", *one, "tiny"),
        "assign": call("assign", *one, crops, "--known", known, "--max-distance", 1),
        "labels": call("labels", folder),
        "runs": call("runs", folder.parent),
        "compare": call("compare", folder, shutil.copytree(folder, "again")),
        "review": call("review", folder, "--output", "page.html"),
        "download-weights": call("download-weights"),
        "presets-list": call("presets", "list"),
        "presets-show": call("presets", "show", "demo"),
        "presets-copy": call("presets", "copy", "demo"),
        "doctor": call("doctor"),
    }
    others = {"train", "export"}  # tested where they run anyway
    assert documents.keys() == DOCUMENTS.keys() - others
    assert {document["schema"] for document in documents.values()} == {SCHEMA}
    for name, document in documents.items():
        schema = json.loads((FOLDER / f"{name}.json").read_text())
        assert document.keys() == schema["properties"].keys() == set(schema["required"])
