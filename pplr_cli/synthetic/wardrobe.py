"""The appearance of a synthetic person, which is the same in every image."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

SKIN: tuple[Colour, ...] = (
    (244, 208, 182), (229, 184, 150), (205, 154, 117), (170, 118, 84), (124, 82, 58), (86, 57, 44),
)  # fmt: skip
HAIR: tuple[Colour, ...] = (
    (28, 24, 23), (54, 38, 29), (92, 63, 42), (140, 100, 62), (196, 164, 108), (142, 138, 134),
)  # fmt: skip
CLOTH: tuple[Colour, ...] = (
    (30, 31, 36), (226, 225, 220), (120, 123, 128), (38, 48, 82), (74, 104, 158), (150, 38, 44),
    (196, 82, 60), (70, 106, 74), (52, 74, 66), (214, 178, 84), (128, 92, 62), (198, 172, 140),
    (112, 66, 106), (206, 138, 152), (94, 150, 162), (172, 186, 202),
)  # fmt: skip
LEGS: tuple[Colour, ...] = (
    (32, 33, 38), (44, 56, 88), (72, 92, 128), (104, 108, 114), (152, 138, 114), (84, 66, 52),
    (196, 188, 172), (64, 74, 60), (90, 44, 52),
)  # fmt: skip
SHOES: tuple[Colour, ...] = (
    (28, 27, 28), (232, 230, 226), (94, 66, 46), (122, 124, 130), (156, 46, 48), (50, 66, 108),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """The appearance of one synthetic person."""

    height: float  # relative to the mean, as `build`
    build: float
    skin: Colour
    hair: Colour
    upper: Colour
    accent: Colour  # of patterns and logos, and of what shows under a jacket
    lower: Colour
    shoes: Colour
    bag_colour: Colour
    hat_colour: Colour
    top: str
    bottom: str
    pattern: str
    bag: str
    hair_style: str
    hat: str


def tone(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker or lighter."""
    red, green, blue = (min(255, max(0, round(c * factor))) for c in colour)
    return red, green, blue


def random_person(rng: np.random.Generator) -> Person:
    """Return a random person; equal generators give equal people."""
    upper = _colour(rng, CLOTH)
    return Person(
        height=float(rng.normal(1.0, 0.035)),
        build=float(np.clip(rng.normal(1.0, 0.11), 0.8, 1.35)),
        skin=_colour(rng, SKIN, spread=2.0),
        hair=_colour(rng, HAIR),
        upper=upper,
        accent=_contrasting(rng, upper),
        lower=_colour(rng, LEGS),
        shoes=_colour(rng, SHOES),
        bag_colour=_colour(rng, CLOTH),
        hat_colour=_colour(rng, CLOTH),
        top=choice(rng, tshirt=4, shirt=3, jacket=2, coat=1),
        bottom=choice(rng, trousers=6, shorts=2, skirt=2),
        pattern=choice(rng, plain=6, stripes=2, bars=1, check=1, logo=3, block=2, band=1),
        bag=choice(rng, none=5, backpack=2, shoulder=2, hand=1),
        hair_style=choice(rng, short=5, long=3, bun=1, bald=1),
        hat=choice(rng, none=7, cap=2, beanie=1),
    )


def choice(rng: np.random.Generator, **weights: float) -> str:
    """Return one of the names, with probabilities proportional to the weights."""
    shares = np.array(list(weights.values()), dtype=float)
    return str(rng.choice(list(weights), p=shares / shares.sum()))


def _colour(rng: np.random.Generator, palette: tuple[Colour, ...], spread: float = 7.0) -> Colour:
    """Return a colour near one of the palette's; `spread` is the deviation of each channel."""
    base = np.array(palette[rng.integers(len(palette))], dtype=float)
    shade = base * rng.normal(1.0, 0.1) + rng.normal(0.0, spread, 3)
    red, green, blue = np.clip(shade, 8, 247).astype(int).tolist()
    return red, green, blue


def _contrasting(rng: np.random.Generator, other: Colour) -> Colour:
    """Return a cloth colour that contrasts with `other`."""
    while True:
        colour = _colour(rng, CLOTH)
        if sum(abs(a - b) for a, b in zip(colour, other, strict=True)) > 150:
            return colour
