"""The data folder: where data sets are found, prepared on demand and opened.

A prepared data set is `<data folder>/<name>/manifest.json`; its images lie beside it (unpacked,
copied or drawn), elsewhere in the data folder (found there under a usual name) or anywhere
(linked).
"""

import difflib
import re
from pathlib import Path

from pplr_cli.data.archive import archive_stem
from pplr_cli.data.crops import compile_pattern
from pplr_cli.data.layouts import FOLDER, KNOWN, LAYOUTS, SYNTHETIC, Layout
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.data.preparation import Prepared, Request, ingest, recheck
from pplr_cli.data.trees import find_root
from pplr_cli.errors import DataError, UsageError
from pplr_cli.progress import Reporter

DEMO = "demo"
"""Name of the synthetic data set."""


def open_dataset(name: str, data_dir: Path, reporter: Reporter) -> Manifest:
    """Open a data set by its name.

    A known one that lies in the data folder unprepared, under a usual name, is prepared first;
    `demo` is drawn where it is absent.

    Raises:
        DataError: no such data set (the hint says where it is to be had), or a damaged one.
    """
    path = _folder(name, data_dir) / FILE_NAME
    if path.is_file():
        manifest = Manifest.load(path)
        if not manifest.root.is_dir():
            hint = "put the images back, or remove the manifest and prepare the data set anew"
            raise DataError(f"`{path}`: its images are gone from `{manifest.root}`", hint)
        return manifest
    if name != DEMO and name not in LAYOUTS:
        names = ", ".join(f"`{each}`" for each in prepared_names(data_dir)) or "none"
        hint = f"prepared there: {names}; `pplr prepare --help` shows how to add one"
        raise DataError(f"`{name}`: no such data set in `{data_dir}`", hint)
    reporter.info(f"data set `{name}` is not prepared yet; doing so first")
    layout = SYNTHETIC if name == DEMO else name
    return prepare(layout, None, data_dir, reporter=reporter).manifest


def prepare(
    layout: str,
    source: Path | None,
    data_dir: Path,
    *,
    name: str | None = None,
    allow_partial: bool = False,
    link: bool = False,
    pattern: str | None = None,
    reporter: Reporter,
) -> Prepared:
    """Check a data set and leave it in the data folder under a name.

    Args:
        layout: one of `layouts.KNOWN`.
        source: archive or folder; None looks in the data folder under the usual names, or checks
            what is prepared already.
        data_dir: the data folder; a source folder inside it is used where it is.
        name: the data set's name (default: the layout's, `demo` for `synthetic`).
        allow_partial: counts that differ from the published ones are a warning, not an error.
        link: use the source folder where it is instead of copying it.
        pattern: regular expression for identities, cameras and splits (layout `folder`).
        reporter: told of progress and warnings.

    Raises:
        UsageError: options that do not go together.
        DataError: the source cannot be used as it is.
    """
    _check_options(layout, source, link=link, pattern=pattern)
    folder = _folder(name or (DEMO if layout == SYNTHETIC else layout), data_dir)
    request = Request(
        layout=layout,
        folder=folder,
        data_dir=data_dir,
        allow_partial=allow_partial,
        link=link,
        pattern=compile_pattern(pattern) if pattern is not None else None,
        reporter=reporter,
    )
    if source is None and (folder / FILE_NAME).is_file():
        return recheck(request)
    if source is None and layout in LAYOUTS:
        source = find_unprepared(LAYOUTS[layout], data_dir)
        if source is None:
            raise _not_found(LAYOUTS[layout], data_dir)
        reporter.info(f"found `{source}`")
    return ingest(request, source)


def find_unprepared(layout: Layout, data_dir: Path) -> Path | None:
    """Find a data set's folder or archive under its usual names in the data folder.

    A folder that holds the whole tree comes before an archive, an archive before a folder that
    lacks something.
    """
    if not data_dir.is_dir():
        return None
    usual = [name.casefold() for name in (*layout.folders, layout.name)]
    found: list[tuple[bool, bool, int, Path]] = []
    for entry in sorted(data_dir.iterdir()):
        is_archive = entry.is_file()
        name = archive_stem(entry.name) if is_archive else entry.name
        if name is not None and name.casefold() in usual and (is_archive or entry.is_dir()):
            lacking = not is_archive and find_root(entry, layout) is None
            found.append((lacking, is_archive, usual.index(name.casefold()), entry))
    return min(found)[-1] if found else None


def prepared_names(data_dir: Path) -> list[str]:
    """Return the names of the prepared data sets in the data folder, sorted."""
    return sorted(
        path.parent.name
        for path in data_dir.glob(f"*/{FILE_NAME}")
        if not path.parent.name.startswith(".")
    )


def _folder(name: str, data_dir: Path) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        hint = "letters, digits, `.`, `_` and `-`, no `.` or `-` at the start"
        raise UsageError(f"`{name}`: not a name for a data set", hint)
    return data_dir / name


def _check_options(layout: str, source: Path | None, *, link: bool, pattern: str | None) -> None:
    if layout not in KNOWN:
        close = difflib.get_close_matches(layout, KNOWN, n=1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        hint = f"{meant}the known ones are {', '.join(KNOWN)}"
        raise UsageError(f"`{layout}`: no such layout", hint)
    if layout == SYNTHETIC and source is not None:
        raise UsageError("`synthetic` is drawn, it takes no SOURCE", "leave SOURCE out")
    if pattern is not None and layout != FOLDER:
        raise UsageError("`--pattern` goes with the layout `folder` only", "leave it out")
    if source is None and (link or pattern is not None):
        raise UsageError("`--link` and `--pattern` need a SOURCE folder", "name the folder")


def _not_found(layout: Layout, data_dir: Path) -> DataError:
    hint = (
        f"{layout.title}: {layout.origin}\n"
        f"put `{layout.folders[0]}.zip` (or .tar.gz, .tar, or the unpacked folder) into "
        f"`{data_dir}`, or give its path: `pplr prepare {layout.name} SOURCE`"
    )
    return DataError(f"`{data_dir}`: {layout.title} is not there", hint)
