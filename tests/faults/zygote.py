"""Forks `pplr` processes that meet a fault, from one that has imported everything already.

    python -m tests.faults.zygote

Reads one JSON line for each process: `arguments`, `environment`, `output` (file for stdout and
stderr) and `faults`, each [module, attribute, number of the call, what]; answers with its pid. The
faults are put in place from outside: the product knows nothing of them.
"""

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pplr_cli import app
from pplr_cli.commands import session  # imported here, once for all
from pplr_cli.config import Agreement, Clustering
from pplr_cli.engine.labels import pseudo_labels
from pplr_cli.retrieval.ranking import evaluate

assert session


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
    pseudo_labels(features, Clustering(k1=8, k2=3), Agreement(k=8))
    ids, cameras = np.arange(40) % 5, np.arange(40) % 3
    evaluate(features[0], features[1], ids, ids, cameras, cameras[::-1].copy())


def child(
    arguments: list[str], environment: dict[str, str], output: str, faults: list[list[Any]]
) -> int:
    """Run `pplr` in a session of its own, with faults."""
    os.setsid()
    os.environ.update(environment)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
    if environment.get("IGNORE_HANG_UP"):  # what nohup does
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for module, attribute, number, what in faults:
        inject(module, attribute, number, what)
    try:
        code = app.run(arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    Path(output + ".code").write_text(str(code))
    return code


def inject(module: str, attribute: str, number: int, what: str) -> None:
    """Let a function misbehave at one of its calls, counted from 1."""
    owner: Any = importlib.import_module(module)
    *path, name = attribute.split(".")
    for part in path:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    calls = iter(range(1, 1 << 30))

    def misbehaving(*arguments: Any, **options: Any) -> Any:
        now = next(calls) == number
        if now and what != "kill after":
            FAULTS[what]()
        result = original(*arguments, **options)
        if now and what == "kill after":
            kill()
        return result

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


FAULTS: dict[str, Callable[[], None]] = {
    "kill": kill,
    "disk full": full,
    "fail": fail,
    "hang": hang,
    "out of memory": memory,
    "nap": lambda: time.sleep(1.5),
}


if __name__ == "__main__":
    main()
