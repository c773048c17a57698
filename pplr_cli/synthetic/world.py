"""The synthetic pedestrian world: which people pass which cameras, and the resulting crops."""

from dataclasses import dataclass, replace
from math import pi
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from pplr_cli.data.images import Image, Split
from pplr_cli.progress import Reporter
from pplr_cli.synthetic.figures import paint_person
from pplr_cli.synthetic.painter import View
from pplr_cli.synthetic.scenes import Camera, drop_shadow, occlude, random_camera
from pplr_cli.synthetic.wardrobe import Person, random_person

SUPERSAMPLING = 3
"""Pixels drawn per pixel of a crop, along each side, for soft edges."""

_PERSON, _CAMERA, _TRACK, _CROP = range(4)


@dataclass(frozen=True)
class World:
    """The size and the difficulty of a synthetic world."""

    stream: int  # worlds of different streams share no person and no camera, whatever their seeds
    train_people: int
    test_people: int  # identities of query and gallery, none of them in training
    distractors: int = 0  # identities in the gallery only
    cameras: int = 5  # shared by all splits
    visits: tuple[int, int] = (3, 5)  # least and largest number of cameras that see a person
    shots: tuple[int, int] = (3, 6)  # least and largest number of crops of a person per camera
    height: int = 96  # of a crop in pixels
    width: int = 48
    rendering: float = 1.0  # differences of exposure and colours between cameras; 0 = none
    turn: float = 0.5  # deviation of the walking direction from the camera's usual one, radians
    occlusion: float = 0.1  # share of crops in which the person is partly hidden
    jitter: float = 0.03  # deviation of a crop's position and scale, relative to its height

    @property
    def people(self) -> int:
        """Number of identities: training, then test, then distractors."""
        return self.train_people + self.test_people + self.distractors


DEMO = World(stream=0, train_people=150, test_people=80, distractors=20, rendering=0.5)
"""The world of the preset `demo`."""

PRETRAINING = World(stream=1, train_people=1500, test_people=0, cameras=12)
"""The world of the included `tiny` weights (scripts/pretrain_tiny.py)."""


def make(root: Path, world: World = DEMO, *, seed: int, reporter: Reporter) -> list[Image]:
    """Write the crops of a synthetic world below `root`.

    Files are `<split>/<identity>_c<camera>_<n>.jpg`; cameras count from 1 in names and from 0 in
    the records, as in Market-1501. A test person's first crop per camera is a query, the others
    are gallery images. Equal seeds give equal crops.
    """
    studio = _Studio(world, seed)
    shots = studio.shots()
    for split in {shot.split for shot in shots}:
        (root / split).mkdir(parents=True, exist_ok=True)
    with reporter.task("draw synthetic people", len(shots), "images") as task:
        for shot in shots:
            # the quality usual in the public data sets
            studio.crop(shot).save(root / shot.path, "JPEG", quality=90)
            task.advance()
    return shots


class _Studio:
    """Draws the people and the cameras of one world."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.seed = world, seed
        self.size = (world.width * SUPERSAMPLING, world.height * SUPERSAMPLING)
        self.cameras = [
            random_camera(self._rng(_CAMERA, c), self.size, world.rendering)
            for c in range(world.cameras)
        ]

    def _rng(self, kind: int, *number: int) -> np.random.Generator:
        return np.random.default_rng([self.world.stream, self.seed, kind, *number])

    def person(self, identity: int) -> Person:
        """Return the appearance of an identity."""
        return random_person(self._rng(_PERSON, identity))

    def shots(self) -> list[Image]:
        """Return the record of every crop of the world."""
        return [shot for identity in range(self.world.people) for shot in self._track(identity)]

    def _track(self, identity: int) -> list[Image]:
        """Return the records of one person: some cameras, some crops each."""
        world, rng = self.world, self._rng(_TRACK, identity)
        visits = min(int(rng.integers(world.visits[0], world.visits[1] + 1)), world.cameras)
        track = []
        for camera in sorted(rng.permutation(world.cameras)[:visits].tolist()):
            for n in range(int(rng.integers(world.shots[0], world.shots[1] + 1))):
                split = self._split(identity, n)
                path = f"{split}/{identity + 1:04d}_c{camera + 1}_{n + 1:03d}.jpg"
                track.append(Image(split, path, identity + 1, camera))
        return track

    def _split(self, identity: int, n: int) -> Split:
        if identity < self.world.train_people:
            return Split.TRAIN
        known = identity < self.world.train_people + self.world.test_people
        return Split.QUERY if known and n == 0 else Split.GALLERY

    def crop(self, shot: Image) -> Picture.Image:
        """Return one crop."""
        number = int(shot.path[-7:-4])
        rng = self._rng(_CROP, shot.identity, shot.camera, number)
        camera = self.cameras[shot.camera]
        picture = camera.backdrop(rng, self.size[0])
        view = self._view(rng, camera)
        hidden = rng.random() < self.world.occlusion
        company = rng.random() < 0.4
        if company and rng.random() < 0.5:
            self._passer(picture, view, rng, behind=True)
        person = self.person(shot.identity)
        drop_shadow(picture, view)
        paint_person(picture, person, view)
        if hidden and company:
            self._passer(picture, view, rng, behind=False)
        elif hidden:
            occlude(rng, picture)
        small = picture.resize((self.world.width, self.world.height), Picture.Resampling.BOX)
        return camera.expose(rng, small)

    def _view(self, rng: np.random.Generator, camera: Camera) -> View:
        """Return how the camera sees the person: walking past, some turned round, some standing."""
        width, height = self.size
        jitter = rng.normal(0, self.world.jitter * height, 2)
        back = pi if rng.random() < 0.25 else 0.0
        return View(
            x=width / 2 + jitter[0],
            ground=0.955 * height + 0.6 * jitter[1],
            scale=height * 0.88 * float(np.exp(rng.normal(0, self.world.jitter))),
            yaw=camera.yaw + back + rng.normal(0, self.world.turn),
            pitch=camera.pitch,
            lean=rng.normal(0, 0.025),
            phase=rng.uniform(0, 2 * pi),
            stride=rng.uniform(0.05, 0.5),
            light=camera.light,
        )

    def _passer(
        self, picture: Picture.Image, view: View, rng: np.random.Generator, *, behind: bool
    ) -> None:
        """Paint a stranger beside the person, behind or half in front of them."""
        side = rng.choice([-1, 1]) * rng.uniform(0.24, 0.42) * view.scale
        step = -0.12 if behind else 0.06
        other = replace(
            view,
            x=view.x + side,
            ground=view.ground + step * view.scale,
            scale=view.scale * (1 + 1.2 * step),
            yaw=view.yaw + rng.normal(0, 1),
            phase=rng.uniform(0, 2 * pi),
        )
        paint_person(picture, random_person(rng), other)
