"""`pplr train` and `pplr train-cam`: one trainer, without and with the camera losses."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pplr_cli import env, presets
from pplr_cli.commands import options
from pplr_cli.config import Config, Mode
from pplr_cli.console import Console

if TYPE_CHECKING:
    from pplr_cli.data.manifest import Manifest
    from pplr_cli.engine.trainer import Trainer
    from pplr_cli.report.course import Course
    from pplr_cli.report.run import RunFolder
    from pplr_cli.runtime import Runtime

RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", help="Run folder (default: runs/<preset>-<mode>)."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Delete the run that the folder holds.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard as well.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed (default: the preset's).")]


def training_command(mode: Mode) -> Callable[..., None]:
    """Return the Typer command of a mode; both take the same options."""

    def command(
        preset: options.Preset,
        data: options.Data = None,
        data_dir: options.DataDir = None,
        run_dir: RunDir = None,
        settings: options.Set = None,
        seed: Seed = None,
        device: options.Device = "auto",
        precision: options.Precision = "fp32",
        workers: options.Workers = options.CORES,
        cache: options.Cache = True,
        overwrite: Overwrite = False,
        dry_run: DryRun = False,
        tensorboard: TensorBoard = False,
        quiet: options.Quiet = False,
        verbose: options.Verbose = False,
    ) -> None:
        config = presets.resolve(preset, mode, options.overrides(settings, data, seed))
        folder = run_dir or Path("runs") / f"{Path(preset).stem}-{mode}"
        console = Console(verbosity=verbose - quiet)

        from pplr_cli.data.library import open_dataset
        from pplr_cli.engine.requirements import check, plan
        from pplr_cli.report.board import require_tensorboard
        from pplr_cli.runtime import Runtime, choose_device
        from pplr_cli.weights.start import start_file

        if tensorboard:
            require_tensorboard()
        runtime = Runtime(choose_device(device), console, precision, workers, cache)
        start = start_file(config.model, console)
        manifest = open_dataset(config.data.name, env.data_dir(data_dir), console)
        check(config, mode, manifest)
        if dry_run:
            rows = [*plan(config, manifest), ("device", str(runtime.device))]
            console.table(("what", "value"), [*rows, ("run folder", str(folder))])
        else:
            _train(config, mode, manifest, start, folder, overwrite, console, runtime, tensorboard)

    cameras = "with" if mode == "train-cam" else "without"
    command.__doc__ = f"Train {cameras} camera labels; weights and report go to the run folder."
    return command


train = training_command("train")
train_cam = training_command("train-cam")


def _train(
    config: Config,
    mode: Mode,
    manifest: "Manifest",
    start: Path | None,
    folder: Path,
    overwrite: bool,
    console: Console,
    runtime: "Runtime",
    tensorboard: bool,
) -> None:
    """Train, and leave a run folder that also says why a run failed."""
    from pplr_cli.report.run import RunFolder

    run = RunFolder(folder, config, mode, overwrite=overwrite)
    with run.open_log() as log, console.logging_to(log):
        trainer, course = _assemble(config, mode, manifest, start, run, runtime, tensorboard)
        trainer.run(course.after_epoch)
        _conclude(course, run, console)


def _assemble(
    config: Config,
    mode: Mode,
    manifest: "Manifest",
    start: Path | None,
    run: "RunFolder",
    runtime: "Runtime",
    tensorboard: bool,
) -> "tuple[Trainer, Course]":
    """Decode the images and build the trainer and what follows each epoch."""
    from pplr_cli.data.images import load_images
    from pplr_cli.data.manifest import Split
    from pplr_cli.engine.start import starting_network
    from pplr_cli.engine.trainer import Trainer, TrainingImages
    from pplr_cli.report.board import Board
    from pplr_cli.report.course import Course
    from pplr_cli.report.page import Report
    from pplr_cli.report.run import BOARD
    from pplr_cli.retrieval.evaluator import Evaluator

    network = starting_network(config, start, runtime.reporter)
    images = manifest.split(Split.TRAIN)
    pixels = load_images(
        images,
        config.data.height,
        config.data.width,
        runtime.reporter,
        workers=runtime.workers,
        cache=runtime.cache,
    )
    trainer = Trainer(
        config,
        network,
        TrainingImages(pixels, images.cameras),
        runtime,
        with_cameras=mode == "train-cam",
    )
    evaluator = Evaluator(manifest, config, runtime) if manifest.can_evaluate else None
    report = Report(run.path, images, pixels, runtime.reporter)
    board = Board(run.path / BOARD, runtime.reporter) if tensorboard else None
    return trainer, Course(config, network, evaluator, run, report, runtime.reporter, board)


def _conclude(course: "Course", run: "RunFolder", console: Console) -> None:
    """Print the result of a run."""
    weights, report = course.finish()
    if course.last is not None and course.best is not None:
        start = f"{100 * course.first.mAP:.1f} -> " if course.first is not None else ""
        console.result(
            f"mAP {start}{100 * course.last.mAP:.1f} (best {100 * course.best.mAP:.1f}), "
            f"rank-1 {100 * course.last.rank(1):.1f}"
        )
    else:
        row = run.rows[-1]
        console.result(
            f"{row['clusters']} clusters of {row['cluster_size_median']:.0f} images (median, "
            f"at most {row['cluster_size_max']}), {row['outliers']} outliers of {row['images']}"
        )
    console.result(f"weights: {weights}")
    console.result(f"report: {report}")
    if course.last is not None:
        console.info(f"next: `pplr evaluate --weights {weights}`")
