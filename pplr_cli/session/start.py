"""Starting a training run: in this process, or in several that share it."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from pplr_cli.distributed.launch import launch, started_by_launcher
from pplr_cli.distributed.processes import join
from pplr_cli.errors import PplrError, StoppedError
from pplr_cli.progress import Reporter, Silent
from pplr_cli.runs.folder import check_folder
from pplr_cli.runs.status import end_status, read_status
from pplr_cli.runtime import (
    Runtime,
    check_processes,
    choose_device,
    process_device,
    use_deterministic_algorithms,
)
from pplr_cli.session.plan import Rows, find_inputs
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.run import Run
from pplr_cli.session.session import Session

T = TypeVar("T")


def run_training(request: TrainingRequest, reporter: Reporter) -> Run | None:
    """Train as requested, in this process or, with `--devices`, in several that are started.

    Returns:
        the run; None if another process prints the result.

    Raises:
        StoppedError: a signal ended the run, or another of its processes failed.
        PplrError: anything else that a user can cause or fix.
    """
    return _start(request, reporter, Session.run)


def plan_training(request: TrainingRequest, reporter: Reporter) -> Rows | None:
    """Start a run as `run_training` does, and stop before its first epoch.

    Returns:
        what the run would do and need, as (what, value); None if another process prints it.

    Raises:
        PplrError: as `run_training`.
    """
    return _start(replace(request, dry_run=True), reporter, Session.plan)


def _start(
    request: TrainingRequest, reporter: Reporter, work: Callable[[Session], T | None]
) -> T | None:
    """Do the work of a session in this process, or in several that are started."""
    if request.deterministic:
        use_deterministic_algorithms()
    if started_by_launcher():
        return _join_run(request, reporter, work)
    device = _device(request, request.devices)
    check_folder(request.folder, overwrite=request.overwrite, resume=request.resumes)
    if request.devices == 1:
        runtime = Runtime(device, reporter, request.precision, request.workers, request.cache)
        return work(Session(request, runtime))
    find_inputs(request, request.devices, reporter)  # here, to report errors once
    _launch(request)
    return None


def _device(request: TrainingRequest, processes: int) -> torch.device:
    """Return the device, after checking that each of the processes can have its own."""
    device = choose_device(request.device)
    check_processes(device, request.device, processes)
    return device


def _launch(request: TrainingRequest) -> None:
    """Train in several processes; record a failure that they could not record themselves."""
    try:
        code = launch(replace(request, verify=False).words(), request.devices)
    except PplrError as error:
        if not request.dry_run and read_status(request.folder).get("state") == "running":
            end_status(request.folder, "failed", error.message, error.exit_code)
        raise
    if code:
        message = f"the processes of the run ended with exit code {code}"
        raise StoppedError(message, code, reported=True)


def _join_run(
    request: TrainingRequest, reporter: Reporter, work: Callable[[Session], T | None]
) -> T | None:
    """Do the work of a session as one of several processes."""
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    try:
        _device(request, local_size)
    except PplrError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # one process of each machine reports it
            raise
        raise StoppedError(error.message, error.exit_code, reported=True) from error
    device = process_device(request.device)
    processes = join(device)
    reporter = reporter if processes.first else Silent()
    workers = max(1, request.workers // local_size)
    runtime = Runtime(device, reporter, request.precision, workers, request.cache, processes)
    result = work(Session(request, runtime))
    processes.close()
    return result
