import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.data.images import UNKNOWN, Image, Split
from pplr_cli.data.manifest import FILE_NAME, Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest.library import check, prepare
from pplr_cli.ingest.mot import IGNORED, OUTSIDE, Box, cut_crops, read_boxes
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.progress import Silent

FRAMES, WIDTH, HEIGHT = 4, 60, 50


def sequence(folder: Path, seed: int = 0, **files: str) -> Path:
    """Write a sequence of random frames; keyword `gt_gt` writes `gt/gt.txt`."""
    rng = np.random.default_rng(seed)
    (folder / "img1").mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Picture.fromarray(pixels).save(folder / f"img1/{number:06d}.png")
    for name, text in files.items():
        path = folder / f"{name.replace('_', '/')}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def pixels(path: Path) -> np.ndarray:
    with Picture.open(path) as image:
        return np.asarray(image)


TRUTH = """1,7,11,5,20,30,1,1,0.9
2,7,12,5,20,30,1,1,0.9
1,3,-4,41,20,30,1,1,0.5
2,3,1,1,20,30,0,1,1
2,4,1,1,20,30,1,8,1
4,3,55,10,20,30,1,1,1
"""


def test_crops_are_the_boxes_inside_the_frames(tmp_path: Path) -> None:
    source = sequence(tmp_path / "SEQ-02", gt_gt=TRUTH, det_det="1,-1,1,1,20,20,0.5,-1,-1,-1\n")
    reading = cut_crops([source], None, 1, tmp_path / "out", Silent())
    assert reading.images == [
        Image(Split.TRAIN, "SEQ-02/000007_000001.png", UNKNOWN, 0, 7, 1),
        Image(Split.TRAIN, "SEQ-02/000003_000001.png", UNKNOWN, 0, 3, 1),
        Image(Split.TRAIN, "SEQ-02/000007_000002.png", UNKNOWN, 0, 7, 2),
    ]
    first = pixels(source / "img1/000001.png")
    crop = pixels(tmp_path / "out" / "SEQ-02/000007_000001.png")
    np.testing.assert_array_equal(crop, first[4:34, 10:30])
    crop = pixels(tmp_path / "out" / "SEQ-02/000003_000001.png")
    np.testing.assert_array_equal(crop, first[40:50, 0:15])
    assert reading.notes == {IGNORED: 2, OUTSIDE: 1}
    assert reading.names.cameras == {0: "SEQ-02"}


def test_each_sequence_is_a_camera_and_every_nth_frame_is_read(tmp_path: Path) -> None:
    lines = "".join(f"{frame},5,1,1,20,20,1\n" for frame in range(1, FRAMES + 1))
    sources = [sequence(tmp_path / name, gt_gt=lines) for name in ("B", "A")]
    reading = cut_crops(sources, None, 3, tmp_path / "out", Silent())
    found = [(image.path, *image[3:]) for image in reading.images]
    assert found == [
        ("A/000005_000001.png", 0, 5, 1),
        ("A/000005_000004.png", 0, 5, 4),
        ("B/000005_000001.png", 1, 5, 1),
        ("B/000005_000004.png", 1, 5, 4),
    ]


def test_detections_have_no_track(tmp_path: Path) -> None:
    lines = "1,-1,1,1,20,20,0.5,-1,-1,-1\n1,-1,1,1,20.5,20,0.9,-1,-1,-1\n"
    source = sequence(tmp_path / "S", det_det=lines)
    reading = cut_crops([source], None, 1, tmp_path / "out", Silent())
    assert [image.track for image in reading.images] == [UNKNOWN, UNKNOWN]
    assert len({image.path for image in reading.images}) == 2


@pytest.mark.parametrize("boxes", ["results", "results/S.txt", "track/mine.txt"])
def test_results_of_a_tracker(tmp_path: Path, boxes: str) -> None:
    line = "1,9,2,2,30,40,0.8,-1,-1,-1\n"
    source = sequence(tmp_path / "S", gt_gt="1,1,1,1,20,20,1\n", track_mine=line)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/S.txt").write_text(line)
    path = Path(boxes) if boxes.startswith("track") else tmp_path / boxes
    reading = cut_crops([source], path, 1, tmp_path / "out", Silent())
    assert [(image.track, image.time) for image in reading.images] == [(9, 1)]


def test_lines_that_are_no_boxes_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("1,2,3,4,5,6\n\n1,2,3,4,5,6\n1,2,3\n0,1,1,1,9,9\n3,a,1,1,9,9\n3,1,1,1,0,9\n")
    with pytest.raises(DataError, match="5 lines are no boxes") as caught:
        read_boxes(file, Counter())
    for line in ("line 3: track 2 twice", "line 4: 1,2,3", "line 5", "line 6", "line 7"):
        assert line in caught.value.message


def test_results_keep_boxes_of_every_class(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("1,2.0,3,4,5.5,6,0,8\n")
    assert read_boxes(file, Counter()) == [Box(1, 2, 2, 3, 7.5, 9)]


def test_a_sequence_that_lacks_something_is_an_error(tmp_path: Path) -> None:
    bare = sequence(tmp_path / "bare")
    late = sequence(tmp_path / "late", gt_gt="9,1,1,1,20,20,1\n")
    nothing = sequence(tmp_path / "nothing", gt_gt="1,1,1,1,20,20,0\n")
    (tmp_path / "empty/gt").mkdir(parents=True)
    (tmp_path / "empty/gt/gt.txt").write_text("1,1,1,1,20,20,1\n")
    for source, message in (
        (bare, "no file of boxes"),
        (late, "1 frames without image"),
        (nothing, "no box can be used"),
        (tmp_path / "empty", "no frames in"),
    ):
        with pytest.raises(DataError, match=message):
            cut_crops([source], None, 1, tmp_path / "out" / source.name, Silent())
    with pytest.raises(UsageError, match="same name"):
        cut_crops([bare, bare], None, 1, tmp_path / "out", Silent())


def test_sequences_become_a_data_set_with_tracks(tmp_path: Path) -> None:
    sources = [sequence(tmp_path / name, seed, gt_gt=TRUTH) for seed, name in enumerate("ab")]
    request = PrepareRequest("mot", sources, tmp_path / "data", name="yard")
    prepared = prepare(request, Silent())
    manifest = Manifest.load(tmp_path / "data/yard" / FILE_NAME)
    assert manifest == prepared.manifest
    train = manifest.split(Split.TRAIN)
    assert train.tracks is not None
    assert train.tracks.tolist() == [3, 7, 7] * 2
    assert train.cameras.tolist() == [0] * 3 + [1] * 3
    assert [train.names.camera(camera) for camera in (0, 1)] == ["a", "b"]
    assert not prepare(request, Silent()).new


def test_an_update_adds_sequences_and_cuts_some_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sources = {name: sequence(tmp_path / name, 1, gt_gt=TRUTH) for name in "cb"}

    def update(*names: str) -> Manifest:
        named = tuple(sources[name] for name in names)
        return prepare(PrepareRequest("mot", named, data, "yard", update=True), Silent()).manifest

    first = update("b", "c")
    shutil.rmtree(sources["c"])
    sources["a"] = sequence(tmp_path / "a", 2, gt_gt=TRUTH)
    (sources["b"] / "gt/gt.txt").write_text("2,7,12,5,20,30,1,1,0.9\n4,8,12,5,20,30,1,1,1\n")
    second = update("a", "b")
    assert second.names.cameras == {0: "b", 1: "c", 2: "a"}
    assert [image for image in second.images if image.camera == 1] == [
        image for image in first.images if image.camera == 1
    ]
    assert [image[1:] for image in second.images if image.camera == 0] == [
        ("b/000007_000002.png", UNKNOWN, 0, 7, 2),
        ("b/000008_000004.png", UNKNOWN, 0, 8, 4),
    ]
    assert second.split().tracks is not None
    files = {path for path in second.root.rglob("*.png") if not path.is_symlink()}
    assert files == {second.root / path for path in second.paths}
    assert check("yard", data, Silent()) == (second, [])
    (sources["b"] / "gt/gt.txt").write_text("2,7,12,5,20,30,0,1,0.9\n")
    third = update("a", "b")
    assert {image.camera for image in third.images} == {1, 2}
    assert update("a").images == third.images


def test_a_failed_update_leaves_the_sequences_as_they_were(tmp_path: Path) -> None:
    source = sequence(tmp_path / "a", gt_gt=TRUTH)
    request = PrepareRequest("mot", (source,), tmp_path / "data", "yard", update=True)
    before = prepare(request, Silent()).manifest
    (source / "img1/000002.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"1 frames cannot be used"):
        prepare(request, Silent())
    assert check("yard", tmp_path / "data", Silent()) == (before, [])
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["yard"]


@pytest.mark.parametrize(
    ("layout", "options", "match"),
    [
        ("folder", {"every": 2}, "go with the layout `mot`"),
        ("market", {"boxes": Path("x")}, "go with the layout `mot`"),
        ("mot", {"link": True}, "do not go with `mot`"),
        ("mot", {"table": Path("x")}, "do not go with `mot`"),
        ("mot", {"pattern": "(?P<camera>.)"}, "layout `folder` only"),
    ],
)
def test_options_of_sequences(layout: str, options: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        PrepareRequest(layout, [Path("x")], Path("data"), **options)  # type: ignore[arg-type]


def test_the_command_line_names_the_boxes() -> None:
    request = PrepareRequest("mot", [Path("a")], boxes=Path("r"), every=5)
    assert request.command().endswith("mot a --boxes r --every 5")
    with pytest.raises(DataError, match="not a folder"):
        prepare(PrepareRequest("mot", [Path(__file__)], Path("data")), Silent())
