"""`pplr doctor`."""

import hashlib
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import pplr_cli
from pplr_cli.commands.doctor import doctor
from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.weights.catalogue import everything
from pplr_cli.weights.digest import write_record

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


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))


def table(out: str) -> dict[str, str]:
    """The rows of the table, by their first column."""
    rows = (re.split(r"  +", line, maxsplit=1) for line in out.splitlines())
    return {row[0]: row[-1] for row in rows}


def test_shows_versions_devices_and_data_sets(data_dir: Path) -> None:
    code, out, err = pplr_doctor("--data-dir", str(data_dir))
    assert (code, err) == (0, "")
    rows = table(out)
    assert rows["packages.torch"] == version("torch")
    found = {key: rows[f"data_sets.street.{key}"] for key in ("problem", "train", "query", "root")}
    images = data_dir.parent / "images"
    assert found == {"problem": "none", "train": "3", "query": "1", "root": str(images)}
    assert rows["data_dir"] == str(data_dir)
    assert "environment.PPLR_DATA_DIR" in rows
    assert rows["downloads"] == "none"
    assert "problems" not in out


def test_json_is_one_document(data_dir: Path) -> None:
    code, out, _ = pplr_doctor("--data-dir", str(data_dir), "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["data_sets"] == {
        "street": {
            "problem": None,
            "root": str(data_dir.parent / "images"),
            "digest": Manifest.load(data_dir / "street" / "manifest.json").digest,
            "train": 3,
            "query": 1,
            "gallery": 0,
            "images_checked": False,
        }
    }
    assert facts["downloads"] == {}
    assert facts["problems"] == []


def test_an_absent_folder_is_no_problem(data_dir: Path) -> None:
    code, out, _ = pplr_doctor("--data-dir", str(data_dir / "none"))
    assert (code, table(out)["data_sets"]) == (0, "none")


def test_absent_images_are_a_problem(data_dir: Path) -> None:
    (data_dir.parent / "images").rmdir()
    code, out, err = pplr_doctor("--data-dir", str(data_dir))
    assert code == 1
    what = f"its images are gone from `{data_dir.parent / 'images'}`"
    assert what in table(out)["data_sets.street.problem"]
    assert what in err
    assert "hint: " in err


@pytest.mark.parametrize("damage", ["format", "digest"])
def test_damaged_manifest_is_a_problem_and_the_rest_is_shown(data_dir: Path, damage: str) -> None:
    path = data_dir / "street" / "manifest.json"
    text = path.read_text()
    path.write_text("{}" if damage == "format" else text.replace('"q.jpg"', '"r.jpg"'))
    code, out, err = pplr_doctor("--data-dir", str(data_dir))
    assert code == 1
    assert str(path) in table(out)["data_sets.street.problem"]
    assert err.startswith(f"error: `{path}`: ")
    assert "cache_dir" in table(out)


def test_weights_are_held_to_their_digests(data_dir: Path) -> None:
    content = b"weights"
    for name in ("market", "veri", "resnet50"):
        target = everything()[name].target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    market, resnet = everything()["market"].target, everything()["resnet50"].target
    write_record(market)
    code, out, err = pplr_doctor("--data-dir", str(data_dir))
    rows = table(out)
    assert code == 1
    assert (rows["downloads.market.weights"], rows["downloads.market.checked"]) == (
        str(market),
        "True",
    )
    assert rows["downloads.veri.checked"] == "False"
    sha = hashlib.sha256(content).hexdigest()
    problem = f"`{resnet}`: wrong content: SHA-256 is {sha}, expected 0676ba61..."
    assert rows["downloads.resnet50.problem"] == problem
    assert err == (
        f"error: {problem}\nhint: fetch it again: `pplr download-weights resnet50 --force`\n"
    )
    facts = json.loads(pplr_doctor("--data-dir", str(data_dir), "--json")[1])
    assert facts["downloads"] == {
        "market": {"problem": None, "weights": str(market), "checked": True},
        "veri": {"problem": None, "weights": str(everything()["veri"].target), "checked": False},
        "resnet50": {"problem": problem, "weights": str(resnet), "checked": False},
    }
    assert [each["message"] for each in facts["problems"]] == [problem]


def test_file_that_cannot_be_read_is_a_problem_and_the_rest_is_shown(data_dir: Path) -> None:
    target = everything()["resnet50"].target
    target.parent.mkdir(parents=True)
    target.symlink_to("/proc/self/mem")  # opens, and fails when it is read
    code, out, err = pplr_doctor("--data-dir", str(data_dir))
    assert code == 1
    assert table(out)["downloads.resnet50.problem"] == f"`{target}`: Input/output error"
    assert err.startswith(f"error: `{target}`: Input/output error\nhint: ")


def test_nothing_is_prepared(tmp_path: Path) -> None:
    (tmp_path / "market" / "manifest.json").mkdir(parents=True)
    code, out, _ = pplr_doctor("--data-dir", str(tmp_path))
    assert (code, "data_sets.market" in out) == (0, False)


@pytest.mark.parametrize(
    ("package", "error"),
    [
        ("torchvision", "operator torchvision::nms does not exist"),
        ("torch", "libcudart.so.12: cannot open shared object file"),
        ("PIL", "libjpeg.so.8: cannot open shared object file"),
    ],
)
def test_broken_packages_are_problems(tmp_path: Path, package: str, error: str) -> None:
    """Such as torch and torchvision of different releases."""
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").write_text(f"raise RuntimeError({error!r})")
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
    assert f"error: `import {package}` fails: {error}\nhint: " in done.stderr
    assert "Traceback" not in done.stderr
    rows = table(done.stdout)
    assert "packages.torch" in rows
    assert rows["downloads"] == "none"
