"""The manifest: a readable file that lists the images of a prepared data set.

`<data folder>/<name>/manifest.json` holds one line per image: split, path, identity, camera, the
SHA-256 of the file and, if the data set has tracks, track and time. Paths are relative to `root`,
and `root` is relative to the folder of the manifest, so that the data set can be moved together
with it.
"""

import hashlib
import json
import os.path
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.errors import DataError
from pplr_cli.files import native, portable, write_text

FILE_NAME = "manifest.json"
FORMAT = 3
WITH_TRACKS = 4
READABLE = (2, FORMAT, WITH_TRACKS)
"""Format 2 has no names of identities and cameras; only format 4 has tracks and times."""
UNKNOWN = -1
"""Identity, camera, track or time of an image for which the data set gives none."""
LARGEST = 10**18
"""Bound of identities, cameras and tracks, which are stored as int64."""
UPRIGHT_LAYOUTS = frozenset({"folder"})
"""Layouts whose images are turned by their EXIF orientation; the scores published for the public
data sets were computed without."""
ONE_BASED_LAYOUTS = frozenset({"market", "duke", "veri", "synthetic"})
"""Layouts that call their cameras 1, 2, ..., stored as 0, 1, ..."""
ANEW = "move it away and prepare the data set again with `pplr prepare`"


class Split(StrEnum):
    """The three parts of a re-identification data set."""

    TRAIN = "train"
    QUERY = "query"
    GALLERY = "gallery"


class Image(NamedTuple):
    """One image.

    Attributes:
        split: its split.
        path: its path below the root, with `/`.
        identity: its identity.
        camera: its camera.
        track: number of its track within its camera.
        time: its frame number or time in seconds, on the clock of its camera.
    """

    split: Split
    path: str
    identity: int = UNKNOWN
    camera: int = UNKNOWN
    track: int = UNKNOWN
    time: float = UNKNOWN


@dataclass(frozen=True)
class Names:
    """The user's names of identities, cameras and tracks.

    Attributes:
        identities: name by number, for the identities whose name is not their number.
        cameras: likewise.
        tracks: likewise.
    """

    identities: Mapping[int, str] = field(default_factory=dict)
    cameras: Mapping[int, str] = field(default_factory=dict)
    tracks: Mapping[int, str] = field(default_factory=dict)

    def identity(self, number: int) -> str:
        """Return the name of an identity; empty if unknown."""
        return _name(self.identities, int(number))

    def camera(self, number: int) -> str:
        """Return the name of a camera; empty if unknown."""
        return _name(self.cameras, int(number))

    def track(self, number: int) -> str:
        """Return the name of a track; empty if unknown."""
        return _name(self.tracks, int(number))


def _name(names: Mapping[int, str], number: int) -> str:
    return "" if number == UNKNOWN else names.get(number, str(number))


@dataclass(frozen=True)
class ImageSet:
    """The images of one split in sorted path order.

    Attributes:
        root: folder that the paths are relative to.
        paths: N paths with `/`, sorted.
        identities: int64 [N], `UNKNOWN` where there is none.
        cameras: int64 [N], `UNKNOWN` where there is none.
        contents: N SHA-256 of the files, "" where none is recorded; or an empty tuple.
        upright: whether EXIF orientation is applied when they are decoded.
        hint: the hint of errors about broken files.
        names: the user's names of identities, cameras and tracks.
        tracks: int64 [N], `UNKNOWN` where there is none; None if no image has a track. Tracks of
            two cameras are different tracks, whatever their numbers.
        times: float64 [N], frame number or seconds on the clock of the camera, `UNKNOWN` where
            there is none; None if no image has a track.
    """

    root: Path
    paths: tuple[str, ...]
    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]
    contents: tuple[str, ...] = ()
    upright: bool = False
    hint: str = "replace or remove these files, then prepare the data set again"
    names: Names = field(default_factory=Names)
    tracks: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def files(self) -> list[Path]:
        """The N image files."""
        return [self.root / path for path in self.paths]

    @property
    def has_identities(self) -> bool:
        """Whether every image has an identity."""
        return len(self) > 0 and bool((self.identities != UNKNOWN).all())

    @property
    def has_cameras(self) -> bool:
        """Whether every image has a camera."""
        return len(self) > 0 and bool((self.cameras != UNKNOWN).all())


@dataclass(frozen=True)
class Manifest:
    """A prepared data set.

    Attributes:
        name: the name that other commands find it by.
        layout: the layout it was read from (`market`, `msmt17`, ..., `folder`, `synthetic`).
        root: folder that the images' paths are relative to.
        images: every image, sorted by split and path whatever the order given.
        notes: how many files were left out or kept on purpose, by reason.
        contents: SHA-256 (hexadecimal) of each image's file by path, as it was when checked.
        names: the user's names of identities, cameras and tracks; not part of the digest.
    """

    name: str
    layout: str
    root: Path
    images: tuple[Image, ...]
    notes: dict[str, int]
    contents: Mapping[str, str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)

    def __post_init__(self) -> None:
        order = {split: place for place, split in enumerate(Split)}
        images = sorted(self.images, key=lambda image: (order[image.split], portable(image.path)))
        object.__setattr__(self, "images", tuple(images))
        if self.layout in ONE_BASED_LAYOUTS:
            known = sorted({image.camera for image in images} - {UNKNOWN})
            cameras = {camera: str(camera + 1) for camera in known}
            object.__setattr__(self, "names", replace(self.names, cameras=cameras))

    def split(self, split: Split) -> ImageSet:
        """Return the images of one split."""
        images = [image for image in self.images if image.split == split]
        tracks = times = None
        if any(image.track != UNKNOWN for image in images):
            tracks = np.array([i.track for i in images], dtype=np.int64)
            times = np.array([i.time for i in images], dtype=np.float64)
        return ImageSet(
            root=self.root,
            paths=tuple(i.path for i in images),
            identities=np.array([i.identity for i in images], dtype=np.int64),
            cameras=np.array([i.camera for i in images], dtype=np.int64),
            contents=tuple(self.contents.get(i.path, "") for i in images),
            upright=self.upright,
            names=self.names,
            tracks=tracks,
            times=times,
        )

    @property
    def paths(self) -> list[str]:
        """The path of every image, in the order of `images`."""
        return [image.path for image in self.images]

    @property
    def upright(self) -> bool:
        """Whether EXIF orientation is applied when the images are decoded."""
        return self.layout in UPRIGHT_LAYOUTS

    @property
    def can_evaluate(self) -> bool:
        """Whether all queries have an identity and all test images a camera.

        Gallery images without identity are distractors: they match no query.
        """
        query, gallery = self.split(Split.QUERY), self.split(Split.GALLERY)
        known = query.has_identities and query.has_cameras and gallery.has_cameras
        return known and bool((gallery.identities != UNKNOWN).any())

    @property
    def has_tracks(self) -> bool:
        """Whether any image has a track or a time."""
        return any((image.track, image.time) != (UNKNOWN, UNKNOWN) for image in self.images)

    @property
    def digest(self) -> str:
        """SHA-256 over every line of the manifest."""
        return hashlib.sha256("\n".join(self._rows()).encode()).hexdigest()

    def _rows(self) -> Iterator[str]:
        extra = self.has_tracks
        for split, path, identity, camera, track, time in self.images:
            row = [split, portable(path), identity, camera, self.contents.get(path, "")]
            yield json.dumps([*row, track, int(time) if time % 1 == 0 else time] if extra else row)

    def save(self, folder: Path) -> Path:
        """Write `manifest.json` into `folder` (created if need be) and return its path."""
        path = folder / FILE_NAME
        root = os.path.relpath(self.root.resolve(), folder.resolve())
        names, columns = self.names, ["split", "path", "identity", "camera", "sha256"]
        named = {"identity": names.identities, "camera": names.cameras}
        if self.has_tracks:
            named["track"] = names.tracks
            columns += ["track", "time"]
        head = {
            "format": WITH_TRACKS if self.has_tracks else FORMAT,
            "name": self.name,
            "layout": self.layout,
            "root": portable(root),
            "digest": self.digest,
            "notes": self.notes,
            "names": named,
            "columns": columns,
        }
        rows = ",\n".join(self._rows())
        write_text(path, json.dumps(head, indent=1)[:-2] + f',\n "images": [\n{rows}\n]}}\n')
        return path

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a manifest; a damaged, altered or outdated one raises `DataError`."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            version = document["format"]
            if version not in READABLE:
                newer = isinstance(version, int) and version > READABLE[-1]
                message = f"`{path}`: manifest format {version}, this pplr reads {READABLE[-1]}"
                raise DataError(message, "upgrade pplr" if newer else ANEW)
            manifest = cls._parse(document, path.parent)
            recorded = document["digest"]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"`{path}`: not a data set manifest ({error!r})", ANEW) from error
        if recorded != manifest.digest:
            raise DataError(f"`{path}`: its lines do not match the recorded digest", ANEW)
        return manifest

    @classmethod
    def _parse(cls, document: Any, folder: Path) -> "Manifest":
        images, contents = [], {}
        for split, path, identity, camera, content, *track in document["images"]:
            _check_row(path, identity, camera, *track)
            image = Image(Split(split), native(path), identity, camera, *track)
            images.append(image)
            if content:
                contents[image.path] = str(content)
        root = (folder / native(document["root"])).resolve()
        notes = {str(reason): int(count) for reason, count in document["notes"].items()}
        given = document.get("names", {"identity": {}, "camera": {}})
        names = Names(*({int(n): str(s) for n, s in names.items()} for names in given.values()))
        name, layout = document["name"], document["layout"]
        if not (isinstance(name, str) and isinstance(layout, str)):
            raise TypeError(f"name {name!r}, layout {layout!r}")
        return cls(name, layout, root, tuple(images), notes, contents, names)


def _check_row(
    path: Any, identity: Any, camera: Any, track: Any = UNKNOWN, time: Any = UNKNOWN
) -> None:
    """Refuse paths that leave the root, and numbers that are none or do not fit."""
    if path.startswith("/") or "/../" in f"/{path}/" or "\0" in path:
        raise ValueError(f"path {path!r}")
    if type(time) not in (int, float) or not UNKNOWN <= time < LARGEST:
        raise ValueError(f"time {time!r}")
    for number in (identity, camera, track):
        if type(number) is not int or not UNKNOWN <= number < LARGEST:
            raise ValueError(f"number {number!r}")
