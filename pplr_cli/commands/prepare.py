"""`pplr prepare`: check a data set and leave it where the other commands find it."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pplr_cli import env, presets
from pplr_cli.commands import options
from pplr_cli.console import Console

if TYPE_CHECKING:
    from pplr_cli.data.counts import Count
    from pplr_cli.data.preparation import Prepared

LayoutName = Annotated[
    str,
    typer.Argument(
        metavar="LAYOUT",
        help="market, msmt17, veri, duke, folder (plain crops) or synthetic (drawn).",
        show_default=False,
    ),
]
Source = Annotated[
    Path | None,
    typer.Argument(
        metavar="SOURCE",
        help="Archive (zip, tar, tar.gz) or folder (default: what the data folder holds).",
        show_default=False,
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", help="Name of the data set (default: the layout's; synthetic: demo)."),
]
AllowPartial = Annotated[
    bool,
    typer.Option("--allow-partial", help="Warn where counts differ from the published ones."),
]
Link = Annotated[bool, typer.Option("--link", help="Use the SOURCE folder where it is, no copy.")]
Pattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="REGEX",
        help="For `folder`: searched in each path; groups identity, camera, split, all optional.",
    ),
]


def prepare(
    layout: LayoutName,
    source: Source = None,
    name: Name = None,
    data_dir: options.DataDir = None,
    allow_partial: AllowPartial = False,
    link: Link = False,
    pattern: Pattern = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Check a data set and leave it under its name in the data folder."""
    from pplr_cli.data import library
    from pplr_cli.data.request import Request

    console = Console(verbosity=verbose - quiet)
    folder = env.data_dir(data_dir)
    prepared = library.prepare(
        Request(layout, source, folder, console, name, allow_partial, link, pattern)
    )
    picture = _draw_people(prepared)
    following = _next_command(prepared, data_dir)
    if json:
        console.document(_document(prepared, picture, following))
    else:
        _print(prepared, picture, following, console)


def _draw_people(prepared: "Prepared") -> Path | None:
    """Draw a few training identities under all cameras, where the data set knows both."""
    from pplr_cli.data.manifest import Split
    from pplr_cli.report.sheet import contact_sheet

    manifest = prepared.manifest
    images = manifest.split(Split.TRAIN)
    if not (images.has_identities and images.has_cameras):
        return None
    path = prepared.path.with_name("people.png")
    shown = [image for image in manifest.images if image.split == Split.TRAIN]
    contact_sheet(shown, manifest.root, path, people=6, each=3)
    return path


def _print(prepared: "Prepared", picture: Path | None, following: str, console: Console) -> None:
    if not prepared.new:
        console.info(f"`{prepared.manifest.name}` was prepared already; checked again")
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
    manifest = prepared.manifest
    return {
        "name": manifest.name,
        "layout": manifest.layout,
        "manifest": str(prepared.path),
        "picture": None if picture is None else str(picture),
        "root": str(manifest.root),
        "digest": manifest.digest,
        "new": prepared.new,
        "splits": {
            str(split.split): {
                "images": _cell(split.images),
                "identities": _cell(split.identities),
                "cameras": _cell(split.cameras),
            }
            for split in prepared.counts
        },
        "notes": manifest.notes,
        "warnings": list(prepared.warnings),
        "next": following,
    }


def _cell(count: "Count") -> dict[str, Any]:
    return {"count": count.value, "published": list(count.published)}


def _next_command(prepared: "Prepared", data_dir: Path | None) -> str:
    """Return the command that trains on the data set."""
    name, layout = prepared.manifest.name, prepared.manifest.layout
    known = presets.names()
    preset = next((each for each in (name, layout) if each in known), "market")
    words = ["pplr", "train", "--preset", preset]
    words += ["--data", name] if name != preset else []
    words += ["--data-dir", str(data_dir)] if data_dir is not None else []
    return shlex.join(words)
