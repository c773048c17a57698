"""`pplr review`, and `pplr labels --answers`, on a run of their own."""

import csv
import re
import shutil
from pathlib import Path

import pytest

from pplr_cli.app import run
from tests.conftest import Done


@pytest.fixture
def folder(done: Done, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done.folder, tmp_path / "run"))


def answers_about(done: Done, folder: Path) -> Path:
    file, paths = folder / "given.csv", done.images.paths
    lines = [f"{paths[0]},{paths[40]},same", f"{paths[0]},{paths[80]},different"]
    file.write_text("\n".join(["path_a,path_b,answer", *lines, ""]))
    return file


def test_the_page_of_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", str(folder), "--pairs", "7", "--clusters", "2"]) == 0
    out = capsys.readouterr().out
    assert f"review: {folder / 'review.html'}" in out
    counted = r"^7 pairs, 2 of \d clusters \(computed anew with last\.pth\), \d+\.\d kB$"
    assert re.search(counted, out, re.MULTILINE)
    page = (folder / "review.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", page.replace("src=\"' + ", ""))
    assert run(["review", str(folder)]) == 0  # its own page is written again


def test_another_file_is_replaced_on_request_only(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    words = ["review", str(folder), "--output", str(page)]
    assert run(words) == 2
    assert page.read_text() == "mine"
    assert run([*words, "--overwrite"]) == 0


def test_known_answers_are_on_the_page(done: Done, folder: Path, tmp_path: Path) -> None:
    file = answers_about(done, tmp_path)
    assert run(["review", str(folder), "--answers", str(file)]) == 0
    page = (folder / "review.html").read_text()
    assert f'["{done.images.paths[0]}", "{done.images.paths[40]}", "same", 0, 40]' in page
    shutil.copy(file, folder / "answers-used.csv")
    assert run(["review", str(folder)]) == 0
    assert (folder / "review.html").read_text() == page


def test_labels_with_answers(
    done: Done, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, table = answers_about(done, tmp_path), tmp_path / "labels.csv"
    words = ["labels", str(folder), "--answers", str(file), "--csv", str(table)]
    assert run(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("clustered anew with `last.pth` and 2 answers: 96 images")
    with table.open() as opened:
        found = {row["path"]: row["pseudo_identity"] for row in csv.DictReader(opened)}
    one, same, different = (found[done.images.paths[n]] for n in (0, 40, 80))
    assert one == same != "-1"
    assert one != different
    assert run([*words, "--epoch", "1", "--overwrite"]) == 2


def test_a_folder_without_weights(tmp_path: Path) -> None:
    assert run(["review", str(tmp_path)]) == 2
