"""The images of a data set, as columns, and their names."""

from pathlib import Path

import numpy as np
import pytest

from pplr_cli.data.images import UNKNOWN, ImageSet, Names


def image_set(identities: list[int], cameras: list[int]) -> ImageSet:
    paths = tuple(f"{number}.jpg" for number in range(len(identities)))
    contents = tuple(f"{number:064x}" for number in range(len(identities)))
    columns = np.array(identities, np.int64), np.array(cameras, np.int64)
    return ImageSet(Path("/data"), paths, *columns, contents, tracks=columns[0] + 10)


@pytest.mark.parametrize(
    ("identities", "cameras", "knows"),
    [
        ([3, 5], [0, 1], (True, True)),
        ([UNKNOWN], [1], (False, True)),
        ([1], [UNKNOWN], (True, False)),
        ([1, UNKNOWN], [1, UNKNOWN], (False, False)),
        ([], [], (False, False)),
    ],
)
def test_what_a_set_knows(
    identities: list[int], cameras: list[int], knows: tuple[bool, bool]
) -> None:
    images = image_set(identities, cameras)
    assert (images.has_identities, images.has_cameras) == knows


def test_some_images_of_a_set() -> None:
    taken = image_set([3, 5, 8], [0, 1, UNKNOWN]).take(np.array([2, 0]))
    assert taken.files == [Path("/data/2.jpg"), Path("/data/0.jpg")]
    assert taken.identities.tolist() == [8, 3]
    assert taken.cameras.tolist() == [UNKNOWN, 0]
    assert taken.contents == (f"{2:064x}", f"{0:064x}")
    assert taken.tracks is not None
    assert taken.tracks.tolist() == [18, 13]
    assert taken.times is None


def test_names_are_the_users_or_the_numbers() -> None:
    names = Names({7: "leo"}, {0: "hall"}, {2: "a/0002"})
    assert [names.identity(number) for number in (7, 3, UNKNOWN)] == ["leo", "3", ""]
    assert [names.camera(number) for number in (0, 2, UNKNOWN)] == ["hall", "2", ""]
    assert [names.track(number) for number in (2, 0, UNKNOWN)] == ["a/0002", "0", ""]
