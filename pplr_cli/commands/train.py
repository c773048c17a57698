"""`pplr train` and `pplr train-cam`: one trainer, without and with the camera losses."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pplr_cli.commands import documents, options
from pplr_cli.commands.compare import RunOutcome
from pplr_cli.config.fields import Mode
from pplr_cli.session.request import TrainingRequest
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.runs.records import Run
    from pplr_cli.session.plan import Plan


class TrainDocument(RunOutcome, documents.Document, command="train"):
    """A training run."""

    weights: documents.Weights
    report: Path
    """HTML page."""
    verdict: Literal["good", "unclear", "trouble"]
    """Health of the clusters."""
    reason: str
    """Reason of the verdict."""
    next: str | None
    """Command that evaluates the weights; null without labels."""


class PlanDocument(documents.Document, command="train-dry-run"):
    """What a run would do and need."""

    run: documents.Run
    data: documents.Data
    images: dict[str, int]
    """By split."""
    download: str | None
    """Starting weights that the run downloads first: name in `pplr download-weights`."""
    cache_bytes: int
    """Images in the cache on disk."""
    features_bytes: int
    """Features on disk; 0 if they are in memory."""
    state_bytes: int
    """States and weights in the run folder."""
    memory_bytes: dict[str, int]
    """Of each stage, the budget of the evaluation, and `peak`: at once in host memory."""
    device: str
    processes: int
    passes: float
    """How often an epoch shows each training image."""
    step_seconds: float
    """Of one batch, measured."""
    search_seconds: float | None
    """Exact neighbour search of an epoch, measured; null for tracks."""
    epoch_seconds: float
    """Without clustering."""
    seconds: float
    """Of the epochs that are left."""
    epochs: int
    """Epochs left."""
    evaluations: int


def training_command(mode: Mode) -> Callable[..., None]:
    """Return the command of a mode; its options are the fields of `TrainingRequest`."""

    def command(**values: Any) -> None:
        request = TrainingRequest(mode, **values)
        request.config()  # report wrong settings before torch is imported

        from pplr_cli.session import start

        console = Console(verbosity=request.verbosity)
        if request.dry_run:
            plan = start.plan_training(request, console)
            if plan is not None and request.json:
                console.document(_plan_document(plan, request))
            elif plan is not None:
                folder = ("run folder", str(request.folder))
                rows = [*plan.needs.rows(), *plan.times.rows(), folder]
                console.table(("what", "value"), rows)
            return
        run = start.run_training(request, console)
        if run is not None and request.json:
            console.document(_document(run, request))
        elif run is not None:
            _print(run, request, console)

    cameras = "with" if mode == "train-cam" else "without"
    command.__doc__ = f"Train {cameras} camera labels; weights and report go to the run folder."
    return options.takes(TrainingRequest)(command)


def _document(run: "Run", request: TrainingRequest) -> TrainDocument:
    from pplr_cli.runs.comparison import outcome
    from pplr_cli.runs.health import verdict

    health = verdict(run.rows, run.config.optim.epochs)
    return TrainDocument(
        **outcome(run),
        weights=run.weights,
        report=run.report,
        verdict=health.kind,
        reason=health.text,
        next=_next_command(run, request),
    )


def _plan_document(plan: "Plan", request: TrainingRequest) -> PlanDocument:
    needs, times = plan
    return PlanDocument(
        run=request.folder,
        data=needs.manifest.name,
        images=needs.images,
        download=None if needs.download is None else needs.download.name,
        cache_bytes=needs.disk.images,
        features_bytes=needs.disk.features,
        state_bytes=needs.disk.states,
        memory_bytes=needs.memory.document(),
        device=times.device,
        processes=times.processes,
        passes=times.passes,
        step_seconds=times.step,
        search_seconds=times.search,
        epoch_seconds=times.epoch,
        seconds=times.run,
        epochs=times.epochs,
        evaluations=times.evaluations,
    )


def _print(run: "Run", request: TrainingRequest, console: Console) -> None:
    """Print the result of a run, and the command that evaluates it if there are labels."""
    for line in run.summary():
        console.result(line)
    if following := _next_command(run, request):
        console.info(f"next: `{following}`")


def _next_command(run: "Run", request: TrainingRequest) -> str | None:
    """Return the command that evaluates a run; None without labels."""
    if not run.evaluated:
        return None
    words = ["pplr", "evaluate", "--weights", str(run.weights)]
    words += ["--data-dir", str(request.data_dir)] if request.data_dir is not None else []
    return shlex.join(words)


train = training_command("train")
train_cam = training_command("train-cam")
