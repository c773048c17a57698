"""A training run in one process: resume, train, and record how it ended."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from pplr_cli import env
from pplr_cli.config.document import flat
from pplr_cli.config.fields import Config
from pplr_cli.data.store import ImageStore
from pplr_cli.distributed.launch import local_processes, started_by_launcher
from pplr_cli.engine.batches import TrainingImages
from pplr_cli.engine.network import initial_network
from pplr_cli.engine.trainer import Trainer
from pplr_cli.errors import PplrError, StoppedError, known_failure
from pplr_cli.files import atomic_write
from pplr_cli.interrupts import Interrupted, Interrupts
from pplr_cli.report.loggers import logging_to
from pplr_cli.report.page import update_report
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.runs import resume
from pplr_cli.runs.default_folder import EPOCHS
from pplr_cli.runs.folder import ANSWERS, LOG, STATE, RunFolder, locked_folder
from pplr_cli.runs.machine import device_name
from pplr_cli.runs.records import Run
from pplr_cli.runs.status import end_status, write_status
from pplr_cli.runtime import Runtime
from pplr_cli.session.duration import times
from pplr_cli.session.inputs import Inputs, find_inputs
from pplr_cli.session.log import RunLog
from pplr_cli.session.plan import Needs, Plan, needs
from pplr_cli.session.recorder import RunRecorder
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.room import check_room
from pplr_cli.session.speed import measure
from pplr_cli.text import counted

State = dict[str, Any]


class Session:
    """A training run in this process; among several, only the first writes and reports.

    Args:
        request: what to train.
        runtime: where to train, with which other processes.
    """

    def __init__(self, request: TrainingRequest, runtime: Runtime) -> None:
        self._request, self._folder = request, request.folder
        self._log = RunLog(runtime.reporter)
        self._runtime = replace(runtime, reporter=self._log)
        self._processes = runtime.processes
        self._interrupts = Interrupts(with_parent=started_by_launcher())
        self._begun = False  # whether the folder holds this run, not an earlier one
        self._redraw: Callable[[], None] = lambda: None

    def run(self) -> Run | None:
        """Train; return the run, or None in all processes but the first."""
        with self._inputs() as (inputs, stack):
            self._train(inputs, *self._ready(inputs), stack)
            return self._finish() if self._processes.first else None

    def plan(self) -> Plan | None:
        """Do everything that precedes training, and measure the speed; write nothing of a run.

        Returns:
            What the run does and needs; None in all processes but the first.
        """
        with self._inputs() as (inputs, _):
            trainer = self._ready(inputs)[0].trainer
            took = times(trainer, inputs, measure(trainer))
            found = Plan(self._needs(inputs), took)
            return found if self._processes.first else None

    @contextmanager
    def _inputs(self) -> Iterator[tuple[Inputs, ExitStack]]:
        """Find the inputs and lock the run folder while the block runs."""
        request = self._request
        lock = locked_folder(self._folder, overwrite=request.overwrite, resume=request.resumes)
        with ExitStack() as stack, self._recording_the_end(), self._interrupts.handled():
            inputs = find_inputs(request, self._processes.size, self._log)
            on_rank_zero = self._processes.on_rank_zero
            on_rank_zero(lambda: stack.enter_context(lock))
            on_rank_zero(lambda: check_room(self._needs(inputs), self._folder, self._log))
            yield inputs, stack
        self._processes.close()

    def _needs(self, inputs: Inputs) -> Needs:
        """Return what the run needs on this machine."""
        return needs(
            inputs.config,
            inputs.manifest,
            cache=self._runtime.cache,
            tracked=inputs.tracks is not None,
            on_gpu=self._runtime.device.type == "cuda",
            processes=local_processes(),
            download=inputs.download,
        )

    def _ready(self, inputs: Inputs) -> tuple[RunRecorder, State | None]:
        """Build all that trains; return it with the saved state that it continues from, if any."""
        request, on_rank_zero = self._request, self._processes.on_rank_zero
        state = None
        if request.resumes:
            state = on_rank_zero(
                lambda: resume.find_state(self._folder, request.resume_from, self._log)
            )
        trainer, evaluator = self._assemble(inputs)
        facts = on_rank_zero(lambda: resume.facts(inputs.manifest, trainer.images, self._runtime))
        if state is not None:
            conditions = (self._folder, state, inputs.config, request.mode, facts, self._log)
            inexact = request.allow_inexact
            on_rank_zero(lambda: resume.check(*conditions, allow_inexact=inexact))
            trainer.load_state_dict(state)
        return RunRecorder(trainer, evaluator, facts, self._interrupts), state

    def _train(
        self, inputs: Inputs, recorder: RunRecorder, state: State | None, stack: ExitStack
    ) -> None:
        """Train, and record it."""
        self._begun = True
        if self._processes.first:
            recorder.folder = self._open_folder(inputs, state, stack)
            recorder.loggers = self._loggers(inputs, recorder.trainer.images, stack)
        if state is not None:
            self._log.info(_resumed(state, inputs.config, self._request))
        recorder.trainer.run(recorder.after_epoch, recorder.at_boundary)
        recorder.finish()

    def _assemble(self, inputs: Inputs) -> tuple[Trainer, Evaluator | None]:
        """Decode the images; build the trainer and, if there are labels, the evaluator."""
        config, images, runtime = inputs.config, inputs.images, self._runtime
        network = initial_network(config, inputs.weights, self._log)
        store = self._processes.local_rank_zero_first(
            lambda: ImageStore.open(images, config.data, runtime)
        )
        about = images.cameras, images.paths, inputs.tracks, inputs.answers
        known = TrainingImages(store, *about)
        with_cameras = self._request.mode == "train-cam"
        trainer = Trainer(config, network, known, runtime, with_cameras=with_cameras)
        if not inputs.manifest.can_evaluate:
            return trainer, None
        evaluator = self._processes.local_rank_zero_first(
            lambda: Evaluator(inputs.manifest, config, runtime)
        )
        return trainer, evaluator

    def _open_folder(self, inputs: Inputs, state: State | None, stack: ExitStack) -> RunFolder:
        """Write what is known of the run before it starts; open its log."""
        many = [str(self._processes.size)] if self._processes.size > 1 else []
        origin = {
            "command": self._request.command(),
            "data_dir": str(env.data_dir(self._request.data_dir).resolve()),
            "data_digest": inputs.manifest.digest,
            "device": " x ".join((*many, device_name(self._runtime.device))),
            "auto": self._auto(inputs),
        }
        rows = None if state is None else state["rows"]
        folder = RunFolder(self._folder, inputs.config, self._request.mode, origin, rows)
        stack.enter_context(self._log.open(self._folder / LOG))
        if inputs.answers is not None:
            with atomic_write(self._folder / ANSWERS) as file:
                file.write(inputs.answers.text.encode(errors="surrogateescape"))
        return folder

    def _auto(self, inputs: Inputs) -> list[str]:
        """Return the settings whose numbers `auto` chose, before a resume if not now."""
        asked, used = (flat(each.document()) for each in (self._request.config(), inputs.config))
        chosen = [key for key, value in used.items() if asked[key] != value]
        return chosen or sorted(Run(self._folder).auto if self._request.resumes else ())

    def _loggers(
        self, inputs: Inputs, images: TrainingImages, stack: ExitStack
    ) -> list[Callable[[dict[str, Any]], None]]:
        """Return what is called with each recorded row: the report, then the chosen loggers."""
        pixels, log = images.store.pixels, self._log
        self._redraw = lambda: update_report(self._folder, inputs.images, pixels, log)
        settings = inputs.config.document()
        chosen = [
            stack.enter_context(logging_to(name, self._folder, settings, log))
            for name in self._request.log
        ]
        return [lambda _: self._redraw(), *chosen]

    def _finish(self) -> Run:
        """Record that the run is finished."""
        run = Run(self._folder)
        write_status(self._folder, "finished", code=0)
        self._redraw()
        for line in run.summary():
            self._log.write(line)
        return run

    @contextmanager
    def _recording_the_end(self) -> Iterator[None]:
        """Record why a run failed or was stopped; raise one error in each of its processes."""
        try:
            yield
        except (Exception, Interrupted) as cause:
            error = self._expected(cause)
            told = error or PplrError(f"{type(cause).__name__}: {cause}")
            first = self._processes.first_failure(told)
            stopped = isinstance(first.error, StoppedError)
            self._log.write(first.error.message if stopped else f"error: {first.error.message}")
            if first.rank != self._processes.rank:
                code = first.error.exit_code
                raise StoppedError(first.error.message, code, reported=True) from cause
            self._record_end(cause, first.error)
            if error is None or first.error is cause:  # a bug keeps its traceback
                raise
            raise first.error from cause

    def _record_end(self, cause: BaseException, error: PplrError) -> None:
        """Write into the run folder, if it holds this run, how the run ended."""
        if not self._begun:
            return
        if isinstance(cause, Interrupted):
            end_status(self._folder, "interrupted", cause.signal.name, error.exit_code)
        else:
            end_status(self._folder, "failed", error.message, error.exit_code)
        self._redraw()

    def _expected(self, cause: BaseException) -> PplrError | None:
        """Return the error to raise for what ended the run; None for a bug."""
        if not isinstance(cause, Interrupted):
            return known_failure(cause)
        saved = (self._begun or self._request.resumes) and (self._folder / STATE).exists()
        command = (self._request.continued() if saved else self._request).command()
        what = "the state is saved, continue" if saved else "nothing was saved yet, start again"
        message = f"stopped by {cause.signal.name}; {what} with `{command}`"
        return StoppedError(message, cause.exit_code)


def _resumed(state: State, config: Config, request: TrainingRequest) -> str:
    """Say where a resumed run continues; of a finished one, the command that trains longer."""
    done = config.optim.epochs
    if state["epoch"] == done:
        longer = replace(request.continued(), settings=(f"{EPOCHS}={2 * done}",)).command()
        return f"the run is finished after {counted(done, 'epochs')}; to train longer: `{longer}`"
    step = "" if state["current"] is None else f", step {len(state['current']['steps'])}"
    return f"resumed in epoch {state['epoch'] + 1}{step}"
