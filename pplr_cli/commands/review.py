"""`pplr review`: write a page to correct the clusters of a run by hand."""

from pathlib import Path

from pplr_cli.commands import completion, documents, options
from pplr_cli.config.options import argument, option
from pplr_cli.files import check_output
from pplr_cli.terminal.console import Console
from pplr_cli.text import sized


class ReviewDocument(documents.Document, command="review"):
    """A page to correct clusters."""

    run: documents.Run
    page: documents.Page
    bytes: documents.Bytes
    pairs: int
    """Pairs of images asked about."""
    clusters: int
    """Clusters shown."""
    of_clusters: int
    """Clusters of the run."""


@options.takes()
def review(
    run: Path = argument(
        ..., "Run folder of `pplr train`.", "RUN", autocompletion=completion.run_folders
    ),
    answers: Path | None = option(None, "Earlier answers (default: those of the run)."),
    output: Path | None = option(
        None, "Page to write (default: in the run folder).", metavar="FILE"
    ),
    pairs: int = option(400, "Largest number of pairs on the page.", min=1),
    clusters: int = option(100, "Largest number of clusters on the page.", min=1),
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    workers: options.Workers = options.CORES,
    cache: options.Cache = True,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a page that asks which images show one identity; it works without a server."""
    if output is not None:
        check_output(output, overwrite=overwrite)

    from pplr_cli.report.review import REVIEW, write_review
    from pplr_cli.runs.folder import LAST
    from pplr_cli.runs.relabel import cluster_again
    from pplr_cli.runtime import Runtime, choose_device

    console = Console(verbosity=-quiet)
    runtime = Runtime(choose_device(device), console, workers=workers, cache=cache)
    path = output or run / REVIEW
    found = write_review(path, run, cluster_again(run, runtime, data_dir, answers), pairs, clusters)
    if json:
        about = {"bytes" if key == "size" else key: n for key, n in found._asdict().items()}
        console.document(ReviewDocument(run=run, page=path, **about))
        return
    console.result(
        f"review: {path}\n{found.pairs:,} pairs, {found.clusters:,} of {found.of_clusters:,} "
        f"clusters (computed anew with {LAST}), {sized(found.size)}"
    )
