"""Paints shaded solids of an articulated figure on a picture.

A figure has its own frame, in units of the mean body height: x to its left, y up from the ground,
z forward. A `View` turns it about y and projects it on the picture; far parts are painted first.
"""

from dataclasses import dataclass
from math import cos, hypot, sin
from typing import NamedTuple

from PIL import Image, ImageDraw

from pplr_cli.synthetic.wardrobe import Colour, tone

Point = tuple[float, float, float]


class Ring(NamedTuple):
    """An elliptic cross-section of a body about the vertical axis."""

    y: float
    half_x: float
    half_z: float


@dataclass(frozen=True)
class View:
    """The position, pose and light of a figure in one image.

    Attributes:
        x: picture column of the body's axis, in pixels.
        ground: picture row of the feet, in pixels.
        scale: pixels for the mean body height.
        yaw: 0 = facing the camera, pi / 2 = in profile, pi = from behind.
        pitch: 0 = at eye level; larger = the camera looks down on the figure.
        lean: sideways shift of the head in units of body height.
        phase: phase of the walking cycle in radians.
        stride: largest angle of the thighs in radians; 0 = standing.
        light: -1 = light from the left, 1 = from the right.
    """

    x: float
    ground: float
    scale: float
    yaw: float
    pitch: float = 0.0
    lean: float = 0.0
    phase: float = 0.0
    stride: float = 0.4
    light: float = 0.5

    def point(self, p: Point) -> tuple[float, float]:
        """Return the picture column and row of a point of the body."""
        across = p[0] * cos(self.yaw) + p[2] * sin(self.yaw)
        grown = 1 + self.pitch * (p[1] - 0.5)
        rise = p[1] * (1 - 0.5 * self.pitch) + 0.5 * self.pitch * p[1] ** 2
        column = self.x + self.scale * (across * grown + self.lean * p[1])
        return column, self.ground - self.scale * rise

    def depth(self, p: Point) -> float:
        """Return the nearness of a point to the camera."""
        return p[2] * cos(self.yaw) - p[0] * sin(self.yaw)

    def half_width(self, ring: Ring) -> float:
        """Return the half width of a cross-section in pixels."""
        across = hypot(ring.half_x * cos(self.yaw), ring.half_z * sin(self.yaw))
        return self.scale * across * (1 + self.pitch * (ring.y - 0.5))


class Painter:
    """Paints shaded solids of one figure on a picture."""

    def __init__(self, canvas: Image.Image, view: View) -> None:
        self.canvas = canvas
        self.view = view
        self.draw = ImageDraw.Draw(canvas)

    def limb(self, a: Point, b: Point, radius_a: float, radius_b: float, colour: Colour) -> None:
        """Paint a tapered limb from a to b."""
        (ax, ay), (bx, by) = self.view.point(a), self.view.point(b)
        for factor, size, shift in self._shades():
            ra, rb = radius_a * self.view.scale * size, radius_b * self.view.scale * size
            sa, sb = shift * radius_a * self.view.scale, shift * radius_b * self.view.scale
            self._capsule(ax + sa, ay, ra, bx + sb, by, rb, tone(colour, factor))

    def body(self, rings: list[Ring], colour: Colour) -> None:
        """Paint a solid of elliptic cross-sections, given from top to bottom."""
        for factor, size, shift in self._shades():
            self.draw.polygon(self.outline(rings, size, shift), fill=tone(colour, factor))

    def outline(
        self, rings: list[Ring], size: float = 1.0, shift: float = 0.0
    ) -> list[tuple[float, float]]:
        """Return the outline of a body, half widths times `size`, moved by `shift` of them."""
        left, right = [], []
        for ring in rings:
            column, row = self.view.point((0, ring.y, 0))
            half = self.view.half_width(ring)
            left.append((column + half * (shift - size), row))
            right.append((column + half * (shift + size), row))
        return left + right[::-1]

    def ball(self, centre: Point, half_x: float, half_y: float, colour: Colour) -> None:
        """Paint an ellipse that faces the camera."""
        x, y = self.view.point(centre)
        rx, ry = half_x * self.view.scale, half_y * self.view.scale
        for factor, size, shift in self._shades():
            box = (x + rx * (shift - size), y - ry * size, x + rx * (shift + size), y + ry * size)
            self.draw.ellipse(box, fill=tone(colour, factor))

    def box(self, centre: Point, half: Point, colour: Colour) -> None:
        """Paint an upright box with round corners."""
        x, y = self.view.point(centre)
        rx = self.view.half_width(Ring(centre[1], half[0], half[2]))
        ry = half[1] * self.view.scale
        radius = 0.3 * min(rx, ry)
        for factor, size, shift in self._shades():
            area = (x + rx * (shift - size), y - ry * size, x + rx * (shift + size), y + ry * size)
            self.draw.rounded_rectangle(area, radius * size, fill=tone(colour, factor))

    def line(self, a: Point, b: Point, width: float, colour: Colour) -> None:
        """Paint a flat line, such as a strap."""
        ends = [self.view.point(a), self.view.point(b)]
        self.draw.line(ends, fill=colour, width=max(1, round(width * self.view.scale)))

    def _shades(self) -> tuple[tuple[float, float, float], ...]:
        """Return (brightness, size, shift to the light) of layers that make a part look round."""
        light = self.view.light
        return (0.78, 1.0, 0.0), (1.0, 0.8, 0.18 * light), (1.1, 0.35, 0.4 * light)

    def _capsule(
        self, ax: float, ay: float, ra: float, bx: float, by: float, rb: float, colour: Colour
    ) -> None:
        length = hypot(bx - ax, by - ay) or 1.0
        nx, ny = (ay - by) / length, (bx - ax) / length
        quad = [
            (ax + nx * ra, ay + ny * ra), (bx + nx * rb, by + ny * rb),
            (bx - nx * rb, by - ny * rb), (ax - nx * ra, ay - ny * ra),
        ]  # fmt: skip
        self.draw.polygon(quad, fill=colour)
        self.draw.ellipse((ax - ra, ay - ra, ax + ra, ay + ra), fill=colour)
        self.draw.ellipse((bx - rb, by - rb, bx + rb, by + rb), fill=colour)
