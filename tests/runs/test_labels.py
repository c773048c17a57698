"""Pseudo-labels read back from a run folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pplr_cli.data.images import ImageSet
from pplr_cli.errors import DataError, UsageError
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.runs.labels import Row, epoch_labels, read_labels, save_labels

LABELS = np.array([0, -1, 1, 0])
AGREEMENT = np.array([[0.5, 0.25, 0.0]] * 4, np.float32)


def save(run: Path, epoch: int, **arrays: np.ndarray) -> Path:
    path = run / "labels" / f"epoch-{epoch:03d}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **({"labels": LABELS, "agreement": AGREEMENT} | arrays))
    return path


def images(root: Path, count: int = 4) -> ImageSet:
    cameras = np.array([0, 1, -1, 2, 0][:count])
    paths = tuple(f"{n}.jpg" for n in range(count))
    return ImageSet(root, paths, np.full(count, -1), cameras)


def test_the_last_epoch_unless_another_is_asked_for(tmp_path: Path) -> None:
    for epoch in (2, 9, 10, 1000):
        save(tmp_path, epoch)
    (tmp_path / "labels" / ".epoch-2000.npz.5.tmp").touch()
    assert epoch_labels(tmp_path, None, 3).epoch == 1000
    assert epoch_labels(tmp_path, 9, 3).epoch == 9
    with pytest.raises(UsageError, match="no labels of epoch 3") as caught:
        epoch_labels(tmp_path, 3, 3)
    assert caught.value.hint == "there are labels of 2 to 1000"


def test_rows_say_what_is_known_of_each_image(tmp_path: Path) -> None:
    save(tmp_path, 1)
    rows = list(epoch_labels(tmp_path, None, 3).rows(images(tmp_path)))
    assert rows == [
        Row("0.jpg", 0, 0.25, "0"),
        Row("1.jpg", -1, 0.25, "1"),
        Row("2.jpg", 1, 0.25, None),
        Row("3.jpg", 0, 0.25, "2"),
    ]


def test_another_data_set_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(DataError, match=r"epoch-001\.npz`: labels of 4 images.*has 3 training"):
        list(epoch_labels(tmp_path, None, 3).rows(images(tmp_path, 3)))


def test_without_labels_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no labels"):
        epoch_labels(tmp_path, None, 3)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"labels": LABELS[:3]}, r"labels int64 \[3\] and agreement float32 \[4, 3\] are not"),
        (
            {"agreement": AGREEMENT[:, :2]},
            r"agreement float32 \[4, 2\] are not those",
        ),
        ({"labels": LABELS - 1}, "are not those of a run"),
        ({"labels": LABELS * 0.5}, "are not those of a run"),
        ({"agreement": AGREEMENT.astype(int)}, "agreement int64"),
        ({"labels": np.array([None] * 4)}, "not a labels file, or damaged"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], what: str
) -> None:
    save(tmp_path, 1, **arrays)
    with pytest.raises(DataError, match=what) as caught:
        epoch_labels(tmp_path, None, 3)
    assert "--epoch" in str(caught.value.hint)


def damage(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, LABELS)
    elif kind == "zeroed":
        path.write_bytes(bytes(len(content)))
    elif kind == "flipped":
        middle = len(content) // 3
        path.write_bytes(content[:middle] + bytes(20) + content[middle + 20 :])
    else:
        path.write_bytes(content[: int(kind)])


@pytest.mark.parametrize("kind", ["0", "10", "200", "zeroed", "flipped", "npy"])
def test_a_damaged_file_is_refused_by_name_or_counts_as_missing(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, 1)
    damage(path, kind)
    with pytest.raises(DataError, match=r"epoch-001\.npz`: not a labels file, or damaged"):
        epoch_labels(tmp_path, None, 3)
    assert read_labels(tmp_path, 1, 4) == {}


def test_saved_labels_are_read_back(tmp_path: Path) -> None:
    save_labels(tmp_path, 1, PseudoLabels(LABELS, AGREEMENT))
    assert set(read_labels(tmp_path, 1, 4)) == {"labels", "agreement"}
    (labels,) = read_labels(tmp_path, 1, 4, "labels", "neighbors").values()
    np.testing.assert_array_equal(labels, LABELS)
    assert read_labels(tmp_path, 2, 4) == {}


@pytest.mark.parametrize(
    "labels", [LABELS[:3], LABELS * 0.5, LABELS - 1, LABELS * 10**9, [[0]] * 4]
)
def test_labels_of_something_else_count_as_missing(tmp_path: Path, labels: Any) -> None:
    save(tmp_path, 1, labels=np.array(labels))
    assert read_labels(tmp_path, 1, 4, "labels") == {}


def test_a_file_without_agreement_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    np.savez_compressed(path, labels=LABELS)
    with pytest.raises(DataError, match="not a labels file, or damaged"):
        epoch_labels(tmp_path, None, 3)
