"""`pplr evaluate`: score a weights file on a labelled query and gallery."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pplr_cli.commands import documents, gates, options
from pplr_cli.commands.model import ModelRequest
from pplr_cli.commands.options import takes
from pplr_cli.config.fields import Mode
from pplr_cli.config.options import option
from pplr_cli.config.types import Fraction
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


class Separation(documents.Part):
    """The distance that separates pairs of one identity best from other pairs."""

    distance: Literal["euclidean", "re-ranked"]
    criterion: str
    """How the threshold was chosen."""
    threshold: float
    same_below: Fraction
    """Share of the pairs of one identity that are nearer."""
    different_below: Fraction
    """Share of the other pairs that are nearer."""
    same_pairs: int
    different_pairs: int


class EvaluateDocument(documents.Scores, documents.Document, command="evaluate"):
    """Scores of a weights file."""

    mINP: Fraction  # noqa: N815
    weights: documents.Weights
    mode: documents.TrainedBy
    epoch: int | None
    """Epoch of the weights."""
    data: documents.Data
    rerank: bool
    same_camera: Literal["ignore", "keep"]
    leave_one_out: bool
    as_one: Literal["track"] | None
    queries: int
    """Queries evaluated."""
    queries_skipped: int
    """Queries without another image of their identity."""
    distractors: int
    """Gallery images without identity."""
    copies: int
    """Gallery images ignored as copies of a query."""
    paper: dict[Mode, documents.Scores]
    """Scores in the paper; empty if it used other images."""
    gates: list[gates.Outcome]
    """One for each `--fail-below`."""
    pictures: documents.Pictures
    separation: Separation | None
    """Null without `--plots`."""


MODES = {"train": "without camera labels", "train-cam": "with camera labels"}


@takes(ModelRequest)
def evaluate(
    data: options.Data = None,
    rerank: bool = option(False, "Rank by k-reciprocal re-ranked distances."),
    same_camera: Literal["ignore", "keep"] = option(
        "ignore", "Ignore or keep matches by the query's own camera."
    ),
    leave_one_out: bool = option(False, "Compare each labelled image with all others."),
    as_one: Literal["track"] | None = option(
        None, "Average the features of a track's query images."
    ),
    plots: options.Plots = None,
    overwrite: options.Overwrite = False,
    fail_below: tuple[str, ...] = option(
        (),
        "Exit code 1 if a figure is lower, as in mAP=0.80 or mAP=80% (repeatable).",
        metavar="FIGURE=FRACTION",
    ),
    cache: options.Cache = True,
    verify: options.Verify = False,
    **values: Any,
) -> None:
    """Print mAP and rank-1, 5 and 10 of a weights file, and the paper's figures."""
    wanted = [gates.Gate.parse(text) for text in fail_below]
    if plots is not None:
        check_output(plots, overwrite=overwrite, folder=True)

    from pplr_cli.ingest.library import open_dataset
    from pplr_cli.retrieval.protocol import Protocol

    request = ModelRequest(**values)
    model, console = request.load(data, cache=cache), request.console
    manifest = open_dataset(model.config.data.name, request.data, console, verify=verify)
    protocol = Protocol(same_camera, leave_one_out, as_one)
    scores, evaluation, distractors = _measure(
        model, manifest, protocol, rerank, draw=plots is not None
    )
    figures = {figure: getattr(scores, figure) for figure in ("mAP", "mINP", "queries", "copies")}
    figures |= {f"rank{k}": scores.rank(k) for k in RANKS}
    document = EvaluateDocument(
        weights=request.weights,
        mode=model.about.get("mode"),
        epoch=model.about.get("epoch"),
        data=manifest.name,
        rerank=rerank,
        **asdict(protocol),
        **figures,
        queries_skipped=scores.skipped,
        distractors=distractors,
        paper=_paper(manifest) if protocol == Protocol() else {},  # it used Market-1501's
        gates=[gate.outcome(figures[gate.figure]) for gate in wanted],
        pictures=plots,
        separation=None if evaluation is None else _separation(evaluation),
    )
    if request.json:
        console.document(document)
    else:
        _print(document, manifest, console)
    if plots is not None and evaluation is not None:
        from pplr_cli.report.plots import draw_plots

        draw_plots(evaluation, plots)
    if not request.json and document.separation is not None:
        _print_separation(document.separation, plots, console)
    gates.require(document.gates, plots)


def _measure(
    model: "Model", manifest: "Manifest", protocol: "Protocol", rerank: bool, *, draw: bool
) -> "tuple[Scores, Evaluation | None, int]":
    """Score the model, keep what is needed to `draw`, count distractors, report the times."""
    from pplr_cli.data.images import UNKNOWN
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


def _print(document: EvaluateDocument, manifest: "Manifest", console: Console) -> None:
    """Print the scores in percent, and the paper's if it used the data set."""
    title = f"{document.weights}" + (" (re-ranked)" if document.rerank else "")
    rows = [[title, *(f"{100 * getattr(document, figure):.1f}" for figure in gates.FIGURES)]]
    for mode, paper in document.paper.items():
        values = (f"{100 * value:.1f}" for value in asdict(paper).values())
        rows.append([f"{published.LABEL}, {MODES[mode]}", *values, "-"])
    console.table([manifest.name, "mAP", *(f"rank-{k}" for k in RANKS), "mINP"], rows)
    if skipped := document.queries_skipped:
        other = " by another camera" if document.same_camera == "ignore" else ""
        console.result(
            f"{skipped:,} of {skipped + document.queries:,} queries skipped: the gallery has no "
            f"{'' if other else 'other '}image of their identity{other}"
        )
    if document.distractors:
        console.result(f"{document.distractors:,} gallery images without identity are distractors")


def _print_separation(found: Separation, plots: Path | None, console: Console) -> None:
    console.result(
        f"threshold {found.threshold:.3f}: {100 * found.same_below:.1f} % of the pairs of "
        f"one identity are nearer, {100 * found.different_below:.1f} % of the others"
    )
    console.result(f"pictures: {plots}")


def _paper(manifest: "Manifest") -> dict[Mode, documents.Scores]:
    """Return the scores of the paper if it used these images."""
    return {
        mode: documents.Scores(**{k: round(v / 100, 3) for k, v in paper._asdict().items()})
        for mode, paper in published.figures_for(manifest).items()
    }


def _separation(evaluation: "Evaluation") -> Separation:
    """Return the threshold that separates identities best, and its figures."""
    separation = evaluation.survey.separation
    return Separation(
        distance="re-ranked" if evaluation.rerank else "euclidean",
        criterion="largest same_below - different_below",
        threshold=separation.threshold,
        same_below=separation.same_below,
        different_below=separation.different_below,
        same_pairs=int(separation.same.sum()),
        different_pairs=int(separation.different.sum()),
    )
