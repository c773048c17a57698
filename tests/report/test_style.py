"""Saving style."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry
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


def test_names_of_any_script_are_drawn_or_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ("DejaVu", "Last Resort")
    usual = [font for font in style.fontManager.ttflist if font.name.startswith(own)]
    monkeypatch.setattr(style.fontManager, "ttflist", usual)
    style.written.cache_clear()
    name = "Zo\xe9 \u4e00\U0001f6b2\x1b\n\udcff"
    assert style.written(name).text == r"Zo\xe9 \u4e00\U0001f6b2\x1b \udcff".replace(
        r"\xe9", "\xe9"
    )
    assert style.written(name).families == ["DejaVu Sans"]
    figure = Figure(figsize=(1, 1), dpi=50)
    figure.text(0, 0, style.written(name).text)
    style.save(figure, tmp_path / "x.png")  # a missing character would be a warning
    style.written.cache_clear()


def test_an_installed_font_supplies_what_the_usual_one_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (usual,) = style.written("ab").files
    have = {usual: frozenset(map(ord, "ab")), "mono.ttf": frozenset(map(ord, "b\u4e00"))}
    other = FontEntry(fname="mono.ttf", name="Mono", style="normal", weight=400)
    monkeypatch.setattr(style, "_characters", have.__getitem__)
    monkeypatch.setattr(style.fontManager, "ttflist", [other])
    style.written.cache_clear()
    found = style.written("ab\u4e00\u4e01")
    assert found.families == [style.FAMILY, "Mono"]
    assert found.text == "ab\u4e00\\u4e01"
    assert [text for _, text in found.runs()][:2] == ["ab", "\u4e00"]
    style.written.cache_clear()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        style.save(Figure(), tmp_path / "x.bmp")
    assert not list(tmp_path.iterdir())
