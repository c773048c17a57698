"""A person as an articulated figure: trunk, walking limbs, clothes, hair and bags."""

from collections.abc import Callable
from functools import partial
from math import cos, sin

from PIL import Image, ImageChops, ImageDraw

from pplr_cli.synthetic.painter import Painter, Point, Ring, View
from pplr_cli.synthetic.wardrobe import Person, tone

HIP, WAIST, CHEST, SHOULDER, NECK, HEAD = 0.49, 0.6, 0.72, 0.82, 0.85, 0.925
THIGH, SHIN, UPPER_ARM, FOREARM = 0.24, 0.23, 0.165, 0.15


def paint_person(canvas: Image.Image, person: Person, view: View) -> None:
    """Paint one person on the picture, farthest parts first."""
    figure = _Figure(canvas, person, view)
    for _, paint in sorted(figure.parts(), key=lambda part: part[0]):
        paint()


class _Figure:
    """The parts of one person, each with its depth."""

    def __init__(self, canvas: Image.Image, person: Person, view: View) -> None:
        self.person, self.view = person, view
        self.painter = Painter(canvas, view)
        self.front = cos(view.yaw) > 0
        self.hips = [self._leg_angles(side) for side in (-1, 1)]
        self.rise = max(_leg_length(*angles) for angles in self.hips) + 0.02

    def parts(self) -> list[tuple[float, Callable[[], None]]]:
        """Return every part as (depth, painting function)."""
        parts = [(0.0, self._trunk), (0.001, self._head)]
        for side in (-1, 1):
            depth = self.view.depth((side * 0.1, 0, 0))
            parts.append((0.3 * depth - 0.02, partial(self._leg, side)))
            parts.append((1.2 * depth, partial(self._arm, side)))
        if self.person.bag == "backpack":
            parts.append((self.view.depth((0, 0, -0.1)), self._backpack))
        if self.person.bag == "shoulder":
            parts.append((1.3 * self.view.depth((0.11, 0, 0)) + 0.002, self._shoulder_bag))
        return parts

    # legs

    def _leg_angles(self, side: int) -> tuple[float, float]:
        """Return the angles of thigh and shin from the vertical, forward positive."""
        swing = side * self.view.stride * sin(self.view.phase)
        flex = self.view.stride * max(0.0, side * cos(self.view.phase)) * 1.6
        return swing, swing - flex

    def _leg(self, side: int) -> None:
        person, breadth = self.person, self.person.build
        thigh, shin = self.hips[(side + 1) // 2]
        hip: Point = (side * 0.048 * breadth, self.rise, 0)
        knee = _step(hip, thigh, THIGH)
        ankle = _step(knee, shin, SHIN)
        toe: Point = (ankle[0] * 1.2, ankle[1] - 0.018, ankle[2] + 0.07)
        bare = person.bottom != "trousers"
        width = 0.042 * breadth * (1.0 if bare else 1.15)
        self.painter.limb(ankle, toe, 0.024, 0.02, person.shoes)
        calf = person.skin if bare else person.lower
        self.painter.limb(knee, ankle, width * 0.85, width * (0.5 if bare else 0.72), calf)
        self.painter.limb(hip, knee, width * 1.35, width, person.lower)
        if person.bottom == "skirt":
            self.painter.limb(_step(hip, thigh, 0.5 * THIGH), knee, width, width * 0.9, person.skin)

    # trunk

    def _rings(self, *rows: tuple[float, float, float]) -> list[Ring]:
        """Return cross-sections, heights moved with the hips, breadths scaled by the build."""
        up, breadth = self.rise - HIP, self.person.build
        return [Ring(y + up, x * breadth, z * breadth) for y, x, z in rows]

    def _trunk(self) -> None:
        person = self.person
        up = self.rise - HIP
        self.painter.limb((0, NECK - 0.02 + up, 0), (0, HEAD + up, 0), 0.028, 0.026, person.skin)
        if person.bottom == "skirt":
            skirt = ((WAIST, 0.085, 0.06), (HIP, 0.105, 0.08), (0.3, 0.125, 0.1))
            self.painter.body(self._rings(*skirt), person.lower)
        elif person.top != "coat":
            seat = ((WAIST, 0.085, 0.06), (HIP, 0.1, 0.075), (HIP - 0.05, 0.085, 0.065))
            self.painter.body(self._rings(*seat), person.lower)
        hem = 0.3 if person.top == "coat" else HIP + 0.01
        top = self._rings(
            (NECK, 0.04, 0.035), (SHOULDER + 0.012, 0.09, 0.045), (SHOULDER - 0.02, 0.112, 0.06),
            (CHEST, 0.115, 0.07), (WAIST, 0.09, 0.06),
            (hem, 0.105 if hem > 0.4 else 0.12, 0.075 if hem > 0.4 else 0.09),
        )  # fmt: skip
        self.painter.body(top, person.upper)
        self._pattern(top)
        if person.bag == "backpack" and self.front:
            for x in (-0.06, 0.06):
                self.painter.line(
                    (x, 0.83 + up, 0), (x * 1.1, 0.64 + up, 0), 0.018, person.bag_colour
                )

    def _pattern(self, top: list[Ring]) -> None:
        """Paint the pattern of the top within its outline."""
        marks = Image.new("L", self.painter.canvas.size)
        draw = ImageDraw.Draw(marks)
        self._mark(draw)
        within = Image.new("L", marks.size)
        ImageDraw.Draw(within).polygon(self.painter.outline(top), fill=255)
        both = ImageChops.multiply(marks, within)
        self.painter.canvas.paste(self.person.accent, mask=both)

    def _mark(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the pattern of the top as a mask; logos and open jackets show in front only."""
        view, pattern, scale = self.view, self.person.pattern, self.view.scale
        axis, shoulder = view.point((0, SHOULDER + self.rise - HIP, 0))
        far, low = scale, shoulder + 0.6 * scale
        middle = axis + 0.07 * scale * sin(view.yaw)
        if pattern in ("stripes", "check"):
            for i in range(18):
                row = shoulder + (0.04 * i - 0.02) * scale
                draw.rectangle((axis - far, row, axis + far, row + 0.015 * scale), fill=220)
        if pattern in ("bars", "check"):
            for i in range(-4, 5):
                column = middle + 0.045 * i * scale
                draw.rectangle((column, 0, column + 0.014 * scale, low), fill=220)
        if pattern == "block":
            draw.rectangle((axis - far, shoulder + 0.15 * scale, axis + far, low), fill=255)
        if pattern == "band":
            row = shoulder + 0.09 * scale
            draw.rectangle((axis - far, row, axis + far, row + 0.07 * scale), fill=255)
        if self.front and pattern == "logo":
            half, row = 0.045 * scale * cos(view.yaw), shoulder + 0.1 * scale
            draw.ellipse((middle - half, row - half, middle + half, row + 0.05 * scale), fill=255)
        if self.front and self.person.top in ("jacket", "coat") and pattern == "plain":
            half = 0.035 * scale * cos(view.yaw)
            draw.rectangle((middle - half, 0, middle + half, shoulder + 0.24 * scale), fill=255)

    # arms

    def _arm(self, side: int) -> None:
        person, breadth = self.person, self.person.build
        swing = -0.8 * side * self.view.stride * sin(self.view.phase)
        shoulder: Point = (side * 0.108 * breadth, SHOULDER - 0.022 + self.rise - HIP, 0)
        elbow = _step(shoulder, swing, UPPER_ARM, out=side * 0.1)
        wrist = _step(elbow, swing + 0.25 + max(0.0, swing), FOREARM, out=side * 0.04)
        width = 0.028 * breadth * (1.15 if person.top in ("jacket", "coat") else 1.0)
        sleeve = person.skin if person.top == "tshirt" else tone(person.upper, 0.94)
        if person.bag == "hand" and side == 1:
            low = (wrist[0], wrist[1] - 0.1, wrist[2])
            self.painter.line(wrist, low, 0.02, tone(person.bag_colour, 0.7))
            self.painter.box(low, (0.055, 0.06, 0.07), person.bag_colour)
        self.painter.ball(_step(wrist, swing, 0.015), 0.019, 0.022, person.skin)
        self.painter.limb(elbow, wrist, width * 0.85, width * 0.65, sleeve)
        cuff = elbow if person.top != "tshirt" else _step(shoulder, swing, 0.65 * UPPER_ARM)
        if person.top == "tshirt":
            self.painter.limb(shoulder, elbow, width * 0.9, width * 0.85, person.skin)
        self.painter.limb(shoulder, cuff, width * 1.1, width, tone(person.upper, 0.94))

    # bags

    def _backpack(self) -> None:
        up = self.rise - HIP
        x, z = 0.0, -0.1
        centre: Point = (x, 0.7 + up, z)
        self.painter.box(centre, (0.085, 0.115, 0.05), self.person.bag_colour)
        if not self.front:
            pocket: Point = (x, 0.65 + up, z)
            self.painter.box(pocket, (0.06, 0.045, 0.04), tone(self.person.bag_colour, 0.82))

    def _shoulder_bag(self) -> None:
        up, colour = self.rise - HIP, self.person.bag_colour
        side = 0.125 * self.person.build
        self.painter.line((-0.07, 0.83 + up, 0), (side, 0.52 + up, 0), 0.018, tone(colour, 0.75))
        self.painter.box((side, 0.49 + up, 0), (0.03, 0.055, 0.075), colour)

    # head

    def _head(self) -> None:
        person, view = self.person, self.view
        y = HEAD + self.rise - HIP
        turned, facing = sin(view.yaw), cos(view.yaw)
        hair = person.skin if person.hair_style == "bald" else person.hair
        if person.hair_style == "long" and facing > -0.3:
            self.painter.ball((0, y - 0.045, -0.02), 0.057, 0.075, hair)
        self.painter.ball((0, y, 0), 0.054, 0.068, hair)
        if facing > -0.5:
            face: Point = (0, y - 0.014, 0.026)
            self.painter.ball(face, 0.047 - 0.008 * abs(turned), 0.052, person.skin)
        if person.hair_style == "long" and facing <= -0.3:
            self.painter.ball((0, y - 0.045, -0.01), 0.06, 0.085, hair)
        if person.hair_style == "bun":
            self.painter.ball((0, y + 0.045, -0.05), 0.028, 0.028, hair)
        if person.hat != "none":
            self._hat(y)

    def _hat(self, y: float) -> None:
        colour = self.person.hat_colour
        self.painter.ball((0, y + 0.035, 0), 0.056, 0.04, colour)
        if self.person.hat == "cap":
            self.painter.ball((0, y + 0.018, 0.05), 0.045, 0.014, tone(colour, 0.8))


def _step(start: Point, angle: float, length: float, out: float = 0.0) -> Point:
    """Return the end of a limb hanging from `start`, swung forward by `angle`."""
    return (
        start[0] + length * sin(out),
        start[1] - length * cos(angle) * cos(out),
        start[2] + length * sin(angle),
    )


def _leg_length(thigh: float, shin: float) -> float:
    return THIGH * cos(thigh) + SHIN * cos(shin)
