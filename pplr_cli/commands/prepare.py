"""`pplr prepare`: check a data set and store it in the data folder."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pplr_cli import env
from pplr_cli.commands import documents, options
from pplr_cli.config import presets
from pplr_cli.config.options import option
from pplr_cli.data.images import Split
from pplr_cli.errors import UsageError
from pplr_cli.files import portable
from pplr_cli.ingest.layouts import FOLDER, MOT
from pplr_cli.ingest.request import CAMERA_FOLDERS, PrepareRequest
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pplr_cli.data import decode
    from pplr_cli.data.manifest import Manifest
    from pplr_cli.ingest.counts import Count
    from pplr_cli.ingest.prepare import Prepared


class Fault(documents.Part):
    """An image that cannot be used, or is not what the manifest says."""

    path: str
    reason: str


class Counted(documents.Part):
    """A number and the published ones: several if releases differ."""

    count: int
    published: list[int]


class SplitCounts(documents.Part):
    """Counts of a split, without unknown identities and cameras."""

    images: Counted
    identities: Counted
    cameras: Counted


class DataSetDocument(documents.Document):
    """A prepared data set."""

    data: documents.Data
    layout: Annotated[str, documents.meaning("Layout of the source.")]
    manifest: Annotated[Path, documents.meaning("File that lists the images.")]
    root: documents.Root
    digest: Annotated[str, documents.meaning("SHA-256 of all entries.")]
    splits: Annotated[dict[str, SplitCounts], documents.meaning("Counts by split.")]
    notes: Annotated[dict[str, int], documents.meaning("Counts of what was left out or kept.")]
    faults: Annotated[list[Fault], documents.meaning("Images left out, or not as prepared.")]


class PrepareDocument(DataSetDocument, command="prepare"):
    """A data set that was prepared."""

    skipped: documents.Skipped
    picture: Path | None
    """Contact sheet; null without identities and cameras."""
    new: bool
    """False if it was prepared already."""
    warnings: list[str]
    next: str
    """Command to type next."""


class CheckDocument(DataSetDocument, command="prepare-check"):
    """A data set compared with its manifest."""

    intact: bool
    """Whether there are no faults."""


@options.takes(PrepareRequest)
def prepare(
    data_dir: options.DataDir = None,
    check: bool = option(False, "Compare a prepared data set with its manifest."),
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
        about = _facts(manifest, folder / name / FILE_NAME, faults)
        console.document(CheckDocument(**about, intact=not faults))
    if faults:
        raise changed(manifest, faults)
    if not json:
        console.result(f"{manifest.name}: all {len(manifest.images):,} images are unchanged")


def _draw_people(prepared: "Prepared") -> Path | None:
    """Draw some training identities under all cameras, if the data set has both labels."""
    from pplr_cli.ingest.sources import PICTURE
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
    if prepared.manifest.layout == FOLDER and not any(s.cameras.value for s in prepared.counts):
        more = f"`--update --pattern '{CAMERA_FOLDERS}'`"
        console.info(f"no cameras: {more} takes them from a folder for each, for `pplr train-cam`")
    console.info(f"next: `{following}`")


def _document(prepared: "Prepared", picture: Path | None, following: str) -> PrepareDocument:
    return PrepareDocument(
        **_facts(prepared.manifest, prepared.path, prepared.skipped),
        skipped=len(prepared.skipped),
        picture=picture,
        new=prepared.new,
        warnings=list(prepared.warnings),
        next=following,
    )


def _facts(manifest: "Manifest", path: Path, faults: "Sequence[decode.Fault]") -> dict[str, Any]:
    """Return the fields that both documents have."""
    from pplr_cli.ingest.counts import count_splits

    return {
        "data": manifest.name,
        "layout": manifest.layout,
        "manifest": path,
        "root": manifest.root,
        "digest": manifest.digest,
        "splits": {
            str(split.split): SplitCounts(
                images=_counted(split.images),
                identities=_counted(split.identities),
                cameras=_counted(split.cameras),
            )
            for split in count_splits(manifest)
        },
        "notes": manifest.notes,
        "faults": [Fault(path=portable(each.path), reason=each.reason) for each in faults],
    }


def _counted(count: "Count") -> Counted:
    return Counted(count=count.value, published=list(count.published))


def _next_command(prepared: "Prepared", data_dir: Path | None) -> str:
    """Return the command that trains on the data set, or evaluates if it has no training images."""
    name, layout = prepared.manifest.name, prepared.manifest.layout
    known = presets.names()
    own = "crops" if layout in {FOLDER, MOT} else "market"
    preset = next((each for each in (name, layout) if each in known), own)
    if prepared.manifest.images and prepared.manifest.images[0].split != "train":
        words = ["pplr", "evaluate", "--weights", "FILE", "--data", name]
    else:
        images = prepared.manifest.split(Split.TRAIN)
        cameras = layout in {FOLDER, MOT} and images.has_cameras and len(set(images.cameras)) > 1
        words = ["pplr", "train-cam" if cameras else "train", "--preset", preset]
        words += ["--data", name] if name != preset else []
    words += ["--data-dir", str(data_dir)] if data_dir is not None else []
    return shlex.join(words)
