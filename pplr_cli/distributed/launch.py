"""Start the processes of a run by torch's launcher, without its log messages."""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from pplr_cli import host
from pplr_cli.errors import ProcessError

SHUTDOWN = 45
"""Seconds for the processes to save and exit before they are killed."""


def started_by_launcher() -> bool:
    """Return whether `torchrun` or `launch` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def local_processes() -> int:
    """Return how many processes of the run are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def launch(words: Sequence[str], count: int) -> int:
    """Run `pplr` with the arguments `words` in `count` processes and return the exit code.

    Signals reach all of them; the failure of one ends the others.

    Raises:
        ProcessError: a process was killed; a process that fails otherwise reports it itself.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # each of torch's loggers has a level of its own
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else ranks warn of a lost connection
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, host.cores() // count)))
    signal.signal(signal.SIGUSR1, _pass_on)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    if hasattr(config, "shutdown_timeout"):  # torch 2.10 waits 30 s
        config.shutdown_timeout = SHUTDOWN
    try:
        elastic_launch(config, sys.executable)("-m", "pplr_cli", *words)
    except SignalException as error:
        return 128 + error.sigval
    except ChildFailedError as error:
        return _exit_code({rank: each.exitcode for rank, each in error.failures.items()})
    return 0


def _exit_code(codes: dict[int, int]) -> int:
    """Return the exit code of a process that reported its error; else raise for a killed one."""
    reported = [code for code in codes.values() if code > 0]
    if reported:
        return reported[0]
    # the launcher ends the others by SIGTERM
    rank, number = max(codes.items(), key=lambda item: item[1] != -signal.SIGTERM)
    raise ProcessError(
        f"process {rank} of the run was killed by {signal.Signals(-number).name}",
        "most often out of memory; `--resume` continues from the last saved state",
    )


def _pass_on(number: int, _: FrameType | None) -> None:
    """Forward a signal that torch's launcher ignores to the processes it has started."""
    own = os.getpid()
    for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), number)
