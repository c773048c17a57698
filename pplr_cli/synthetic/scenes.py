"""Cameras, each with its own place, light, colour rendering and view of the people."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pplr_cli.synthetic.painter import View
from pplr_cli.synthetic.wardrobe import Colour, choice, tone

PANORAMA = 5
"""Width of a camera's background in crop widths."""

MATERIALS: tuple[Colour, ...] = (
    (150, 148, 142), (204, 196, 180), (150, 96, 80), (98, 108, 120), (152, 120, 86), (94, 94, 98),
    (104, 126, 84), (190, 170, 134), (92, 130, 134), (176, 182, 186), (122, 84, 62), (70, 84, 76),
)  # fmt: skip
"""Concrete, plaster, brick, slate, wood, asphalt, grass, sand, glass, steel, ..."""


THINGS = {
    "door": ((0.0, -0.7, 0.3, 0.0, 1.0), (0.04, -0.66, 0.26, -0.2, 1.25)),
    "bench": (
        (0.0, -0.08, 0.4, -0.04, 1.0), (0.0, 0.0, 0.4, 0.04, 1.0),
        (0.04, 0.0, 0.06, 0.1, 0.6), (0.34, 0.0, 0.36, 0.1, 0.6),
    ),
    "pole": ((0.0, -1.0, 0.02, 0.05, 0.6),),
    "bin": ((0.0, -0.12, 0.1, 0.06, 0.8), (0.0, -0.14, 0.1, -0.1, 0.5)),
}  # fmt: skip
"""Left, top, right and bottom of rectangles, from the foot of the wall, and their brightness."""


@dataclass(frozen=True)
class Camera:
    """One camera of the synthetic world."""

    background: Image.Image  # its place, `PANORAMA` crops wide, at drawing resolution
    gain: float  # exposure, 1 = neutral
    gamma: float  # exponent of the brightness, 1 = neutral
    cast: tuple[float, float, float]  # gain of red, green and blue
    saturation: float  # 1 = neutral, 0 = grey
    blur: float  # radius in pixels of the crop
    noise: float  # standard deviation of the sensor noise, 1 = the full range
    yaw: float  # direction in which most people walk
    pitch: float  # as in `View`
    light: float  # as in `View`

    def backdrop(self, rng: np.random.Generator, width: int) -> Image.Image:
        """Return a random part of the background, `width` pixels wide."""
        left = int(rng.integers(self.background.width - width + 1))
        return self.background.crop((left, 0, left + width, self.background.height))

    def expose(self, rng: np.random.Generator, picture: Image.Image) -> Image.Image:
        """Return the crop as rendered by this camera's lens and sensor."""
        blurred = picture.filter(ImageFilter.GaussianBlur(self.blur * rng.uniform(0.5, 1.5)))
        light = np.asarray(blurred, dtype=np.float32) / 255
        grey = light.mean(axis=2, keepdims=True)
        light = grey + self.saturation * (light - grey)
        light = light * np.array(self.cast, np.float32) * self.gain * rng.normal(1.0, 0.05)
        light = np.clip(light, 0, 1) ** self.gamma
        light += rng.normal(0, self.noise, light.shape).astype(np.float32)
        return Image.fromarray((np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8))


def random_camera(rng: np.random.Generator, size: tuple[int, int], rendering: float) -> Camera:
    """Return a random camera.

    Args:
        rng: equal generators give equal cameras.
        size: width and height of a crop at drawing resolution.
        rendering: as in `World`.
    """
    red, green, blue = np.exp(rendering * rng.uniform(-0.09, 0.09, 3)).tolist()
    return Camera(
        gain=float(np.exp(rendering * rng.uniform(-0.2, 0.06))),
        gamma=float(np.exp(rendering * rng.uniform(-0.14, 0.14))),
        cast=(red, green, blue),
        saturation=float(np.exp(rendering * rng.uniform(-0.25, 0.1))),
        blur=float(rng.uniform(0.3, 0.8)),
        noise=float(rng.uniform(0.008, 0.03)),
        yaw=float(rng.uniform(0, 2 * pi)),
        pitch=float(rng.uniform(0.0, 0.35)),
        light=float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)),
        background=_Scene(rng, (size[0] * PANORAMA, size[1])).paint(),
    )


class _Scene:
    """A place: a wall, a floor and objects in front of the wall."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.rng = rng
        self.width, self.height = size
        self.horizon = round(self.height * rng.uniform(0.3, 0.8))
        self.image = Image.new("RGB", size)
        self.draw = ImageDraw.Draw(self.image)

    def paint(self) -> Image.Image:
        """Return the background."""
        self._wall(self._colour())
        self._floor(self._colour())
        for _ in range(int(self.rng.integers(5, 11))):
            thing = choice(self.rng, door=2, poster=2, bench=2, plant=2, pole=1, bin=1)
            self._thing(thing, int(self.rng.integers(self.width)), self._colour())
        light = np.asarray(self.image, dtype=np.float32) * self._grain()[:, :, None]
        soft = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
        return soft.filter(ImageFilter.GaussianBlur(0.012 * self.height))

    def _grain(self) -> NDArray[np.float32]:
        """Return the brightness of a surface, around 1: soft patches of light and fine grain."""
        patches = Image.fromarray(self.rng.normal(1.0, 0.1, (4, 16)).astype(np.float32))
        soft = np.asarray(patches.resize((self.width, self.height), Image.Resampling.BICUBIC))
        noise = self.rng.normal(0, 0.04, soft.shape).astype(np.float32)
        grain: NDArray[np.float32] = soft + noise
        return grain

    def _colour(self) -> Colour:
        """Return the colour of a building material."""
        material = np.array(MATERIALS[self.rng.integers(len(MATERIALS))], dtype=float)
        shade = material * self.rng.normal(1.0, 0.12)
        red, green, blue = np.clip(shade, 20, 235).astype(int).tolist()
        return red, green, blue

    def _wall(self, colour: Colour) -> None:
        kind = choice(self.rng, plain=1, bricks=2, panels=2, hedge=1)
        self.draw.rectangle((0, 0, self.width, self.horizon), fill=colour)
        step = round(self.height * (0.04 if kind == "bricks" else self.rng.uniform(0.15, 0.4)))
        if kind == "bricks":
            for row in range(0, self.horizon, step):
                self.draw.line((0, row, self.width, row), fill=tone(colour, 0.8))
                for x in range((row // step % 2) * step, self.width, 2 * step):
                    self.draw.line((x, row, x, row + step), fill=tone(colour, 0.8))
        if kind == "panels":
            for x in range(0, self.width, step):
                shade = tone(colour, self.rng.uniform(0.85, 1.1))
                self.draw.rectangle((x, 0, x + step, self.horizon), fill=shade)
        if kind == "hedge":
            for _ in range(self.width):
                x, y = int(self.rng.integers(self.width)), int(self.rng.integers(self.horizon))
                shade = tone(colour, self.rng.uniform(0.7, 1.2))
                self.draw.ellipse((x - 9, y - 6, x + 9, y + 6), fill=shade)

    def _floor(self, colour: Colour) -> None:
        self.draw.rectangle((0, self.horizon, self.width, self.height), fill=colour)
        kind = choice(self.rng, plain=2, tiles=2, kerb=1)
        edge = tone(colour, 0.82)
        if kind == "tiles":
            for i in range(8):
                row = self.horizon + (self.height - self.horizon) * (i / 8) ** 1.5
                self.draw.line((0, row, self.width, row), fill=edge, width=2)
            step = round(self.height * 0.22)
            for x in range(-self.width, 2 * self.width, step):
                end = x + (x - self.width / 2) * 0.3
                self.draw.line((x, self.horizon, end, self.height), fill=edge, width=2)
        if kind == "kerb":
            row = self.horizon + (self.height - self.horizon) * 0.4
            self.draw.rectangle((0, row, self.width, row + 0.03 * self.height), fill=edge)

    def _thing(self, kind: str, x: int, colour: Colour) -> None:
        height, y = self.height, float(self.horizon)
        if kind == "poster":
            y *= self.rng.uniform(0.2, 0.6)
            self._rectangle(x, y, (0.0, 0.0, 0.2, 0.2), colour)
            self._rectangle(x, y, (0.03, 0.03, 0.17, 0.1), self._colour())
        if kind == "plant":
            self._rectangle(x, y, (-0.05, -0.05, 0.05, 0.08), colour)
            for _ in range(25):
                dx = self.rng.normal(0, 0.05 * height)
                row = y - 0.05 * height - abs(self.rng.normal(0, 0.1 * height))
                r, shade = 0.025 * height, tone((70, 120, 60), self.rng.uniform(0.6, 1.4))
                self.draw.ellipse((x + dx - r, row - r, x + dx + r, row + r), fill=shade)
        for *corners, brightness in THINGS.get(kind, ()):
            self._rectangle(x, y, corners, tone(colour, brightness))

    def _rectangle(self, x: float, y: float, corners: Sequence[float], colour: Colour) -> None:
        left, top, right, bottom = (corner * self.height for corner in corners)
        self.draw.rectangle((x + left, y + top, x + right, y + bottom), fill=colour)


def drop_shadow(picture: Image.Image, view: View) -> None:
    """Darken the ground under a figure's feet."""
    width, height = 0.17 * view.scale, 0.025 * view.scale
    mask = Image.new("L", picture.size)
    box = (view.x - width, view.ground - height, view.x + width, view.ground + height)
    ImageDraw.Draw(mask).ellipse(box, fill=110)
    picture.paste((15, 15, 20), mask=mask.filter(ImageFilter.BoxBlur(0.02 * view.scale)))


def occlude(rng: np.random.Generator, picture: Image.Image) -> None:
    """Paint a pole, a box or a railing in front of the figure."""
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    colour = tone(MATERIALS[rng.integers(len(MATERIALS))], rng.uniform(0.6, 1.2))
    kind = choice(rng, pole=2, box=3, railing=1)
    if kind == "pole":
        x, half = rng.uniform(0.15, 0.85) * width, rng.uniform(0.03, 0.09) * width
        draw.rectangle((x - half, 0, x + half, height), fill=colour)
        draw.rectangle((x - half, 0, x - half / 3, height), fill=tone(colour, 0.75))
    if kind == "box":
        top, x = rng.uniform(0.6, 0.85) * height, rng.uniform(-0.5, 0.5) * width
        draw.rectangle((x, top, x + width, height), fill=colour)
        draw.rectangle((x, top, x + width, top + 0.025 * height), fill=tone(colour, 1.25))
    if kind == "railing":
        top = rng.uniform(0.5, 0.75) * height
        for row in (top, top + 0.12 * height):
            draw.rectangle((0, row, width, row + 0.02 * height), fill=colour)
        for i in range(6):
            draw.rectangle((i * width / 5, top, i * width / 5 + 3, height), fill=colour)
