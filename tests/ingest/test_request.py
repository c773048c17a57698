import shlex
from pathlib import Path

import pytest

from pplr_cli.errors import UsageError
from pplr_cli.ingest.crops import compile_pattern
from pplr_cli.ingest.request import CAMERA_FOLDERS, PrepareRequest, crops_command


@pytest.mark.parametrize(
    ("layout", "options", "match"),
    [
        ("markt", {}, "no such layout"),
        ("market", {"pattern": "(?P<camera>.)"}, "layout `folder` only"),
        ("market", {"link": True}, "needs a SOURCE"),
        ("folder", {"pattern": "(?P<camera>.)"}, "needs a SOURCE"),
        ("folder", {"pattern": "(", "sources": [Path("x")]}, "no regular expression"),
        ("market", {"skip": "x"}, "`--skip` goes with the layout `folder` only"),
        ("folder", {"skip": "(", "sources": [Path("x")]}, "`--skip`: no regular expression"),
        ("folder", {"split_names": "a=b", "sources": [Path("x")]}, "`a=b` names no split"),
        ("market", {"table": Path("x")}, "`--csv` needs a SOURCE"),
        ("folder", {"table": Path("x")}, "`--csv` needs a SOURCE"),
        (
            "folder",
            {"table": Path("x"), "pattern": "(?P<camera>.)", "sources": [Path("x")]},
            "do the same",
        ),
        ("market", {"name": "../up"}, "not a name"),
        ("market", {"name": ".hidden"}, "not a name"),
        ("market", {"name": ""}, "not a name"),
        ("synthetic", {"sources": [Path("x")]}, "takes no SOURCE"),
    ],
)
def test_options_that_do_not_go_together(
    layout: str, options: dict[str, object], match: str
) -> None:
    given = {"sources": (), **options}
    with pytest.raises(UsageError, match=match) as caught:
        PrepareRequest(layout, data_dir=Path("data"), **given)  # type: ignore[arg-type]
    assert caught.value.hint


def test_a_prepared_name_in_the_place_of_the_layout(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "manifest.json").touch()
    with pytest.raises(UsageError, match="`shop`: no such layout") as caught:
        PrepareRequest("shop", (), tmp_path)
    assert "`pplr prepare shop --check`" in (caught.value.hint or "")


def test_the_name_of_the_drawn_data_set_in_the_place_of_the_layout(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`demo`: no such layout") as caught:
        PrepareRequest("demo", (), tmp_path)
    assert caught.value.hint == "`pplr prepare synthetic` draws the data set of that name"


def test_a_folder_in_the_place_of_the_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my crops").mkdir()
    with pytest.raises(UsageError, match="`my crops`: no such layout") as caught:
        PrepareRequest("my crops", (), tmp_path / "data", "shop")
    assert caught.value.hint == "did you mean `pplr prepare folder 'my crops'`?"


def test_the_folder_has_the_name_of_the_data_set() -> None:
    assert PrepareRequest("veri", (), Path("data")).folder == Path("data/veri")
    assert PrepareRequest("veri", (), Path("data"), "cars").folder == Path("data/cars")
    assert PrepareRequest("synthetic", (), Path("data")).folder == Path("data/demo")


def test_the_command_is_the_whole_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PPLR_DATA_DIR", raising=False)
    assert PrepareRequest("veri", (), Path("data")).command() == "pplr prepare veri"
    request = PrepareRequest(
        "folder",
        [Path("my crops")],
        Path("far"),
        "x",
        link=True,
        pattern=r"(?P<camera>\d)",
        skip_bad=True,
    )
    assert shlex.split(request.command("--allow-partial")) == [
        *("pplr", "prepare", "folder", "my crops", "--name", "x", "--link"),
        *("--pattern", r"(?P<camera>\d)", "--skip-bad", "--data-dir", "far", "--allow-partial"),
    ]
    parts = PrepareRequest("msmt17", [Path("1.zip"), Path("2.zip")], Path("data"))
    assert parts.command("--skip-bad") == "pplr prepare msmt17 1.zip 2.zip --skip-bad"
    table = PrepareRequest("folder", [Path("x")], Path("data"), table=Path("l.csv"))
    assert table.command() == "pplr prepare folder x --csv l.csv"


def test_the_list_of_broken_images_stands_beside_the_folder() -> None:
    request = PrepareRequest("veri", (), Path("data"), "cars")
    assert request.fault_list == Path("data/cars.bad.txt")


def test_the_command_for_own_crops_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_DATA_DIR", str(tmp_path))
    assert crops_command("NAME", tmp_path) == (
        f"pplr prepare folder CROPS --name NAME --pattern '{CAMERA_FOLDERS}'"
    )
    words = shlex.split(crops_command("shop", tmp_path / "other", "--update"))
    assert words[-3:] == ["--data-dir", str(tmp_path / "other"), "--update"]
    found = compile_pattern(CAMERA_FOLDERS).search("hall/0001.jpg")
    assert found is not None
    assert found["camera"] == "hall"
