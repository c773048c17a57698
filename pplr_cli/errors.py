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

        reported: whether another process has printed why.
    """

    def __init__(self, message: str, exit_code: int = 1, *, reported: bool = False) -> None:
        super().__init__(message)
        self.exit_code, self.reported = exit_code, reported


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


def known_failure(error: BaseException) -> PplrError | None:
    """Return the error to report for an exception; None for a bug.

    The one table of what the system and libraries raise and a user can fix.
    """
    if isinstance(error, PplrError):
        return error
    if type(error).__name__ == "OutOfMemoryError":
        hint = "a smaller `--set batch.size=...` needs less (results differ)"
        return PplrError("the GPU ran out of memory", hint)
    if is_out_of_memory(error):
        return PplrError("this machine ran out of memory", "set `engine.memory_gb` lower")
    if isinstance(error, OSError) and error.filename is not None:
        hint = "check the path, permissions and free space"
        return PplrError(f"`{error.filename}`: {error.strerror}", hint)
    if isinstance(error, OSError) and error.errno is not None:
        hint = "check the free space and permissions of the output folder"
        return PplrError(f"{error.strerror}", hint)
    return None
