"""Contact sheets: identities in rows, cameras in columns."""

from pathlib import Path

import pytest
from PIL import ExifTags, ImageDraw
from PIL import Image as Picture

from pplr_cli.data.images import UNKNOWN, Image, Names, Split
from pplr_cli.errors import DataError
from pplr_cli.report.contact_sheet import GAP, HEADER, MARGIN, contact_sheet

COLOURS = {(1, 0): "red", (1, 2): "lime", (2, 2): "blue"}
WIDTH, HEIGHT = 8, 16


@pytest.fixture
def images(tmp_path: Path) -> list[Image]:
    """Two people, one seen by cameras 0 and 2, the other by camera 2 alone."""
    records = []
    for (identity, camera), colour in COLOURS.items():
        path = f"{identity}_{camera}.png"
        Picture.new("RGB", (WIDTH, HEIGHT), colour).save(tmp_path / path)
        records.append(Image(Split.TRAIN, path, identity, camera))
    return records


def corner(row: int, column: int, each: int = 1) -> tuple[int, int]:
    return MARGIN + column * (each * WIDTH + GAP), HEADER + row * (HEIGHT + GAP)


def drawn(sheet: Path, place: tuple[int, int]) -> tuple[int, ...]:
    with Picture.open(sheet) as picture:
        pixel = picture.convert("RGB").getpixel((place[0] + 4, place[1] + 8))
    assert isinstance(pixel, tuple)
    return pixel


def test_rows_are_people_and_columns_are_cameras(images: list[Image], tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    contact_sheet(images, tmp_path, sheet, height=HEIGHT)
    assert drawn(sheet, corner(0, 0)) == (255, 0, 0)
    assert drawn(sheet, corner(0, 1)) == (0, 255, 0)
    assert drawn(sheet, corner(1, 0)) == (255, 255, 255)
    assert drawn(sheet, corner(1, 1)) == (0, 0, 255)


def test_people_seen_by_most_cameras_come_first(images: list[Image], tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    swapped = [image._replace(identity=3 - image.identity) for image in images]
    contact_sheet(swapped, tmp_path, sheet, people=1, height=HEIGHT)
    assert drawn(sheet, corner(0, 0)) == (255, 0, 0)
    with Picture.open(sheet) as picture:
        assert picture.height == HEADER + HEIGHT + GAP


def test_several_crops_of_a_person_stand_side_by_side(images: list[Image], tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    same_camera = [image._replace(identity=1, camera=0) for image in images]
    contact_sheet(same_camera, tmp_path, sheet, height=HEIGHT, each=2)
    left, top = corner(0, 0, each=2)
    assert drawn(sheet, (left, top)) == (255, 0, 0)
    assert drawn(sheet, (left + WIDTH, top)) == (0, 255, 0)


def test_crops_are_turned_upright_where_that_is_wanted(tmp_path: Path) -> None:
    exif = Picture.Exif()
    exif[ExifTags.Base.Orientation] = 6
    lying = Picture.new("RGB", (HEIGHT, WIDTH), "red")
    lying.paste("blue", (0, 0, HEIGHT // 2, WIDTH))
    lying.save(tmp_path / "a.png", exif=exif)
    image, sheet = Image(Split.TRAIN, "a.png", 1, 0), tmp_path / "sheet.png"
    contact_sheet([image], tmp_path, sheet, height=HEIGHT, upright=True)
    left, top = corner(0, 0)
    assert drawn(sheet, (left, top - 6)) == (0, 0, 255)
    assert drawn(sheet, (left, top + 6)) == (255, 0, 0)


def test_nobody_to_draw_is_an_error(images: list[Image], tmp_path: Path) -> None:
    unknown = [image._replace(camera=UNKNOWN) for image in images]
    with pytest.raises(DataError, match="nothing to draw"):
        contact_sheet(unknown, tmp_path, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_people_and_cameras_have_the_users_names(
    images: list[Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda _, at, text, **options: texts.append(text)
    )
    names = Names({1: "leo"}, {0: "hall"})
    contact_sheet(images, tmp_path, tmp_path / "sheet.png", height=HEIGHT, names=names)
    assert texts == ["camera hall", "camera 2", "leo", "2"]
