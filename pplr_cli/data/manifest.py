"""The manifest: a readable file that lists the images of a prepared data set.

`<data folder>/<name>/manifest.json` has one line per image (see `COLUMNS`). Paths are relative to
`root`, and `root` to the folder of the manifest: a data set can be moved together with it.
"""

import hashlib
import json
import os.path
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pplr_cli.data.images import SPLITS, UNKNOWN, Image, ImageSet, Names, Split
from pplr_cli.errors import DataError
from pplr_cli.files import native, portable, write_text

FILE_NAME = "manifest.json"
FORMAT = 3
WITH_TRACKS = 4
READABLE = (2, FORMAT, WITH_TRACKS)
"""Format 2 has no names of identities and cameras; only format 4 has tracks and times."""
COLUMNS = ("split", "path", "identity", "camera", "sha256", "track", "time")
LARGEST = 10**18
"""Bound of identities, cameras and tracks, which are stored as int64."""
UPRIGHT_LAYOUTS = frozenset({"folder"})
"""Layouts whose images are turned by their EXIF orientation; published scores are without."""
ONE_BASED_LAYOUTS = frozenset({"market", "duke", "veri", "cuhk03", "personx", "mars", "synthetic"})
"""Layouts that call their cameras 1, 2, ..., stored as 0, 1, ..."""
START, END = ',\n "images": [\n', "\n]}\n"
"""What is before and after the lines of the images in the file."""
ANEW = "move it away and prepare the data set again with `pplr prepare`"


@dataclass(frozen=True)
class Manifest:
    """A prepared data set."""

    name: str  # for other commands
    layout: str  # that it was read from: `market`, ..., `folder`, `synthetic`
    root: Path
    images: tuple[Image, ...]  # sorted by split and path, whatever the order given
    notes: dict[str, int]  # how many files were left out or kept on purpose, by reason
    contents: Mapping[str, str] = field(default_factory=dict)  # SHA-256 by path, as checked
    names: Names = field(default_factory=Names)  # not part of the digest
    _columns: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        order = {split: number for number, split in enumerate(Split)}

        def key(image: Image) -> tuple[int, str]:
            path = image.path
            return order[image.split], path if path.isascii() else portable(path)

        images = sorted(self.images, key=key)
        tracked = any((image.track, image.time) != (UNKNOWN, UNKNOWN) for image in images)
        object.__setattr__(self, "images", tuple(images))
        object.__setattr__(self, "_columns", COLUMNS if tracked else COLUMNS[:5])
        if self.layout in ONE_BASED_LAYOUTS:
            cameras = {n: str(n + 1) for n in sorted({i.camera for i in images} - {UNKNOWN})}
            object.__setattr__(self, "names", replace(self.names, cameras=cameras))

    def split(self, split: Split | None = None) -> ImageSet:
        """Return the images of one split, or all images in the order of `images`."""
        if split not in self._sets:
            self._sets[split] = self._image_set(split)
        return self._sets[split]

    @cached_property
    def _sets(self) -> dict[Split | None, ImageSet]:
        return {}

    def _image_set(self, split: Split | None) -> ImageSet:
        images = [image for image in self.images if split in (None, image.split)]

        def column(name: str, kind: type = np.int64) -> NDArray[Any]:
            return np.fromiter(map(attrgetter(name), images), kind, len(images))

        paths = tuple(image.path for image in images)
        contents = tuple(self.contents.get(path, "") for path in paths)
        labels, tracks = (column("identity"), column("camera")), column("track")
        found = ImageSet(self.root, paths, *labels, contents, self.upright, names=self.names)
        if (tracks == UNKNOWN).all():
            return found
        return replace(found, tracks=tracks, times=column("time", np.float64))

    @property
    def paths(self) -> list[str]:
        """The path of every image, in the order of `images`."""
        return [image.path for image in self.images]

    @property
    def upright(self) -> bool:
        """Whether EXIF orientation is applied when the images are decoded."""
        return self.layout in UPRIGHT_LAYOUTS

    @cached_property
    def can_evaluate(self) -> bool:
        """Whether all queries, and some gallery images, have an identity and then a camera."""
        query, gallery = self.split(Split.QUERY), self.split(Split.GALLERY)
        labelled = gallery.take(np.flatnonzero(gallery.identities != UNKNOWN))
        return query.has_identities and query.has_cameras and labelled.has_cameras

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every line of the manifest."""
        return _digest("\n".join(self._rows()))

    def _rows(self) -> Iterator[str]:
        """Yield each line, as `json.dumps` of a list writes it."""
        text, tracked = json.encoder.encode_basestring_ascii, "track" in self._columns
        for split, path, identity, camera, track, time in self.images:
            content = text(self.contents.get(path, ""))
            row = f'["{split}", {text(portable(path))}, {identity}, {camera}, {content}'
            moment = int(time) if time % 1 == 0 else time
            yield f"{row}, {track}, {moment!r}]" if tracked else f"{row}]"

    def save(self, folder: Path) -> Path:
        """Write `manifest.json` into `folder` (created if need be) and return its path."""
        path, names = folder / FILE_NAME, self.names
        named = {"identity": names.identities, "camera": names.cameras, "track": names.tracks}
        head = {
            "format": WITH_TRACKS if "track" in self._columns else FORMAT,
            "name": self.name,
            "layout": self.layout,
            "root": portable(os.path.relpath(self.root.resolve(), folder.resolve())),
            "digest": self.digest,
            "notes": self.notes,
            "names": named,
            "columns": self._columns,
        }
        images = ",\n".join(self._rows())
        write_text(path, json.dumps(head, indent=1)[:-2] + f"{START}{images}{END}")
        return path

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a manifest; a damaged, altered or outdated one raises `DataError`."""
        try:
            text = path.read_text(encoding="utf-8")
            document = json.loads(text)
            version = document["format"]
            if version not in READABLE:
                message = f"`{path}`: manifest format {version}, this pplr reads {WITH_TRACKS}"
                raise DataError(message, "upgrade pplr" if version > WITH_TRACKS else ANEW)
            manifest, recorded = cls._parse(document, path.parent), document["digest"]
            lines = text.partition(START)[2].removesuffix(END).replace(",\n", "\n")
            if recorded == _digest(lines):  # as written: not every line has to be made again
                vars(manifest)["digest"] = recorded
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"`{path}`: not a data set manifest ({error!r})", ANEW) from error
        if recorded != manifest.digest:
            raise DataError(f"`{path}`: its lines do not match the recorded digest", ANEW)
        return manifest

    @classmethod
    def _parse(cls, document: Any, folder: Path) -> "Manifest":
        images = tuple(_image(*row) for row in document["images"])
        rows = zip(images, document["images"], strict=True)
        contents = {image.path: row[4] for image, row in rows if row[4]}
        root = (folder / native(document["root"])).resolve()
        notes = {str(reason): int(count) for reason, count in document["notes"].items()}
        given = document.get("names", {}).values()
        names = Names(*({int(n): str(s) for n, s in names.items()} for names in given))
        if {type(document["name"]), type(document["layout"])} != {str}:
            raise TypeError("name or layout")
        return cls(document["name"], document["layout"], root, images, notes, contents, names)


def _digest(lines: str) -> str:
    return hashlib.sha256(lines.encode()).hexdigest()


def _image(
    split: str, path: str, identity: int, camera: int, _: str, track: int = -1, time: float = -1
) -> Image:
    """Parse a line; refuse paths that leave the root, and numbers that are none or do not fit."""
    if path[:1] == "/" or (".." in path and "/../" in f"/{path}/") or "\0" in path:
        raise ValueError(f"path {path!r}")
    numbers = (identity, camera, track, time)
    typed = type(identity) is type(camera) is type(track) is int and type(time) in (int, float)
    if not (typed and all(UNKNOWN <= number < LARGEST for number in numbers)):
        raise ValueError(f"numbers {numbers!r}")
    name = path if path.isascii() else native(path)
    return Image(SPLITS[split], name, identity, camera, track, time)
