"""Ranked results as pictures: what stands where, framed how."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.errors import DataError
from pplr_cli.report import ranked
from pplr_cli.report.ranked import GAP, HEADING, TITLE, WIDE_GAP, Match, Result, draw_ranked

HEIGHT, WIDTH = 40, 20
BLUE, VERMILION = (0, 114, 178), (213, 94, 0)
LIME = (0, 255, 0)


@pytest.fixture
def crop(tmp_path: Path) -> Path:
    path = tmp_path / "crop.png"
    Picture.new("RGB", (WIDTH, HEIGHT), LIME).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Picture.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def left(rank: int) -> int:
    """The first column of the image at a rank, counted from 0."""
    return GAP + WIDTH + WIDE_GAP + rank * (WIDTH + GAP)


def share(image: np.ndarray, colour: tuple[int, int, int], row: int, column: int) -> float:
    """Which share of the pixels just left of an image, along its height, has a colour."""
    strip = image[row : row + HEIGHT, column - 2]
    return float((np.abs(strip - colour).max(1) < 40).mean())


def test_right_is_a_solid_blue_frame_and_wrong_a_dashed_vermilion_one(crop, tmp_path):
    matches = [Match(crop, 0.1, True), Match(crop, 0.2, False), Match(crop, 0.3)]
    result = Result(crop, "query", matches)
    draw_ranked([result], tmp_path / "r.png", height=HEIGHT)
    image = pixels(tmp_path / "r.png")
    assert share(image, BLUE, HEADING, left(0)) > 0.95
    assert 0.3 < share(image, VERMILION, HEADING, left(1)) < 0.9
    assert share(image, (136, 136, 136), HEADING, left(2)) > 0.95
    middle = HEADING + HEIGHT // 2
    for column in (GAP, left(0), left(1), left(2)):
        assert (image[middle, column + WIDTH // 2] == LIME).all()


def test_marks_tell_right_from_wrong_without_colour(crop, tmp_path):
    """In grey, the captions of a right and of a wrong match of one distance differ."""
    for name, right in (("a", True), ("b", False)):
        result = Result(crop, "", [Match(crop, 0.1, right)])
        draw_ranked([result], tmp_path / f"{name}.png", height=HEIGHT)
    below = slice(HEADING + HEIGHT + 4, None)
    a, b = (pixels(tmp_path / f"{name}.png")[below].min(2) < 160 for name in "ab")
    assert a.any()
    assert (a != b).any()


def test_rows_stand_below_each_other_and_may_be_short(crop, tmp_path):
    results = [
        Result(crop, "one", [Match(crop, 0.1, True)] * 3),
        Result(crop, "two", [Match(crop, 0.1, True)]),
    ]
    draw_ranked(results, tmp_path / "r.png", "Title", height=HEIGHT)
    image = pixels(tmp_path / "r.png")
    height = (len(image) - TITLE) // 2
    second = TITLE + height + HEADING
    assert share(image, BLUE, second, left(0)) > 0.95
    assert (image[second : second + HEIGHT, left(1) - 4 : left(1) + WIDTH] == 255).all()


def test_odd_names_are_written_as_they_are(crop, tmp_path):
    for number, name in enumerate(("a$x$b_{.jpg", "\udcff.jpg", "\u4e00.jpg", "x\ny")):
        draw_ranked([Result(crop, name, [])], tmp_path / f"{number}.png", height=HEIGHT)
        assert (tmp_path / f"{number}.png").is_file()


def test_images_are_turned_where_the_network_saw_them_turned(tmp_path):
    """A crop that is lime above and blue below, stored upside down with the EXIF note of it."""
    picture = Picture.new("RGB", (WIDTH, HEIGHT), "blue")
    picture.paste(LIME, (0, HEIGHT // 2, WIDTH, HEIGHT))
    exif = Picture.Exif()
    exif[0x0112] = 3
    path = tmp_path / "turned.png"
    picture.save(path, exif=exif)
    for upright, expected in ((True, LIME), (False, (0, 0, 255))):
        draw_ranked([Result(path, "", [])], tmp_path / "r.png", height=HEIGHT, upright=upright)
        assert tuple(pixels(tmp_path / "r.png")[HEADING + 5, GAP + 5]) == expected


def test_the_first_right_match_stands_apart_with_its_rank(crop, tmp_path, monkeypatch):
    lines: list[str] = []
    write = ranked._write
    monkeypatch.setattr(
        ranked, "_write", lambda *args, **more: lines.append(args[3]) or write(*args, **more)
    )
    wrong, right = (
        Match(crop, 0.1, False, "camera 2"),
        Match(crop, 0.75, True, "camera north gate 3"),
    )
    results = [
        Result(crop, "q", [wrong, wrong], "camera 1", (1057, right)),
        Result(crop, "r", [wrong]),
    ]
    draw_ranked(results, tmp_path / "r.png", height=HEIGHT)
    assert lines[1:4] == ["q", "query", "camera 1"]
    assert lines[-7:-4] != lines
    assert [line for line in lines if "0.75" in line or "north" in line or "rank" in line] == [
        "\N{CHECK MARK} 0.75", "camera north\N{HORIZONTAL ELLIPSIS}", "rank 1,057",
    ]  # fmt: skip
    image = pixels(tmp_path / "r.png")
    assert share(image, BLUE, HEADING, left(2) + WIDE_GAP - GAP) > 0.95
    assert image.shape[1] == left(3) + WIDE_GAP - GAP


def test_a_pdf_for_papers(crop, tmp_path):
    draw_ranked([Result(crop, "", [Match(crop, 0.1, True)])], tmp_path / "r.pdf", height=HEIGHT)
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF-")


def test_a_broken_image_is_named(crop, tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png`: empty"):
        draw_ranked([Result(crop, "", [Match(tmp_path / "empty.png", 0)])], tmp_path / "r.png")
    assert not (tmp_path / "r.png").exists()
