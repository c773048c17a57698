"""Descriptions of the public data sets as they are released.

`trees.py` reads a tree by such a description, `library.py` finds one. Rules of names, junk and
cameras are those of the official PPLR loaders; counts are the published ones.
"""

from collections.abc import Mapping
from dataclasses import replace

from pplr_cli.data.images import Split
from pplr_cli.ingest.description import Counts, Layout, NameRule, Part


def _three(
    train: str, query: str, gallery: str, counts: tuple[tuple[Counts, ...], ...] = ((), (), ())
) -> tuple[Part, ...]:
    """Return the parts with these folders, and counts of images, identities and cameras."""
    names = zip(Split, (train, query, gallery), counts, strict=True)
    return tuple(Part(split, (folder,), (), *count) for split, folder, count in names)


_BOXES = ("bounding_box_train", "query", "bounding_box_test")
_MARKET_NAMES = r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{1,9})(?!\d)"
_VERI_NAMES = r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{3})(?!\d)"
_MSMT17_NAMES = r"(?P<identity>\d{1,9})_\d+_(?P<camera>\d{1,9})(?!\d)"
_MSMT17_BOXES = r"(?P<identity>\d{1,9})_(?:c|\d+_)(?P<camera>\d{1,9})(?!\d)"
_MARS_NAMES = r"(?:00(?=-))?(?P<identity>-1|\d{4})C(?P<camera>\d)T(?P<track>\d{4})F\d{3,9}"

_MARKET = Layout(
    name="market",
    title="Market-1501",
    folders=("Market-1501-v15.09.15", "Market-1501", "Market1501"),
    parts=_three(*_BOXES, (((12936,), (751,), (6,)), ((3368,), (750,)), ((15913,),))),
    rule=NameRule(
        _MARKET_NAMES, "0002_c1s1_000451_03.jpg", cameras=range(1, 7), identities=range(1502)
    ),
    origin="https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",
)
MARKET = replace(
    _MARKET, others=(replace(_MARKET, parts=_three("train_all/*", "query/*", "gallery/*")),)
)

_MSMT17_TRAIN = ("train", "mask_train_v2")
_MSMT17_TEST = ("test", "mask_test_v2")
_MSMT17_RULE = NameRule(
    _MSMT17_NAMES, "0000_000_01_0303morning_0015_0.jpg", 0, junk=None, distractor=None
)

_MSMT17 = Layout(
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
    rule=_MSMT17_RULE,
    origin="https://www.pkuvmc.com/dataset.html (on request)",
)
_MSMT17_IN_BOXES = replace(
    _MSMT17, parts=_three(*_BOXES), rule=replace(_MSMT17_RULE, pattern=_MSMT17_BOXES)
)
MSMT17 = replace(_MSMT17, others=(_MSMT17_IN_BOXES,))

VERI = Layout(
    name="veri",
    title="VeRi-776",
    folders=("VeRi", "VeRi-776", "VeRi776", "VeRi_with_plate"),
    parts=_three(
        "image_train",
        "image_query",
        "image_test",
        # Some releases lack one vehicle of the training split.
        (((37778, 37746), (576, 575), (20,)), ((1678,), (200,)), ((11579,), (200,))),
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
    parts=_three(*_BOXES, (((16522,), (702,), (8,)), ((2228,),), ((17661,),))),
    rule=NameRule(_MARKET_NAMES, "0001_c2_f0046182.jpg", cameras=range(1, 9)),
    origin="no official page any more (its authors withdrew it); use a copy that you may use",
)

CUHK03 = Layout(
    name="cuhk03",
    title="CUHK03-NP",
    folders=("cuhk03-np", "cuhk03_np", "CUHK03"),
    # Boxes are labelled by hand or detected.
    parts=_three(
        *_BOXES, (((7368, 7365), (767,), (2,)), ((1400,), (700,)), ((5328, 5332), (700,)))
    ),
    rule=NameRule(_MARKET_NAMES, "0001_c1_1.png", cameras=range(1, 3)),
    origin="https://github.com/zhunzhong07/person-re-ranking/tree/master/CUHK03-NP",
)

_PERSONX = Layout(
    name="personx",
    title="PersonX",
    folders=("PersonX_v1", "PersonX"),
    # The folders of the backgrounds 4 to 6 have these counts.
    parts=_three(
        "*/bounding_box_train",
        "*/query",
        "*/bounding_box_test",
        (((9840,), (410,), (6,)), ((5136,), (856,)), ((30816,), (856,))),
    ),
    rule=NameRule(_MARKET_NAMES, "0001_c3_1.jpg"),
    origin="https://github.com/sxzrt/Instructions-of-the-PersonX-dataset",
)
PERSONX = replace(_PERSONX, others=(replace(_PERSONX, parts=_three(*_BOXES)),))

_MARS = Layout(
    name="mars",
    title="MARS",
    folders=("MARS", "mars"),
    parts=(
        Part(Split.TRAIN, ("bbox_train/*",), (), (509914,), (625,), (6,)),
        Part(Split.QUERY, ("bbox_test/*",), chosen=True),
        Part(Split.GALLERY, ("bbox_test/*",), chosen=False),
    ),
    rule=NameRule(_MARS_NAMES, "0001C1T0001F001.jpg", cameras=range(1, 7)),
    origin="https://zheng-lab.cecs.anu.edu.au/Project/project_mars.html",
    tracklets=("info/test_name.txt", "info/tracks_test_info.mat", "info/query_IDX.mat"),
)
MARS = replace(_MARS, others=(replace(_MARS, parts=_MARS.parts[:1], tracklets=()),))

_LISTS = "train_test_split"


def _vehicleid(size: int) -> Layout:
    tested = (f"{_LISTS}/test_list_{size}.txt",)
    return Layout(
        name="vehicleid" if size == 800 else f"vehicleid-{size}",
        title="VehicleID",
        folders=("VehicleID_V1.0", "VehicleID"),
        parts=(
            Part(Split.TRAIN, ("image",), (f"{_LISTS}/train_list.txt",), (113346,), (13164,)),
            Part(Split.QUERY, ("image",), tested, (), (size,), chosen=False),
            Part(Split.GALLERY, ("image",), tested, (size,), (size,), chosen=True),
        ),
        rule=NameRule(
            r"\d+ (?P<identity>\d+)$", "0000001 1", 0, None, None, None, None, of_line=True
        ),
        origin="https://www.pkuml.org/resources/pku-vehicleid.html (on request)",
    )


def _veriwild(size: int, gallery: int) -> Layout:
    tested = f"{_LISTS}/test_{size}"
    return Layout(
        name="veriwild" if size == 3000 else f"veriwild-{size}",
        title="VERI-Wild",
        folders=("VERI-Wild", "VeRi-Wild", "VeRiWild"),
        parts=(
            Part(Split.TRAIN, ("images",), (f"{_LISTS}/train_list.txt",), (277797,), (30671,)),
            Part(Split.QUERY, ("images",), (f"{tested}_query.txt",), (size,), (size,)),
            Part(Split.GALLERY, ("images",), (f"{tested}.txt",), (gallery,)),
        ),
        rule=NameRule(
            r"(?P<identity>\d+)/\d+(?:\.jpg)?;(?P<camera>\d+)$",
            "00001/000001;5",
            first_camera=0,
            distractor=None,
            of_line=True,
        ),
        origin="https://github.com/PKU-IMRE/VERI-Wild (on request)",
        cameras=f"{_LISTS}/vehicle_info.txt",
    )


_SIZED = (
    *(_vehicleid(size) for size in (800, 1600, 2400)),
    *map(_veriwild, (3000, 5000, 10000), (38861, 64389, 128517)),
)
VEHICLEID, VERIWILD = _SIZED[0], _SIZED[3]
_ALL = (MARKET, MSMT17, VERI, DUKE, CUHK03, PERSONX, MARS, *_SIZED)
LAYOUTS: Mapping[str, Layout] = {each.name: each for each in _ALL}
"""The public data sets by name."""
FOLDER, MOT, SYNTHETIC = "folder", "mot", "synthetic"
"""Plain crops (`crops.py`), video sequences with boxes (`mot.py`), and people that are drawn."""
KNOWN = (*LAYOUTS, FOLDER, MOT, SYNTHETIC)
"""Every layout."""
