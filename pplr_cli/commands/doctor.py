"""`pplr doctor`: a summary of the installation to paste into a bug report."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from pplr_cli import env
from pplr_cli.commands import options
from pplr_cli.errors import PplrError, known_failure
from pplr_cli.progress import Silent
from pplr_cli.terminal.console import Console


def doctor(data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Print versions, devices, data sets and weights; exit code 1 if something is broken."""
    from pplr_cli.runs import machine

    folder = env.data_dir(data_dir)
    problems = machine.problems()
    facts = {
        **machine.describe(),
        "data_dir": str(folder.resolve()),
        "data_sets": _data_sets(folder, problems),
        "cache_dir": str(env.cache_dir().resolve()),
        "weights": _weights(problems),
        "problems": [{"message": each.message, "hint": each.hint} for each in problems],
    }
    console = Console()
    if json:
        console.document(facts)
    else:
        console.table(("what", "value"), list(_rows(facts)))
    for problem in problems:
        console.error(problem)
    if problems:
        raise typer.Exit(1)


def _data_sets(folder: Path, problems: list[PplrError]) -> dict[str, Any]:
    """Return the prepared data sets and their numbers of images; add their problems."""
    try:
        from pplr_cli.data.manifest import FILE_NAME, Split
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


def _weights(problems: list[PplrError]) -> dict[str, Any]:
    """Return the downloaded weights, and whether their SHA-256 is right; add their problems."""
    from pplr_cli.weights.catalogue import everything

    found: dict[str, Any] = {}
    for name, entry in everything().items():
        if entry.target.is_file():
            found[name] = {"problem": None, "file": str(entry.target), "checked": False}
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


def _rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "pplr", facts["pplr"]
    yield "python", f"{facts['python']} on {facts['platform']}"
    yield from facts["packages"].items()
    yield "CPU", f"{facts['cpu']['model']}, {facts['cpu']['cores']} cores"
    memory = facts["memory_gb"]
    yield "memory", f"{memory['total']} GB, {memory['free']} GB free"
    yield from _gpu_rows(facts["cuda"])
    yield "data folder", facts["data_dir"] + _missing(facts["data_dir"])
    for name, about in facts["data_sets"].items():
        yield f"data set {name}", about["problem"] or _data_set(name, about)
    yield "cache folder", facts["cache_dir"] + _missing(facts["cache_dir"])
    for name, about in facts["weights"].items():
        sha = "SHA-256 verified" if about["checked"] else "no SHA-256 recorded yet"
        yield f"weights {name}", about["problem"] or f"{about['file']}, {sha}"
    if not facts["weights"]:
        yield "weights", "none downloaded yet (`pplr download-weights` lists them)"
    for name, value in facts["environment"].items():
        yield name, "not set" if value is None else value


def _gpu_rows(cuda: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if cuda["note"]:
        yield "CUDA", cuda["note"]
    for index, device in enumerate(cuda["devices"]):
        about = f"{device['name']}, {device['memory_gb']} GB, capability {device['capability']}"
        yield f"GPU {index}", f"{about}, CUDA {cuda['version']}, driver {cuda['driver']}"
    if not cuda["devices"]:
        version = cuda["version"]
        built = f"torch is built for CUDA {version}" if version else "torch is built without CUDA"
        yield "GPU", f"none found ({built}); training runs on the CPU"


def _data_set(name: str, about: dict[str, Any]) -> str:
    """Describe a data set by its manifest; its images are not opened."""
    counts = ", ".join(f"{about[split]} {split}" for split in ("train", "query", "gallery"))
    return (
        f"{counts} in {about['root']}; manifest intact (digest {about['digest'][:12]}); "
        f"images not opened: `pplr prepare {name} --check`"
    )


def _missing(folder: str) -> str:
    return "" if Path(folder).is_dir() else " (does not exist yet)"
