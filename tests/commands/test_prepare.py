import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pplr_cli.commands.prepare import prepare
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.request import CAMERA_FOLDERS

Plant = Callable[[Path, Iterable[str]], Path]

TREE = [
    "VeRi/image_train/0001_c001_00016450_0.jpg",
    "VeRi/image_train/0001_c020_00016460_0.jpg",
    "VeRi/image_train/Thumbs.db",
    "VeRi/image_query/0002_c002_00030600_0.jpg",
    "VeRi/image_test/0002_c005_00030670_1.jpg",
]


def run(*arguments: str | Path) -> Result:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(prepare)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_it_ends_with_a_table_the_manifest_and_the_next_command(
    tmp_path: Path, plant: Plant
) -> None:
    source, data = plant(tmp_path / "tree", TREE), tmp_path / "data"
    result = run("veri", source, "--data-dir", data, "--allow-partial")
    assert result.exit_code == 0, result.exception
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines == [
        "split images published identities published cameras published",
        "train 2 37,778 or 37,746 1 576 or 575 2 20",
        "query 1 1,678 1 200 1 -",
        "gallery 1 11,579 1 200 1 -",
        "other files left out: 1",
        f"manifest: {data / 'veri/manifest.json'}",
        f"picture: {data / 'veri/people.png'}",
    ]
    assert f"next: `pplr train --preset veri --data-dir {data}`" in result.stderr
    assert "warning:" in result.stderr

    again = run("veri", "--data-dir", data, "--allow-partial")
    assert again.stdout == result.stdout
    assert "is prepared already" in again.stderr


def test_json_is_one_document_on_stdout(tmp_path: Path, plant: Plant) -> None:
    source, data = plant(tmp_path / "tree", TREE), tmp_path / "data"
    result = run("veri", source, "--data-dir", data, "--allow-partial", "--json", "--name", "small")
    document = json.loads(result.stdout)
    assert document["data"] == "small"
    assert document["layout"] == "veri"
    assert document["manifest"] == str(data / "small/manifest.json")
    assert document["splits"]["train"]["images"] == {"count": 2, "published": [37778, 37746]}
    assert document["splits"]["gallery"]["cameras"] == {"count": 1, "published": []}
    assert document["notes"] == {"other files left out": 1}
    assert "query: 1 images, published 1,678" in document["warnings"]
    assert document["next"] == f"pplr train --preset veri --data small --data-dir {data}"


def test_a_plain_folder_shows_no_published_counts(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PPLR_DATA_DIR", str(tmp_path / "data"))
    plant(tmp_path / "crops", ["hall/amy_1.jpg", "yard/amy_2.jpg", "yard/zoe_1.jpg"])
    pattern = r"(?P<camera>\w+)/(?P<identity>[a-z]+)_"
    result = run("folder", tmp_path / "crops", "--name", "home", "--pattern", pattern)
    assert result.exit_code == 0, result.exception
    assert [line.split() for line in result.stdout.splitlines()[:2]] == [
        ["split", "images", "identities", "cameras"],
        ["train", "3", "2", "2"],
    ]
    assert "next: `pplr train-cam --preset crops --data home`" in result.stderr
    assert "no cameras" not in result.stderr
    bare = run("folder", tmp_path / "crops", "--name", "bare")
    assert "no cameras: `--update --pattern '^(?P<camera>[^/]+)/'` takes them" in bare.stderr
    more = ("--name", "bare", "--update", "--pattern", CAMERA_FOLDERS)
    assert "next: `pplr train-cam" in run("folder", tmp_path / "crops", *more).stderr


def test_a_table_of_labels_and_a_list_of_what_was_skipped(tmp_path: Path, plant: Plant) -> None:
    plant(tmp_path / "crops", ["a.jpg", "b.jpg", "q.jpg", "g.jpg"])
    (tmp_path / "crops/b.jpg").write_bytes(b"")
    table = tmp_path / "labels.csv"
    rows = [
        "path,camera,identity,split",
        "a.jpg,1,,",
        "b.jpg,1,,",
        "q.jpg,1,7,query",
        "g.jpg,2,7,gallery",
    ]
    table.write_text("\n".join(rows))
    arguments = ("folder", tmp_path / "crops", "--csv", table, "--data-dir", tmp_path / "data")
    failed = run(*arguments)
    assert isinstance(failed.exception, DataError)
    again = f"--csv {table} --data-dir {tmp_path / 'data'} --skip-bad`"
    assert (failed.exception.hint or "").endswith(again)
    document = json.loads(run(*arguments, "--skip-bad", "--json").stdout)
    assert document["skipped"] == 1
    assert document["faults"] == [{"path": "b.jpg", "reason": "empty"}]
    assert document["notes"] == {"unusable images left out (--skip-bad)": 1}
    counts = {split: held["images"]["count"] for split, held in document["splits"].items()}
    assert counts == {"train": 1, "query": 1, "gallery": 1}


def test_a_check_passes_or_names_what_differs(tmp_path: Path, plant: Plant) -> None:
    source, data = plant(tmp_path / "crops", ["a.jpg", "b.jpg", "c.jpg"]), tmp_path / "data"
    run("folder", source, "--name", "shop", "--data-dir", data)
    whole = run("shop", "--check", "--data-dir", data)
    assert whole.exit_code == 0
    assert whole.stdout == "shop: all 3 images are unchanged\n"
    document = json.loads(run("shop", "--check", "--data-dir", data, "--json").stdout)
    assert (document["intact"], document["faults"]) == (True, [])
    assert document["splits"]["train"]["images"] == {"count": 3, "published": []}

    (data / "shop/images/a.jpg").unlink()
    (data / "shop/images/c.jpg").write_bytes((source / "a.jpg").read_bytes())
    broken = run("shop", "--check", "--data-dir", data)
    assert isinstance(broken.exception, DataError)
    assert "2 of 3 images are not as they were" in broken.exception.message
    assert "a.jpg: no such file\n  c.jpg: changed since" in broken.exception.message
    assert broken.stdout == ""
    told = run("shop", "--check", "--data-dir", data, "--json")
    assert isinstance(told.exception, DataError)
    document = json.loads(told.stdout)
    assert document["intact"] is False
    assert document["faults"] == [
        {"path": "a.jpg", "reason": "no such file"},
        {"path": "c.jpg", "reason": "changed since the data set was prepared"},
    ]


@pytest.mark.parametrize("option", ["--link", "--skip-bad", "--allow-partial"])
def test_a_check_takes_no_options_of_preparing(tmp_path: Path, option: str) -> None:
    result = run("shop", "--check", option, "--data-dir", tmp_path)
    assert isinstance(result.exception, UsageError)


def test_an_ascii_locale_prepares_and_checks_any_name(tmp_path: Path, plant: Plant) -> None:
    names = ("é ü.jpg".encode(), b"\xff.jpg", b"new\nline.jpg")
    crops = plant(tmp_path / "crops", map(os.fsdecode, names))
    (crops / os.fsdecode(names[1])).write_bytes(b"")
    ascii_locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable, "-m", "pplr_cli", "prepare"]
    data = ["--data-dir", str(tmp_path / "data")]

    def call(*more: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, **ascii_locale}
        return subprocess.run([*words, *more, *data], env=environment, capture_output=True)

    done = call("folder", str(crops), "--skip-bad")
    assert done.returncode == 0, done.stderr
    assert b"\\udcff.jpg: empty" in done.stderr
    assert (tmp_path / "data/folder.bad.txt").read_bytes() == b"\xff.jpg\tempty\n"
    assert call("folder", "--check").stdout == b"folder: all 2 images are unchanged\n"
    checked = run("folder", "--check", *data)
    assert checked.exit_code == 0, checked.exception


def test_failures_reach_the_table_of_errors(tmp_path: Path, plant: Plant) -> None:
    unknown = run("markt", "--data-dir", tmp_path)
    assert isinstance(unknown.exception, UsageError)
    assert "did you mean `market`" in (unknown.exception.hint or "")
    counts = run("veri", plant(tmp_path / "tree", TREE), "--data-dir", tmp_path / "data")
    assert isinstance(counts.exception, DataError)
    assert counts.stdout == ""


def test_the_command_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, pplr_cli.commands.prepare\n"
        "heavy = {'torch', 'PIL', 'pplr_cli.ingest.library'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_data_set_without_training_images_is_evaluated_next(tmp_path: Path, plant: Plant) -> None:
    source = plant(tmp_path / "crops", ["query/1_c1.jpg", "gallery/1_c2.jpg"])
    pattern = r"(?P<split>\w+)/(?P<identity>\d+)_c(?P<camera>\d)"
    done = run("folder", source, "--pattern", pattern, "--data-dir", tmp_path / "data")
    assert done.exit_code == 0
    assert "next: `pplr evaluate --weights FILE --data folder --data-dir" in done.stderr
