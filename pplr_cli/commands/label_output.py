"""Options and output of the commands that give identities to images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pplr_cli.commands import documents
from pplr_cli.config.options import option
from pplr_cli.config.types import Fraction
from pplr_cli.errors import UsageError
from pplr_cli.files import check_output, open_output
from pplr_cli.terminal.console import Console
from pplr_cli.text import csv_text

if TYPE_CHECKING:
    from pplr_cli.runs.labels import AssignedRow, Row

Kind = Literal["csv", "folders"]
TO: Kind = option("csv", "A table, or one folder per identity with links to the images.")
COPY: bool = option(False, "For folders: copy the images.")
OUTPUT: Path | None = option(
    None,
    "File or folder to write (default: standard output, or the folder `identities`).",
    metavar="PATH",
)

STDOUT = Path("-")
FOLDERS = Path("identities")


class Label(documents.Part):
    """The pseudo-label of an image."""

    path: str
    pseudo_identity: int
    """-1 = outlier."""
    agreement: Fraction
    camera: str | None


class Labelled(documents.Document):
    """What the documents of these commands have in common."""

    root: documents.Root
    images: documents.Images
    csv: Annotated[Path | None, documents.meaning("Table written; null if none was.")]
    folders: Annotated[Path | None, documents.meaning("Folder written; null if none was.")]


@dataclass(frozen=True)
class LabelOutput:
    """Where labels are written: checked when constructed, written at the end.

    Raises:
        UsageError: options that exclude each other, or an output that must not be written.
    """

    to: Kind
    target: Path
    copy: bool
    overwrite: bool

    @classmethod
    def checked(
        cls, to: Kind, output: Path | None, copy: bool, overwrite: bool, folders: Path = FOLDERS
    ) -> "LabelOutput":
        """Return the output of these options; `folders` is the default folder."""
        if copy and to != "folders":
            raise UsageError("`--copy` goes with `--to folders`", "leave it out")
        target = output or (folders if to == "folders" else STDOUT)
        if target != STDOUT:
            check_output(target, overwrite=overwrite, folder=to == "folders")
        return cls(to, target, copy, overwrite)

    def write(
        self,
        rows: "Sequence[Row | AssignedRow]",
        root: Path,
        line: str,
        console: Console,
        document: Callable[..., Labelled] | None,
    ) -> None:
        """Write the rows, and print what they are.

        Args:
            rows: a row for each image.
            root: folder that the paths are relative to.
            line: what people read.
            console: prints.
            document: makes the JSON document, which is printed instead.
        """
        from pplr_cli.runs.label_folders import write_folders

        columns = rows[0]._fields if rows else ("path", "pseudo_identity")
        content = csv_text(columns, rows).encode(errors="surrogateescape")
        if self.to == "folders":
            write_folders(rows, root, self.target, copy=self.copy, overwrite=self.overwrite)
        elif self.target != STDOUT:
            with open_output(self.target, overwrite=self.overwrite) as file:
                file.write(content)
        written = None if self.target == STDOUT else self.target
        if document is not None:
            places = {"csv": None, "folders": None, self.to: written}
            labels = [row._asdict() for row in rows]
            console.document(document(root=root, images=len(rows), labels=labels, **places))
        elif written is None:
            console.data(content)
            console.info(line)
        else:
            console.result(f"{line}\nlabels: {written}")
