"""`pplr presets`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pplr_cli.commands.presets import app
from pplr_cli.config import presets
from pplr_cli.errors import UsageError


def pplr_presets(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_list_has_a_row_for_each_preset() -> None:
    header, *rows = pplr_presets("list").splitlines()
    assert header.split()[:3] == ["name", "data", "set"]
    assert [row.split()[0] for row in rows] == presets.names()
    row = rows[presets.names().index("msmt17")].split()
    assert " ".join(row) == "msmt17 msmt17 384 x 128 resnet50 0.5 0.6 64 50 x 400"
    assert max(map(len, [header, *rows])) <= 100


def test_list_as_json() -> None:
    documents = {d["preset"]: d for d in json.loads(pplr_presets("list", "--json"))["presets"]}
    assert sorted(documents) == presets.names()
    assert documents["msmt17"]["camera"] == {
        "clustering": {"eps": 0.6},
        "loss": {"camera_weight": 1.0},
    }


def test_shown_preset_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "saved.yaml"
    path.write_text(pplr_presets("show", "msmt17", "--set", "optim.epochs=3"))
    assert presets.resolve(str(path), "train").optim.epochs == 3
    assert presets.resolve(str(path), "train-cam").clustering.eps == 0.6


def test_camera_mode_is_resolved(tmp_path: Path) -> None:
    shown = pplr_presets("show", "msmt17", "--camera")
    assert "camera:" not in shown
    path = tmp_path / "saved.yaml"
    path.write_text(shown)
    assert presets.resolve(str(path), "train").clustering.eps == 0.6


def test_show_as_json() -> None:
    plain = presets.resolve("market", "train").document()
    camera = presets.resolve("market", "train-cam").document()
    shown = json.loads(pplr_presets("show", "market", "--json"))
    assert (shown["preset"], shown["settings"]) == ("market", plain)
    assert shown["camera"] == {"clustering": {"eps": 0.4}}
    applied = json.loads(pplr_presets("show", "market", "--json", "--camera"))
    assert (applied["settings"], applied["camera"]) == (camera, {})


def test_copy_is_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pplr_presets("copy", "market") == "market.yaml\n"
    assert Path("market.yaml").read_bytes() == presets.find("market").read_bytes()
    assert pplr_presets("copy", "./market.yaml", "mine.yml") == "mine.yml\n"
    Path("folder").mkdir()
    assert pplr_presets("copy", "veri", "folder") == "folder/veri.yaml\n"


def test_copy_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("market.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"`market\.yaml`: the file exists already"):
        pplr_presets("copy", "market")
    assert Path("market.yaml").read_text() == "mine"
    pplr_presets("copy", "market", "--overwrite")
    assert "Market" in Path("market.yaml").read_text()


def test_copy_wants_a_name_that_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a preset file name"):
        pplr_presets("copy", "market", str(tmp_path / "mine"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["show", "copy"])
def test_unknown_preset(command: str) -> None:
    with pytest.raises(UsageError, match="`markt`: no such preset"):
        pplr_presets(command, "markt")
