"""Starting a training run: in this process, or in several that share it."""

import os
from dataclasses import replace

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
from pplr_cli.session.plan import find_inputs, plan
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.run import Run
from pplr_cli.session.session import Session


def run_training(request: TrainingRequest, reporter: Reporter) -> Run | None:
    """Train as requested, in this process or, with `--devices`, in several that are started.

    Returns:
        the run; None if another process prints the result.

    Raises:
        StoppedError: a signal ended the run, or another of its processes failed.
        PplrError: anything else that a user can cause or fix.
    """
    if request.deterministic:
        use_deterministic_algorithms()
    if started_by_launcher():
        return _join_run(request, reporter)
    device = _device(request, request.devices)
    check_folder(request.folder, overwrite=request.overwrite, resume=request.resumes)
    if request.devices == 1:
        runtime = Runtime(device, reporter, request.precision, request.workers, request.cache)
        return Session(request, runtime).run()
    find_inputs(request, request.devices, reporter)  # here, to report errors once
    _launch(request)
    return None


def plan_training(request: TrainingRequest, reporter: Reporter) -> list[tuple[str, str]]:
    """Return what a run would do and need, as (what, value); nothing is trained."""
    device = _device(request, request.devices)
    inputs = find_inputs(request, request.devices, reporter)
    return [
        *plan(inputs.config, inputs.manifest),
        ("device", str(device)),
        ("processes", str(request.devices)),
        ("run folder", str(request.folder)),
    ]


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
        if read_status(request.folder).get("state") == "running":
            end_status(request.folder, "failed", error.message, error.exit_code)
        raise
    if code:
        message = f"the processes of the run ended with exit code {code}"
        raise StoppedError(message, code, reported=True)


def _join_run(request: TrainingRequest, reporter: Reporter) -> Run | None:
    """Train as one of several processes."""
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
    run = Session(request, runtime).run()
    processes.close()
    return run
