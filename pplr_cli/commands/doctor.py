"""`pplr doctor`: a summary of the installation to paste into a bug report."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from pplr_cli import env
from pplr_cli.commands import documents, options
from pplr_cli.config.document import flat
from pplr_cli.errors import PplrError, known_failure
from pplr_cli.progress import Silent
from pplr_cli.terminal.console import Console


class Problem(documents.Part):
    """What is broken, and what to do."""

    message: str
    hint: str | None


class DoctorDocument(documents.Document, command="doctor"):
    """The installation, data sets and weights."""

    pplr: str
    """Version."""
    python: str
    platform: str
    packages: dict[str, str]
    """Versions."""
    missing_extras: dict[str, str]
    """What each extra that is not installed is needed for."""
    cpu: dict[str, Any]
    memory_gb: dict[str, float]
    cuda: dict[str, Any]
    environment: dict[str, str | None]
    """Environment variables that pplr reads."""
    data_dir: Path
    data_sets: dict[str, dict[str, Any]]
    cache_dir: Path
    downloads: dict[str, dict[str, Any]]
    """Downloaded weights by name."""
    problems: list[Problem]
    """Empty if the exit code is 0."""


def doctor(data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Print versions, devices, data sets and weights; exit code 1 if something is broken."""
    from pplr_cli.runs import machine

    folder = env.data_dir(data_dir)
    problems = machine.problems()
    facts = {
        **machine.describe(),
        "missing_extras": machine.missing_extras(),
        "data_dir": str(folder.resolve()),
        "data_sets": _data_sets(folder, problems),
        "cache_dir": str(env.cache_dir().resolve()),
        "downloads": _downloads(problems),
    }
    console = Console()
    if json:
        found = [Problem(message=each.message, hint=each.hint) for each in problems]
        console.document(DoctorDocument(**facts, problems=found))
    else:
        shown = flat(facts)
        rows = [
            (key, "none" if value in (None, {}, []) else str(value)) for key, value in shown.items()
        ]
        console.table(("what", "value"), rows)
        if facts["missing_extras"]:
            console.result("To install a missing extra: pip install 'pplr[NAME]'")
    for problem in problems:
        console.error(problem)
    if problems:
        raise typer.Exit(1)


def _data_sets(folder: Path, problems: list[PplrError]) -> dict[str, Any]:
    """Return the prepared data sets and their numbers of images; add their problems."""
    try:
        from pplr_cli.data.images import Split
        from pplr_cli.data.manifest import FILE_NAME
        from pplr_cli.ingest.library import open_dataset, prepared_names
    except Exception:
        if not problems:
            raise
        return {}  # it needs a broken package, which is in `problems` already

    found: dict[str, Any] = {}
    for name in prepared_names(folder):
        if not (folder / name / FILE_NAME).is_file():
            continue  # opening it would prepare it
        found[name] = {"problem": None}
        with _noting(found[name], problems):
            manifest = open_dataset(name, folder, Silent())
            counts = {str(split): len(manifest.split(split)) for split in Split}
            found[name] |= {"root": str(manifest.root), "digest": manifest.digest, **counts}
            found[name]["images_checked"] = False
    return found


def _downloads(problems: list[PplrError]) -> dict[str, Any]:
    """Return the downloaded weights, and whether their SHA-256 is right; add their problems."""
    from pplr_cli.weights.catalogue import everything

    found: dict[str, Any] = {}
    for name, entry in everything().items():
        if entry.target.is_file():
            found[name] = {"problem": None, "weights": str(entry.target), "checked": False}
            with _noting(found[name], problems):
                found[name]["checked"] = entry.holds()
    return found


@contextmanager
def _noting(about: dict[str, Any], problems: list[PplrError]) -> Iterator[None]:
    """Add an expected error to `problems` instead of raising it."""
    try:
        yield
    except (PplrError, OSError) as error:
        problem = known_failure(error)
        if problem is None:
            raise
        about["problem"] = problem.message
        problems.append(problem)
