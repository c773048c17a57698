"""Archives and folders that people give: what is accepted, and how a folder is read."""

import re
from collections.abc import Sequence
from pathlib import Path

from pplr_cli.data.images import Names
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.crops import add_tracks, compile_pattern, parse_split_names, read_crops
from pplr_cli.ingest.hold_out import hold_out
from pplr_cli.ingest.layouts import FOLDER, LAYOUTS, MOT
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.ingest.trees import explain_missing, find_root, find_root_above, read_tree
from pplr_cli.ingest.walk import Reading
from pplr_cli.progress import Reporter

PICTURE = "people.png"
"""The contact sheet beside the manifest."""


def check_sources(request: PrepareRequest, sources: Sequence[Path]) -> None:
    """Refuse sources that are missing, or that the layout and the options do not go with.

    Raises:
        UsageError: several folders, or an option that goes with a folder only.
        DataError: no such file or folder, or not what the layout needs.
    """
    for source in sources:
        _check_source(request, source, alone=len(sources) == 1)


def _check_source(request: PrepareRequest, source: Path, *, alone: bool) -> None:
    if not (source.is_dir() or source.is_file()):
        what = "neither a file nor a folder" if source.exists() else "no such file or folder"
        raise DataError(f"`{source}`: {what}", "give the archive or the folder of the data set")
    if request.layout == MOT:
        if not source.is_dir():
            raise DataError(f"`{source}`: not a folder", "unpack the sequences")
    elif source.is_dir() and not alone:
        hint = "put the folders into one folder and give that"
        raise UsageError(f"`{source}`: several sources must all be archives", hint)
    elif source.is_file() and (request.link or request.update):
        option = "--link" if request.link else "--update"
        raise UsageError(f"`{option}` goes with a folder, not an archive", "leave it out")


def read_source(
    request: PrepareRequest, source: Path, names: Names, reporter: Reporter
) -> tuple[Path, Reading]:
    """Read a folder by the layout of a request.

    Args:
        request: the layout, and the options of `folder`.
        source: the folder.
        names: of identities, cameras and tracks whose numbers are kept.
        reporter: gets the root if it is above `source`.

    Returns:
        the root of the images, and what was read below it.

    Raises:
        UsageError: an option that cannot be parsed.
        DataError: the folder does not have the layout.
    """
    if request.layout == FOLDER:
        return source, _read_folder(request, source, names)
    layout = LAYOUTS[request.layout]
    root = find_root(source, layout)
    if root is None and source in request.sources:
        root = find_root_above(source, layout)
        if root is not None:
            reporter.info(f"found {layout.title} above `{source}`, at `{root}`")
    if root is None:
        raise explain_missing(source, layout)
    reading = read_tree(root, layout)
    if request.table is not None:
        add_tracks(reading, request.table, root)
    return root, reading


def _read_folder(request: PrepareRequest, source: Path, names: Names) -> Reading:
    """Read plain crops by pattern or table."""
    crops = read_crops(
        source,
        compile_pattern(request.pattern) if request.pattern is not None else None,
        request.table,
        ours=(request.folder / PICTURE, request.data_dir),
        names=names,
        skip=re.compile(request.skip) if request.skip else None,
        split_names=parse_split_names(request.split_names) if request.split_names else {},
    )
    if share := request.test_share:
        crops.images = hold_out(crops.images, crops.names, share, f"{source}")
    return crops
