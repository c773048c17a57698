"""The data folder: finds, prepares on demand and opens data sets.

A prepared data set is `<data folder>/<name>/manifest.json`; its images are beside it (unpacked,
copied or drawn), elsewhere in the data folder (found under a usual name) or anywhere (linked).
"""

from pathlib import Path

from pplr_cli.data.decode import Fault
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.errors import DataError
from pplr_cli.ingest.archive import archive_stem
from pplr_cli.ingest.description import Layout
from pplr_cli.ingest.integrity import differences, examine
from pplr_cli.ingest.layouts import LAYOUTS, SYNTHETIC
from pplr_cli.ingest.prepare import Preparation, Prepared
from pplr_cli.ingest.request import DEMO, PrepareRequest, check_name, crops_command
from pplr_cli.ingest.rules import changed
from pplr_cli.ingest.trees import find_root
from pplr_cli.progress import Reporter
from pplr_cli.text import named


def open_dataset(
    name: str, data_dir: Path, reporter: Reporter, *, verify: bool = False
) -> Manifest:
    """Open a data set by its name; with `verify`, check that no image has changed.

    An unprepared public data set under a usual name in the data folder is prepared first; a
    missing `demo` is drawn.

    Raises:
        DataError: no such data set (the hint says where to get it), a damaged or a changed one.
    """
    manifest = find_dataset(name, data_dir)
    if manifest is None:
        reporter.info(f"data set `{name}` is not prepared yet; preparing it")
        layout = SYNTHETIC if name == DEMO else name
        return prepare(PrepareRequest(layout, (), data_dir), reporter).manifest
    if verify and (faults := check(name, data_dir, reporter)[1]):
        raise changed(manifest, faults)
    return manifest


def find_dataset(name: str, data_dir: Path, command: str = "") -> Manifest | None:
    """Return a prepared data set; None if `open_dataset` can and must prepare it first.

    Only its manifest is read.

    Args:
        name: of the data set.
        data_dir: the data folder.
        command: uses the data set NAME, for the hint if there is none of that name.

    Raises:
        DataError: as `open_dataset`.
    """
    manifest = _load(name, data_dir)
    if manifest is None and name != DEMO:
        if name not in LAYOUTS:
            raise _unknown(name, data_dir, command)
        if find_unprepared(LAYOUTS[name], data_dir) is None:
            raise _not_found(LAYOUTS[name], data_dir)
    return manifest


def check(name: str, data_dir: Path, reporter: Reporter) -> tuple[Manifest, list[Fault]]:
    """Check a prepared data set; return it and the images that are missing, changed or broken.

    Raises:
        DataError: no such data set, or its manifest or folder is missing.
    """
    manifest = _load(name, data_dir)
    if manifest is None:
        raise _unknown(name, data_dir)
    return manifest, differences(manifest, examine(manifest, reporter))


def prepare(request: PrepareRequest, reporter: Reporter) -> Prepared:
    """Check a data set and store it in the data folder under a name.

    Raises:
        UsageError: options that exclude each other.
        DataError: the source cannot be used as it is.
    """
    preparation, sources = Preparation(request, reporter), request.sources
    if not sources and (request.folder / FILE_NAME).is_file():
        return preparation.recheck()
    if not sources and request.layout in LAYOUTS:
        found = find_unprepared(LAYOUTS[request.layout], request.data_dir)
        if found is None:
            raise _not_found(LAYOUTS[request.layout], request.data_dir)
        reporter.info(f"found `{found}`")
        sources = (found,)
    return preparation.run(sources)


def find_unprepared(layout: Layout, data_dir: Path) -> Path | None:
    """Find a data set's folder or archive under its usual names in the data folder.

    A complete folder is preferred to an archive, an archive to an incomplete folder.
    """
    if not data_dir.is_dir():
        return None
    usual = [name.casefold() for name in (*layout.folders, layout.name)]
    found: list[tuple[bool, bool, int, Path]] = []
    for entry in sorted(data_dir.iterdir()):
        is_archive = entry.is_file()
        name = archive_stem(entry.name) if is_archive else entry.name
        if name is not None and name.casefold() in usual and (is_archive or entry.is_dir()):
            incomplete = not is_archive and find_root(entry, layout) is None
            found.append((incomplete, is_archive, usual.index(name.casefold()), entry))
    return min(found)[-1] if found else None


def prepared_names(data_dir: Path) -> list[str]:
    """Return the names of the prepared data sets in the data folder, sorted."""
    names = (path.parent.name for path in data_dir.glob(f"*/{FILE_NAME}"))
    return sorted(name for name in names if not name.startswith("."))


def _load(name: str, data_dir: Path) -> Manifest | None:
    """Return a prepared data set; None if there is none of this name."""
    check_name(name)
    path = data_dir / name / FILE_NAME
    if not path.is_file():
        return None
    manifest = Manifest.load(path)
    if not manifest.root.is_dir():
        hint = "put the images back, or move the manifest away and prepare the data set again"
        raise DataError(f"`{path}`: its images are gone from `{manifest.root}`", hint)
    return manifest


def _unknown(name: str, data_dir: Path, command: str = "") -> DataError:
    names, then = named(prepared_names(data_dir), 100), f"`{command}`" if command else ""
    hint = f"prepared data sets: {names or 'none'}{f': {then}' if names and then else ''}"
    own = f"`{crops_command('NAME', data_dir)}` (without cameras: no --pattern)"
    hint += f"\nyour own crops, in a folder for each camera: {own}{then and f', then {then}'}"
    return DataError(f"`{name}`: no such data set in `{data_dir}`", hint)


def _not_found(layout: Layout, data_dir: Path) -> DataError:
    hint = (
        f"{layout.title}: {layout.origin}\n"
        f"put `{layout.folders[0]}.zip` (or .tar.gz, .tar, or the unpacked folder) into "
        f"`{data_dir}`, or give its path: `pplr prepare {layout.name} SOURCE`"
    )
    return DataError(f"`{data_dir}`: {layout.title} is not there", hint)
