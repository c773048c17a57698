"""Sources: what is accepted, and how a folder is read."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pplr_cli.data.images import Image, Names, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.ingest.sources import check_sources, read_source
from pplr_cli.progress import Silent
from tests.shared_reporter import Recorder

Plant = Callable[[Path, Iterable[str]], Path]

MARKET = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "bounding_box_test/0001_c2s1_001051_00.jpg",
]


def test_sources_that_are_refused(tmp_path: Path) -> None:
    def check(*sources: Path, layout: str = "market", **options: Any) -> None:
        check_sources(PrepareRequest(layout, sources, tmp_path / "data", **options), sources)

    folder, archive, pipe = tmp_path / "tree", tmp_path / "x.zip", tmp_path / "pipe"
    folder.mkdir()
    archive.touch()
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="neither a file nor a folder"):
        check(pipe)
    with pytest.raises(DataError, match="no such file or folder"):
        check(tmp_path / "gone")
    with pytest.raises(UsageError, match="`--link` goes with a folder, not an archive"):
        check(archive, link=True)
    for sources in ([folder, archive], [archive, folder]):
        with pytest.raises(UsageError, match="several sources must all be archives"):
            check(*sources)
    with pytest.raises(DataError, match="not a folder"):
        check(archive, layout="mot")
    check(archive, archive)
    check(folder, folder, layout="mot")


def test_a_public_data_set_is_read_from_its_root(tmp_path: Path, plant: Plant) -> None:
    root = plant(tmp_path / "Market", MARKET)
    for source, news in ((tmp_path, 0), (root, 0), (root / "query", 1)):
        request, reporter = PrepareRequest("market", [source], tmp_path / "data"), Recorder()
        found, reading = read_source(request, source, Names(), reporter)
        assert found == root
        assert {image.path for image in reading.images} == set(MARKET)
        assert len(reporter.news) == news
    (tmp_path / "empty").mkdir()
    request = PrepareRequest("market", [tmp_path / "empty"], tmp_path / "data")
    with pytest.raises(DataError, match="`bounding_box_train`"):
        read_source(request, tmp_path / "empty", Names(), Silent())


def test_crops_are_read_by_pattern_with_the_numbers_that_are_kept(
    tmp_path: Path, plant: Plant
) -> None:
    crops = plant(tmp_path / "crops", ["hall/1.jpg", "yard/2.jpg", "yard/skipped.jpg"])
    options: Any = {"pattern": "^(?P<camera>[^/]+)/", "skip": "skipped"}
    request = PrepareRequest("folder", [crops], tmp_path / "data", **options)
    root, reading = read_source(request, crops, Names(cameras={0: "yard"}), Silent())
    assert root == crops
    assert sorted(reading.images) == [
        Image(Split.TRAIN, "hall/1.jpg", camera=1),
        Image(Split.TRAIN, "yard/2.jpg", camera=0),
    ]
