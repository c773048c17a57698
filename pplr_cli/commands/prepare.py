"""`pplr prepare`: check a data set and store it in the data folder."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pplr_cli import env
from pplr_cli.commands import options
from pplr_cli.config import presets
from pplr_cli.data.manifest import Split
from pplr_cli.errors import UsageError
from pplr_cli.files import portable
from pplr_cli.ingest.layouts import FOLDER, MOT
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.data.decode import Fault
    from pplr_cli.data.manifest import Manifest
    from pplr_cli.ingest.counts import Count
    from pplr_cli.ingest.prepare import Prepared

Check = Annotated[
    bool, typer.Option("--check", help="Compare a prepared data set with its manifest.")
]


@options.takes(PrepareRequest)
def prepare(
    data_dir: options.DataDir = None,
    check: Check = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    **values: Any,
) -> None:
    """Check a data set and store it under its name in the data folder."""
    console = Console(verbosity=verbose - quiet)
    folder = env.data_dir(data_dir)
    if check:
        layout = values.pop("layout")
        given = [name for name in values if values[name] != getattr(PrepareRequest, name)]
        _check(layout, folder, console, json, alone=not given)
        return
    request = PrepareRequest(**values, data_dir=folder)

    from pplr_cli.ingest import library

    prepared = library.prepare(request, console)
    picture = _draw_people(prepared)
    following = _next_command(prepared, data_dir)
    if json:
        console.document(_document(prepared, picture, following))
    else:
        _print(prepared, picture, following, console)


def _check(name: str, folder: Path, console: Console, json: bool, *, alone: bool) -> None:
    """Compare a prepared data set with its manifest; raise `DataError` if they differ."""
    if not alone:
        raise UsageError(
            "`--check` takes a name, `--data-dir` and `--json` only", "leave the rest out"
        )

    from pplr_cli.data.manifest import FILE_NAME
    from pplr_cli.ingest import library
    from pplr_cli.ingest.rules import changed

    manifest, faults = library.check(name, folder, console)
    if json:
        document = _facts(manifest, folder / name / FILE_NAME)
        differences = [_fault(fault) for fault in faults]
        console.document({**document, "intact": not faults, "differences": differences})
    if faults:
        raise changed(manifest, faults)
    if not json:
        console.result(f"{manifest.name}: all {len(manifest.images):,} images are unchanged")


def _draw_people(prepared: "Prepared") -> Path | None:
    """Draw some training identities under all cameras, if the data set has both labels."""
    from pplr_cli.ingest.prepare import PICTURE
    from pplr_cli.report.contact_sheet import contact_sheet

    manifest = prepared.manifest
    images = manifest.split(Split.TRAIN)
    if not (images.has_identities and images.has_cameras):
        return None
    path = prepared.path.with_name(PICTURE)
    shown = [image for image in manifest.images if image.split == Split.TRAIN]
    contact_sheet(
        shown, manifest.root, path, people=6, each=3, upright=manifest.upright, names=manifest.names
    )
    return path


def _print(prepared: "Prepared", picture: Path | None, following: str, console: Console) -> None:
    if not prepared.new:
        console.info(f"`{prepared.manifest.name}` is prepared already; checked it again")
    published = any(split.images.published for split in prepared.counts)
    columns = ["split"]
    for what in ("images", "identities", "cameras"):
        columns += [what, "published"] if published else [what]
    rows = []
    for split in prepared.counts:
        counts = (split.images, split.identities, split.cameras)
        cells = [(f"{c.value:,}", c.published_text) for c in counts]
        rows.append([str(split.split), *(t for cell in cells for t in cell[: 1 + published])])
    console.table(columns, rows)
    for reason, count in prepared.manifest.notes.items():
        console.result(f"{reason}: {count:,}")
    console.result(f"manifest: {prepared.path}")
    if picture is not None:
        console.result(f"picture: {picture}")
    console.info(f"next: `{following}`")


def _document(prepared: "Prepared", picture: Path | None, following: str) -> dict[str, Any]:
    return {
        **_facts(prepared.manifest, prepared.path),
        "picture": None if picture is None else str(picture),
        "new": prepared.new,
        "skipped": [_fault(fault) for fault in prepared.skipped],
        "warnings": list(prepared.warnings),
        "next": following,
    }


def _facts(manifest: "Manifest", path: Path) -> dict[str, Any]:
    """Return the facts of a manifest as plain values."""
    from pplr_cli.ingest.counts import count_splits

    return {
        "name": manifest.name,
        "layout": manifest.layout,
        "manifest": str(path),
        "root": str(manifest.root),
        "digest": manifest.digest,
        "splits": {
            str(split.split): {
                "images": _cell(split.images),
                "identities": _cell(split.identities),
                "cameras": _cell(split.cameras),
            }
            for split in count_splits(manifest)
        },
        "notes": manifest.notes,
    }


def _fault(fault: "Fault") -> dict[str, str]:
    return {"path": portable(fault.path), "reason": fault.reason}


def _cell(count: "Count") -> dict[str, Any]:
    return {"count": count.value, "published": list(count.published)}


def _next_command(prepared: "Prepared", data_dir: Path | None) -> str:
    """Return the command that trains on the data set, or evaluates if it has no training images."""
    name, layout = prepared.manifest.name, prepared.manifest.layout
    known = presets.names()
    preset = next((each for each in (name, layout) if each in known), "market")
    if prepared.manifest.images and prepared.manifest.images[0].split != "train":
        words = ["pplr", "evaluate", "--weights", "FILE", "--data", name]
    else:
        images = prepared.manifest.split(Split.TRAIN)
        cameras = layout in {FOLDER, MOT} and images.has_cameras and len(set(images.cameras)) > 1
        words = ["pplr", "train-cam" if cameras else "train", "--preset", preset]
        words += ["--data", name] if name != preset else []
    words += ["--data-dir", str(data_dir)] if data_dir is not None else []
    return shlex.join(words)
