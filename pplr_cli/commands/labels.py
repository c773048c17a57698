"""`pplr labels`: export the pseudo-labels of a run as a table or as folders."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pplr_cli import env
from pplr_cli.commands import options
from pplr_cli.errors import UsageError
from pplr_cli.terminal.console import Console

RunDir = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run folder of `pplr train`.", show_default=False)
]
Epoch = Annotated[int | None, typer.Option("--epoch", min=1, help="Epoch (default: the last).")]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Short for `--to csv --output FILE`."),
]
To = Annotated[
    Literal["csv", "folders"],
    typer.Option("--to", help="A table, or one folder per identity with links to the images."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="PATH",
        help="File or folder to write (default: standard output, or `identities` in the run).",
    ),
]
Copy = Annotated[bool, typer.Option("--copy", help="For folders: copy the images.")]
Known = Annotated[
    Path | None,
    typer.Option("--known", metavar="FILE", help="Table of another run whose numbers to continue."),
]

STDOUT = Path("-")
FOLDERS = "identities"


def labels(
    run: RunDir,
    csv: Csv = None,
    to: To = "csv",
    output: Output = None,
    copy: Copy = False,
    known: Known = None,
    epoch: Epoch = None,
    data_dir: options.DataDir = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Write path, pseudo-identity, agreement and camera of each training image."""
    if to == "folders" and csv is not None:
        raise UsageError("`--csv` and `--to folders` exclude each other", "leave one of them out")
    if copy and to != "folders":
        raise UsageError("`--copy` goes with `--to folders`", "leave it out")

    from pplr_cli.data.manifest import Split
    from pplr_cli.files import check_output, open_output
    from pplr_cli.ingest.library import open_dataset
    from pplr_cli.runs.label_folders import write_folders
    from pplr_cli.runs.labels import Row, epoch_labels
    from pplr_cli.runs.records import Run
    from pplr_cli.text import csv_text

    folders = to == "folders"
    target = csv or output or (run / FOLDERS if folders else STDOUT)
    if target != STDOUT:
        check_output(target, overwrite=overwrite, folder=folders)
    console, records = Console(), Run(run)
    config = records.config
    found = epoch_labels(run, epoch, config.model.parts)
    folder = env.data_dir(data_dir) if data_dir is not None else records.data_dir or env.data_dir()
    manifest = open_dataset(config.data.name, folder, console)
    records.check_data(manifest)
    images = manifest.split(Split.TRAIN)
    rows = list(found.rows(images, known))
    content = csv_text(Row._fields, rows).encode(errors="surrogateescape")
    if folders:
        write_folders(rows, images.root, target, copy=copy, overwrite=overwrite)
    elif target != STDOUT:
        with open_output(target, overwrite=overwrite) as file:
            file.write(content)
    written = None if target == STDOUT else str(target)
    about = {
        "run": str(run),
        "epoch": found.epoch,
        "data": config.data.name,
        "root": str(images.root),
        "csv": None if folders else written,
        "folders": written if folders else None,
        "images": len(rows),
        "pseudo_identities": found.pseudo.clusters,
        "outliers": found.pseudo.outliers,
    }
    line = (
        f"epoch {found.epoch}: {about['images']:,} images below `{images.root}`, "
        f"{about['pseudo_identities']:,} pseudo-identities, {about['outliers']:,} outliers (-1)"
    )
    if json:
        console.document({**about, "labels": [row._asdict() for row in rows]})
    elif written is None:
        console.data(content)
        console.info(line)
    else:
        console.result(f"{line}\nlabels: {written}")
