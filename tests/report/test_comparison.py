"""The page that compares runs."""

import re
import shutil
from pathlib import Path

from pplr_cli.report.comparison import draw_comparison, render_comparison
from pplr_cli.runs.comparison import Comparison
from tests.conftest import Done


def compared(done: Done, tmp_path: Path, runs: int) -> Comparison:
    paths = [Path(shutil.copytree(done.folder, tmp_path / f"<run {n}>")) for n in range(runs)]
    for number, path in enumerate(paths[1:], start=2):
        text = (path / "config.yaml").read_text()
        (path / "config.yaml").write_text(re.sub(r"(?m)^seed: \d+", f"seed: {number}", text))
    return Comparison.of(paths)


def test_each_run_has_a_curve_in_each_chart(done: Done, tmp_path: Path) -> None:
    charts = draw_comparison(compared(done, tmp_path, 3).runs)
    assert [len(chart.curves) for chart in charts] == [3] * 6
    assert charts[0].curves[2].label == "<run 2>"
    assert [epoch for epoch, _ in charts[0].curves[0].points] == [0, 1, 2]


def test_the_page_is_self_contained_and_escaped(done: Done, tmp_path: Path) -> None:
    page = render_comparison(compared(done, tmp_path, 7))
    assert "&lt;run 0&gt;" in page
    assert "<run 0>" not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert "None but the seed." in page
    assert "± 0.0" in page
    assert set(re.findall(r'polyline class="(s\d)', page)) == {f"s{n}" for n in range(5)}
    assert page.count(' dashed" points') == 2 * 6
