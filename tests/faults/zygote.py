"""Forks `pplr` processes with faults from one process that has imported everything.

    python -m tests.faults.zygote

Reads one JSON line for each process: `arguments`, `environment`, `output` (file for stdout and
stderr) and `faults`, a list of [point, call, what]. Answers with the pid. The product knows nothing
of the faults. These variables of the environment are for this file: `FAULTY_RANK` (the process of
a group that gets the faults), `GRACE` (seconds for others to report a failure), `IGNORE_HANG_UP`,
`STREAMS`, `FILE_LIMIT`, `DISK`.
"""

import ctypes
import dataclasses
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch.distributed.launcher import api

from pplr_cli import app
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.distributed import failures
from pplr_cli.labelling.stage import label
from pplr_cli.report import page  # noqa: F401 - imported once, before the forks
from pplr_cli.retrieval.ranking import evaluate
from pplr_cli.retrieval.relevance import find_relevance
from pplr_cli.session import start  # noqa: F401
from tests.faults.points import Fault, inject


def main() -> None:
    """Serve until stdin ends."""
    torch.set_num_threads(1)
    warm_up()
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os._exit(child(**order))
        print(pid, flush=True)


def warm_up() -> None:
    """Load the compiled code; no gradient, since autograd does not survive a fork."""
    features = torch.nn.functional.normalize(torch.randn(4, 40, 8), dim=2)
    label(features, np.zeros(40, np.int64), Clustering(k1=8, k2=3), Agreement(k=8))
    ids, cameras = np.arange(40) % 5, np.arange(40) % 3
    relevance = find_relevance(ids, ids, cameras, cameras[::-1])
    evaluate(features[0], features[1], relevance)


def child(
    arguments: list[str], environment: dict[str, str], output: str, faults: list[list[Any]]
) -> int:
    """Run `pplr` in a session of its own, with faults."""
    os.setsid()
    os.environ.update(environment)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ending = os.open(output + ".code", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    put_into(environment)
    sys.stdout, sys.stderr = (opened(stream) for stream in (1, 2))
    code = pplr(arguments, [Fault(*fault) for fault in faults])
    os.write(ending, str(code).encode())
    return code


def pplr(arguments: list[str], faults: list[Fault]) -> int:
    """Run the command line in this process, with the faults of its rank; return the exit code."""
    rank = os.environ.get("RANK")
    for fault in faults if os.environ.get("FAULTY_RANK", rank) == rank else ():
        assert fault.what in BEFORE | AFTER
        inject(fault, BEFORE.get(fault.what), AFTER.get(fault.what))
    fork_workers(faults)
    sys.argv = ["pplr", *arguments]
    try:
        app.main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException:  # a bug
        traceback.print_exc()
    return 1


def fork_workers(faults: list[Fault]) -> None:
    """Let the launcher of `--devices` fork its processes, which then need not import anything."""
    launch = api.elastic_launch

    def work(_: str, __: str, *arguments: str) -> None:  # `-m pplr_cli` come first
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)  # not the launcher's handlers
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if code := pplr(list(arguments), faults):
            os._exit(code)

    def forking(config: Any, _: str) -> Any:
        return launch(dataclasses.replace(config, start_method="fork"), work)

    api.elastic_launch = forking


def put_into(environment: dict[str, str]) -> None:
    """Apply what the environment says about this process."""
    if "GRACE" in environment:
        failures.GRACE = timedelta(seconds=float(environment["GRACE"]))
    if "IGNORE_HANG_UP" in environment:  # what nohup does
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if "STREAMS" in environment:
        STREAMS[environment["STREAMS"]]()
    if "FILE_LIMIT" in environment:
        size = int(environment["FILE_LIMIT"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    if "DISK" in environment:
        join(int(environment["DISK"]))


def opened(stream: int) -> Any:
    """Open a standard stream as Python does: None if it is closed."""
    try:
        os.fstat(stream)
    except OSError:
        return None
    return os.fdopen(stream, "w", buffering=1, closefd=False)


def join(pid: int) -> None:
    """Enter the mount namespace of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    handles = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("user", "mnt")]
    for handle in handles:
        if libc.setns(handle, 0):
            raise OSError(ctypes.get_errno(), "setns")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def nap() -> None:
    """Linger for 1.5 s, or until a signal is handled."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    select.select([reading], [], [], 1.5)


def fail(error: BaseException) -> None:
    raise error


def clock_backwards() -> None:
    """Set the clock back by a day, and by another one at each call."""
    times = iter(range(int(time.time()), 0, -86400))
    time.time = lambda: float(next(times))
    time.time_ns = lambda: next(times) * 10**9


def lead_streams_to(path: str) -> None:
    target = os.open(path, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(target, stream)


def leave_streams() -> None:
    """Close the reading end of both streams, as `| head` does."""
    reading, writing = os.pipe()
    os.close(reading)
    for stream in (1, 2):
        os.dup2(writing, stream)


def close_streams() -> None:
    """Close stdout, as `>&-` does."""
    os.close(1)


def spoil_losses(losses: dict[str, torch.Tensor], *_: Any) -> dict[str, torch.Tensor]:
    return {name: value * torch.nan for name, value in losses.items()}


def spoil_weights(losses: dict[str, torch.Tensor], network: torch.nn.Module, *_: Any) -> Any:
    with torch.no_grad():
        next(network.parameters())[0] = torch.inf
    return losses


STREAMS: dict[str, Callable[[], None]] = {
    "closed": close_streams,
    "full": lambda: lead_streams_to("/dev/full"),
    "left": leave_streams,
}

BEFORE: dict[str, Callable[[], None]] = {
    "clock backwards": clock_backwards,
    "streams full": STREAMS["full"],
    "streams left": STREAMS["left"],
    "kill": kill,
    "disk full": lambda: fail(OSError(28, "No space left on device")),
    "I/O error": lambda: fail(OSError(5, "Input/output error")),
    "out of memory": lambda: fail(torch.OutOfMemoryError("CUDA out of memory")),
    "hang": lambda: time.sleep(600),
    "nap": nap,
    "sleep": lambda: time.sleep(1.5),
}
"""What a fault does ahead of a call."""

AFTER: dict[str, Callable[..., Any]] = {
    "kill after": lambda *_: kill(),
    "nap after": lambda *_: nap(),
    "nan loss": spoil_losses,
    "infinite weights": spoil_weights,
    "no clusters": lambda labels, *_: np.full_like(labels, -1),
    "one cluster": lambda labels, *_: np.zeros_like(labels),
    "pairs": lambda labels, *_: np.arange(len(labels)) // 2,
    "no score": lambda scores, *_: dataclasses.replace(scores, mAP=0.0),
}
"""What a fault makes of the result of a call."""


if __name__ == "__main__":
    main()
