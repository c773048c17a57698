"""Options and output of the commands that give identities to images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pplr_cli.errors import UsageError
from pplr_cli.files import check_output, open_output
from pplr_cli.terminal.console import Console
from pplr_cli.text import csv_text

if TYPE_CHECKING:
    from pplr_cli.runs.labels import AssignedRow, Row

Kind = Literal["csv", "folders"]
To = Annotated[
    Kind,
    typer.Option("--to", help="A table, or one folder per identity with links to the images."),
]
Copy = Annotated[bool, typer.Option("--copy", help="For folders: copy the images.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="PATH",
        help="File or folder to write (default: standard output, or the folder `identities`).",
    ),
]

STDOUT = Path("-")
FOLDERS = Path("identities")


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
        about: dict[str, Any],
        line: str,
        console: Console,
        *,
        json: bool,
    ) -> None:
        """Write the rows, and print what they are.

        Args:
            rows: a row for each image.
            root: folder that the paths are relative to.
            about: beginning of the JSON document.
            line: what people read.
            console: prints.
            json: print a JSON document.
        """
        from pplr_cli.runs.label_folders import write_folders

        columns = rows[0]._fields if rows else ("path", "pseudo_identity")
        content = csv_text(columns, rows).encode(errors="surrogateescape")
        if self.to == "folders":
            write_folders(rows, root, self.target, copy=self.copy, overwrite=self.overwrite)
        elif self.target != STDOUT:
            with open_output(self.target, overwrite=self.overwrite) as file:
                file.write(content)
        written = None if self.target == STDOUT else str(self.target)
        if json:
            places = {"csv": None, "folders": None} | {self.to: written}
            document = {**about, "root": str(root), **places, "images": len(rows)}
            console.document({**document, "labels": [row._asdict() for row in rows]})
        elif written is None:
            console.data(content)
            console.info(line)
        else:
            console.result(f"{line}\nlabels: {written}")
