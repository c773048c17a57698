"""`docs/own-data.md`, followed step by step: its commands and its table."""

import csv
import shlex
from pathlib import Path

import pytest

from pplr_cli.data.manifest import Split
from pplr_cli.progress import Silent
from pplr_cli.synthetic import world
from tests.docs.pages import blocks, follow

PAGE = "own-data.md"


def draw_crops(folder: Path) -> list[str]:
    """Draw crops in the layout of the page; return table rows that label the test images."""
    settings = world.World(
        stream=9, train_people=8, test_people=4, cameras=3, visits=(3, 3), shots=(4, 4),
        height=32, width=16,
    )  # fmt: skip
    lines = []
    for number, image in enumerate(world.make(folder, settings, seed=0, reporter=Silent())):
        camera = ("entrance", "hall", "yard/2026-05-01")[image.camera]
        target = folder / camera / f"{number:05d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / image.path).rename(target)
        person = "" if image.split == Split.TRAIN else f"person {image.identity}"
        lines.append(f"{camera}/{target.name},{camera.split('/')[0]},{person},{image.split}")
    return lines


def test_the_page_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PPLR_DATA_DIR", raising=False)
    lines = draw_crops(tmp_path / "crops")
    (table,) = blocks(PAGE, "csv")
    (tmp_path / "labels.csv").write_text("\n".join([table.splitlines()[0], *lines]) + "\n")
    commands = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    assert {shlex.split(command)[1] for command in commands} == {
        "prepare", "train", "train-cam", "labels", "evaluate",
    }  # fmt: skip
    for command in commands:
        assert follow(command) == 0, command
    said = capsys.readouterr().out
    assert "shop: all 144 images are unchanged" in said
    assert "weights: runs/market-shop-train/last.pth" in said
    assert "weights: runs/labelled/best.pth" in said

    with (tmp_path / "clusters.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert {row["path"] for row in listed} == {line.split(",")[0] for line in lines}
    assert {int(row["pseudo_identity"]) for row in listed} - {-1}


def test_the_tables_of_the_page_are_what_prepare_reads(tmp_path: Path) -> None:
    from pplr_cli.ingest.table import read_table

    (table,) = blocks(PAGE, "csv")
    (tmp_path / "labels.csv").write_text(table)
    paths = [line.split(",")[0] for line in table.splitlines()[1:]]
    assert list(read_table(tmp_path / "labels.csv", tmp_path, paths)) == paths
