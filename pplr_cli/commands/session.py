"""A training run from the request to the result, in one process or in each of several."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import typer

from pplr_cli import env
from pplr_cli.commands.request import TrainingRequest
from pplr_cli.config import Config
from pplr_cli.console import Console, report_unexpected
from pplr_cli.data.images import load_images
from pplr_cli.data.library import open_dataset
from pplr_cli.data.manifest import Manifest, Split
from pplr_cli.engine import requirements
from pplr_cli.engine.checkpoint import load_state
from pplr_cli.engine.start import starting_network
from pplr_cli.engine.state import restore
from pplr_cli.engine.trainer import Trainer, TrainingImages
from pplr_cli.errors import PplrError
from pplr_cli.interrupts import Interrupted, Interrupts
from pplr_cli.launch import launch, started_by_launcher
from pplr_cli.processes import join
from pplr_cli.progress import Reporter, Silent
from pplr_cli.report import resume
from pplr_cli.report.board import Board, require_tensorboard
from pplr_cli.report.course import Course
from pplr_cli.report.page import Report
from pplr_cli.report.run import (
    BEST,
    BOARD,
    LAST,
    PREVIOUS,
    REPORT,
    STATE,
    RunFolder,
    check_folder,
    locked_folder,
)
from pplr_cli.report.status import end_status, read_status, write_status
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.runtime import Runtime, choose_device, process_device
from pplr_cli.weights.start import start_file


class Prepared(NamedTuple):
    """What is known, and checked, before anything is computed.

    Attributes:
        config: the settings.
        start: file of the starting weights; None = random ones.
        manifest: the data set.
    """

    config: Config
    start: Path | None
    manifest: Manifest


def execute(request: TrainingRequest, console: Console, *, dry_run: bool) -> None:
    """Train as requested: in this process, or in several that are started for it."""
    device = choose_device(request.device)
    if started_by_launcher():
        _take_part(request, console)
        return
    prepared = prepare(request, request.devices, console)
    if dry_run:
        rows = requirements.plan(prepared.config, prepared.manifest)
        rows += [("device", str(device)), ("processes", str(request.devices))]
        console.table(("what", "value"), [*rows, ("run folder", str(request.folder))])
        return
    check_folder(request.folder, overwrite=request.overwrite, resume=request.resumes)
    if request.devices > 1:
        raise typer.Exit(_launch(request))
    runtime = Runtime(device, console, request.precision, request.workers, request.cache)
    Session(request, runtime, console).run(lambda: prepared)


def prepare(request: TrainingRequest, processes: int, reporter: Reporter) -> Prepared:
    """Find and check all that training needs."""
    config = request.config()
    if request.tensorboard:
        require_tensorboard()
    requirements.check_processes(config, processes)
    start = start_file(config.model, reporter)
    manifest = open_dataset(
        config.data.name, env.data_dir(request.data_dir), reporter, verify=request.verify
    )
    requirements.check(config, request.mode, manifest)
    return Prepared(config, start, manifest)


def _launch(request: TrainingRequest) -> int:
    """Train in several processes; how it ended is written here where they cannot do so."""
    try:
        return launch(replace(request, verify=False).words(), request.devices)
    except PplrError as error:
        if read_status(request.folder).get("state") == "running":
            end_status(request.folder, "failed", error.message, error.exit_code)
        raise


def _take_part(request: TrainingRequest, console: Console) -> None:
    """Train as one of several processes."""
    device = process_device(request.device)
    processes = join(device)
    reporter: Reporter = console if processes.first else Silent()
    workers = max(1, request.workers // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    runtime = Runtime(device, reporter, request.precision, workers, request.cache, processes)
    Session(request, runtime, console).run(lambda: prepare(request, processes.size, reporter))
    processes.leave()


class Session:
    """One training run as a process sees it; the first process writes and speaks.

    Args:
        request: what was asked for.
        runtime: where to train, with which other processes.
        console: for the result.
    """

    def __init__(self, request: TrainingRequest, runtime: Runtime, console: Console) -> None:
        self._request, self._folder = request, request.folder
        self._runtime, self._processes = runtime, runtime.processes
        self._console = console
        self._interrupts = Interrupts(with_parent=started_by_launcher())
        self._begun = False  # whether the folder holds this run, and not an earlier one
        self._redraw: Callable[[], None] = lambda: None

    def run(self, prepared: Callable[[], Prepared]) -> None:
        """Train, and leave a run folder that also says how the run ended."""
        request = self._request
        lock = locked_folder(self._folder, overwrite=request.overwrite, resume=request.resumes)
        with ExitStack() as stack, self._ending_told(), self._interrupts.handled():
            found = prepared()
            self._processes.once(lambda: stack.enter_context(lock))
            self._train(found, stack)

    def _train(self, found: Prepared, stack: ExitStack) -> None:
        """Train from the start or from a saved state."""
        once = self._processes.once
        state = once(self._saved_state)
        trainer, evaluator = self._assemble(found)
        facts = once(lambda: resume.facts(found.manifest, trainer.images, self._runtime))
        reporter = self._runtime.reporter
        if state is not None:
            once(lambda: self._check(state, facts, found.config))
            restore(trainer, state)
        rows = None if state is None else state["rows"]
        folder = self._open_folder(found.config, rows, stack) if self._processes.first else None
        self._begun = True
        if state is not None:
            reporter.info(_resumed(state, found.config))
        shows = [] if folder is None else self._shows(found.manifest, trainer.images)
        course = Course(trainer, evaluator, folder, facts, reporter, self._interrupts, *shows)
        trainer.run(course.after_epoch, course.at_boundary)
        course.finish()
        if folder is not None:
            self._conclude(folder)

    def _shows(
        self, manifest: Manifest, images: TrainingImages
    ) -> list[Callable[[dict[str, Any]], None]]:
        """Return what shows each recorded row: the report, and TensorBoard where it is wanted."""
        reporter = self._runtime.reporter
        report = Report(self._folder, manifest.split(Split.TRAIN), images.pixels, reporter)
        self._redraw = report.redraw
        shows: list[Callable[[dict[str, Any]], None]] = [lambda _: report.redraw()]
        if self._request.tensorboard:
            shows.append(Board(self._folder / BOARD, reporter).add)
        return shows

    def _saved_state(self) -> dict[str, Any] | None:
        """Return the state to continue from; None = the run has none yet, or is a new one."""
        request = self._request
        if request.resume_from is not None:
            return load_state(request.resume_from)
        if not request.resume:
            return None
        if not any((self._folder / name).exists() for name in (STATE, PREVIOUS)):
            self._runtime.reporter.info(f"`{self._folder}`: no saved state yet; starting anew")
            return None
        return resume.newest(self._folder, self._runtime.reporter)

    def _check(self, state: dict[str, Any], facts: dict[str, Any], config: Config) -> None:
        reporter, inexact = self._runtime.reporter, self._request.allow_inexact
        resume.check(state, config, self._request.mode, facts, reporter, allow_inexact=inexact)

    def _assemble(self, found: Prepared) -> tuple[Trainer, Evaluator | None]:
        """Decode the images and build the trainer and what evaluates it."""
        config, manifest, runtime = found.config, found.manifest, self._runtime
        network = starting_network(config, found.start, runtime.reporter)
        images = manifest.split(Split.TRAIN)
        pixels = self._processes.first_on_machine(
            lambda: load_images(
                images,
                config.data.height,
                config.data.width,
                runtime.reporter,
                workers=runtime.workers,
                cache=runtime.cache,
            )
        )
        known = TrainingImages(pixels, images.cameras, images.paths)
        with_cameras = self._request.mode == "train-cam"
        trainer = Trainer(config, network, known, runtime, with_cameras=with_cameras)
        if not manifest.can_evaluate:
            return trainer, None
        evaluator = self._processes.first_on_machine(lambda: Evaluator(manifest, config, runtime))
        return trainer, evaluator

    def _open_folder(
        self, config: Config, rows: list[dict[str, Any]] | None, stack: ExitStack
    ) -> RunFolder:
        """Write what stands fast of the run, and copy what is told from now on into its log."""
        mode, command = self._request.mode, self._request.command()
        folder = RunFolder(self._folder, config, mode, command, rows)
        log = stack.enter_context(folder.open_log())
        stack.enter_context(self._console.logging_to(log))
        return folder

    @contextmanager
    def _ending_told(self) -> Iterator[None]:
        """Tell once, and write down, how a run ended that did not end well."""
        try:
            yield
        except Interrupted as stop:
            self._tell_interruption(stop)
            raise typer.Exit(stop.exit_code) from stop
        except Exception as error:
            known = error if isinstance(error, PplrError) else report_unexpected(error)
            told = known or PplrError(f"{type(error).__name__}: {error}")
            failure = self._processes.first_failure(told)
            if failure.rank != self._processes.rank:
                raise typer.Exit(failure.error.exit_code) from error
            if self._begun:
                end_status(self._folder, "failed", failure.error.message, told.exit_code)
                self._redraw()
            raise (failure.error if known else error) from error

    def _tell_interruption(self, stop: Interrupted) -> None:
        if not self._processes.first:
            return
        name = stop.signal.name
        if self._begun:
            end_status(self._folder, "interrupted", name, stop.exit_code)
            self._redraw()
        saved = self._begun and (self._folder / STATE).exists()
        command = (self._request.continued() if saved else self._request).command()
        what = "the state is saved, continue" if saved else "nothing was saved yet, start again"
        self._console.info(f"stopped by {name}; {what} with `{command}`")

    def _conclude(self, folder: RunFolder) -> None:
        """Print the result of a run."""
        write_status(folder.path, "finished", code=0)
        self._redraw()
        scored = [row for row in folder.rows if "mAP" in row]
        weights = folder.path / (BEST if (folder.path / BEST).is_file() else LAST)
        self._console.result(_retrieval(scored) if folder.best else _clusters(folder.rows[-1]))
        self._console.result(f"weights: {weights}")
        self._console.result(f"report: {folder.path / REPORT}")
        if folder.best:
            self._console.info(f"next: `pplr evaluate --weights {weights}`")


def _resumed(state: dict[str, Any], config: Config) -> str:
    """Tell where a resumed run stands."""
    if state["epoch"] == config.optim.epochs:
        return "all epochs are done; `--set optim.epochs=...` lengthens the run"
    step = "" if state["current"] is None else f", step {len(state['current']['steps'])}"
    return f"resumed in epoch {state['epoch'] + 1}{step}"


def _retrieval(scored: list[dict[str, Any]]) -> str:
    """Return the scores before (where there are any), after, and at best."""
    first, last = scored[0], scored[-1]
    best = max(row["mAP"] for row in scored if row["epoch"])
    start = f"{100 * first['mAP']:.1f} -> " if first["epoch"] == 0 else ""
    return (
        f"mAP {start}{100 * last['mAP']:.1f} (best {100 * best:.1f}), "
        f"rank-1 {100 * last['rank1']:.1f}"
    )


def _clusters(row: dict[str, Any]) -> str:
    return (
        f"{row['clusters']} clusters of {row['cluster_size_median']:.0f} images (median, "
        f"at most {row['cluster_size_max']}), {row['outliers']} outliers of {row['images']}"
    )
