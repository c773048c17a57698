"""From an archive or a folder to a checked data set under its final name.

Read the tree -> compare the counts -> check every image -> copy -> manifest. What takes space is
built in a staged folder, so that a killed run leaves nothing under the final name, and nothing
that stands there is ever deleted.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pplr_cli.data.decode import Fault
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.errors import DataError, PplrError, UsageError
from pplr_cli.files import check_space
from pplr_cli.ingest.archive import NO_ROOM, extract_parts
from pplr_cli.ingest.counts import SplitCounts, count_splits
from pplr_cli.ingest.crops import compile_pattern, read_crops
from pplr_cli.ingest.integrity import differences, examine
from pplr_cli.ingest.layouts import FOLDER, LAYOUTS, SYNTHETIC
from pplr_cli.ingest.request import Request
from pplr_cli.ingest.rules import SKIPPED, Inspection, changed, inspect, judge, tell
from pplr_cli.ingest.staging import discard, staged
from pplr_cli.ingest.trees import Reading, explain_missing, find_root, find_root_above, read_tree
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

IMAGES = "images"
"""Folder beside the manifest for images that were unpacked, copied or drawn."""
PICTURE = "people.png"
"""The contact sheet beside the manifest."""
SEED = 1
"""Seed of the synthetic data set `demo`."""


@dataclass(frozen=True)
class Prepared:
    """A data set that is ready.

    Attributes:
        manifest: what it holds.
        path: the manifest's file.
        new: False where it was prepared already and has been checked again.
        warnings: what is not as it should be, a text each, counts that differ among them.
        skipped: broken images that were left out.
    """

    manifest: Manifest
    path: Path
    new: bool
    warnings: tuple[str, ...] = ()
    skipped: tuple[Fault, ...] = ()

    @property
    def counts(self) -> tuple[SplitCounts, ...]:
        """The counts beside the published ones, by split."""
        return count_splits(self.manifest)


def recheck(request: Request) -> Prepared:
    """Check a prepared data set: its images are as they were, its counts the published ones."""
    path = request.folder / FILE_NAME
    manifest = Manifest.load(path)
    if manifest.layout != request.layout:
        hint = "choose another name with `--name`"
        raise DataError(f"`{path}`: holds a `{manifest.layout}` data set", hint)
    partial = _check_counts(request, manifest, str(manifest.root))
    examined = examine(manifest, request.reporter)
    if faults := differences(manifest, examined):
        raise changed(manifest, faults)
    warnings = tell(manifest, judge(manifest, examined), request.reporter)
    return Prepared(manifest, path, False, (*partial, *warnings))


def ingest(request: Request, sources: Sequence[Path]) -> Prepared:
    """Prepare a data set from archives, from a folder, or (no source) by drawing."""
    if not sources:
        if request.layout != SYNTHETIC:
            raise UsageError(f"`{request.layout}` needs a SOURCE", "name the folder of images")
        return _build(request, sources)
    for source in sources:
        _check_source(request, source, alone=len(sources) == 1)
    in_place = request.link or sources[0].resolve().is_relative_to(request.data_dir.resolve())
    if in_place and sources[0].is_dir():
        return _use_in_place(request, sources[0])
    return _build(request, sources)


def _check_source(request: Request, source: Path, *, alone: bool) -> None:
    if not (source.is_dir() or source.is_file()):
        what = "neither a file nor a folder" if source.exists() else "no such file or folder"
        raise DataError(f"`{source}`: {what}", "give the archive or the folder of the data set")
    if source.is_dir() and not alone:
        hint = "put the folders below one folder, and give that"
        raise UsageError(f"`{source}`: several sources must all be archives", hint)
    if source.is_file() and request.link:
        raise UsageError("`--link` goes with a folder, not an archive", "leave it out")


def _use_in_place(request: Request, source: Path) -> Prepared:
    """Write a manifest for a folder that stays where it is."""
    read = _read(request, source)
    partial = _check_counts(request, read, str(source))
    path = request.folder / FILE_NAME
    inside = read.root.resolve().is_relative_to(request.folder.resolve())
    if (request.folder / IMAGES).exists() and not inside:
        raise _taken(request.folder, read) if path.is_file() else _foreign(request.folder)
    found = inspect(request, read)
    found.manifest.save(request.folder)
    return _ready(request, partial, found)


def _build(request: Request, sources: Sequence[Path]) -> Prepared:
    """Unpack, copy or draw into a staged folder that takes the final name."""
    final = request.folder
    path = final / FILE_NAME
    if final.exists() and not path.is_file() and any(final.iterdir()):
        raise _foreign(final)
    shown = " + ".join(map(str, sources)) or str(final)
    with staged(final) as folder, _shown_as(folder, final, shown):
        read = _fill(request, sources, folder / IMAGES)
        partial = _check_counts(request, read, shown)
        found = inspect(request, read)
        if path.is_file():
            if Manifest.load(path).digest != found.manifest.digest:
                raise _taken(final, found.manifest)
            discard(folder)
            return recheck(request)
        _copied(found.manifest, folder / IMAGES, request.reporter).save(folder)
    return _ready(request, partial, found)


def _ready(request: Request, partial: tuple[str, ...], found: Inspection) -> Prepared:
    warnings = tell(found.manifest, found.warnings, request.reporter)
    path = request.folder / FILE_NAME
    return Prepared(Manifest.load(path), path, True, (*partial, *warnings), found.skipped)


def _fill(request: Request, sources: Sequence[Path], images: Path) -> Manifest:
    """Unpack or draw the images; a source folder is only read as yet."""
    if not sources:
        from pplr_cli import synthetic

        drawn = synthetic.make(images, seed=SEED, reporter=request.reporter)
        return Manifest(request.folder.name, request.layout, images, tuple(drawn), {})
    if sources[0].is_dir():
        return _read(request, sources[0])
    extract_parts(sources, images, request.reporter)
    return _read(request, images)


def _read(request: Request, source: Path) -> Manifest:
    """Read a tree by the request's layout."""
    if request.layout == FOLDER:
        pattern = compile_pattern(request.pattern) if request.pattern is not None else None
        root, ours = source, (request.folder / PICTURE, request.data_dir)
        reading = read_crops(root, pattern, request.table, ours)
    else:
        root, reading = _read_layout(request, source)
    notes = dict(sorted(reading.notes.items()))
    return Manifest(request.folder.name, request.layout, root, tuple(reading.images), notes)


def _read_layout(request: Request, source: Path) -> tuple[Path, Reading]:
    """Find the data set's root below the source or, for a folder of the user's, above it."""
    layout = LAYOUTS[request.layout]
    root = find_root(source, layout)
    if root is None and source in request.sources:
        root = find_root_above(source, layout)
        if root is not None:
            request.reporter.info(f"found {layout.title} above `{source}`, at `{root}`")
    if root is None:
        raise explain_missing(source, layout)
    return root, read_tree(root, layout)


def _check_counts(request: Request, manifest: Manifest, shown: str) -> tuple[str, ...]:
    """Compare with the published counts; return what differs, if that is allowed."""
    differing = tuple(line for split in count_splits(manifest) for line in split.differences())
    if not differing:
        return ()
    message = f"`{shown}`: not the published counts:\n{listed(differing)}"
    if not (request.allow_partial or SKIPPED in manifest.notes):
        command = request.command("--allow-partial")
        raise DataError(message, f"fetch what is missing, or take it as it is: `{command}`")
    request.reporter.warn(message, "figures will not compare with the paper's")
    return differing


def _copied(manifest: Manifest, images: Path, reporter: Reporter) -> Manifest:
    """Copy the images below `images` unless they are there already; return their manifest."""
    if manifest.root.is_relative_to(images):
        return manifest
    files = [manifest.root / path for path in manifest.paths]
    needed = sum(file.stat().st_size for file in files)
    check_space(images.parent, needed, f"copying `{manifest.root}`", NO_ROOM)
    images.mkdir()
    with reporter.task("copying images", len(files), "images") as task:
        for file, path in zip(files, manifest.paths, strict=True):
            target = images / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(exist_ok=False)  # on some disks letter case does not make two names
            shutil.copyfile(file, target)
            task.advance()
    return replace(manifest, root=images)


@contextmanager
def _shown_as(staged: Path, final: Path, source: str) -> Iterator[None]:
    """Let errors in the staged folder name the source of its files, or the final folder."""
    try:
        yield
    except PplrError as error:
        message = error.message.replace(str(staged / IMAGES), source)
        raise type(error)(message.replace(str(staged), str(final)), error.hint) from error


def _foreign(folder: Path) -> DataError:
    hint = "move or remove it, or choose another name with `--name`"
    return DataError(f"`{folder}`: something else stands there already", hint)


def _taken(folder: Path, manifest: Manifest) -> DataError:
    """Say in what the data set that has the name differs from the one that is to get it."""
    there = Manifest.load(folder / FILE_NAME)
    if set(there.paths) != set(manifest.paths):
        what = "other images"
    elif there.images != manifest.images:
        what = "other identities, cameras or splits"
    elif manifest.contents and there.contents != manifest.contents:
        what = "images of the same names but other contents"
    else:
        what = "a copy of these images"
    hint = f"choose another name with `--name`, or move `{folder}` away and run the command again"
    return DataError(f"`{folder}`: this data set is there already, with {what}", hint)
