"""Write the JSON Schemas of the documents that `--json` prints into `docs/schemas/`."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

import pplr_cli.app  # noqa: F401  registers the documents of all commands
from pplr_cli.commands.documents import DOCUMENTS

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"


def schemas() -> dict[str, str]:
    """Return the text of each file by name."""
    return {
        f"{command}.json": json.dumps(_schema(kind), indent=1) + "\n"
        for command, kind in DOCUMENTS.items()
    }


def _schema(kind: type) -> object:
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    return {"$schema": GenerateJsonSchema.schema_dialect, **_without_titles(schema)}


def _without_titles(schema: Any) -> Any:
    """Remove the titles that pydantic derives from the names."""
    if isinstance(schema, list):
        return [_without_titles(each) for each in schema]
    if isinstance(schema, dict):
        kept = {k: v for k, v in schema.items() if k != "title" or not isinstance(v, str)}
        return {key: _without_titles(value) for key, value in kept.items()}
    return schema


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
