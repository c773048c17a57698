"""`pplr doctor`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import pplr_cli
from pplr_cli.commands.doctor import doctor
from pplr_cli.data.manifest import Image, Manifest, Split

SOURCE = Path(pplr_cli.__file__).parents[1]

app = typer.Typer()
app.command()(doctor)


def pplr_doctor(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with one data set, `street`."""
    images = [Image(Split.TRAIN, f"{i}.jpg", i, 0) for i in range(3)]
    images += [Image(Split.QUERY, "q.jpg", 9, 0)]
    root = tmp_path / "images"
    root.mkdir()
    folder = tmp_path / "data"
    Manifest("street", "folder", root, tuple(images), {}).save(folder / "street")
    return folder


def test_shows_versions_devices_and_data_sets(data_dir: Path) -> None:
    code, out, err = pplr_doctor("--data-dir", str(data_dir))
    assert (code, err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["torch"].strip()
    assert "3 train, 1 query, 0 gallery" in out
    assert "data set street" in out
    assert str(data_dir) in out
    assert "PPLR_DATA_DIR" in out


def test_json_is_one_document(data_dir: Path) -> None:
    code, out, _ = pplr_doctor("--data-dir", str(data_dir), "--json")
    facts = json.loads(out)
    assert code == 0
    street = facts["data_sets"]["street"]
    assert (street["train"], street["query"], street["gallery"], street["there"]) == (3, 1, 0, True)
    assert facts["problems"] == []


def test_absent_folders_and_images_are_said(data_dir: Path) -> None:
    _, out, _ = pplr_doctor("--data-dir", str(data_dir / "none"))
    assert "(not there yet)" in out
    (data_dir.parent / "images").rmdir()
    _, out, _ = pplr_doctor("--data-dir", str(data_dir))
    assert f"images gone from {data_dir.parent / 'images'}" in out


def test_damaged_manifest_is_an_error(data_dir: Path) -> None:
    (data_dir / "street" / "manifest.json").write_text("{}")
    code, out, err = pplr_doctor("--data-dir", str(data_dir))
    assert code == 1
    assert "data set street" not in out
    assert err.startswith(f"error: `{data_dir / 'street' / 'manifest.json'}`: ")


def test_torchvision_of_another_release(tmp_path: Path) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    raising = "raise RuntimeError('operator torchvision::nms does not exist')"
    (package / "__init__.py").write_text(raising)
    program = (
        "import typer; from pplr_cli.commands.doctor import doctor; "
        "app = typer.Typer(); app.command()(doctor); app()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(SOURCE)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: `import torchvision` fails: operator torchvision::nms does not exist\nhint: "
    )
    assert "Traceback" not in done.stderr
    assert "torch " in done.stdout
