"""`pplr labels`: export the pseudo-labels of a run as CSV."""

from pathlib import Path
from typing import Annotated

import typer

from pplr_cli import env
from pplr_cli.commands import options
from pplr_cli.terminal.console import Console

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run folder of `pplr train`.", show_default=False)
]
Epoch = Annotated[int | None, typer.Option("--epoch", min=1, help="Epoch (default: the last).")]
Csv = Annotated[
    Path, typer.Option("--csv", metavar="FILE", help="File to write; - means standard output.")
]

STDOUT = Path("-")


def labels(
    run: Run,
    csv: Csv = STDOUT,
    epoch: Epoch = None,
    data_dir: options.DataDir = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Write path, pseudo-identity, agreement and camera of each training image as CSV."""
    from pplr_cli.data.manifest import Split
    from pplr_cli.files import check_output, open_output
    from pplr_cli.ingest.library import open_dataset
    from pplr_cli.runs.labels import Row, epoch_labels
    from pplr_cli.runs.records import Records
    from pplr_cli.text import csv_text

    if csv != STDOUT:
        check_output(csv, overwrite=overwrite)
    console, records = Console(), Records(run)
    config = records.config
    found = epoch_labels(run, epoch, config.model.parts)
    folder = env.data_dir(data_dir) if data_dir is not None else records.data_dir or env.data_dir()
    manifest = open_dataset(config.data.name, folder, console)
    records.check_data(manifest)
    images = manifest.split(Split.TRAIN)
    rows = list(found.rows(images))
    content = csv_text(Row._fields, rows).encode(errors="surrogateescape")
    if csv != STDOUT:
        with open_output(csv, overwrite=overwrite) as file:
            file.write(content)
    about = {
        "run": str(run),
        "epoch": found.epoch,
        "data": config.data.name,
        "root": str(images.root),
        "csv": None if csv == STDOUT else str(csv),
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
    elif csv == STDOUT:
        console.data(content)
        console.info(line)
    else:
        console.result(f"{line}\nlabels: {csv}")
