"""Starting a training run: in this process, or in several that share it."""

import os
import re
from dataclasses import replace

from pplr_cli.distributed.launch import launch, local_processes, started_by_launcher
from pplr_cli.distributed.processes import Group
from pplr_cli.errors import PplrError, StoppedError
from pplr_cli.progress import SILENT, Reporter
from pplr_cli.runs.folder import locked_folder
from pplr_cli.runs.records import Run
from pplr_cli.runs.status import end_status, read_status
from pplr_cli.runtime import Runtime, choose_device, use_deterministic_algorithms
from pplr_cli.session.inputs import find_inputs
from pplr_cli.session.plan import Plan
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.session import Session


def run_training(request: TrainingRequest, reporter: Reporter) -> Run | None:
    """Train as requested, in this process or, with `--devices`, in several that are started.

    Returns:
        the run; None if another process prints the result.

    Raises:
        StoppedError: a signal ended the run, or another of its processes failed.
        PplrError: anything else that a user can cause or fix.
    """
    session = _session(request, reporter)
    return None if session is None else session.run()


def plan_training(request: TrainingRequest, reporter: Reporter) -> Plan | None:
    """Start a run as `run_training` does, and stop before its first epoch.

    Returns:
        what the run would do and need; None if another process prints it.

    Raises:
        PplrError: as `run_training`.
    """
    session = _session(replace(request, dry_run=True), reporter)
    return None if session is None else session.plan()


def _session(request: TrainingRequest, reporter: Reporter) -> Session | None:
    """Return the session of this process; None after starting several and waiting for them."""
    if request.deterministic:
        use_deterministic_algorithms()
    if started_by_launcher():
        return _joined(request, reporter)
    _report_folder(request, reporter)
    device = choose_device(request.device, request.devices)
    with locked_folder(request.folder, overwrite=request.overwrite, resume=request.resumes):
        pass  # to report a folder that is in use before any work
    if request.devices > 1:
        find_inputs(request, request.devices, reporter)  # here, to report errors once
        _launch(request)
        return None
    runtime = Runtime(device, reporter, request.precision, request.workers, request.cache)
    return Session(request, runtime)


def _joined(request: TrainingRequest, reporter: Reporter) -> Session:
    """Return the session of one of several processes, connected to the others."""
    here, place = local_processes(), int(os.environ["LOCAL_RANK"])
    try:
        device = choose_device(request.device, here, place)
    except PplrError as error:
        if place == 0:  # one process of each machine reports it
            raise
        raise StoppedError(error.message, error.exit_code, reported=True) from error
    processes = Group(device)
    reporter = reporter if processes.first else SILENT
    _report_folder(request, reporter)
    workers = max(1, request.workers // here)
    runtime = Runtime(device, reporter, request.precision, workers, request.cache, processes)
    return Session(request, runtime)


def _report_folder(request: TrainingRequest, reporter: Reporter) -> None:
    """Report a run folder whose name the options do not give."""
    folder = request.folder
    if request.run_dir is None and (numbered := re.fullmatch(r"(.+)-\d+", folder.name)):
        usual = folder.with_name(numbered[1])
        reporter.info(f"run folder: `{folder}`, as `{usual}` contains a run with other settings")


def _launch(request: TrainingRequest) -> None:
    """Train in several processes; record a failure that they could not record themselves."""
    try:
        words = replace(request, run_dir=request.folder, verify=False).words()
        code = launch(words, request.devices)
    except PplrError as error:
        if not request.dry_run and read_status(request.folder).get("state") == "running":
            end_status(request.folder, "failed", error.message, error.exit_code)
        raise
    if code:
        message = f"the processes of the run ended with exit code {code}"
        raise StoppedError(message, code, reported=True)
