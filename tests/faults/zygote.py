"""Forks `pplr` processes that meet a fault, from one that has imported everything already.

    python -m tests.faults.zygote

Reads one JSON line for each process: `arguments`, `environment`, `output` (file for stdout and
stderr) and `faults`, each [module, attribute, number of the call, what]; answers with its pid. The
faults are put in place from outside: the product knows nothing of them. Of the environment some
names are for this file: `IGNORE_HANG_UP`, `STREAMS`, `FILE_LIMIT`, `DISK`.
"""

import ctypes
import dataclasses
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pplr_cli import app
from pplr_cli.config.fields import Agreement, Clustering
from pplr_cli.labelling.stage import label
from pplr_cli.retrieval.ranking import evaluate
from pplr_cli.retrieval.relevance import find_relevance
from pplr_cli.session import start  # noqa: F401 - imported here, once for all


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
    for module, attribute, number, what in faults:
        inject(module, attribute, number, what)
    sys.argv = ["pplr", *arguments]
    code = 1
    try:
        app.main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # a bug
        traceback.print_exc()
    os.write(ending, str(code).encode())
    return code


def put_into(environment: dict[str, str]) -> None:
    """Give this process the surroundings that its environment names."""
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
    """Return what Python makes of a standard stream: None where it is closed."""
    try:
        os.fstat(stream)
    except OSError:
        return None
    return os.fdopen(stream, "w", buffering=1, closefd=False)


def join(pid: int) -> None:
    """See the mounts of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    handles = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("user", "mnt")]
    for handle in handles:
        if libc.setns(handle, 0):
            raise OSError(ctypes.get_errno(), "setns")


def inject(module: str, attribute: str, number: int, what: str) -> None:
    """Let a function misbehave at one of its calls, counted from 1; 0 = at each."""
    owner: Any = importlib.import_module(module)
    *path, name = attribute.split(".")
    for part in path:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(1, 1 << 30))

    def misbehaving(*arguments: Any, **options: Any) -> Any:
        now = next(calls) == number or not number
        if now and what in FAULTS:
            FAULTS[what]()
        result = original(*arguments, **options)
        return SPOILT[what](result, *arguments) if now and what in SPOILT else result

    assert what in FAULTS.keys() | SPOILT.keys()
    setattr(owner, name, misbehaving)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def full() -> None:
    raise OSError(28, "No space left on device")


def fail() -> None:
    raise ValueError("made to fail")


def hang() -> None:
    time.sleep(600)


def memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def clock_backwards() -> None:
    """Set the clock back by a day, and by another at each look."""
    times = iter(range(int(time.time()), 0, -86400))
    time.time = lambda: float(next(times))
    time.time_ns = lambda: next(times) * 10**9


def lead_streams_to(path: str) -> None:
    target = os.open(path, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(target, stream)


def leave_streams() -> None:
    """Let the reader of both streams go, as `| head` does."""
    reading, writing = os.pipe()
    os.close(reading)
    for stream in (1, 2):
        os.dup2(writing, stream)


def close_streams() -> None:
    """Begin without a stdout, as after `>&-`."""
    os.close(1)


def spoil_losses(losses: dict[str, torch.Tensor], *_: Any) -> dict[str, torch.Tensor]:
    return {name: value * torch.nan for name, value in losses.items()}


def spoil_weights(losses: dict[str, torch.Tensor], trainer: Any, *_: Any) -> Any:
    with torch.no_grad():
        next(trainer.network.parameters())[0] = torch.inf
    return losses


STREAMS: dict[str, Callable[[], None]] = {
    "closed": close_streams,
    "full": lambda: lead_streams_to("/dev/full"),
    "left": leave_streams,
}

SPOILT: dict[str, Callable[..., Any]] = {
    "kill after": lambda *_: kill(),
    "nan loss": spoil_losses,
    "infinite weights": spoil_weights,
    "no clusters": lambda labels, *_: np.full_like(labels, -1),
    "one cluster": lambda labels, *_: np.zeros_like(labels),
    "pairs": lambda labels, *_: np.arange(len(labels)) // 2,
    "no score": lambda scores, *_: dataclasses.replace(scores, mAP=0.0),
}

FAULTS: dict[str, Callable[[], None]] = {
    "clock backwards": clock_backwards,
    "streams full": STREAMS["full"],
    "streams left": STREAMS["left"],
    "kill": kill,
    "disk full": full,
    "fail": fail,
    "hang": hang,
    "out of memory": memory,
    "nap": lambda: time.sleep(1.5),
}


if __name__ == "__main__":
    main()
