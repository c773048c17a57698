"""`pplr labels`: export the pseudo-labels of a run as a table or as folders."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pplr_cli.commands import completion, documents, label_output, options
from pplr_cli.commands.label_output import FOLDERS, LabelOutput
from pplr_cli.config.options import argument, option
from pplr_cli.errors import UsageError
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.runs.labels import EpochLabels


class LabelsDocument(label_output.Labelled, command="labels"):
    """The pseudo-labels of a run."""

    run: documents.Run
    epoch: int
    data: documents.Data
    clusters: documents.Clusters
    outliers: documents.Outliers
    labels: list[label_output.Label]


@options.takes()
def labels(
    run: Path = argument(
        ..., "Run folder of `pplr train`.", "RUN", autocompletion=completion.run_folders
    ),
    csv: Path | None = option(None, "Short for `--to csv --output FILE`.", metavar="FILE"),
    to: label_output.Kind = label_output.TO,
    output: Path | None = label_output.OUTPUT,
    copy: bool = label_output.COPY,
    known: Path | None = option(
        None, "Table of another run whose numbers to continue.", metavar="FILE"
    ),
    epoch: int | None = option(None, "Epoch (default: the last).", min=1),
    answers: Path | None = option(None, "Cluster again, with the last weights and these answers."),
    data_dir: options.DataDir = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Write path, pseudo-identity, agreement and camera of each training image."""
    if to == "folders" and csv is not None:
        raise UsageError("`--csv` and `--to folders` exclude each other", "leave one of them out")
    if answers is not None and epoch is not None:
        raise UsageError("`--answers` and `--epoch` exclude each other", "leave one of them out")
    target = LabelOutput.checked(to, csv or output, copy, overwrite, run / FOLDERS)

    from pplr_cli.data.images import Split
    from pplr_cli.runs.labels import epoch_labels
    from pplr_cli.runs.records import Run

    console, records = Console(), Run(run)
    config = records.config
    found = epoch_labels(run, epoch, config.model.parts)
    images = records.open_data(data_dir, console).split(Split.TRAIN)
    source = f"epoch {found.epoch}"
    if answers is not None:
        found, source = _answered(found, run, answers, data_dir, console)
    rows = list(found.rows(images, known))
    clusters, outliers = found.pseudo.clusters, found.pseudo.outliers
    document = partial(
        LabelsDocument,
        run=run,
        epoch=found.epoch,
        data=config.data.name,
        clusters=clusters,
        outliers=outliers,
    )
    line = (
        f"{source}: {len(rows):,} images below `{images.root}`, "
        f"{clusters:,} pseudo-identities, {outliers:,} outliers (-1)"
    )
    target.write(rows, images.root, line, console, document if json else None)


def _answered(
    last: "EpochLabels", run: Path, answers: Path, data_dir: Path | None, console: Console
) -> "tuple[EpochLabels, str]":
    """Return the clusters of the last weights that honour the answers, and how they were made.

    Their numbers continue those of `last`.
    """
    from pplr_cli.runs.folder import LAST
    from pplr_cli.runs.relabel import cluster_again
    from pplr_cli.runtime import Runtime, choose_device

    runtime = Runtime(choose_device("auto"), console)
    new = cluster_again(run, runtime, data_dir, answers)
    count = 0 if new.answers is None else len(new.answers.same) + len(new.answers.different)
    found = replace(last, pseudo=new.pseudo, earlier=(*last.earlier, last.pseudo.labels))
    return found, f"clustered anew with `{LAST}` and {count:,} answers"
