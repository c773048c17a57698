"""Turns an archive or a folder into a checked data set under its final name.

Read the tree, compare the counts, check every image, copy, write the manifest. Whatever takes
space is built in a staged folder: a killed run leaves nothing under the final name, and existing
files are never deleted.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pplr_cli.data.decode import Fault
from pplr_cli.data.images import Names
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.archive import extract_parts
from pplr_cli.ingest.counts import SplitCounts, count_splits
from pplr_cli.ingest.integrity import differences, examine
from pplr_cli.ingest.layouts import MOT, SYNTHETIC
from pplr_cli.ingest.mot import cut_crops
from pplr_cli.ingest.protocol import Concern
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.ingest.rules import SKIPPED, changed, concerns_about, inspect
from pplr_cli.ingest.sources import check_sources, read_source
from pplr_cli.ingest.staging import IMAGES, copied, staged
from pplr_cli.ingest.update import (
    check_labels_stay,
    copy_changes,
    describe_changes,
    taken,
    with_other_sequences,
)
from pplr_cli.ingest.walk import Reading
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

SEED = 1
"""Seed of the synthetic data set `demo`."""


@dataclass(frozen=True)
class Prepared:
    """A prepared data set."""

    manifest: Manifest
    path: Path  # of the manifest
    new: bool  # False if it was prepared before and has been checked again
    warnings: tuple[str, ...] = ()  # one text each, differing counts among them
    skipped: tuple[Fault, ...] = ()  # broken images that were left out

    @property
    def counts(self) -> tuple[SplitCounts, ...]:
        """The counts beside the published ones, by split."""
        return count_splits(self.manifest)


class Preparation:
    """Prepares one data set."""

    def __init__(self, request: PrepareRequest, reporter: Reporter) -> None:
        self._request, self._reporter = request, reporter
        self._folder, self._path = request.folder, request.folder / FILE_NAME
        self._old: Manifest | None = None  # that is brought up to date
        self._differing: list[str] = []  # counts that are not the published ones
        self._concerns: list[Concern] = []
        self._skipped: list[Fault] = []

    def recheck(self) -> Prepared:
        """Check a prepared data set: images unchanged, counts as published."""
        manifest = self._load()
        self._concerns = []
        self._check_counts(manifest, str(manifest.root))
        examined = examine(manifest, self._reporter)
        if faults := differences(manifest, examined):
            raise changed(manifest, faults)
        self._concerns += concerns_about(manifest, examined)
        return self._prepared(new=False)

    def _load(self) -> Manifest:
        manifest = Manifest.load(self._path)
        if manifest.layout != self._request.layout:
            hint = "choose another name with `--name`"
            raise DataError(f"`{self._path}`: holds a `{manifest.layout}` data set", hint)
        return manifest

    def run(self, sources: Sequence[Path]) -> Prepared:
        """Prepare a data set from archives, from a folder, or by drawing if there is no source."""
        request = self._request
        if not sources and request.layout != SYNTHETIC:
            raise UsageError(f"`{request.layout}` needs a SOURCE", "name the folder of images")
        check_sources(request, sources)
        if request.update and self._path.is_file():
            return self._update(sources)
        if request.update:
            self._reporter.info(f"no data set `{self._folder.name}` yet: preparing it")
        if sources and sources[0].is_dir() and request.layout != MOT:
            inside = sources[0].resolve().is_relative_to(request.data_dir.resolve())
            if request.link or inside:
                return self._use_in_place(sources[0])
        return self._build(sources)

    def _update(self, sources: Sequence[Path]) -> Prepared:
        """Bring a data set up to date with its sources; unchanged images are not decoded."""
        self._old = old = self._load()
        shown = " + ".join(map(str, sources))
        with staged(self._folder, shown) as staging:
            if self._request.layout == MOT:
                read = with_other_sequences(self._fill(sources, staging / IMAGES), old)
            else:
                read = self._read(sources[0])
            linked = old.root == read.root.resolve()
            if not linked and not old.root.is_relative_to(self._folder.resolve()):
                raise taken(self._folder, read)
            check_labels_stay(old, read)
            manifest = self._inspect(read)
            if linked:
                manifest.save(self._folder)
                staging.rmdir()
            else:
                copy_changes(old, manifest, self._folder, staging, self._reporter)
        self._reporter.info(f"updated `{manifest.name}`: {describe_changes(old, manifest)}")
        return self._prepared()

    def _use_in_place(self, source: Path) -> Prepared:
        """Write a manifest for a folder that is not copied."""
        read = self._read(source)
        self._check_counts(read, str(source))
        inside = read.root.resolve().is_relative_to(self._folder.resolve())
        if (self._folder / IMAGES).exists() and not inside:
            raise taken(self._folder, read) if self._path.is_file() else self._foreign()
        self._inspect(read).save(self._folder)
        return self._prepared()

    def _build(self, sources: Sequence[Path]) -> Prepared:
        """Unpack, copy or draw into a staged folder and rename it to the final name."""
        final = self._folder
        if final.exists() and not self._path.is_file() and any(final.iterdir()):
            raise self._foreign()
        shown = " + ".join(map(str, sources)) or str(final)
        with staged(final, shown) as folder:
            read = self._fill(sources, folder / IMAGES)
            self._check_counts(read, shown)
            manifest = self._inspect(read)
            if self._path.is_file():
                there = Manifest.load(self._path)
                if (there.digest, there.names) != (manifest.digest, manifest.names):
                    raise taken(self._folder, manifest)
                shutil.rmtree(folder)
                return self.recheck()
            copied(manifest, folder / IMAGES, self._reporter).save(folder)
        return self._prepared()

    def _inspect(self, read: Manifest) -> Manifest:
        known = self._old.contents if self._old else {}
        manifest, self._skipped, concerns = inspect(self._request, read, self._reporter, known)
        self._concerns += concerns
        return manifest

    def _prepared(self, *, new: bool = True) -> Prepared:
        manifest = Manifest.load(self._path)
        for concern in self._concerns:
            self._reporter.warn(f"data set `{manifest.name}`: {concern.message}", concern.hint)
        warnings = (*self._differing, *(concern.message for concern in self._concerns))
        return Prepared(manifest, self._path, new, warnings, tuple(self._skipped))

    def _fill(self, sources: Sequence[Path], images: Path) -> Manifest:
        """Unpack or draw the images; a source folder is only read at this point."""
        if not sources:
            from pplr_cli import synthetic

            drawn = synthetic.make(images, seed=SEED, reporter=self._reporter)
            return self._manifest(images, Reading(drawn))
        if self._request.layout == MOT:
            boxes, names = (self._request.boxes, self._request.every), self._names
            crops = cut_crops(sources, *boxes, images, self._reporter, names)
            return self._manifest(images, crops)
        if sources[0].is_dir():
            return self._read(sources[0])
        extract_parts(sources, images, self._reporter)
        return self._read(images)

    def _read(self, source: Path) -> Manifest:
        """Read a tree by the request's layout."""
        return self._manifest(*read_source(self._request, source, self._names, self._reporter))

    @property
    def _names(self) -> Names:
        """The names whose numbers are kept."""
        return self._old.names if self._old else Names()

    def _manifest(self, root: Path, reading: Reading) -> Manifest:
        if paths := reading.left_out:
            text = f"folders, links and special files left out: {len(paths)}\n{listed(paths)}"
            where = "a link may lead to a folder, but not to one above itself"
            hint = f"{where}; restore the target of a broken one"
            self._concerns.append(Concern(text, hint))
        name, layout, notes = self._folder.name, self._request.layout, sorted(reading.notes.items())
        images = tuple(reading.images)
        return Manifest(name, layout, root, images, dict(notes), names=reading.names)

    def _check_counts(self, manifest: Manifest, shown: str) -> None:
        """Compare with the published counts; differences are an error or a warning."""
        lines = [line for split in count_splits(manifest) for line in split.differences()]
        self._differing = lines
        if not lines:
            return
        message = f"`{shown}`: not the published counts:\n{listed(lines)}"
        if not (self._request.allow_partial or SKIPPED in manifest.notes):
            command = self._request.command("--allow-partial")
            raise DataError(message, f"add what is missing, or accept the counts: `{command}`")
        self._reporter.warn(message, "scores cannot be compared with the paper's")

    def _foreign(self) -> DataError:
        hint = "move or remove it, or choose another name with `--name`"
        return DataError(f"`{self._folder}`: holds other files", hint)
