"""What a run can do without: pictures and boards, whose failures do not stop it."""

from collections.abc import Iterator
from contextlib import contextmanager

from pplr_cli.progress import Reporter


@contextmanager
def optional(what: str, reporter: Reporter) -> Iterator[None]:
    """Turn whatever goes wrong inside (a full disk, a bug) into a warning."""
    try:
        yield
    except Exception as error:
        told = str(error) or type(error).__name__
        reporter.warn(f"{what}: {told}", "the training goes on without it")
