"""From an archive or a folder to a checked data set under its final name.

Read the tree -> compare the counts -> decode every image -> copy -> manifest. What takes space is
built in a staged folder, so that a killed run leaves nothing under the final name, and nothing
that stands there is ever deleted.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pplr_cli.data.archive import NO_ROOM, extract
from pplr_cli.data.counts import SplitCounts, count_splits
from pplr_cli.data.crops import compile_pattern, read_crops
from pplr_cli.data.decode import verify_images
from pplr_cli.data.layouts import FOLDER, LAYOUTS, SYNTHETIC, Layout
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.data.request import Request
from pplr_cli.data.staging import discard, staged
from pplr_cli.data.trees import Reading, explain_missing, find_root, read_tree
from pplr_cli.errors import DataError, PplrError, UsageError
from pplr_cli.files import check_space
from pplr_cli.progress import Reporter
from pplr_cli.wording import listed

IMAGES = "images"
"""Folder beside the manifest for images that were unpacked, copied or drawn."""
SEED = 1
"""Seed of the synthetic data set `demo`."""


@dataclass(frozen=True)
class Prepared:
    """A data set that is ready.

    Attributes:
        manifest: what it holds.
        path: the manifest's file.
        counts: its counts beside the published ones, by split.
        warnings: counts that differ, where that was allowed.
        new: False where it was prepared already and has been checked again.
    """

    manifest: Manifest
    path: Path
    counts: tuple[SplitCounts, ...]
    warnings: tuple[str, ...]
    new: bool


def recheck(request: Request) -> Prepared:
    """Check a prepared data set: its images decode, its counts are the published ones."""
    path = request.folder / FILE_NAME
    manifest = Manifest.load(path)
    if manifest.layout != request.layout:
        hint = "choose another name with `--name`"
        raise DataError(f"`{path}`: holds a `{manifest.layout}` data set", hint)
    counts, warnings = _check_counts(request, manifest, manifest.root)
    verify_images(manifest.root, manifest.paths, request.reporter)
    return Prepared(manifest, path, counts, warnings, new=False)


def ingest(request: Request, source: Path | None) -> Prepared:
    """Prepare a data set from an archive, from a folder, or (None) by drawing or from `folder`."""
    if source is None:
        if request.layout != SYNTHETIC:
            raise UsageError(f"`{request.layout}` needs a SOURCE", "name the folder of images")
        return _build(request, source)
    if source.is_dir():
        if request.link or source.resolve().is_relative_to(request.data_dir.resolve()):
            return _use_in_place(request, source)
        return _build(request, source)
    if not source.is_file():
        what = "neither a file nor a folder" if source.exists() else "no such file or folder"
        raise DataError(f"`{source}`: {what}", "give the archive or the folder of the data set")
    if request.link:
        raise UsageError("`--link` goes with a folder, not an archive", "leave it out")
    return _build(request, source)


def _use_in_place(request: Request, source: Path) -> Prepared:
    """Write a manifest for a folder that stays where it is."""
    manifest = _read(request, source)
    counts, warnings = _check_counts(request, manifest, source)
    path = request.folder / FILE_NAME
    inside = manifest.root.resolve().is_relative_to(request.folder.resolve())
    if (request.folder / IMAGES).exists() and not inside:
        raise _taken(request.folder, manifest) if path.is_file() else _foreign(request.folder)
    verify_images(manifest.root, manifest.paths, request.reporter)
    manifest.save(request.folder)
    return Prepared(Manifest.load(path), path, counts, warnings, new=True)


def _build(request: Request, source: Path | None) -> Prepared:
    """Unpack, copy or draw into a staged folder that takes the final name."""
    final = request.folder
    path = final / FILE_NAME
    if final.exists() and not path.is_file() and any(final.iterdir()):
        raise _foreign(final)
    with staged(final) as folder, _shown_as(folder, final, source or final):
        manifest = _fill(request, source, folder / IMAGES)
        counts, warnings = _check_counts(request, manifest, source or final)
        if path.is_file():
            if Manifest.load(path).digest != manifest.digest:
                raise _taken(final, manifest)
            discard(folder)
            return recheck(request)
        verify_images(manifest.root, manifest.paths, request.reporter)
        _copied(manifest, folder / IMAGES, request.reporter).save(folder)
    return Prepared(Manifest.load(path), path, counts, warnings, new=True)


def _fill(request: Request, source: Path | None, images: Path) -> Manifest:
    """Unpack or draw the images; a source folder is only read as yet."""
    if source is None:
        from pplr_cli.data import synthetic

        drawn = synthetic.make(images, seed=SEED, reporter=request.reporter)
        return Manifest(request.folder.name, request.layout, images, tuple(drawn), {})
    if source.is_dir():
        return _read(request, source)
    extract(source, images, request.reporter)
    return _read(request, images)


def _read(request: Request, source: Path) -> Manifest:
    """Read a tree by the request's layout."""
    if request.layout == FOLDER:
        pattern = compile_pattern(request.pattern) if request.pattern is not None else None
        root, reading = source, read_crops(source, pattern)
    else:
        root, reading = _read_layout(LAYOUTS[request.layout], source)
    notes = dict(sorted(reading.notes.items()))
    return Manifest(request.folder.name, request.layout, root, tuple(reading.images), notes)


def _read_layout(layout: Layout, source: Path) -> tuple[Path, Reading]:
    root = find_root(source, layout)
    if root is None:
        raise explain_missing(source, layout)
    return root, read_tree(root, layout)


def _check_counts(
    request: Request, manifest: Manifest, source: Path
) -> tuple[tuple[SplitCounts, ...], tuple[str, ...]]:
    """Compare with the published counts; return the counts and what differs, if allowed."""
    counts = count_splits(manifest)
    differences = tuple(line for split in counts for line in split.differences())
    if not differences:
        return counts, ()
    message = f"`{source}`: not the published counts:\n{listed(differences)}"
    if not request.allow_partial:
        command = request.command("--allow-partial")
        raise DataError(message, f"fetch what is missing, or take it as it is: `{command}`")
    request.reporter.warn(message, "figures will not compare with the paper's")
    return counts, differences


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
            shutil.copyfile(file, target)
            task.advance()
    return replace(manifest, root=images)


@contextmanager
def _shown_as(staged: Path, final: Path, source: Path) -> Iterator[None]:
    """Let errors in the staged folder name the source of its files, or the final folder."""
    try:
        yield
    except PplrError as error:
        message = error.message.replace(str(staged / IMAGES), str(source))
        raise type(error)(message.replace(str(staged), str(final)), error.hint) from error


def _foreign(folder: Path) -> DataError:
    hint = "move or remove it, or choose another name with `--name`"
    return DataError(f"`{folder}`: something else stands there already", hint)


def _taken(folder: Path, manifest: Manifest) -> DataError:
    """Say in what the data set that has the name differs from the one that is to get it."""
    there = Manifest.load(folder / FILE_NAME)
    if set(there.paths) != set(manifest.paths):
        what = "other images"
    elif there.digest != manifest.digest:
        what = "other identities, cameras or splits"
    else:
        what = "a copy of these images"
    hint = f"choose another name with `--name`, or remove `{folder}` and run the command again"
    return DataError(f"`{folder}`: this data set is there already, with {what}", hint)
