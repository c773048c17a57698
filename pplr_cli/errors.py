"""Expected failures: what is wrong, which file or key, and the way out.

Everything a user can cause or fix is raised as a `PplrError`; `terminal/console.py` prints it as
an `error:` line and a `hint:` line. Anything else is a bug and keeps its traceback.
"""


class PplrError(Exception):
    """An expected failure, shown as `error: <message>` and `hint: <hint>`; exit code 1."""

    exit_code = 1
    reported = False

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class StoppedError(PplrError):
    """A run that ended early: by a signal, or because another of its processes failed.

    Args:
        message: why.
        exit_code: of this process.

    Attributes:
        reported: always true: the run, or the process that failed first, has printed why.
    """

    reported = True

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(PplrError):
    """A wrong option or a wrong preset; exit code 2."""

    exit_code = 2


class DataError(PplrError):
    """A data set, an archive or an image that cannot be used as it is."""


class WeightsError(PplrError):
    """A weights file that cannot be found, fetched, read or fitted."""


class DeviceError(PplrError):
    """A device that this machine does not have or cannot use."""


class TrainingError(PplrError):
    """A training run that cannot go on."""


class StateError(PplrError):
    """A saved state from which a run cannot go on."""


class ProcessError(PplrError):
    """Another process of a run that several share is gone or does not answer."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether host memory ran out; libraries report it in exceptions of many types."""
    text = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)
