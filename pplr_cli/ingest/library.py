"""The data folder: where data sets are found, prepared on demand and opened.

A prepared data set is `<data folder>/<name>/manifest.json`; its images lie beside it (unpacked,
copied or drawn), elsewhere in the data folder (found there under a usual name) or anywhere
(linked).
"""

from dataclasses import dataclass
from pathlib import Path

from pplr_cli.data.decode import Fault
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.errors import DataError
from pplr_cli.ingest.archive import archive_stem
from pplr_cli.ingest.integrity import differences, examine
from pplr_cli.ingest.layouts import LAYOUTS, SYNTHETIC, Layout
from pplr_cli.ingest.prepare import Preparation, Prepared
from pplr_cli.ingest.request import DEMO, PrepareRequest, check_name
from pplr_cli.ingest.rules import changed
from pplr_cli.ingest.trees import find_root
from pplr_cli.progress import Reporter


def open_dataset(
    name: str, data_dir: Path, reporter: Reporter, *, verify: bool = False
) -> Manifest:
    """Open a data set by its name; with `verify`, only if every image is as it was.

    A known one that lies in the data folder unprepared, under a usual name, is prepared first;
    `demo` is drawn where it is absent.

    Raises:
        DataError: no such data set (the hint says where it is to be had), a damaged one, or one
            that was changed.
    """
    manifest = find_dataset(name, data_dir)
    if manifest is not None:
        return _verified(name, data_dir, reporter) if verify else manifest
    reporter.info(f"data set `{name}` is not prepared yet; doing so first")
    layout = SYNTHETIC if name == DEMO else name
    return prepare(PrepareRequest(layout, (), data_dir), reporter).manifest


def find_dataset(name: str, data_dir: Path) -> Manifest | None:
    """Return a prepared data set; None = `open_dataset` has to prepare it first, and can.

    Nothing but its manifest is read.

    Raises:
        DataError: as `open_dataset`.
    """
    check_name(name)
    if (data_dir / name / FILE_NAME).is_file():
        return _load(name, data_dir)
    if name != DEMO and name not in LAYOUTS:
        raise _unknown(name, data_dir)
    if name != DEMO and find_unprepared(LAYOUTS[name], data_dir) is None:
        raise _not_found(LAYOUTS[name], data_dir)
    return None


@dataclass(frozen=True)
class Checked:
    """A prepared data set, and which images are not as they were when it was prepared."""

    manifest: Manifest
    path: Path
    faults: tuple[Fault, ...]


def check(name: str, data_dir: Path, reporter: Reporter) -> Checked:
    """Check a prepared data set: every file is there, decodes, and has the recorded digest.

    Raises:
        DataError: no such data set, or one whose manifest or folder is gone.
    """
    check_name(name)
    path = data_dir / name / FILE_NAME
    if not path.is_file():
        raise _unknown(name, data_dir)
    manifest = _load(name, data_dir)
    return Checked(manifest, path, tuple(differences(manifest, examine(manifest, reporter))))


def prepare(request: PrepareRequest, reporter: Reporter) -> Prepared:
    """Check a data set and leave it in the data folder under a name.

    Raises:
        UsageError: options that do not go together.
        DataError: the source cannot be used as it is.
    """
    if not request.sources and (request.folder / FILE_NAME).is_file():
        return Preparation(request, reporter).recheck()
    if request.sources or request.layout not in LAYOUTS:
        return Preparation(request, reporter).run(request.sources)
    source = find_unprepared(LAYOUTS[request.layout], request.data_dir)
    if source is None:
        raise _not_found(LAYOUTS[request.layout], request.data_dir)
    reporter.info(f"found `{source}`")
    return Preparation(request, reporter).run([source])


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


def _load(name: str, data_dir: Path) -> Manifest:
    path = data_dir / name / FILE_NAME
    manifest = Manifest.load(path)
    if not manifest.root.is_dir():
        hint = "put the images back, or move the manifest away and prepare the data set anew"
        raise DataError(f"`{path}`: its images are gone from `{manifest.root}`", hint)
    return manifest


def _verified(name: str, data_dir: Path, reporter: Reporter) -> Manifest:
    checked = check(name, data_dir, reporter)
    if checked.faults:
        raise changed(checked.manifest, checked.faults)
    return checked.manifest


def _unknown(name: str, data_dir: Path) -> DataError:
    names = ", ".join(f"`{each}`" for each in prepared_names(data_dir)) or "none"
    hint = f"prepared there: {names}; `pplr prepare --help` shows how to add one"
    return DataError(f"`{name}`: no such data set in `{data_dir}`", hint)


def _not_found(layout: Layout, data_dir: Path) -> DataError:
    hint = (
        f"{layout.title}: {layout.origin}\n"
        f"put `{layout.folders[0]}.zip` (or .tar.gz, .tar, or the unpacked folder) into "
        f"`{data_dir}`, or give its path: `pplr prepare {layout.name} SOURCE`"
    )
    return DataError(f"`{data_dir}`: {layout.title} is not there", hint)
