"""Starting a training run: here, or in several processes that share it."""

import os
from dataclasses import replace

import torch

from pplr_cli import env
from pplr_cli.distributed.launch import launch, started_by_launcher
from pplr_cli.distributed.processes import join
from pplr_cli.errors import PplrError, StoppedError
from pplr_cli.ingest.library import find_dataset, open_dataset
from pplr_cli.progress import Reporter, Silent
from pplr_cli.report.tensorboard import require_tensorboard
from pplr_cli.runs.folder import check_folder
from pplr_cli.runs.status import end_status, read_status
from pplr_cli.runtime import Runtime, check_processes, choose_device, process_device
from pplr_cli.session import plan
from pplr_cli.session.request import TrainingRequest
from pplr_cli.session.session import Prepared, Session
from pplr_cli.terminal.console import Console
from pplr_cli.weights.initial import check_initial_weights, initial_weights


def execute(request: TrainingRequest, console: Console) -> None:
    """Train as requested: in this process, or in several that are started for it."""
    if started_by_launcher() and not request.dry_run:
        _take_part(request, console)
        return
    device = choose_device(request.device)
    check_processes(device, request.device, request.devices)
    prepared = prepare(request, request.devices, console)
    if request.dry_run and os.environ.get("RANK", "0") != "0":
        return
    if request.dry_run:
        rows = plan.plan(prepared.config, prepared.manifest)
        rows += [("device", str(device)), ("processes", str(request.devices))]
        console.table(("what", "value"), [*rows, ("run folder", str(request.folder))])
        return
    check_folder(request.folder, overwrite=request.overwrite, resume=request.resumes)
    if request.devices > 1:
        _launch(request)
        return
    runtime = Runtime(device, console, request.precision, request.workers, request.cache)
    Session(request, runtime, console).run(lambda: prepared)


def prepare(request: TrainingRequest, processes: int, reporter: Reporter) -> Prepared:
    """Find and check all that training needs."""
    config = request.config()
    if request.tensorboard:
        require_tensorboard()
    plan.check_replicas(config, processes)
    check_initial_weights(config.model)
    name, folder = config.data.name, env.data_dir(request.data_dir)
    manifest = find_dataset(name, folder)
    start = initial_weights(config.model, reporter)
    if manifest is None or request.verify:
        manifest = open_dataset(name, folder, reporter, verify=request.verify)
    plan.check(config, request.mode, manifest)
    return Prepared(config, start, manifest)


def _launch(request: TrainingRequest) -> None:
    """Train in several processes; how it ended is written here where they cannot do so."""
    try:
        code = launch(replace(request, verify=False).words(), request.devices)
    except PplrError as error:
        if read_status(request.folder).get("state") == "running":
            end_status(request.folder, "failed", error.message, error.exit_code)
        raise
    if code:
        raise StoppedError(f"the processes of the run ended with exit code {code}", code)


def _own_device(request: TrainingRequest) -> torch.device:
    """Return this process's device; what is wrong is told by the first process of the machine."""
    try:
        device = choose_device(request.device)
        check_processes(device, request.device, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    except PplrError as error:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            raise StoppedError(error.message, error.exit_code) from error
        raise
    return process_device(request.device)


def _take_part(request: TrainingRequest, console: Console) -> None:
    """Train as one of several processes."""
    device = _own_device(request)
    processes = join(device)
    reporter: Reporter = console if processes.first else Silent()
    workers = max(1, request.workers // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    runtime = Runtime(device, reporter, request.precision, workers, request.cache, processes)
    Session(request, runtime, console).run(lambda: prepare(request, processes.size, reporter))
    processes.leave()
