"""`docs/own-data.md`, followed step by step: its commands and its table."""

import csv
import glob
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.data.images import Split
from pplr_cli.progress import Silent
from pplr_cli.synthetic import world
from tests.docs.pages import blocks, follow

PAGE = "own-data.md"
CAMERAS = ("entrance", "hall", "yard")


def draw_crops(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Draw crops as a tracker leaves them; return the person of each, and rows of test people."""
    settings = world.World(
        stream=9, train_people=8, test_people=4, cameras=3, visits=(3, 3), shots=(4, 4),
        height=32, width=16,
    )  # fmt: skip
    people, rows = {}, []
    for number, image in enumerate(world.make(folder, settings, seed=0, reporter=Silent())):
        camera = CAMERAS[image.camera]
        path = f"{camera}/{image.identity:03d}{number // 2 % 2}/{number:06d}.jpg"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / image.path).rename(folder / path)
        people[path] = image.identity
        if image.split != Split.TRAIN:
            rows.append(f"{path},{camera},person {image.identity}")
    return people, rows


def draw_videos(folder: Path) -> None:
    """Draw two sequences of 20 frames, with the boxes of two tracks each in `results`."""
    rng = np.random.default_rng(0)
    boxes = [
        f"{frame},{track},{9 + 20 * track},8,16,32,1" for frame in range(1, 21) for track in (1, 2)
    ]
    (folder / "results").mkdir()
    for name in ("entrance", "yard"):
        (folder / "videos" / name / "img1").mkdir(parents=True)
        for frame in range(1, 21):
            pixels = rng.integers(0, 256, (48, 80, 3), np.uint8)
            Picture.fromarray(pixels).save(folder / f"videos/{name}/img1/{frame:06d}.jpg")
        (folder / "results" / f"{name}.txt").write_text("\n".join(boxes))


def expand(command: str) -> str:
    """Return a command with each `*` expanded, as the shell does it."""
    words = [sorted(glob.glob(word)) or [word] for word in shlex.split(command)]  # noqa: PTH207
    return shlex.join(name for names in words for name in names)


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PPLR_DATA_DIR", raising=False)
    people, labelled = draw_crops(tmp_path / "crops")
    draw_videos(tmp_path)
    for path in list(people)[::9]:  # what the tracker finds tomorrow
        target = tmp_path / "today" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "crops" / path, target)
    (tmp_path / "today/hall/0001").mkdir(parents=True, exist_ok=True)
    shutil.copy(tmp_path / "crops" / labelled[0].split(",")[0], tmp_path / "today/hall/0001/1.jpg")
    (table,) = blocks(PAGE, "csv")
    (tmp_path / "labels.csv").write_text("\n".join([table.splitlines()[0], *labelled]) + "\n")
    commands = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    assert {shlex.split(command)[1] for command in commands} == {
        "prepare", "train-cam", "labels", "assign", "search", "embed", "evaluate",
    }  # fmt: skip
    for command in commands:
        assert follow(expand(command)) == 0, command
    said = capsys.readouterr().out
    assert "shop: all 144 images are unchanged" in said
    assert "weights: runs/crops-shop-train-cam/last.pth" in said

    identities = {
        row["path"]: int(row["pseudo_identity"]) for row in rows_of(Path("identities.csv"))
    }
    assert identities.keys() == people.keys()
    tracks: dict[str, set[int]] = {}
    for path, identity in identities.items():
        tracks.setdefault(path.rpartition("/")[0], set()).add(identity)
    assert all(len(found) == 1 for found in tracks.values())
    assert set(identities.values()) - {-1}
    folders = {path.name for path in Path("people").iterdir()} - {"_unlabeled"}
    assert folders == {f"{identity:05d}" for identity in set(identities.values()) - {-1}}

    today = rows_of(Path("today.csv"))
    assert {row["path"] for row in today} == {
        str(path.relative_to("today")) for path in Path("today").rglob("*.jpg")
    }
    assert {row["known"] for row in today} >= {"1"}
    with np.load("today.npz") as features:
        assert len(features["path"]) == len(today)


def test_the_tables_of_the_page_are_what_prepare_reads(tmp_path: Path) -> None:
    from pplr_cli.ingest.table import read_table

    (table,) = blocks(PAGE, "csv")
    (tmp_path / "labels.csv").write_text(table)
    paths = [line.split(",")[0] for line in table.splitlines()[1:]]
    assert list(read_table(tmp_path / "labels.csv", tmp_path, paths)) == paths
