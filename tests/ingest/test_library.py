import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pplr_cli.data.decode import Fault
from pplr_cli.data.images import Image, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.layouts import LAYOUTS, MARKET, VERI
from pplr_cli.ingest.library import (
    check,
    find_dataset,
    find_unprepared,
    open_dataset,
    prepare,
    prepared_names,
)
from pplr_cli.ingest.request import PrepareRequest, crops_command
from pplr_cli.progress import Silent

Plant = Callable[[Path, Iterable[str]], Path]

MARKET_TREE = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "bounding_box_test/0001_c2s1_001051_00.jpg",
]


@pytest.fixture
def partial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small trees pass for whole data sets."""
    monkeypatch.setattr("pplr_cli.ingest.counts.LAYOUTS", {})


def draw_two(root: Path, *, seed: int, reporter: object, plant: Plant) -> list[Image]:
    paths = [f"train/{seed}_{i}.jpg" for i in range(2)]
    plant(root, paths)
    return [Image(Split.TRAIN, path, 0, 0) for path in paths]


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    """Let the synthetic data set be two images."""
    monkeypatch.setattr(
        "pplr_cli.synthetic.make", lambda root, **given: draw_two(root, **given, plant=plant)
    )


@pytest.mark.usefixtures("partial")
@pytest.mark.parametrize(
    "place", ["Market-1501-v15.09.15", "market", "market1501/Market-1501-v15.09.15"]
)
def test_an_unprepared_data_set_is_prepared_when_it_is_opened(
    tmp_path: Path, plant: Plant, place: str
) -> None:
    plant(tmp_path / place, MARKET_TREE)
    manifest = open_dataset("market", tmp_path, Silent())
    assert manifest.root == tmp_path / place
    assert (tmp_path / "market" / "manifest.json").is_file()
    assert open_dataset("market", tmp_path, Silent()) == manifest
    assert prepared_names(tmp_path) == ["market"]


@pytest.mark.usefixtures("small_world")
def test_the_demo_is_drawn_when_it_is_absent(tmp_path: Path) -> None:
    manifest = open_dataset("demo", tmp_path, Silent())
    assert (manifest.name, manifest.layout) == ("demo", "synthetic")
    assert manifest.root == tmp_path / "demo" / "images"
    assert all(file.is_file() for file in manifest.split(Split.TRAIN).files)
    times = [file.stat().st_mtime_ns for file in manifest.split(Split.TRAIN).files]
    again = open_dataset("demo", tmp_path, Silent())
    assert [file.stat().st_mtime_ns for file in again.split(Split.TRAIN).files] == times


@pytest.mark.parametrize("name", ["market", "msmt17", "veri", "duke"])
def test_an_absent_data_set_says_where_it_is_to_be_had(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    with pytest.raises(DataError, match=f"{layout.title} is not there") as caught:
        open_dataset(name, tmp_path / "none", Silent())
    hint = caught.value.hint or ""
    assert layout.origin in hint
    assert f"`{tmp_path / 'none'}`" in hint
    assert f"pplr prepare {name} SOURCE" in hint
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("small_world")
def test_an_unknown_name_lists_what_is_prepared(tmp_path: Path) -> None:
    open_dataset("demo", tmp_path, Silent())
    with pytest.raises(DataError, match="`crops`: no such data set") as caught:
        open_dataset("crops", tmp_path, Silent())
    first, second = (caught.value.hint or "").splitlines()
    assert first == "prepared data sets: `demo`"
    assert f"`{crops_command('NAME', tmp_path)}`" in second
    with pytest.raises(DataError) as caught:
        find_dataset("crops", tmp_path, "pplr train --data NAME")
    first, second = (caught.value.hint or "").splitlines()
    assert first == "prepared data sets: `demo`: `pplr train --data NAME`"
    assert second.endswith(", then `pplr train --data NAME`")
    with pytest.raises(DataError, match="no such data set") as caught:
        find_dataset("crops", tmp_path / "empty", "pplr train --data NAME")
    assert (caught.value.hint or "").startswith("prepared data sets: none\nyour own crops")


@pytest.mark.usefixtures("partial")
def test_a_data_set_whose_images_are_gone(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "tree", MARKET_TREE)
    prepare(PrepareRequest("market", [source], tmp_path / "data", link=True), Silent())
    source.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="images are gone"):
        open_dataset("market", tmp_path / "data", Silent())


@pytest.mark.usefixtures("partial")
def test_a_check_finds_what_is_not_as_it_was(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "tree", MARKET_TREE)
    prepare(PrepareRequest("market", [source], tmp_path / "data", "small"), Silent())
    manifest, faults = check("small", tmp_path / "data", Silent())
    assert manifest.name == "small"
    assert faults == []
    assert open_dataset("small", tmp_path / "data", Silent(), verify=True) == manifest
    (manifest.root / MARKET_TREE[1]).unlink()
    open_dataset("small", tmp_path / "data", Silent())
    with pytest.raises(DataError, match=f"{MARKET_TREE[1]}: no such file"):
        open_dataset("small", tmp_path / "data", Silent(), verify=True)
    assert check("small", tmp_path / "data", Silent())[1] == [Fault(MARKET_TREE[1], "no such file")]


@pytest.mark.usefixtures("partial")
def test_a_data_set_moves_with_its_folder(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "tree", MARKET_TREE)
    prepare(PrepareRequest("market", [source], tmp_path / "data"), Silent())
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    shutil.rmtree(source)
    manifest, faults = check("market", tmp_path / "elsewhere", Silent())
    assert faults == []
    assert manifest.root == tmp_path / "elsewhere" / "market" / "images"


def test_a_check_of_what_is_not_prepared(tmp_path: Path) -> None:
    for name in ("market", "demo", "shop"):
        with pytest.raises(DataError, match=f"`{name}`: no such data set"):
            check(name, tmp_path, Silent())
    assert not list(tmp_path.iterdir())


def test_usual_names_are_found_whole_folders_first(tmp_path: Path, plant: Plant) -> None:
    assert find_unprepared(MARKET, tmp_path / "none") is None
    plant(tmp_path, ["other.zip", "VeRi/readme.txt", "market/readme.txt"])
    assert find_unprepared(MARKET, tmp_path) == tmp_path / "market"
    plant(tmp_path, ["market-1501-V15.09.15.ZIP"])
    assert find_unprepared(MARKET, tmp_path) == tmp_path / "market-1501-V15.09.15.ZIP"
    plant(tmp_path / "market1501", MARKET_TREE)
    assert find_unprepared(MARKET, tmp_path) == tmp_path / "market1501"
    assert find_unprepared(VERI, tmp_path) == tmp_path / "VeRi"


def test_a_folder_of_crops_needs_a_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a SOURCE"):
        prepare(PrepareRequest("folder", (), tmp_path), Silent())
