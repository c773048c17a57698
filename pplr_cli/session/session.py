"""A training run as one process sees it, alone or as one of several."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pplr_cli import env
from pplr_cli.config.fields import Config
from pplr_cli.data.manifest import Manifest, Split
from pplr_cli.data.store import ImageStore
from pplr_cli.distributed.launch import started_by_launcher
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.start import starting_network
from pplr_cli.engine.trainer import Trainer
from pplr_cli.errors import PplrError, StoppedError
from pplr_cli.interrupts import Interrupted, Interrupts
from pplr_cli.report.page import Report
from pplr_cli.report.tensorboard import Board
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.runs import resume
from pplr_cli.runs.folder import (
    BEST,
    BOARD,
    LAST,
    LOG,
    PREVIOUS,
    REPORT,
    STATE,
    RunFolder,
    locked_folder,
)
from pplr_cli.runs.lines import outcome_line
from pplr_cli.runs.status import end_status, write_status
from pplr_cli.runtime import Runtime
from pplr_cli.session.recorder import Course
from pplr_cli.session.request import TrainingRequest
from pplr_cli.terminal.console import Console, report_unexpected


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
            trainer.load_state_dict(state)
        rows = None if state is None else state["rows"]
        self._begun = True
        folder = self._open_folder(found, rows, stack) if self._processes.first else None
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
        report = Report(self._folder, manifest.split(Split.TRAIN), images.store.pixels, reporter)
        self._redraw = report.redraw
        shows: list[Callable[[dict[str, Any]], None]] = [lambda _: report.redraw()]
        if self._request.tensorboard:
            shows.append(Board(self._folder / BOARD, reporter).add)
        return shows

    def _saved_state(self) -> dict[str, Any] | None:
        """Return the state to continue from; None = the run has none yet, or is a new one."""
        request = self._request
        if request.resume_from is not None:
            return resume.named(request.resume_from, self._folder, self._runtime.reporter)
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
        store = self._processes.first_on_machine(
            lambda: ImageStore.open(images, config.data, runtime)
        )
        known = TrainingImages(store, images.cameras, images.paths)
        with_cameras = self._request.mode == "train-cam"
        trainer = Trainer(config, network, known, runtime, with_cameras=with_cameras)
        if not manifest.can_evaluate:
            return trainer, None
        evaluator = self._processes.first_on_machine(lambda: Evaluator(manifest, config, runtime))
        return trainer, evaluator

    def _open_folder(
        self, found: Prepared, rows: list[dict[str, Any]] | None, stack: ExitStack
    ) -> RunFolder:
        """Write what stands fast of the run, and copy what is told from now on into its log."""
        request = self._request
        origin = {
            "command": request.command(),
            "data_dir": str(env.data_dir(request.data_dir).resolve()),
            "data_digest": found.manifest.digest,
        }
        folder = RunFolder(self._folder, found.config, request.mode, origin, rows)
        log = stack.enter_context((folder.path / LOG).open("a", encoding="utf-8"))
        stack.enter_context(self._console.logging_to(log))
        return folder

    @contextmanager
    def _ending_told(self) -> Iterator[None]:
        """Tell once, and write down, how a run ended that did not end well."""
        try:
            yield
        except Interrupted as stop:
            told = PplrError(f"stopped by {stop.signal.name}")
            told.exit_code = stop.exit_code
            if self._processes.first_failure(told).rank == self._processes.rank:
                self._tell_interruption(stop)
            raise StoppedError(told.message, stop.exit_code) from stop
        except Exception as error:
            known = error if isinstance(error, PplrError) else report_unexpected(error)
            told = known or PplrError(f"{type(error).__name__}: {error}")
            failure = self._processes.first_failure(told)
            if failure.rank != self._processes.rank:
                if self._processes.first:
                    self._console.log(f"error: {failure.error.message}")
                raise StoppedError(failure.error.message, failure.error.exit_code) from error
            if self._begun:
                end_status(self._folder, "failed", failure.error.message, told.exit_code)
                self._redraw()
            if known is None:
                raise
            raise failure.error from error

    def _tell_interruption(self, stop: Interrupted) -> None:
        name = stop.signal.name
        if self._begun:
            end_status(self._folder, "interrupted", name, stop.exit_code)
            self._redraw()
        saved = (self._begun or self._request.resumes) and (self._folder / STATE).exists()
        command = (self._request.continued() if saved else self._request).command()
        what = "the state is saved, continue" if saved else "nothing was saved yet, start again"
        self._console.info(f"stopped by {name}; {what} with `{command}`")

    def _conclude(self, folder: RunFolder) -> None:
        """Print the result of a run."""
        write_status(folder.path, "finished", code=0)
        self._redraw()
        weights = folder.path / (BEST if (folder.path / BEST).is_file() else LAST)
        self._console.result(outcome_line(folder.rows))
        self._console.result(f"weights: {weights}")
        self._console.result(f"report: {folder.path / REPORT}")
        if folder.best:
            words = ["pplr", "evaluate", "--weights", str(weights)]
            data_dir = self._request.data_dir
            words += ["--data-dir", str(data_dir)] if data_dir is not None else []
            self._console.info(f"next: `{shlex.join(words)}`")


def _resumed(state: dict[str, Any], config: Config) -> str:
    """Tell where a resumed run stands."""
    if state["epoch"] == config.optim.epochs:
        return "all epochs are done; `--set optim.epochs=...` lengthens the run"
    step = "" if state["current"] is None else f", step {len(state['current']['steps'])}"
    return f"resumed in epoch {state['epoch'] + 1}{step}"
