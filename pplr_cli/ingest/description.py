"""How the release of a public data set is described: its splits, lists and file names."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pplr_cli.data.images import UNKNOWN, Split

Counts = tuple[int, ...]
"""A published count: several if releases differ, empty if unknown."""


@dataclass(frozen=True)
class Part:
    """One split of a public data set, with its published counts."""

    split: Split
    folders: tuple[str, ...]  # the names of its folders, or globs; the first that fits is read
    lists: tuple[str, ...] = ()  # files that name its images by line; else: all in the folders
    images: Counts = ()
    identities: Counts = ()
    cameras: Counts = ()
    chosen: bool | None = field(default=None, kw_only=True)  # of images that two parts share


@dataclass(frozen=True)
class NameRule:
    """How image files are named."""

    pattern: str  # of the start of the name; groups `identity`, `camera` and `track`
    example: str
    first_camera: int = 1  # stored as 0
    cameras: range | None = None  # valid numbers, as in the name; None = any
    identities: range | None = None
    junk: int | None = -1  # the identity of images that are left out
    distractor: int | None = 0  # the identity of all people who are no query; kept
    of_line: bool = False  # whether the pattern is one of lines of lists instead of names

    def read(self, name: str) -> tuple[int, int] | None:
        """Return identity and camera as in a name or line; None if it does not follow the rule."""
        match = re.match(self.pattern, name, re.ASCII)
        if match is None:
            return None
        identity, camera = int(match["identity"]), int(match.groupdict().get("camera", UNKNOWN))
        known = identity == self.junk or self.identities is None or identity in self.identities
        return (identity, camera) if known and camera in (self.cameras or (camera,)) else None

    def track(self, name: str) -> int:
        """Return the track as in a file name, numbered by identity; `UNKNOWN` if it has none."""
        match = re.match(self.pattern, name, re.ASCII)
        if match is None or "track" not in match.groupdict():
            return UNKNOWN
        return int(match["identity"] + match["track"])

    @property
    def ranges(self) -> str:
        """The valid numbers, for people; empty if any are."""
        ranges = {"identities": self.identities, "cameras": self.cameras}
        return "".join(f", {what} {r[0]} to {r[-1]}" for what, r in ranges.items() if r)


@dataclass(frozen=True)
class Layout:
    """One public data set."""

    name: str  # in `pplr prepare` and `data.name`
    title: str
    folders: tuple[str, ...]  # usual names of its root and of archives, the official one first
    parts: tuple[Part, ...]
    rule: NameRule
    origin: str  # where to get it
    others: tuple["Layout", ...] = ()  # arrangements of the same images in common use
    cameras: str | None = None  # lines `<line of a list>;<camera>;...`, joined to those of lists
    tracklets: tuple[str, ...] = ()  # the files that name the query images of `chosen.py`

    @property
    def entries(self) -> tuple[tuple[str, ...], ...]:
        """The entries of the root, each with the names that releases give it."""
        folders = [part.folders for part in self.parts]
        lists = [(name,) for part in self.parts for name in part.lists]
        lists += [(name,) for name in (*self.tracklets, self.cameras) if name]
        return tuple(dict.fromkeys([*folders, *lists]))

    def expected_tree(self) -> str:
        """Return the tree of the public release, drawn for people."""
        lines = [f"  {self.folders[0]}/"]
        for names in self.entries:
            slash = "" if is_list(names[0]) else "/"
            lines.append("    " + " or ".join(f"{name}{slash}" for name in names))
        return "\n".join(lines)


def is_list(name: str) -> bool:
    """Return whether an entry of a root is a file."""
    return PurePosixPath(name).suffix in (".txt", ".mat")
