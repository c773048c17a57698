"""`pplr runs` and `pplr compare`: list run folders, and compare some of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pplr_cli.commands import completion, documents, options
from pplr_cli.commands.documents import Run, TrainedBy, meaning
from pplr_cli.config.options import argument, option
from pplr_cli.config.types import Fraction
from pplr_cli.terminal.console import Console
from pplr_cli.timing import to_minute

if TYPE_CHECKING:
    from pplr_cli.runs.comparison import Comparison

Outcome = dict[str, Any]


class RunOutcome(documents.Part):
    """State and figures of a run; null for those that it does not have."""

    run: Run
    problem: Annotated[str | None, meaning("Why the run folder cannot be read.")] = None
    state: Annotated[str, meaning("running, interrupted, failed, finished, unfinished, damaged")]
    mode: TrainedBy = None
    data: Annotated[str | None, meaning("Name of the data set.")] = None
    seed: int | None = None
    epochs: Annotated[int | None, meaning("Epochs wanted.")] = None
    epoch: Annotated[int | None, meaning("Last epoch recorded.")] = None
    updated: Annotated[str | None, meaning("Time of the last record, ISO 8601.")] = None
    seconds: Annotated[float | None, meaning("Duration of the recorded epochs.")] = None
    start_mAP: Annotated[Fraction | None, meaning("First mAP.")] = None  # noqa: N815
    mAP: Annotated[Fraction | None, meaning("Last mAP.")] = None  # noqa: N815
    rank1: Annotated[Fraction | None, meaning("Last rank-1.")] = None
    best_mAP: Annotated[Fraction | None, meaning("Highest mAP.")] = None  # noqa: N815
    best_epoch: Annotated[int | None, meaning("Epoch of the highest mAP.")] = None
    clusters: Annotated[int | None, meaning("Pseudo-identities of the last epoch.")] = None
    outlier_share: Annotated[Fraction | None, meaning("Share of images without one.")] = None


class RunsDocument(documents.Document, command="runs"):
    """The runs of a folder."""

    folder: Path
    runs: list[RunOutcome]
    page: documents.Page


class Spread(documents.Part):
    """Mean and standard deviation of a figure."""

    mean: float
    spread: float


class Group(documents.Part):
    """Runs that differ in the seed alone."""

    settings: str
    """What sets the group apart."""
    runs: list[Path]
    figures: dict[str, Spread]


class CompareDocument(documents.Document, command="compare"):
    """Several runs side by side."""

    runs: list[RunOutcome]
    differences: dict[str, list[Any]]
    """Settings that differ, with the value of each run; `36 (auto)` was chosen by `auto`."""
    groups: list[Group]
    page: documents.Page


@options.takes()
def runs(
    folder: Path = argument(
        Path("runs"), "Folder of the run folders.", "FOLDER", show_default=True
    ),
    to: Path | None = option(
        None, "Also write an HTML page that links to the reports.", metavar="FILE"
    ),
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """List the runs of a folder with state, data, figures and age."""
    from pplr_cli.runs.comparison import find_runs, outcome

    console, outcomes = Console(), [outcome(run) for run in find_runs(folder)]
    if to is not None:
        from pplr_cli.report.comparison import render_runs

        _write(to, render_runs(outcomes, folder, to), overwrite=overwrite)
    if json:
        listed = [RunOutcome(**each) for each in outcomes]
        console.document(RunsDocument(folder=folder, runs=listed, page=to))
        return
    _list(console, outcomes)
    if to is not None:
        console.result(f"page: {to}")


@options.takes()
def compare(
    runs: tuple[Path, ...] = argument(
        ..., "Run folders.", "RUN...", autocompletion=completion.run_folders
    ),
    to: Path | None = option(
        None, "Also write a self-contained HTML page with curves.", metavar="FILE"
    ),
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Compare runs: outcomes, settings that differ, mean and spread over seeds."""
    from pplr_cli.report.comparison import render_comparison
    from pplr_cli.runs.comparison import Comparison

    console = Console()
    comparison = Comparison.of(_with_runs(runs, console))
    if to is not None:
        _write(to, render_comparison(comparison, to), overwrite=overwrite)
    if json:
        console.document(_document(comparison, to))
        return
    _list(console, comparison.outcomes)
    names = [Path(one["run"]).name for one in comparison.outcomes]
    rows = [[key, *map(str, values)] for key, values in comparison.differences.items()]
    if rows:
        console.table(("setting", *names), rows)
    scored = any("mAP" in group.figures for group in comparison.groups)
    if len(comparison.groups) < len(names) and scored:
        spread = [
            (group.name, str(len(group.runs)), *map(group.percent, ("mAP", "best_mAP", "rank1")))
            for group in comparison.groups
        ]
        console.table(("mean and spread", "runs", "mAP", "best mAP", "rank-1"), spread)
    if to is not None:
        console.result(f"page: {to}")


def _with_runs(paths: Sequence[Path], console: Console) -> list[Path]:
    """Leave out what a pattern such as `runs/*` matches besides run folders."""
    from pplr_cli.runs.folder import CONFIG

    kept = [path for path in paths if (path / CONFIG).is_file() or not path.exists()]
    if len(set(kept)) < 2:
        return list(paths)  # the comparison reports what is wrong
    for path in paths:
        if path not in kept:
            console.info(f"`{path}`: not a run folder, left out")
    return kept


def _write(path: Path, page: str, *, overwrite: bool) -> None:
    from pplr_cli.files import open_output

    with open_output(path, overwrite=overwrite) as file:
        file.write(page.encode())


def _document(comparison: "Comparison", page: Path | None) -> CompareDocument:
    groups = [
        Group(
            settings=group.name,
            runs=[Path(run) for run in group.runs],
            figures={n: Spread(mean=m, spread=s) for n, (m, s) in group.figures.items()},
        )
        for group in comparison.groups
    ]
    return CompareDocument(
        runs=[RunOutcome(**each) for each in comparison.outcomes],
        differences=comparison.differences,
        groups=groups,
        page=page,
    )


def _list(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print a table of runs, and what is wrong with damaged ones."""
    columns = ("run", "state", "command", "data", "seed", "epoch", "mAP", "clusters", "updated")
    console.table(columns, [[Path(one["run"]).name, *_cells(one)] for one in outcomes])
    for one in outcomes:
        if one["problem"]:
            console.warn(one["problem"])


def _cells(one: Outcome) -> Iterator[str]:
    yield one["state"]
    if one["problem"]:
        yield from [""] * 7
        return
    yield one["mode"]
    yield one["data"]
    yield str(one["seed"])
    yield f"{one['epoch']}/{one['epochs']}"
    yield _course(one)
    yield "" if one["clusters"] is None else f"{one['clusters']:,}"
    yield to_minute(one["updated"])


def _course(one: Outcome) -> str:
    """Return the mAP at the start, at the end and, if it was higher, at best."""
    if one["mAP"] is None:
        return ""
    best = f" (best {100 * one['best_mAP']:.1f})" if one["best_mAP"] > one["mAP"] else ""
    return f"{100 * one['start_mAP']:.1f} to {100 * one['mAP']:.1f}{best}"
