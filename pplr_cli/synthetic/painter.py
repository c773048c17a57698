"""Paints shaded solids of an articulated figure on a picture.

A figure has its own frame, in units of the mean body height: x to its left, y up from the ground
if it stands upright, z forward. A `View` turns it about y and projects it on the picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import cos, hypot, sin

from PIL import Image, ImageDraw

from pplr_cli.synthetic.wardrobe import Colour, tone

HIP, THIGH, SHIN = 0.49, 0.24, 0.23

Point = tuple[float, float, float]
Ring = tuple[float, float, float]
"""An elliptic cross-section about the vertical axis: height and half axes along x and z."""


@dataclass(frozen=True)
class View:
    """The position, pose and light of a figure in one image; angles in radians."""

    x: float  # picture column of the body's axis, in pixels
    ground: float  # picture row of the feet, in pixels
    scale: float  # pixels for the mean body height
    yaw: float  # 0 = facing the camera, pi / 2 = in profile, pi = from behind
    pitch: float  # 0 = at eye level; larger = the camera looks down on the figure
    lean: float  # sideways shift of the head in units of body height
    phase: float  # of the walking cycle
    stride: float  # largest angle of the thighs
    light: float  # -1 = from the left, 1 = from the right

    def leg(self, side: int) -> tuple[float, float]:
        """Return the angles of thigh and shin from the vertical, forward positive."""
        swing = side * self.stride * sin(self.phase)
        flex = self.stride * max(0.0, side * cos(self.phase)) * 1.6
        return swing, swing - flex

    @cached_property
    def lift(self) -> float:
        """How far the hips are above or below those of a figure that stands upright."""
        lengths = (THIGH * cos(a) + SHIN * cos(b) for a, b in (self.leg(-1), self.leg(1)))
        return max(lengths) + 0.02 - HIP

    def point(self, p: Point) -> tuple[float, float]:
        """Return the picture column and row of a point of the body."""
        y = p[1] + self.lift
        across = p[0] * cos(self.yaw) + p[2] * sin(self.yaw)
        rise = y * (1 - 0.5 * self.pitch) + 0.5 * self.pitch * y**2
        column = self.x + self.scale * (across * self._grown(p[1]) + self.lean * y)
        return column, self.ground - self.scale * rise

    def _grown(self, y: float) -> float:
        """Return the magnification at a height, from a camera that looks down."""
        return 1 + self.pitch * (y + self.lift - 0.5)

    def depth(self, p: Point) -> float:
        """Return the nearness of a point to the camera."""
        return p[2] * cos(self.yaw) - p[0] * sin(self.yaw)

    def half_width(self, ring: Ring) -> float:
        """Return the half width of a cross-section in pixels."""
        across = hypot(ring[1] * cos(self.yaw), ring[2] * sin(self.yaw))
        return self.scale * across * self._grown(ring[0])


class Painter:
    """Paints shaded solids of one figure on a picture."""

    def __init__(self, canvas: Image.Image, view: View) -> None:
        self.canvas = canvas
        self.view = view
        self.draw = ImageDraw.Draw(canvas)

    def limb(self, a: Point, b: Point, radius_a: float, radius_b: float, colour: Colour) -> None:
        """Paint a tapered limb from a to b."""
        (ax, ay), (bx, by) = self.view.point(a), self.view.point(b)
        wide_a, wide_b = radius_a * self.view.scale, radius_b * self.view.scale
        for shade, size, shift in self._layers(colour):
            ra, rb, xa, xb = wide_a * size, wide_b * size, ax + shift * wide_a, bx + shift * wide_b
            length = hypot(xb - xa, by - ay) or 1.0
            nx, ny = (ay - by) / length, (xb - xa) / length
            quad = [
                (xa + nx * ra, ay + ny * ra), (xb + nx * rb, by + ny * rb),
                (xb - nx * rb, by - ny * rb), (xa - nx * ra, ay - ny * ra),
            ]  # fmt: skip
            self.draw.polygon(quad, fill=shade)
            self.draw.ellipse((xa - ra, ay - ra, xa + ra, ay + ra), fill=shade)
            self.draw.ellipse((xb - rb, by - rb, xb + rb, by + rb), fill=shade)

    def body(self, rings: list[Ring], colour: Colour) -> None:
        """Paint a solid of elliptic cross-sections, given from top to bottom."""
        for shade, size, shift in self._layers(colour):
            self.draw.polygon(self.outline(rings, size, shift), fill=shade)

    def outline(
        self, rings: list[Ring], size: float = 1.0, shift: float = 0.0
    ) -> list[tuple[float, float]]:
        """Return the outline of a body, half widths times `size`, moved by `shift` of them."""
        left, right = [], []
        for ring in rings:
            column, row = self.view.point((0, ring[0], 0))
            half = self.view.half_width(ring)
            left.append((column + half * (shift - size), row))
            right.append((column + half * (shift + size), row))
        return left + right[::-1]

    def ball(self, centre: Point, half_x: float, half_y: float, colour: Colour) -> None:
        """Paint an ellipse that faces the camera."""
        half = half_x * self.view.scale, half_y * self.view.scale
        for shade, area, _ in self._areas(centre, *half, colour):
            self.draw.ellipse(area, fill=shade)

    def box(self, centre: Point, half: Point, colour: Colour) -> None:
        """Paint an upright box with round corners."""
        rx = self.view.half_width((centre[1], half[0], half[2]))
        ry = half[1] * self.view.scale
        for shade, area, size in self._areas(centre, rx, ry, colour):
            self.draw.rounded_rectangle(area, 0.3 * min(rx, ry) * size, fill=shade)

    def line(self, a: Point, b: Point, width: float, colour: Colour) -> None:
        """Paint a flat line, such as a strap."""
        ends = [self.view.point(a), self.view.point(b)]
        self.draw.line(ends, fill=colour, width=max(1, round(width * self.view.scale)))

    def _layers(self, colour: Colour) -> Iterator[tuple[Colour, float, float]]:
        """Yield colour, size and shift to the light of layers that make a part look round."""
        light = self.view.light
        for factor, size, shift in ((0.78, 1.0, 0), (1.0, 0.8, 0.18), (1.1, 0.35, 0.4)):
            yield tone(colour, factor), size, shift * light

    def _areas(
        self, centre: Point, rx: float, ry: float, colour: Colour
    ) -> Iterator[tuple[Colour, tuple[float, float, float, float], float]]:
        """Yield colour, corners and size of the layers around a centre."""
        x, y = self.view.point(centre)
        for shade, size, shift in self._layers(colour):
            left, right = x + rx * (shift - size), x + rx * (shift + size)
            yield shade, (left, y - ry * size, right, y + ry * size), size
