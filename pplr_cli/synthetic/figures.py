"""A person as an articulated figure: trunk, walking limbs, clothes, hair and bags."""

from collections.abc import Callable
from functools import partial
from math import cos, sin

from PIL import Image, ImageChops, ImageDraw

from pplr_cli.synthetic.painter import HIP, SHIN, THIGH, Painter, Point, Ring, View
from pplr_cli.synthetic.wardrobe import Person, tone

WAIST, CHEST, SHOULDER, NECK, HEAD = 0.6, 0.72, 0.82, 0.85, 0.925
UPPER_ARM, FOREARM = 0.165, 0.15

SKIRT: tuple[Ring, ...] = ((WAIST, 0.085, 0.06), (HIP, 0.105, 0.08), (0.3, 0.125, 0.1))
SEAT: tuple[Ring, ...] = ((WAIST, 0.085, 0.06), (HIP, 0.1, 0.075), (HIP - 0.05, 0.085, 0.065))
TOP: tuple[Ring, ...] = (
    (NECK, 0.04, 0.035), (SHOULDER + 0.012, 0.09, 0.045), (SHOULDER - 0.02, 0.112, 0.06),
    (CHEST, 0.115, 0.07), (WAIST, 0.09, 0.06),
)  # fmt: skip
SHORT_HEM, LONG_HEM = (HIP + 0.01, 0.105, 0.075), (0.3, 0.12, 0.09)

ROWS = {
    "stripes": [(0.04 * i - 0.02, 0.015, 220) for i in range(18)],
    "band": [(0.09, 0.07, 255)],
    "block": [(0.15, 1.0, 255)],
}
"""Place below the shoulder, height and opacity of the rows of each pattern."""
ROWS["check"] = ROWS["stripes"]


def paint_person(canvas: Image.Image, person: Person, view: View) -> None:
    """Paint one person on the picture, farthest parts first."""
    figure = _Figure(canvas, person, view)
    for _, paint in sorted(figure.parts(), key=lambda part: part[0]):
        paint()


class _Figure(Painter):
    """The parts of one person, each with its depth."""

    def __init__(self, canvas: Image.Image, person: Person, view: View) -> None:
        super().__init__(canvas, view)
        self.person = person
        self.front = cos(view.yaw) > 0

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

    def _leg(self, side: int) -> None:
        person, breadth = self.person, self.person.build
        thigh, shin = self.view.leg(side)
        hip: Point = (side * 0.048 * breadth, HIP, 0)
        knee = _step(hip, thigh, THIGH)
        ankle = _step(knee, shin, SHIN)
        toe: Point = (ankle[0] * 1.2, ankle[1] - 0.018, ankle[2] + 0.07)
        bare = person.bottom != "trousers"
        width = 0.042 * breadth * (1.0 if bare else 1.15)
        self.limb(ankle, toe, 0.024, 0.02, person.shoes)
        calf = person.skin if bare else person.lower
        self.limb(knee, ankle, width * 0.85, width * (0.5 if bare else 0.72), calf)
        self.limb(hip, knee, width * 1.35, width, person.lower)
        if person.bottom == "skirt":
            self.limb(_step(hip, thigh, 0.5 * THIGH), knee, width, width * 0.9, person.skin)

    def _trunk(self) -> None:
        person = self.person
        self.limb((0, NECK - 0.02, 0), (0, HEAD, 0), 0.028, 0.026, person.skin)
        if person.bottom == "skirt":
            self.body(self._rings(SKIRT), person.lower)
        elif person.top != "coat":
            self.body(self._rings(SEAT), person.lower)
        top = self._rings((*TOP, LONG_HEM if person.top == "coat" else SHORT_HEM))
        self.body(top, person.upper)
        self._pattern(top)
        if person.bag == "backpack" and self.front:
            for x in (-0.06, 0.06):
                self.line((x, 0.83, 0), (x * 1.1, 0.64, 0), 0.018, person.bag_colour)

    def _rings(self, rings: tuple[Ring, ...]) -> list[Ring]:
        """Return cross-sections with the breadth of this person."""
        return [(y, x * self.person.build, z * self.person.build) for y, x, z in rings]

    def _pattern(self, top: list[Ring]) -> None:
        """Paint the pattern of the top within its outline."""
        marks = Image.new("L", self.canvas.size)
        self._mark(ImageDraw.Draw(marks))
        within = Image.new("L", marks.size)
        ImageDraw.Draw(within).polygon(self.outline(top), fill=255)
        self.canvas.paste(self.person.accent, mask=ImageChops.multiply(marks, within))

    def _mark(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the pattern of the top as a mask; logos and open jackets show in front only."""
        view, pattern, scale = self.view, self.person.pattern, self.view.scale
        axis, shoulder = view.point((0, SHOULDER, 0))
        middle = axis + 0.07 * scale * sin(view.yaw)
        for place, height, opacity in ROWS.get(pattern, ()):
            row = shoulder + place * scale
            draw.rectangle((axis - scale, row, axis + scale, row + height * scale), fill=opacity)
        if pattern in ("bars", "check"):
            for i in range(-4, 5):
                column = middle + 0.045 * i * scale
                draw.rectangle((column, 0, column + 0.014 * scale, shoulder + scale), fill=220)
        if self.front and pattern == "logo":
            half, row = 0.045 * scale * cos(view.yaw), shoulder + 0.1 * scale
            draw.ellipse((middle - half, row - half, middle + half, row + 0.05 * scale), fill=255)
        if self.front and self.person.top in ("jacket", "coat") and pattern == "plain":
            half = 0.035 * scale * cos(view.yaw)
            draw.rectangle((middle - half, 0, middle + half, shoulder + 0.24 * scale), fill=255)

    def _arm(self, side: int) -> None:
        person, breadth = self.person, self.person.build
        swing = -0.8 * side * self.view.stride * sin(self.view.phase)
        shoulder: Point = (side * 0.108 * breadth, SHOULDER - 0.022, 0)
        elbow = _step(shoulder, swing, UPPER_ARM, out=side * 0.1)
        wrist = _step(elbow, swing + 0.25 + max(0.0, swing), FOREARM, out=side * 0.04)
        width = 0.028 * breadth * (1.15 if person.top in ("jacket", "coat") else 1.0)
        short, cloth = person.top == "tshirt", tone(person.upper, 0.94)
        if person.bag == "hand" and side == 1:
            low = (wrist[0], wrist[1] - 0.1, wrist[2])
            self.line(wrist, low, 0.02, tone(person.bag_colour, 0.7))
            self.box(low, (0.055, 0.06, 0.07), person.bag_colour)
        self.ball(_step(wrist, swing, 0.015), 0.019, 0.022, person.skin)
        self.limb(elbow, wrist, width * 0.85, width * 0.65, person.skin if short else cloth)
        if short:
            self.limb(shoulder, elbow, width * 0.9, width * 0.85, person.skin)
        cuff = _step(shoulder, swing, 0.65 * UPPER_ARM) if short else elbow
        self.limb(shoulder, cuff, width * 1.1, width, cloth)

    def _backpack(self) -> None:
        colour = self.person.bag_colour
        self.box((0, 0.7, -0.1), (0.085, 0.115, 0.05), colour)
        if not self.front:
            self.box((0, 0.65, -0.1), (0.06, 0.045, 0.04), tone(colour, 0.82))

    def _shoulder_bag(self) -> None:
        colour, side = self.person.bag_colour, 0.125 * self.person.build
        self.line((-0.07, 0.83, 0), (side, 0.52, 0), 0.018, tone(colour, 0.75))
        self.box((side, 0.49, 0), (0.03, 0.055, 0.075), colour)

    def _head(self) -> None:
        person, style = self.person, self.person.hair_style
        turned, facing = sin(self.view.yaw), cos(self.view.yaw)
        hair = person.skin if style == "bald" else person.hair
        if style == "long" and facing > -0.3:
            self.ball((0, HEAD - 0.045, -0.02), 0.057, 0.075, hair)
        self.ball((0, HEAD, 0), 0.054, 0.068, hair)
        if facing > -0.5:
            self.ball((0, HEAD - 0.014, 0.026), 0.047 - 0.008 * abs(turned), 0.052, person.skin)
        if style == "long" and facing <= -0.3:
            self.ball((0, HEAD - 0.045, -0.01), 0.06, 0.085, hair)
        if style == "bun":
            self.ball((0, HEAD + 0.045, -0.05), 0.028, 0.028, hair)
        if person.hat != "none":
            self.ball((0, HEAD + 0.035, 0), 0.056, 0.04, person.hat_colour)
        if person.hat == "cap":
            self.ball((0, HEAD + 0.018, 0.05), 0.045, 0.014, tone(person.hat_colour, 0.8))


def _step(start: Point, angle: float, length: float, out: float = 0.0) -> Point:
    """Return the end of a limb hanging from `start`, swung forward by `angle`."""
    return (
        start[0] + length * sin(out),
        start[1] - length * cos(angle) * cos(out),
        start[2] + length * sin(angle),
    )
