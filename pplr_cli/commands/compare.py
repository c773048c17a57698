"""`pplr runs` and `pplr compare`: list run folders, and compare some of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pplr_cli.commands import options
from pplr_cli.terminal.console import Console

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the run folders.")]
Runs = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)
]
Page = Annotated[
    Path | None,
    typer.Option("--to", metavar="FILE", help="Also write a self-contained HTML page with curves."),
]
Outcome = dict[str, Any]


def runs(folder: Folder = Path("runs"), json: options.Json = False) -> None:
    """List the runs of a folder with state, data, figures and age."""
    from pplr_cli.runs.comparison import find_runs, outcome

    console, outcomes = Console(), [outcome(run) for run in find_runs(folder)]
    if json:
        console.document({"folder": str(folder), "runs": outcomes})
    else:
        _list(console, outcomes)


def compare(
    runs: Runs, to: Page = None, overwrite: options.Overwrite = False, json: options.Json = False
) -> None:
    """Compare runs: outcomes, settings that differ, mean and spread over seeds."""
    from pplr_cli.files import check_output, open_output
    from pplr_cli.report.comparison import render_comparison
    from pplr_cli.runs.comparison import Comparison

    if to is not None:
        check_output(to, overwrite=overwrite)
    console, comparison = Console(), Comparison.of(runs)
    if to is not None:
        page = render_comparison(comparison).encode()
        with open_output(to, overwrite=overwrite) as file:
            file.write(page)
    if json:
        console.document(comparison.document() | {"page": None if to is None else str(to)})
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
    yield one["command"]
    yield one["data"]
    yield str(one["seed"])
    yield f"{one['epoch']}/{one['epochs']}"
    yield _course(one)
    yield "" if one["clusters"] is None else f"{one['clusters']:,}"
    yield one["updated"]


def _course(one: Outcome) -> str:
    """Return the mAP at the start, at the end and, if it was higher, at best."""
    if one["mAP"] is None:
        return ""
    best = f" (best {100 * one['best_mAP']:.1f})" if one["best_mAP"] > one["mAP"] else ""
    return f"{100 * one['start_mAP']:.1f} to {100 * one['mAP']:.1f}{best}"
