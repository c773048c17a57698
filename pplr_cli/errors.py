"""Errors that a user can cause or fix; any other exception is a bug and keeps its traceback."""


class PplrError(Exception):
    """An expected error.

    Args:
        message: what is wrong, naming the file or key; printed as `error: ...`.
        hint: what to do about it; printed as `hint: ...`.
    """

    exit_code = 1
    reported = False

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class StoppedError(PplrError):
    """A run was stopped: by a signal, or because another of its processes failed.

    Args:
        message: why.
        exit_code: of this process.
        reported: another process has printed the message.
    """

    def __init__(self, message: str, exit_code: int = 1, *, reported: bool = False) -> None:
        super().__init__(message)
        self.exit_code, self.reported = exit_code, reported


class UsageError(PplrError):
    """An option or a setting is wrong; exit code 2."""

    exit_code = 2


class DataError(PplrError):
    """A data set, an archive or an image cannot be used."""


class WeightsError(PplrError):
    """A weights file cannot be found, downloaded, read or loaded into the network."""


class DeviceError(PplrError):
    """The machine does not have the device, or cannot use it."""


class TrainingError(PplrError):
    """Training cannot continue."""


class StateError(PplrError):
    """A saved state cannot be resumed."""


class ProcessError(PplrError):
    """Another process of the run is gone or does not answer."""


def missing_package(what: str, package: str, extra: str, instead: str = "") -> PplrError:
    """Return the error for a feature whose package is not installed or cannot be imported.

    Args:
        what: the option or setting that needs the package, with its value.
        package: its name.
        extra: the extra of `pplr` that installs it.
        instead: what else can be done.
    """
    hint = "; ".join(filter(None, (f"`pip install 'pplr[{extra}]'`", instead)))
    return PplrError(f"`{what}` needs the package `{package}`", hint)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether host memory ran out; libraries report it in exceptions of many types."""
    text = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)


def broken_import(name: str, reason: str) -> PplrError:
    """Return the error to report for a compiled package that cannot be imported."""
    hint = "`pip install --upgrade --force-reinstall pplr` reinstalls it"
    if name.startswith("torch"):
        hint = (
            "torch and torchvision must come from one release: "
            "`pip install --upgrade --force-reinstall torch torchvision`"
        )
    return PplrError(f"`import {name}` fails: {reason}", hint)


def known_failure(error: BaseException) -> PplrError | None:
    """Return the error to report for an exception of the system or a library; None for a bug."""
    if isinstance(error, PplrError):
        return error
    if type(error).__name__ == "OutOfMemoryError":
        hint = "a smaller `--set batch.size=...` needs less (results differ)"
        return PplrError("the GPU ran out of memory", hint)
    if is_out_of_memory(error):
        return PplrError("this machine ran out of memory", "set `engine.memory_gb` lower")
    if str(error).startswith("operator torchvision::"):  # torchvision of another torch
        return broken_import("torchvision", str(error).splitlines()[0])
    if isinstance(error, EOFError):
        hint = "a download may be incomplete; PPLR_DEBUG=1 shows which file was read"
        return PplrError(f"a file ends too early ({error or 'no data left'})", hint)
    if isinstance(error, OSError) and error.filename is not None:
        hint = "check the path, permissions and free space"
        return PplrError(f"`{error.filename}`: {error.strerror}", hint)
    if isinstance(error, OSError) and error.errno is not None:
        hint = "check the free space and permissions of the output folder"
        return PplrError(f"{error.strerror}", hint)
    return None
