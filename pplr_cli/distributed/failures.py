"""Agree on which process failed first: only that one reports its error."""

import os
import pickle
from datetime import timedelta
from typing import NamedTuple

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from pplr_cli.errors import PplrError, ProcessError

GRACE = timedelta(seconds=5)
"""Time for a failed process to say so, before others blame the connection."""


class Failure(NamedTuple):
    """The first failure: its rank and its error."""

    rank: int
    error: PplrError


def first_of_all(own: Failure, size: int) -> Failure:
    """Return the first failure in any of `size` processes: `own`, unless another came earlier."""
    try:
        store = _store()
        if isinstance(own.error, ProcessError):
            own = own._replace(error=_diagnosed(own.error, own.rank, size, store))
        text = store.compare_set("failure", "", pickle.dumps(own).hex())
    except RuntimeError:  # the store is gone with the machine that held it
        return own
    first: Failure = pickle.loads(bytes.fromhex(text.decode()))
    return first


def _store() -> Store:
    """Connect to the store of `torchrun`, which survives a failing process."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = TCPStore(host, port, is_master=False, timeout=GRACE)
    return PrefixStore(f"pplr/{attempt}", store)


def _diagnosed(error: ProcessError, rank: int, size: int, store: Store) -> ProcessError:
    """Return `error`; if no process reports a failure, name those that do not answer."""
    names = [f"alive/{place}" for place in range(size)]
    store.set(names[rank], "yes")
    for wanted in (["failure"], names):
        try:
            store.wait(wanted, GRACE)
        except RuntimeError:
            continue
        return error
    late = (str(place) for place, name in enumerate(names) if not store.check([name]))
    return ProcessError(f"{error.message}; no answer from rank {', '.join(late)}", error.hint)
