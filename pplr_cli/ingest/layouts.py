"""How the public releases of the data sets lie on disk, as descriptions.

`trees.py` reads a tree by such a description, `library.py` finds and checks one. Rules of names,
junk and cameras are those of the official PPLR loaders; counts are the published ones.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pplr_cli.data.manifest import Split


@dataclass(frozen=True)
class Published:
    """Published counts of one split; several where releases differ, empty where none is known."""

    images: tuple[int, ...] = ()
    identities: tuple[int, ...] = ()
    cameras: tuple[int, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where the images of one split lie.

    Attributes:
        split: the split.
        folders: the names that releases give its folder; the first that exists is read.
        lists: text files beside the folder that name its images, one a line; where there are
            none, every image directly in the folder counts.
    """

    split: Split
    folders: tuple[str, ...]
    lists: tuple[str, ...] = ()


@dataclass(frozen=True)
class NameRule:
    """What an image's file name says.

    Attributes:
        pattern: of the start of the file name; groups `identity` and `camera`.
        example: a name that follows the rule.
        first_camera: the camera number that is stored as 0; None stores it as it stands.
        cameras: camera numbers that may occur, as they stand in the name; None = any.
        identities: identities that may occur; None = any.
        junk: the identity of images that are left out.
        distractor: the identity that stands for everybody who is not looked for; kept.
    """

    pattern: re.Pattern[str]
    example: str
    first_camera: int | None = 1
    cameras: range | None = None
    identities: range | None = None
    junk: int | None = -1
    distractor: int | None = 0

    def read(self, name: str) -> tuple[int, int] | None:
        """Return identity and camera as they stand in a file name; None where it does not fit."""
        match = self.pattern.match(name)
        if match is None:
            return None
        identity, camera = int(match["identity"]), int(match["camera"])
        if identity != self.junk and not _holds(self.identities, identity):
            return None
        return (identity, camera) if _holds(self.cameras, camera) else None

    @property
    def ranges(self) -> str:
        """Return which numbers may occur, for people; empty where any may."""
        ranges = {"identities": self.identities, "cameras": self.cameras}
        return "".join(f", {what} {r[0]} to {r[-1]}" for what, r in ranges.items() if r)


def _holds(allowed: range | None, number: int) -> bool:
    return allowed is None or number in allowed


@dataclass(frozen=True)
class Layout:
    """One public data set.

    Attributes:
        name: what `pplr prepare` and `data.name` call it.
        title: what people call it.
        folders: usual names of its root folder, the official one first; archives are usually
            named like one of them.
        sources: where each split lies below the root.
        rule: what file names say.
        published: published counts by split.
        origin: where the data set is to be had.
    """

    name: str
    title: str
    folders: tuple[str, ...]
    sources: tuple[Source, ...]
    rule: NameRule
    published: Mapping[Split, Published]
    origin: str

    @property
    def entries(self) -> tuple[tuple[str, ...], ...]:
        """What the root must hold: for each entry the names that releases give it."""
        folders = [source.folders for source in self.sources]
        lists = [(name,) for source in self.sources for name in source.lists]
        return tuple(dict.fromkeys([*folders, *lists]))

    def expected_tree(self) -> str:
        """Return the tree of the public release, drawn for people."""
        lines = [f"  {self.folders[0]}/"]
        for names in self.entries:
            slash = "" if names[0].endswith(".txt") else "/"
            lines.append("    " + " or ".join(f"{name}{slash}" for name in names))
        return "\n".join(lines)


_IDENTITY_AND_CAMERA = re.compile(r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{1,9})(?!\d)", re.ASCII)
"""How Market-1501 names its images, and those who followed it."""
_VERI = re.compile(r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{3})(?!\d)", re.ASCII)

_MARKET_SOURCES = (
    Source(Split.TRAIN, ("bounding_box_train",)),
    Source(Split.QUERY, ("query",)),
    Source(Split.GALLERY, ("bounding_box_test",)),
)

MARKET = Layout(
    name="market",
    title="Market-1501",
    folders=("Market-1501-v15.09.15", "Market-1501", "Market1501"),
    sources=_MARKET_SOURCES,
    rule=NameRule(
        pattern=_IDENTITY_AND_CAMERA,
        example="0002_c1s1_000451_03.jpg",
        cameras=range(1, 7),
        identities=range(1502),
    ),
    published={
        Split.TRAIN: Published((12936,), (751,), (6,)),
        Split.QUERY: Published((3368,), (750,)),
        Split.GALLERY: Published((15913,)),
    },
    origin="https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",
)

_MSMT17_TRAIN = ("train", "mask_train_v2")
_MSMT17_TEST = ("test", "mask_test_v2")

MSMT17 = Layout(
    name="msmt17",
    title="MSMT17",
    folders=("MSMT17_V1", "MSMT17_V2", "MSMT17"),
    sources=(
        Source(Split.TRAIN, _MSMT17_TRAIN, ("list_train.txt", "list_val.txt")),
        Source(Split.QUERY, _MSMT17_TEST, ("list_query.txt",)),
        Source(Split.GALLERY, _MSMT17_TEST, ("list_gallery.txt",)),
    ),
    rule=NameRule(
        pattern=re.compile(r"(?P<identity>\d{1,9})_\d+_(?P<camera>\d{1,9})(?!\d)", re.ASCII),
        example="0000_000_01_0303morning_0015_0.jpg",
        first_camera=None,
        junk=None,
        distractor=None,
    ),
    published={
        Split.TRAIN: Published((32621,), (1041,), (15,)),
        Split.QUERY: Published((11659,), (3060,)),
        Split.GALLERY: Published((82161,), (3060,)),
    },
    origin="https://www.pkuvmc.com/dataset.html (on request)",
)

VERI = Layout(
    name="veri",
    title="VeRi-776",
    folders=("VeRi", "VeRi-776", "VeRi776", "VeRi_with_plate"),
    sources=(
        Source(Split.TRAIN, ("image_train",)),
        Source(Split.QUERY, ("image_query",)),
        Source(Split.GALLERY, ("image_test",)),
    ),
    rule=NameRule(
        pattern=_VERI,
        example="0001_c001_00016450_0.jpg",
        cameras=range(1, 21),
        identities=range(777),
    ),
    published={
        # Some releases lack one vehicle of the training split.
        Split.TRAIN: Published((37778, 37746), (576, 575), (20,)),
        Split.QUERY: Published((1678,), (200,)),
        Split.GALLERY: Published((11579,), (200,)),
    },
    origin="https://vehiclereid.github.io/VeRi/ (on request)",
)

DUKE = Layout(
    name="duke",
    title="DukeMTMC-reID",
    folders=("DukeMTMC-reID", "DukeMTMCreID", "DukeMTMC"),
    sources=_MARKET_SOURCES,
    rule=NameRule(
        pattern=_IDENTITY_AND_CAMERA,
        example="0001_c2_f0046182.jpg",
        cameras=range(1, 9),
    ),
    published={
        Split.TRAIN: Published((16522,), (702,), (8,)),
        Split.QUERY: Published((2228,)),
        Split.GALLERY: Published((17661,)),
    },
    origin="no official page any more (its authors withdrew it); use a copy that you may use",
)

LAYOUTS: Mapping[str, Layout] = {each.name: each for each in (MARKET, MSMT17, VERI, DUKE)}
"""The public data sets by name."""

FOLDER = "folder"
"""Layout name of a plain folder of crops (`crops.py`)."""

SYNTHETIC = "synthetic"
"""Layout name of the data set that pplr draws itself (`synthetic`)."""

MOT = "mot"
"""Layout name of video sequences with boxes (`mot.py`)."""

KNOWN = (*LAYOUTS, FOLDER, MOT, SYNTHETIC)
"""Every layout name."""
