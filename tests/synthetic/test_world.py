"""The synthetic world: repeatable, split as the benchmarks are, disjoint from pretraining."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from pplr_cli.data.images import Image, Split
from pplr_cli.progress import Silent
from pplr_cli.synthetic import DEMO, PRETRAINING, World, make
from pplr_cli.synthetic.world import _CAMERA, _PERSON, _Studio

SMALL = World(
    stream=9, train_people=3, test_people=3, distractors=2, cameras=3, visits=(2, 3), shots=(2, 3),
    height=32, width=16, occlusion=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Image]]:
    root = tmp_path_factory.mktemp("small")
    return root, make(root, SMALL, seed=4, reporter=Silent())


def test_equal_seeds_give_equal_files(small: tuple[Path, list[Image]], tmp_path: Path) -> None:
    root, images = small
    assert make(tmp_path, SMALL, seed=4, reporter=Silent()) == images
    for image in images:
        assert (tmp_path / image.path).read_bytes() == (root / image.path).read_bytes()


def test_another_seed_gives_other_people(small: tuple[Path, list[Image]], tmp_path: Path) -> None:
    root, images = small
    others = {image.path for image in make(tmp_path, SMALL, seed=5, reporter=Silent())}
    shared = [image.path for image in images if image.path in others]
    assert shared
    assert all((tmp_path / p).read_bytes() != (root / p).read_bytes() for p in shared)


def test_every_record_is_a_file_of_the_asked_size(small: tuple[Path, list[Image]]) -> None:
    root, images = small
    files = {file.relative_to(root).as_posix() for file in root.rglob("*.jpg")}
    assert files == {image.path for image in images}
    assert len(files) == len(images)
    for image in images:
        with Picture.open(root / image.path) as picture:
            assert picture.size == (SMALL.width, SMALL.height)


@pytest.mark.parametrize("world", [SMALL, DEMO], ids=["small", "demo"])
def test_splits_follow_the_benchmarks(world: World) -> None:
    images = _Studio(world, 1).shots()
    people = {s: {i.identity for i in images if i.split == s} for s in Split}
    assert len(people[Split.TRAIN]) == world.train_people
    assert len(people[Split.QUERY]) == world.test_people
    assert not people[Split.TRAIN] & people[Split.GALLERY]
    assert people[Split.QUERY] < people[Split.GALLERY]
    assert len(people[Split.GALLERY] - people[Split.QUERY]) == world.distractors
    queries = [(i.identity, i.camera) for i in images if i.split == Split.QUERY]
    seen = {(i.identity, i.camera) for i in images if i.identity in people[Split.QUERY]}
    assert len(queries) == len(set(queries))
    assert set(queries) == seen


def test_every_query_has_a_match_by_another_camera() -> None:
    images = _Studio(DEMO, 1).shots()
    cameras: dict[int, set[int]] = {}
    for image in (i for i in images if i.split == Split.GALLERY):
        cameras.setdefault(image.identity, set()).add(image.camera)
    for image in (i for i in images if i.split == Split.QUERY):
        assert cameras[image.identity] - {image.camera}


def test_visits_and_shots_stay_within_their_bounds() -> None:
    counts: dict[int, dict[int, int]] = {}
    for image in _Studio(DEMO, 2).shots():
        cameras = counts.setdefault(image.identity, {})
        cameras[image.camera] = cameras.get(image.camera, 0) + 1
    assert {len(cameras) for cameras in counts.values()} <= set(
        range(DEMO.visits[0], DEMO.visits[1] + 1)
    )
    shots = {count for cameras in counts.values() for count in cameras.values()}
    assert shots == set(range(DEMO.shots[0], DEMO.shots[1] + 1))


def test_demo_and_pretraining_share_no_person_and_no_camera() -> None:
    assert DEMO.stream != PRETRAINING.stream
    plain = {"height": 16, "width": 8}
    studios = [_Studio(replace(world, **plain), 1) for world in (DEMO, PRETRAINING)]
    people = [{s.person(i + 1) for i in range(s.world.people)} for s in studios]
    assert not people[0] & people[1]
    looks = [{(c.gain, c.gamma, c.cast, c.yaw) for c in s.cameras} for s in studios]
    assert not looks[0] & looks[1]


def test_streams_are_disjoint_under_every_seed() -> None:
    draws = [
        _Studio(replace(SMALL, stream=stream), seed)._rng(kind, 1).integers(2**63)
        for stream in (0, 1)
        for seed in (0, 1, 2)
        for kind in (_PERSON, _CAMERA)
    ]
    assert len(set(draws)) == len(draws)


def test_a_person_keeps_the_colour_of_the_clothes() -> None:
    world = replace(SMALL, height=96, width=48, cameras=1, rendering=0.0, occlusion=0.0)
    studio = _Studio(world, 7)
    shots = [s for s in studio.shots() if s.identity in (1, 2, 3)]
    trunk = {s: np.asarray(studio.crop(s))[28:42, 20:28].reshape(-1, 3).mean(0) for s in shots}
    centres = {i: np.mean([v for s, v in trunk.items() if s.identity == i], 0) for i in (1, 2, 3)}
    own = np.mean([np.abs(v - centres[s.identity]).mean() for s, v in trunk.items()])
    others = np.mean(
        [
            np.abs(v - centres[i]).mean()
            for s, v in trunk.items()
            for i in centres
            if i != s.identity
        ]
    )
    assert own < others
