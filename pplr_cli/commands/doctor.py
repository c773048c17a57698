"""`pplr doctor`: what this machine can do, ready to be pasted into a bug report."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from pplr_cli import env
from pplr_cli.commands import options
from pplr_cli.console import Console
from pplr_cli.errors import PplrError


def doctor(data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Show versions, devices and data sets of this machine; exit code 1 if something is broken."""
    from pplr_cli.report import machine

    folder = env.data_dir(data_dir)
    data_sets, damaged = _data_sets(folder)
    problems = [*machine.problems(), *damaged]
    facts = {
        **machine.describe(),
        "data_dir": str(folder.resolve()),
        "cache_dir": str(env.cache_dir().resolve()),
        "data_sets": data_sets,
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


def _data_sets(folder: Path) -> tuple[dict[str, Any], list[PplrError]]:
    """Return the prepared data sets with their numbers of images, and what is wrong with others."""
    from pplr_cli.data.library import prepared_names
    from pplr_cli.data.manifest import FILE_NAME, Manifest, Split

    found: dict[str, Any] = {}
    damaged: list[PplrError] = []
    for name in prepared_names(folder):
        try:
            manifest = Manifest.load(folder / name / FILE_NAME)
        except PplrError as error:
            damaged.append(error)
            continue
        counts = {str(split): len(manifest.split(split)) for split in Split}
        found[name] = {"root": str(manifest.root), "there": manifest.root.is_dir(), **counts}
    return found, damaged


def _rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "pplr", facts["pplr"]
    yield "python", f"{facts['python']} on {facts['platform']}"
    yield from facts["packages"].items()
    yield "CPU", f"{facts['cpu']['model']}, {facts['cpu']['cores']} cores"
    memory = facts["memory_gb"]
    yield "memory", f"{memory['total']} GB, {memory['free']} GB free"
    yield from _gpu_rows(facts["cuda"])
    yield "k-NN search", _search(facts["faiss"], facts["cuda"]["devices"])
    yield "data folder", facts["data_dir"] + _missing(facts["data_dir"])
    for name, about in facts["data_sets"].items():
        counts = ", ".join(f"{about[split]} {split}" for split in ("train", "query", "gallery"))
        yield f"data set {name}", counts if about["there"] else f"images gone from {about['root']}"
    yield "cache folder", facts["cache_dir"] + _missing(facts["cache_dir"])
    for name, value in facts["environment"].items():
        yield name, "not set" if value is None else value


def _gpu_rows(cuda: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if cuda["note"]:
        yield "CUDA", cuda["note"]
    for index, device in enumerate(cuda["devices"]):
        about = f"{device['name']}, {device['memory_gb']} GB, capability {device['capability']}"
        yield f"GPU {index}", f"{about}, CUDA {cuda['version']}, driver {cuda['driver']}"
    if not cuda["devices"]:
        built = (
            f"torch is built for CUDA {cuda['version']}" if cuda["version"] else "torch has none"
        )
        yield "GPU", f"none seen ({built}); training runs on the CPU"


def _search(faiss: dict[str, Any], gpus: list[Any]) -> str:
    """Say what searches the nearest neighbours."""
    if not gpus:
        return "pplr's own, on the CPU"
    if not faiss["usable"]:
        return f"torch on the GPU (faiss: {faiss['note']})"
    return "faiss on the GPU" if faiss["gpus"] else "torch on the GPU (faiss sees none)"


def _missing(folder: str) -> str:
    return "" if Path(folder).is_dir() else " (not there yet)"
