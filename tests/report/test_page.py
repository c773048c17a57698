"""The page of a run: well-formed, self-contained, safe, and right whatever became of the run."""

import base64
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.data.images import ImageSet
from pplr_cli.report.page import render, update_report
from pplr_cli.runs.records import Run
from tests.conftest import Done
from tests.report.conftest import Page
from tests.report.test_album import shown
from tests.runs.test_records import keep_rows
from tests.shared_reporter import Recorder

HOSTILE = '"><script>alert(1)</script>&\x1b[31m\udcff é.jpg'
SECTIONS = (
    *("Retrieval", "Pseudo-labels and health", "Cross agreement", "Clusters of epoch 2"),
    *("Outliers of epoch 2", "Pseudo-labels against the true identities"),
    *("Losses and learning rate", "Time", "Repeat the run", "What PPLR does"),
)


@pytest.fixture
def folder(done: Done, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done.folder, tmp_path / "run"))


def page(folder: Path, done: Done, images: ImageSet | None = None) -> Page:
    """Draw the page anew and read it."""
    html = render(Run(folder), images or done.images, done.pixels)
    (folder / "report.html").write_text(html, encoding="utf-8")
    return Page(html)


def test_a_run_draws_its_page(done: Done) -> None:
    found = Page((done.folder / "report.html").read_text(encoding="utf-8"))
    assert "finished" in found.text
    html = (done.folder / "report.html").read_text(encoding="utf-8")
    headings = dict(re.findall(r'<h2 id="(.*?)">(.*?)</h2>', html))
    assert list(headings.values()) == list(SECTIONS)
    contents = re.findall(r'<a href="#(.*?)">(.*?)</a>', html)
    assert contents == list(headings.items())
    assert html.index('class="note') < html.index('class="tiles"') < html.index("<nav")
    for chart in ("mAP and rank-1", "clusters and cameras", "part 3 (bottom)", "learning rate"):
        assert chart in found.text
    assert "identities are never used for training" in found.text


def test_title_and_head_set_runs_apart(folder: Path, done: Done) -> None:
    run = Run(folder)
    found = page(folder, done)
    device, head = run.environment["device"], " ".join(found.text[:400].split())
    assert head.startswith(
        "run: PPLR on tiny, seed 1, finished run PPLR on tiny, with camera labels"
    )
    assert re.search(rf"seed 1, on {device} finished 2 of 2 epochs in \d:\d\d;", head)
    environment = {key: value for key, value in run.environment.items() if key != "device"}
    (folder / "environment.json").write_text(json.dumps(environment))
    assert device not in page(folder, done).text.partition("Versions and machine")[0]


def test_clusters_that_mix_identities_are_marked(folder: Path, done: Done) -> None:
    labels = Run(folder).labels().labels
    pure = replace(done.images, identities=labels + 1)
    assert "mixes 2" not in page(folder, done, pure).text
    identities = labels + 1
    identities[np.flatnonzero(labels == 0)[0]] = 99
    found = page(folder, done, replace(done.images, identities=identities))
    assert found.text.count("mixes 2 identities") == 1
    assert f"1 of {labels.max() + 1} clusters mix identities" in found.text
    assert len([each for each in found.all("figure") if each["class"] == "crop other"]) == 1


def test_file_names_can_be_read_without_a_mouse(folder: Path, done: Done) -> None:
    found = page(folder, done)
    listed = found.text
    for image in found.all("img"):
        assert f"{image['alt']} " in listed


def test_nothing_comes_from_outside_and_every_picture_decodes(folder: Path, done: Done) -> None:
    found = page(folder, done)
    for tag, attributes in found.tags:
        assert tag not in {"script", "iframe", "object", "embed", "base"}
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "data", "action"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    html = (folder / "report.html").read_text()
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html
    pictures = [image["src"] or "" for image in found.all("img")]
    assert len(pictures) > 10
    for uri in pictures:
        shown(uri).load()
    assert all(image["alt"] for image in found.all("img"))


def test_the_same_folder_gives_the_same_page(folder: Path, done: Done) -> None:
    page(folder, done)
    first = (folder / "report.html").read_bytes()
    page(folder, done)
    assert (folder / "report.html").read_bytes() == first


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_run_that_was_cut_off(folder: Path, done: Done, rows: int) -> None:
    keep_rows(folder, rows)
    found = page(folder, done)
    assert f"{max(rows - 1, 0)} of 2 epochs" in found.text
    assert "the run was killed" in found.text
    assert ("Clusters of epoch 1" in found.text) == (rows == 2)
    assert "Cannot tell yet" in found.text


def test_a_failed_run_says_why(folder: Path, done: Done) -> None:
    status = {
        "state": "failed",
        "reason": "epoch 2: the loss is <nan>; lower `optim.lr`",
        "code": 1,
    }
    (folder / "status.json").write_text(json.dumps(status))
    found = page(folder, done)
    assert "epoch 2: the loss is <nan>; lower optim.lr" in found.text
    assert {"class": "state failed"} in found.all("span")


def test_names_may_hold_anything(folder: Path, done: Done) -> None:
    paths = tuple(f"{index:03d}{HOSTILE}" for index in range(len(done.images)))
    (folder / "status.json").write_text(json.dumps({"state": "failed", "reason": HOSTILE[:-7]}))
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("name: tiny", "name: '<b>tiny&'"))
    found = page(folder, done, replace(done.images, paths=paths))
    assert found.all("script") == []
    assert "PPLR on <b>tiny&" in found.text
    tamed = HOSTILE.replace("\x1b", "\\x1b").replace("\udcff", "\\udcff")
    assert all((image["alt"] or "").endswith(tamed) for image in found.all("img"))


def test_without_identities_cameras_and_scores(folder: Path, done: Done) -> None:
    unknown = np.full(len(done.images), -1)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()[1:]]
    gone = ("mAP", "mINP", "rank", "single_camera", "camera_nmi")
    kept = [{k: v for k, v in row.items() if not k.startswith(gone)} for row in rows]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    found = page(folder, done, replace(done.images, identities=unknown, cameras=unknown))
    for absent in ("Retrieval", "true identities", "% one identity", "clusters and cameras"):
        assert absent not in found.text
    assert "without cameras" in found.text


def test_identities_change_nothing_but_what_says_so(folder: Path, done: Done) -> None:
    page(folder, done)
    before = (folder / "metrics.jsonl").read_bytes()
    text = page(folder, done).text
    mixed = np.random.default_rng(0).permutation(done.images.identities)
    other = page(folder, done, replace(done.images, identities=mixed)).text
    assert text != other
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_a_run_gone_wrong_says_so_first(folder: Path, done: Done) -> None:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"mAP": 0.9 - 0.2 * row["epoch"], "rank1": 0.9}
        row |= {"single_camera_share": 0.8} if row["epoch"] else {}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = page(folder, done)
    assert "The mAP fell from 90.0 to 50.0" in found.text
    assert "The clusters follow the cameras: 80 %" in found.text
    notes = [each["class"] for each in found.all("div") if "note" in (each.get("class") or "")]
    assert notes == ["note wrong", "note wrong"]  # no green box under an orange one


def test_size_at_the_scale_of_market(folder: Path, done: Done) -> None:
    """Fifty epochs and noisy crops at 384 x 128, the largest that pictures get."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    many = [rows[2] | {"epoch": epoch} for epoch in range(1, 51)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many))
    labels = folder / "labels" / "epoch-002.npz"
    for epoch in range(3, 51):
        shutil.copy(labels, labels.with_name(f"epoch-{epoch:03d}.npz"))
    noise = np.random.default_rng(0).integers(0, 256, (len(done.images), 96, 32, 3), np.uint8)
    pixels = noise.repeat(4, 1).repeat(4, 2)
    assert len(render(Run(folder), done.images, pixels)) < 3_000_000


def test_a_failure_to_draw_is_a_warning(tmp_path: Path, done: Done) -> None:
    listener = Recorder()
    update_report(tmp_path, done.images, done.pixels, listener)
    (message,) = listener.warnings
    assert str(tmp_path / "report.html") in message


def test_pictures_are_embedded_as_they_are_shown(folder: Path, done: Done) -> None:
    image = page(folder, done).all("img")[0]
    head, _, data = (image["src"] or "").partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(data)[:2] == b"\xff\xd8"
    size = (int(image["width"] or 0), int(image["height"] or 0))
    assert shown(image["src"] or "").size == size
    assert isinstance(shown(image["src"] or ""), Picture.Image)
