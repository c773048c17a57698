"""Descriptions of the public data sets as they are released.

`trees.py` reads a tree by such a description, `library.py` finds one. Rules of names, junk and
cameras are those of the official PPLR loaders; counts are the published ones.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pplr_cli.data.manifest import Split

Counts = tuple[int, ...]
"""A published count: several if releases differ, empty if unknown."""


@dataclass(frozen=True)
class Part:
    """One split of a public data set, with its published counts."""

    split: Split
    folders: tuple[str, ...]  # the names that releases give it; the first that exists is read
    lists: tuple[str, ...] = ()  # files that name its images by line; else: all in the folder
    images: Counts = ()
    identities: Counts = ()
    cameras: Counts = ()


@dataclass(frozen=True)
class NameRule:
    """How image files are named."""

    pattern: str  # of the start of the name; groups `identity` and `camera`
    example: str
    first_camera: int = 1  # stored as 0
    cameras: range | None = None  # valid numbers, as in the name; None = any
    identities: range | None = None
    junk: int | None = -1  # the identity of images that are left out
    distractor: int | None = 0  # the identity of all people who are no query; kept

    def read(self, name: str) -> tuple[int, int] | None:
        """Return identity and camera as in a file name; None if it does not follow the rule."""
        match = re.match(self.pattern, name, re.ASCII)
        if match is None:
            return None
        identity, camera = int(match["identity"]), int(match["camera"])
        known = identity == self.junk or self.identities is None or identity in self.identities
        return (identity, camera) if known and camera in (self.cameras or (camera,)) else None

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

    @property
    def entries(self) -> tuple[tuple[str, ...], ...]:
        """The entries of the root, each with the names that releases give it."""
        folders = [part.folders for part in self.parts]
        lists = [(name,) for part in self.parts for name in part.lists]
        return tuple(dict.fromkeys([*folders, *lists]))

    def expected_tree(self) -> str:
        """Return the tree of the public release, drawn for people."""
        lines = [f"  {self.folders[0]}/"]
        for names in self.entries:
            slash = "" if names[0].endswith(".txt") else "/"
            lines.append("    " + " or ".join(f"{name}{slash}" for name in names))
        return "\n".join(lines)


_MARKET_NAMES = r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{1,9})(?!\d)"
_VERI_NAMES = r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{3})(?!\d)"
_MSMT17_NAMES = r"(?P<identity>\d{1,9})_\d+_(?P<camera>\d{1,9})(?!\d)"

MARKET = Layout(
    name="market",
    title="Market-1501",
    folders=("Market-1501-v15.09.15", "Market-1501", "Market1501"),
    parts=(
        Part(Split.TRAIN, ("bounding_box_train",), (), (12936,), (751,), (6,)),
        Part(Split.QUERY, ("query",), (), (3368,), (750,)),
        Part(Split.GALLERY, ("bounding_box_test",), (), (15913,)),
    ),
    rule=NameRule(
        _MARKET_NAMES, "0002_c1s1_000451_03.jpg", cameras=range(1, 7), identities=range(1502)
    ),
    origin="https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",
)

_MSMT17_TRAIN = ("train", "mask_train_v2")
_MSMT17_TEST = ("test", "mask_test_v2")

MSMT17 = Layout(
    name="msmt17",
    title="MSMT17",
    folders=("MSMT17_V1", "MSMT17_V2", "MSMT17"),
    parts=(
        Part(
            Split.TRAIN, _MSMT17_TRAIN, ("list_train.txt", "list_val.txt"), (32621,), (1041,), (15,)
        ),
        Part(Split.QUERY, _MSMT17_TEST, ("list_query.txt",), (11659,), (3060,)),
        Part(Split.GALLERY, _MSMT17_TEST, ("list_gallery.txt",), (82161,), (3060,)),
    ),
    rule=NameRule(
        _MSMT17_NAMES,
        "0000_000_01_0303morning_0015_0.jpg",
        first_camera=0,
        junk=None,
        distractor=None,
    ),
    origin="https://www.pkuvmc.com/dataset.html (on request)",
)

VERI = Layout(
    name="veri",
    title="VeRi-776",
    folders=("VeRi", "VeRi-776", "VeRi776", "VeRi_with_plate"),
    parts=(
        # Some releases lack one vehicle of the training split.
        Part(Split.TRAIN, ("image_train",), (), (37778, 37746), (576, 575), (20,)),
        Part(Split.QUERY, ("image_query",), (), (1678,), (200,)),
        Part(Split.GALLERY, ("image_test",), (), (11579,), (200,)),
    ),
    rule=NameRule(
        _VERI_NAMES, "0001_c001_00016450_0.jpg", cameras=range(1, 21), identities=range(777)
    ),
    origin="https://vehiclereid.github.io/VeRi/ (on request)",
)

DUKE = Layout(
    name="duke",
    title="DukeMTMC-reID",
    folders=("DukeMTMC-reID", "DukeMTMCreID", "DukeMTMC"),
    parts=(
        Part(Split.TRAIN, ("bounding_box_train",), (), (16522,), (702,), (8,)),
        Part(Split.QUERY, ("query",), (), (2228,)),
        Part(Split.GALLERY, ("bounding_box_test",), (), (17661,)),
    ),
    rule=NameRule(_MARKET_NAMES, "0001_c2_f0046182.jpg", cameras=range(1, 9)),
    origin="no official page any more (its authors withdrew it); use a copy that you may use",
)

LAYOUTS: Mapping[str, Layout] = {each.name: each for each in (MARKET, MSMT17, VERI, DUKE)}
"""The public data sets by name."""
FOLDER = "folder"
"""Layout of a plain folder of crops (`crops.py`)."""
SYNTHETIC = "synthetic"
"""Layout of the data set that pplr draws (`synthetic`)."""
MOT = "mot"
"""Layout of video sequences with boxes (`mot.py`)."""
KNOWN = (*LAYOUTS, FOLDER, MOT, SYNTHETIC)
"""Every layout."""
