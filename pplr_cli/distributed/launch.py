"""Starting the processes of a run on this machine: torch's own launcher, without its noise."""

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
"""Seconds that the processes have to save and leave before they are killed."""


def started_by_launcher() -> bool:
    """Tell whether this process is one of several that `torchrun`, or `launch`, has started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def launch(words: Sequence[str], count: int) -> int:
    """Run `pplr` with the arguments `words` in `count` processes and return the exit code.

    Signals reach all of them; the failure of one ends the others.

    Raises:
        ProcessError: one of them was killed; any other failure has been told where it happened.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # each of torch's loggers has a level of its own
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
        shutdown_timeout=SHUTDOWN,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "pplr_cli", *words)
    except SignalException as error:
        return 128 + error.sigval
    except ChildFailedError as error:
        return _exit_code({rank: each.exitcode for rank, each in error.failures.items()})
    return 0


def _exit_code(codes: dict[int, int]) -> int:
    """Return the exit code of a process that failed and told why; else name one that was killed."""
    told = [code for code in codes.values() if code > 0]
    if told:
        return told[0]
    # the launcher itself ends by SIGTERM those that are left
    rank, number = max(codes.items(), key=lambda item: item[1] != -signal.SIGTERM)
    raise ProcessError(
        f"process {rank} of the run was killed by {signal.Signals(-number).name}",
        "out of memory, most often; `--resume` continues from the last saved state",
    )


def _pass_on(number: int, _: FrameType | None) -> None:
    """Send a signal that torch's launcher knows nothing of to the processes it has started."""
    own = os.getpid()
    for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), number)
