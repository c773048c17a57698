"""The page that compares runs."""

import re
import shutil
from pathlib import Path

from pplr_cli.report.comparison import draw_comparison, render_comparison, render_runs
from pplr_cli.runs.comparison import Comparison, find_runs, outcome
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
    page = render_comparison(compared(done, tmp_path, 7), tmp_path / "page.html")
    assert "&lt;run 0&gt;" in page
    assert "<run 0>" not in page
    assert set(re.findall(r"""(?:src|href)=["'](?!data:)([^"']*)""", page)) == {
        f"%3Crun%20{n}%3E/report.html" for n in range(7)
    }
    assert "None but the seed." in page
    assert "± 0.0" in page
    assert set(re.findall(r'polyline class="(s\d)', page)) == {f"s{n}" for n in range(5)}
    assert page.count(' dashed" points') == 2 * 6


def test_the_index_links_to_the_reports_that_exist(done: Done, tmp_path: Path) -> None:
    compared(done, tmp_path / "runs", 3)
    (tmp_path / "runs" / "<run 1>" / "report.html").unlink()
    (tmp_path / "runs" / "<run 2>" / "config.yaml").write_text("optim: [")
    outcomes = [outcome(run) for run in find_runs(tmp_path / "runs")]
    page = render_runs(outcomes, Path("a&b"), tmp_path / "pages" / "index.html")
    links = re.findall(r'<a href="([^"]*)">', page)
    assert links == [f"../runs/%3Crun%20{n}%3E/report.html" for n in (0, 2)]
    assert "Runs below a&amp;b/" in page
    assert page.count("<tr>") == 4
    assert 'colspan="10"' in page  # the damaged one
    header = re.findall(r'<th scope="col">([^<]*)</th>', page)
    assert header[:2] == ["run", "mAP (%)"]  # seen on a narrow screen
    first, damaged = (row.count("<td>") for row in (page.split("<tr>")[2], page.split("<tr>")[4]))
    assert (first, damaged) == (len(header) - 1, 2)
    mAP = f"{100 * outcomes[0]['mAP']:.1f}"
    assert f"</a></th><td>{mAP}</td><td>finished</td>" in page
