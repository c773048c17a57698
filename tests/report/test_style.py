"""Saving style."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image as Picture

from pplr_cli.report import style


def test_the_suffix_names_the_format(tmp_path: Path) -> None:
    figure = Figure(figsize=(1, 1), dpi=50)
    style.save(figure, tmp_path / "a" / "x.png")
    with Picture.open(tmp_path / "a" / "x.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (50, 50))
    style.save(figure, tmp_path / "x.pdf")
    first = (tmp_path / "x.pdf").read_bytes()
    assert first.startswith(b"%PDF-")
    style.save(figure, tmp_path / "x.pdf")
    assert (tmp_path / "x.pdf").read_bytes() == first


def test_a_name_that_the_font_cannot_spell_is_no_failure(tmp_path: Path) -> None:
    figure = Figure(figsize=(1, 1), dpi=50)
    figure.text(0, 0, "\N{CJK UNIFIED IDEOGRAPH-4E00}")
    style.save(figure, tmp_path / "x.png")
    assert (tmp_path / "x.png").is_file()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        style.save(Figure(), tmp_path / "x.bmp")
    assert not list(tmp_path.iterdir())
