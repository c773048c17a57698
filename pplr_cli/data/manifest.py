"""The manifest: one readable file that says which images a prepared data set holds.

`<data folder>/<name>/manifest.json` lists every image with its split, identity, camera and the
SHA-256 of its file, one image a line. Paths are relative to `root`, and `root` to the manifest's
own folder, so that the data set can be moved together with it.
"""

import hashlib
import json
import os.path
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.errors import DataError
from pplr_cli.files import native, portable, write_text

FILE_NAME = "manifest.json"
FORMAT = 2
UNKNOWN = -1
"""Identity or camera of an image for which the data set knows none."""
UPRIGHT_LAYOUTS = frozenset({"folder"})
"""Layouts whose images are turned as their EXIF data say; the scores published for the benchmarks
were made without."""
ANEW = "move it away and prepare the data set anew with `pplr prepare`"


class Split(StrEnum):
    """The three parts of a re-identification data set."""

    TRAIN = "train"
    QUERY = "query"
    GALLERY = "gallery"


class Image(NamedTuple):
    """One image: its split, its path below the root (with `/`), identity and camera."""

    split: Split
    path: str
    identity: int = UNKNOWN
    camera: int = UNKNOWN


@dataclass(frozen=True)
class ImageSet:
    """The images of one split in sorted path order.

    Attributes:
        root: folder that the paths are relative to.
        paths: N paths with `/`, sorted.
        identities: int64 [N], `UNKNOWN` where there is none.
        cameras: int64 [N], `UNKNOWN` where there is none.
        contents: N SHA-256 of the files, "" where none is recorded; or none at all.
        upright: whether EXIF rotation is applied when they are decoded.
        hint: the hint where files turn out to be broken.
    """

    root: Path
    paths: tuple[str, ...]
    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]
    contents: tuple[str, ...] = ()
    upright: bool = False
    hint: str = "replace or remove these files, then prepare the data set anew"

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
        name: the name other commands find it by.
        layout: the layout it was read from (`market`, `msmt17`, ..., `folder`, `synthetic`).
        root: folder that the images' paths are relative to.
        images: every image; whatever order they come in, they are kept sorted by split and path.
        notes: counts of what was left out on purpose (junk, ...), by plain-English reason.
        contents: SHA-256 of each image's file (hexadecimal) by path, as it was when checked.
    """

    name: str
    layout: str
    root: Path
    images: tuple[Image, ...]
    notes: dict[str, int]
    contents: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        order = {split: place for place, split in enumerate(Split)}
        images = sorted(self.images, key=lambda image: (order[image.split], portable(image.path)))
        object.__setattr__(self, "images", tuple(images))

    def split(self, split: Split) -> ImageSet:
        """Return the images of one split."""
        images = [image for image in self.images if image.split == split]
        return ImageSet(
            root=self.root,
            paths=tuple(i.path for i in images),
            identities=np.array([i.identity for i in images], dtype=np.int64),
            cameras=np.array([i.camera for i in images], dtype=np.int64),
            contents=tuple(self.contents.get(i.path, "") for i in images),
            upright=self.upright,
        )

    @property
    def paths(self) -> list[str]:
        """The path of every image, in the order of `images`."""
        return [image.path for image in self.images]

    @property
    def upright(self) -> bool:
        """Whether EXIF rotation is applied when the images are decoded."""
        return self.layout in UPRIGHT_LAYOUTS

    @property
    def can_evaluate(self) -> bool:
        """Whether there is a query and a gallery split with identities and cameras."""
        sets = (self.split(Split.QUERY), self.split(Split.GALLERY))
        return all(s.has_identities and s.has_cameras for s in sets)

    @property
    def digest(self) -> str:
        """SHA-256 over every image's split, path, identity, camera and content."""
        return hashlib.sha256("\n".join(self._rows()).encode()).hexdigest()

    def _rows(self) -> Iterator[str]:
        for image in self.images:
            split, path, identity, camera = image
            content = self.contents.get(path, "")
            yield json.dumps([split, portable(path), identity, camera, content])

    def save(self, folder: Path) -> Path:
        """Write `manifest.json` into `folder` (created if need be) and return its path."""
        path = folder / FILE_NAME
        head = {
            "format": FORMAT,
            "name": self.name,
            "layout": self.layout,
            "root": portable(_relative(self.root, folder)),
            "digest": self.digest,
            "notes": self.notes,
            "columns": ["split", "path", "identity", "camera", "sha256"],
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
            if version != FORMAT:
                newer = isinstance(version, int) and version > FORMAT
                message = f"`{path}`: manifest format {version}, this pplr reads {FORMAT}"
                raise DataError(message, "upgrade pplr" if newer else ANEW)
            manifest = cls._parse(document, path.parent)
            recorded = document["digest"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"`{path}`: not a data set manifest ({error})", ANEW) from error
        if recorded != manifest.digest:
            raise DataError(f"`{path}`: its lines do not match the recorded digest", ANEW)
        return manifest

    @classmethod
    def _parse(cls, document: Any, folder: Path) -> "Manifest":
        images, contents = [], {}
        for split, path, identity, camera, content in document["images"]:
            image = Image(Split(split), native(path), int(identity), int(camera))
            images.append(image)
            if content:
                contents[image.path] = str(content)
        root = (folder / native(document["root"])).resolve()
        notes = dict(document["notes"])
        return cls(document["name"], document["layout"], root, tuple(images), notes, contents)


def _relative(root: Path, folder: Path) -> str:
    """Return `root` relative to the manifest's folder."""
    return Path(os.path.relpath(root.resolve(), folder.resolve())).as_posix()
