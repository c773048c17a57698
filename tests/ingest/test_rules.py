import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.data.images import UNKNOWN, Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.ingest.rules import COPIES, SKIPPED, inspect
from pplr_cli.progress import Silent

Plant = Callable[[Path, Iterable[str]], Path]
Judge = Callable[..., tuple[Manifest, tuple[str, ...]]]

IMAGES = (
    Image(Split.TRAIN, "train/a.jpg", 1, 0),
    Image(Split.TRAIN, "train/b.jpg", 2, 1),
    Image(Split.QUERY, "query/c.jpg", 3, 0),
    Image(Split.GALLERY, "gallery/d.jpg", 3, 1),
)


@pytest.fixture
def root(tmp_path: Path, plant: Plant) -> Path:
    return plant(tmp_path / "crops", [image.path for image in IMAGES])


def judged(
    root: Path,
    layout: str = "folder",
    images: tuple[Image, ...] = IMAGES,
    skip_bad: bool = False,
) -> tuple[Manifest, tuple[str, ...]]:
    request = PrepareRequest(layout, [root], root.parent / "data", "shop", skip_bad=skip_bad)
    read = Manifest("shop", layout, root, images, {"x": 1})
    manifest, _, warnings = inspect(request, read, Silent())
    assert set(manifest.contents) == set(manifest.paths)
    return manifest, tuple(warning.message for warning in warnings)


def test_a_sound_data_set_gets_digests_and_no_warning(root: Path) -> None:
    manifest, warnings = judged(root)
    assert manifest.images == IMAGES
    assert manifest.notes == {"x": 1}
    assert warnings == ()


def test_broken_images_are_an_error_that_names_twenty_and_lists_all(root: Path) -> None:
    images = IMAGES + tuple(Image(Split.TRAIN, f"train/{n:02}.jpg", 1, 0) for n in range(30))
    for image in images[len(IMAGES) :]:
        (root / image.path).touch()
    with pytest.raises(DataError, match="30 of 34 image files cannot be used") as caught:
        judged(root, images=images)
    message, hint = caught.value.message, caught.value.hint or ""
    assert "train/19.jpg: empty" in message
    assert "train/20.jpg" not in message
    assert "... and 10 more" in message
    listed = root.parent / "data" / "shop.bad.txt"
    assert f"`{listed}`" in message
    assert listed.read_text() == "".join(f"train/{n:02}.jpg\tempty\n" for n in range(30))
    assert hint.endswith("--skip-bad`")

    manifest, (warning,) = judged(root, images=images, skip_bad=True)
    assert manifest.images == IMAGES
    assert manifest.notes == {SKIPPED: 30, "x": 1}
    assert warning.startswith("unusable images left out: 30")
    judged(root)
    assert not listed.exists()


def test_no_split_may_lose_its_last_image(root: Path) -> None:
    (root / "query/c.jpg").write_text("<html>")
    with pytest.raises(DataError, match="no query image can be used"):
        judged(root, skip_bad=True)


@pytest.mark.parametrize("test_image", ["query/c.jpg", "gallery/d.jpg"])
def test_leakage_is_an_error_for_own_data_and_a_warning_for_public_data(
    root: Path, test_image: str
) -> None:
    shutil.copy(root / "train/a.jpg", root / test_image)
    pair = f"train/a.jpg (train) = {test_image} ({test_image.split('/')[0]})"
    with pytest.raises(DataError, match="both in train and in query or gallery: 1") as caught:
        judged(root)
    assert pair in caught.value.message
    manifest, warnings = judged(root, "veri")
    assert pair in warnings[0]
    assert manifest.notes == {COPIES: 1, "x": 1}


def test_a_query_in_the_gallery_is_a_warning_in_own_data(root: Path, plant: Plant) -> None:
    plant(root, ["gallery/e.jpg"])
    shutil.copy(root / "query/c.jpg", root / "gallery/d.jpg")
    images = (*IMAGES, Image(Split.GALLERY, "gallery/e.jpg", 3, 1))
    manifest, (warning,) = judged(root, images=images)
    assert manifest.notes == {COPIES: 1, "x": 1}
    assert "both in query and in gallery: 1\n  query/c.jpg (query) = gallery/d.jpg" in warning
    assert judged(root, "veri", images)[1] == ()


def test_one_picture_under_two_identities_is_a_warning(root: Path) -> None:
    shutil.copy(root / "train/a.jpg", root / "train/b.jpg")
    _, (warning,) = judged(root)
    assert "train/a.jpg (1) = train/b.jpg (2)" in warning


def test_small_images_and_names_apart_by_case_are_warnings(root: Path, plant: Plant) -> None:
    plant(root, ["train/A.jpg"])
    Picture.new("RGB", (9, 30)).save(root / "train/b.jpg")
    _, warnings = judged(root, images=(*IMAGES, Image(Split.TRAIN, "train/A.jpg", 1, 0)))
    assert "train/A.jpg and train/a.jpg" in warnings[0]
    assert warnings[1].startswith("images under 16 pixels wide or high: 1 of 5\n  train/b.jpg")


def test_images_that_show_next_to_nothing_are_weighed(root: Path) -> None:
    celsius = np.linspace(7300, 7300 + 5 * 257, 64 * 32).reshape(64, 32)  # of 0..65535
    for place, path in enumerate(("train/a.jpg", "query/c.jpg")):
        Picture.fromarray((celsius + place).astype(np.uint16)).save(root / path, "PNG")
    _, _, (warning,) = inspect(
        PrepareRequest("folder", [root], root.parent / "data", "shop"),
        Manifest("shop", "folder", root, IMAGES, {}),
        Silent(),
    )
    assert warning.message.startswith("images of at most 16 grey levels, which show next to")
    assert ": 2 of 4\n  query/c.jpg\n  train/a.jpg" in warning.message
    assert "stretch the range in use to 0..65535" in (warning.hint or "")


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (IMAGES[:3], "no gallery images"),
        ((*IMAGES[:2], IMAGES[3]), "no query images"),
        ((*IMAGES[:3], IMAGES[3]._replace(identity=UNKNOWN)), "by another camera"),
        ((*IMAGES[:3], IMAGES[3]._replace(camera=UNKNOWN)), "gallery images without camera"),
        ((*IMAGES[:2], IMAGES[2]._replace(identity=UNKNOWN), IMAGES[3]), "query images without id"),
        ((*IMAGES[:2], IMAGES[2]._replace(camera=UNKNOWN), IMAGES[3]), "query images without cam"),
        ((*IMAGES[:3], IMAGES[3]._replace(camera=0)), "by another camera"),
        ((*IMAGES[:3], IMAGES[3]._replace(identity=4)), "by another camera"),
    ],
)
def test_own_test_images_must_make_an_evaluation(
    root: Path, images: tuple[Image, ...], match: str
) -> None:
    with pytest.raises(DataError, match=match):
        judged(root, images=images)
    judged(root, "veri", images)


def test_own_training_images_need_no_label(root: Path) -> None:
    unlabelled = tuple(Image(Split.TRAIN, image.path) for image in IMAGES[:2])
    for images in (unlabelled, (*unlabelled, *IMAGES[2:])):
        manifest, warnings = judged(root, images=images)
        assert len(manifest.images) == len(images)
        assert warnings == ()
