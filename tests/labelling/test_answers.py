from pathlib import Path

import numpy as np
import pytest

from pplr_cli.errors import DataError
from pplr_cli.labelling.answers import read_answers
from pplr_cli.labelling.constraints import Answers
from pplr_cli.progress import Silent
from tests.shared_reporter import Recorder

PATHS = [f"{letter}.jpg" for letter in "abcdef"]
HEADER = "path_a,path_b,answer\n"


def read(
    folder: Path, lines: str, tracks: list[int] | None = None, warnings: Recorder | None = None
) -> Answers:
    file = folder / "answers.csv"
    file.write_text(lines)
    of = None if tracks is None else np.array(tracks)
    return read_answers(file, PATHS, of, warnings or Silent())


def test_read(tmp_path: Path) -> None:
    lines = f"{HEADER}a.jpg,b.jpg,same\nc.jpg,a.jpg,different\nc.jpg,d.jpg,unsure\n"
    found = read(tmp_path, lines)
    assert found.same.tolist() == [[0, 1]]
    assert found.different.tolist() == [[2, 0]]
    assert found.text == lines


def test_a_file_without_answers(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER)
    assert found.same.shape == found.different.shape == (0, 2)


def test_other_images_are_ignored_with_a_warning(tmp_path: Path) -> None:
    warnings = Recorder()
    found = read(tmp_path, f"{HEADER}a.jpg,b.jpg,same\na.jpg,x.jpg,same\n", None, warnings)
    assert len(found.same) == 1
    assert "1 of 2 answers name images that the data set does not have" in warnings.warnings[0]


@pytest.mark.parametrize(
    ("lines", "tracks", "why"),
    [
        ("a.jpg,b.jpg,same\na.jpg,b.jpg,different\n", None, "but line 2 makes"),
        (
            "a.jpg,b.jpg,same\nc.jpg,b.jpg,same\nd.jpg,e.jpg,same\na.jpg,c.jpg,different\n",
            None,
            "answers.csv:5: `a.jpg` and `c.jpg` are different, but lines 2, 3 make them the same",
        ),
        ("a.jpg,b.jpg,different\n", [0, 0, 1, 2, 3, 4], "both are in one track"),
        (
            "a.jpg,c.jpg,same\nd.jpg,b.jpg,different\n",
            [0, 0, 1, 1, 2, 3],
            "answers.csv:3: `d.jpg` and `b.jpg` are different, but line 2 makes",
        ),
        ("a.jpg,a.jpg,different\n", None, "they are one image"),
    ],
)
def test_contradictions_are_listed(
    tmp_path: Path, lines: str, tracks: list[int] | None, why: str
) -> None:
    with pytest.raises(DataError, match="contradict others") as caught:
        read(tmp_path, HEADER + lines, tracks)
    assert why in caught.value.message
    assert "delete the lines" in str(caught.value.hint)


def test_the_shortest_reason_is_named(tmp_path: Path) -> None:
    lines = "a.jpg,b.jpg,same\nb.jpg,c.jpg,same\na.jpg,c.jpg,same\nc.jpg,a.jpg,different\n"
    with pytest.raises(DataError, match="but line 4 makes"):
        read(tmp_path, HEADER + lines)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (f"{HEADER}a.jpg,b.jpg,yes\n", r"answers.csv:2`: the answer is `yes`"),
        ("path,answer\na.jpg,same\n", "answers.csv`: no column `path_a`$"),
        ("path_a,path_b\na.jpg,b.jpg\n", "answers.csv`: no column `answer`$"),
        ("", "answers.csv`: no column `path_a`$"),
        (f"{HEADER}a.jpg\n", r"answers.csv:2`: the answer is ``"),
        (f'{HEADER}"{"a" * 200_000}",b.jpg,same\n', "not a table of answers"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, lines)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file") as caught:
        read_answers(tmp_path / "answers.csv", PATHS, None, Silent())
    assert "pplr review" in str(caught.value.hint)
