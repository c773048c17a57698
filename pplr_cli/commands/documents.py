"""The documents of `--json`: each is a class beside its command; `docs/schemas/` describes them.

To add a field:
1. Add it to the class, with its meaning below it or, if several documents have it, in its type.
2. Shares and scores are a `Fraction` from 0 to 1; other units are part of the name or meaning.
3. Pass it where the command makes the document; use the names that other documents use.
4. `python scripts/write_schemas.py` writes the schemas, which a test compares.
Raise `SCHEMA` only if a field is removed, renamed or gets another meaning.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, dataclass_transform

from pydantic import ConfigDict, Field

from pplr_cli.config.fields import Mode
from pplr_cli.config.types import Fraction

SCHEMA: Literal[1] = 1
DOCUMENTS: dict[str, type["Document"]] = {}
"""The document of each command; `a-b` is that of `pplr a b` or of `pplr a --b`."""


def meaning(text: str) -> Any:
    """Return what a schema says about a field."""
    return Field(description=text)


Weights = Annotated[Path, meaning("Weights file.")]
Data = Annotated[str, meaning("Name of the data set.")]
Run = Annotated[Path, meaning("Run folder.")]
Root = Annotated[Path, meaning("Folder that the `path` of each image is relative to.")]
Clusters = Annotated[int, meaning("Pseudo-identities.")]
Outliers = Annotated[int, meaning("Images without pseudo-identity.")]
Images = Annotated[int, meaning("Images used.")]
Skipped = Annotated[int, meaning("Images left out because they cannot be used.")]
Pictures = Annotated[Path | None, meaning("Folder of the pictures; null without --plots.")]
Page = Annotated[Path | None, meaning("HTML page written; null if none was.")]
File = Annotated[Path, meaning("File written.")]
Bytes = Annotated[int, meaning("Size of the file.")]
FeatureSize = Annotated[int, meaning("Length of a feature.")]
Digest = Annotated[str, meaning("SHA-256.")]
Distance = Annotated[float, meaning("Euclidean distance of features, 0 to 2.")]
TrainedBy = Annotated[Mode | None, meaning("Command that trained; null if unknown.")]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Part:
    """Part of a document: its subclasses are frozen dataclasses."""

    __pydantic_config__ = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )

    def __init_subclass__(cls) -> None:
        """Make a dataclass of the subclass."""
        dataclass(frozen=True, kw_only=True)(cls)


class Document(Part):
    """What a command prints."""

    schema: Annotated[Literal[1], meaning("Changes if fields are removed or renamed.")] = SCHEMA

    def __init_subclass__(cls, command: str = "") -> None:
        """Register the document of a command."""
        super().__init_subclass__()
        if command:
            DOCUMENTS[command] = cls


class Scores(Part):
    """Scores of a ranking."""

    mAP: Fraction  # noqa: N815
    rank1: Fraction
    rank5: Fraction
    rank10: Fraction
