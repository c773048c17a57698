"""`pplr evaluate`: score a weights file on a labelled query and gallery."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pplr_cli.commands import gates, options
from pplr_cli.commands.model import ModelRequest
from pplr_cli.commands.options import takes
from pplr_cli.files import check_output
from pplr_cli.retrieval import published
from pplr_cli.retrieval.published import RANKS
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.data.manifest import Manifest
    from pplr_cli.report.plots import Evaluation
    from pplr_cli.retrieval.model import Model
    from pplr_cli.retrieval.protocol import Protocol
    from pplr_cli.retrieval.ranking import Scores

Rerank = Annotated[bool, typer.Option("--rerank", help="Rank by k-reciprocal re-ranked distances.")]
FailBelow = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-below",
        metavar="FIGURE=FRACTION",
        help="Exit code 1 if a figure is lower, as in mAP=0.80 (repeatable).",
    ),
]
SameCameraOption = Annotated[
    Literal["ignore", "keep"],
    typer.Option("--same-camera", help="Ignore or keep matches by the query's own camera."),
]
LeaveOneOut = Annotated[
    bool,
    typer.Option("--leave-one-out", help="Compare each labelled image with all others."),
]
AsOneOption = Annotated[
    Literal["track"] | None,
    typer.Option("--as-one", help="Average the features of a track's query images."),
]

MODES = {"train": "without camera labels", "train-cam": "with camera labels"}


@takes(ModelRequest)
def evaluate(
    data: options.Data = None,
    rerank: Rerank = False,
    same_camera: SameCameraOption = "ignore",
    leave_one_out: LeaveOneOut = False,
    as_one: AsOneOption = None,
    plots: options.Plots = None,
    overwrite: options.Overwrite = False,
    fail_below: FailBelow = None,
    cache: options.Cache = True,
    verify: options.Verify = False,
    **values: Any,
) -> None:
    """Print mAP and rank-1, 5 and 10 of a weights file, and the paper's figures."""
    wanted = [gates.Gate.parse(text) for text in fail_below or []]
    if plots is not None:
        check_output(plots, overwrite=overwrite, folder=True)

    from pplr_cli.ingest.library import open_dataset
    from pplr_cli.retrieval.protocol import Protocol

    request = ModelRequest(**values)
    model, console = request.load(data, cache=cache), request.console
    manifest = open_dataset(model.config.data.name, request.data, console, verify=verify)
    protocol = Protocol(same_camera, leave_one_out, as_one)
    measured = _measure(model, manifest, protocol, rerank, draw=plots is not None)
    scores, evaluation, distractors = measured
    document = _document(request.weights, model, manifest, scores, rerank)
    if protocol != Protocol():
        document["paper"] = {}  # it used Market-1501's
    document |= {**asdict(protocol), "distractors": distractors}
    document["gates"] = [gate.outcome(document) for gate in wanted]
    document["plots"] = None if plots is None else str(plots)
    document["separation"] = None if evaluation is None else _separation(evaluation)
    if request.json:
        console.document(document)
    else:
        _print(document, manifest, console)
    if plots is not None and evaluation is not None:
        from pplr_cli.report.plots import draw_plots

        draw_plots(evaluation, plots)
    if not request.json and plots is not None:
        _print_separation(document, console)
    gates.require(document["gates"], plots)


def _measure(
    model: "Model", manifest: "Manifest", protocol: "Protocol", rerank: bool, *, draw: bool
) -> "tuple[Scores, Evaluation | None, int]":
    """Score the model, keep what is needed to `draw`, count distractors, report the times."""
    from pplr_cli.data.manifest import UNKNOWN
    from pplr_cli.retrieval.evaluator import Evaluator

    start, runtime = time.monotonic(), model.runtime
    evaluator = Evaluator(manifest, model.config, runtime, protocol)
    images = evaluator.images
    opened = time.monotonic()
    runtime.reporter.info(f"opened {images:,} images in {opened - start:.1f} s")
    evaluation = None
    if draw:
        from pplr_cli.report.plots import TOP, Evaluation

        survey = evaluator.survey(model.network, top=TOP, rerank=rerank)
        evaluation = Evaluation(manifest.name, *evaluator.sets, survey, rerank)
        scores = survey.scores
    else:
        scores = evaluator.scores(model.network, rerank=rerank)
    seconds = time.monotonic() - opened
    rate = f"{seconds:.1f} s ({images / max(seconds, 1e-3):,.0f}/s)"
    runtime.reporter.info(f"on {runtime.device}, extracted and ranked {images:,} images in {rate}")
    return scores, evaluation, int((evaluator.sets[1].identities == UNKNOWN).sum())


def _print(document: dict[str, Any], manifest: "Manifest", console: Console) -> None:
    """Print the scores in percent, and the paper's if it used the data set."""
    title = document["weights"] + (" (re-ranked)" if document["rerank"] else "")
    rows = [[title, *(f"{100 * document[figure]:.1f}" for figure in gates.FIGURES)]]
    for mode, paper in published.figures_for(manifest).items():
        if mode in document["paper"]:
            values = (f"{value:.1f}" for value in paper)
            rows.append([f"{published.LABEL}, {MODES[mode]}", *values, "-"])
    console.table([manifest.name, "mAP", *(f"rank-{k}" for k in RANKS), "mINP"], rows)
    if skipped := document["skipped"]:
        other = " by another camera" if document["same_camera"] == "ignore" else ""
        console.result(
            f"{skipped:,} of {skipped + document['queries']:,} queries skipped: the gallery has no "
            f"{'' if other else 'other '}image of their identity{other}"
        )
    if distractors := document["distractors"]:
        console.result(f"{distractors:,} gallery images without identity are distractors")


def _print_separation(document: dict[str, Any], console: Console) -> None:
    found = document["separation"]
    console.result(
        f"threshold {found['threshold']:.3f}: {100 * found['same_below']:.1f} % of the pairs of "
        f"one identity are nearer, {100 * found['different_below']:.1f} % of the others"
    )
    console.result(f"pictures: {document['plots']}")


def _document(
    weights: Path, model: "Model", manifest: "Manifest", scores: "Scores", rerank: bool
) -> dict[str, Any]:
    """Return the scores and the paper's as plain values, each from 0 to 1."""
    return {
        "weights": str(weights),
        "mode": model.about.get("mode"),
        "epoch": model.about.get("epoch"),
        "data": manifest.name,
        "rerank": rerank,
        "mAP": scores.mAP,
        **{f"rank{k}": scores.rank(k) for k in RANKS},
        "mINP": scores.mINP,
        "queries": scores.queries,
        "skipped": scores.skipped,
        "copies": scores.copies,
        "paper": {
            mode: {key: round(value / 100, 3) for key, value in paper._asdict().items()}
            for mode, paper in published.figures_for(manifest).items()
        },
    }


def _separation(evaluation: "Evaluation") -> dict[str, Any]:
    """Return the threshold that separates identities best, and its figures."""
    separation = evaluation.survey.separation
    return {
        "distance": "re-ranked" if evaluation.rerank else "euclidean",
        "criterion": "largest same_below - different_below",
        "threshold": separation.threshold,
        "same_below": separation.same_below,
        "different_below": separation.different_below,
        "same_pairs": int(separation.same.sum()),
        "different_pairs": int(separation.different.sum()),
    }
