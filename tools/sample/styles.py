"""What makes a brand's cars look like that brand: bodies, grille, lamps, intakes, emblem.

STYLES is the only place that knows brands by name. Any other brand gets parts drawn from a hash of
its name: always the same, and different from most others.

Points of a face are (x, v): x in half car widths from the middle to the viewer's right, v from 0
at the bumper's lower edge to 1 at the bonnet's front edge. Only right halves are given.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Body:
    """The car's shape, in half car widths."""

    sill: float  # lower edge of the bumper
    nose: float  # height of the bonnet's front edge
    cowl: float  # height where bonnet and windscreen meet
    cowl_z: float  # how far behind the nose that is
    roof: float
    roof_z: float
    roof_half: float  # half the roof's width
    bow: float  # how far the front's corners lie behind its middle
    lean: float  # how far the bonnet's front edge lies behind the bumper
    haunch: float = 0.03  # how far the wings rise above the bonnet


SALOON = Body(0.20, 0.86, 1.03, 1.45, 1.52, 2.35, 0.60, 0.42, 0.10)
OFFROADER = Body(0.30, 1.02, 1.20, 1.25, 1.80, 1.95, 0.68, 0.34, 0.08)
COUPE = Body(0.17, 0.78, 0.94, 1.55, 1.36, 2.50, 0.56, 0.46, 0.16, 0.05)
WEDGE = Body(0.13, 0.55, 0.78, 1.45, 1.14, 2.50, 0.52, 0.50, 0.34, 0.09)


@dataclass(frozen=True)
class Grille:
    """An opening with bars."""

    half: Points  # right half of the outline, from its top to its bottom
    radius: float  # of the corners
    bars: tuple[str, ...]  # ways to fill it: horizontal, vertical, mesh, blades
    frames: tuple[str, ...]  # chrome, black, paint


@dataclass(frozen=True)
class Lamp:
    """A headlamp and the line of light that is its signature."""

    outline: Points
    radius: float
    signature: tuple[Points, ...]
    lenses: Points  # centres of the round lenses


@dataclass(frozen=True)
class Face:
    """The whole front but the emblem."""

    grilles: tuple[Grille, ...]
    lamps: tuple[Lamp, ...]
    intakes: tuple[Points, ...]
    plate: float  # v of the number plate
    emblem: tuple[float, float]  # v of the emblem, and its size (the larger of width and height)


@dataclass(frozen=True)
class Style:
    """All that a brand's cars have in common."""

    bodies: tuple[Body, ...]
    faces: tuple[Face, ...]
    badge: str  # what lies under the emblem: "none", "disc" or "shape" (its own silhouette)
    metal: str  # "chrome", "gold" or "colour" (the emblem's own)


SINGLE_FRAME = Grille(
    ((0.0, 0.93), (0.40, 0.93), (0.53, 0.70), (0.40, 0.14), (0.0, 0.14)),
    0.05,
    ("horizontal", "mesh", "mesh"),
    ("chrome", "black"),
)
BLADE_LAMP = Lamp(
    ((0.56, 0.72), (0.60, 0.90), (0.93, 0.99), (0.965, 0.90), (0.90, 0.74), (0.70, 0.68)),
    0.03,
    (((0.60, 0.74), (0.72, 0.715), (0.89, 0.77), (0.94, 0.90)),),
    ((0.69, 0.82), (0.81, 0.85)),
)
SQUARE_LAMP = Lamp(
    ((0.57, 0.70), (0.55, 0.90), (0.92, 0.99), (0.96, 0.84), (0.88, 0.66)),
    0.05,
    (((0.58, 0.88), (0.90, 0.96)), ((0.60, 0.73), (0.60, 0.86)), ((0.68, 0.73), (0.68, 0.87))),
    ((0.77, 0.82),),
)
WING_LAMP = Lamp(
    ((0.53, 0.64), (0.52, 0.82), (0.70, 0.97), (0.90, 1.0), (0.96, 0.88), (0.86, 0.66)),
    0.10,
    (((0.55, 0.84), (0.70, 0.94), (0.92, 0.96)),),
    ((0.65, 0.77), (0.82, 0.82)),
)
ROUND_LAMP = Lamp(
    ((0.55, 0.62), (0.53, 0.86), (0.66, 0.98), (0.84, 0.98), (0.93, 0.86), (0.90, 0.64)),
    0.16,
    (((0.58, 0.70), (0.58, 0.84), (0.68, 0.94), (0.84, 0.94)),),
    ((0.73, 0.79),),
)
Y_LAMP = Lamp(
    ((0.46, 0.66), (0.62, 0.86), (0.94, 1.0), (0.97, 0.88), (0.82, 0.70), (0.66, 0.60)),
    0.02,
    (
        ((0.50, 0.67), (0.72, 0.76), (0.94, 0.94)),
        ((0.72, 0.76), (0.78, 0.66)),
    ),
    ((0.84, 0.86),),
)
STAR_WINGS = Grille(
    ((0.0, 0.90), (0.40, 0.90), (0.49, 0.74), (0.44, 0.42), (0.0, 0.42)),
    0.10,
    ("blades", "vertical", "horizontal"),
    ("chrome", "chrome", "black"),
)
WEDGE_MOUTH = Grille(
    ((0.0, 0.40), (0.34, 0.40), (0.42, 0.26), (0.34, 0.10), (0.0, 0.10)),
    0.02,
    ("mesh", "mesh", "horizontal"),
    ("black",),
)
SIDE_INTAKE: Points = ((0.62, 0.12), (0.60, 0.34), (0.90, 0.46), (0.93, 0.20))
SLIM_INTAKE: Points = ((0.56, 0.12), (0.60, 0.28), (0.92, 0.34), (0.92, 0.16))
WIDE_INTAKE: Points = ((0.0, 0.08), (0.0, 0.26), (0.46, 0.26), (0.42, 0.08))
HEXAGON_INTAKE: Points = (
    (0.46, 0.10),
    (0.41, 0.30),
    (0.52, 0.56),
    (0.86, 0.62),
    (0.95, 0.42),
    (0.86, 0.10),
)

STYLES: dict[str, Style] = {
    "audi": Style(
        bodies=(SALOON, OFFROADER, COUPE),
        faces=(
            Face((SINGLE_FRAME,), (BLADE_LAMP, SQUARE_LAMP), (SIDE_INTAKE,), 0.36, (0.76, 0.66)),
        ),
        badge="none",
        metal="chrome",
    ),
    "lamborghini": Style(
        bodies=(WEDGE, WEDGE, COUPE),
        faces=(Face((WEDGE_MOUTH,), (Y_LAMP,), (HEXAGON_INTAKE,), 0.22, (0.87, 0.29)),),
        badge="shape",
        metal="gold",
    ),
    "mercedes": Style(
        bodies=(SALOON, COUPE, OFFROADER),
        faces=(
            Face(
                (STAR_WINGS,),
                (WING_LAMP, ROUND_LAMP),
                (WIDE_INTAKE, SLIM_INTAKE),
                0.24,
                (0.66, 0.34),
            ),
        ),
        badge="disc",
        metal="chrome",
    ),
}


def style_of(brand: str) -> Style:
    """The brand's row of STYLES, or one made up from its name."""
    return STYLES.get(brand) or _made_up(brand)


def _made_up(brand: str) -> Style:
    """A style that depends on nothing but the name."""
    digest = hashlib.sha256(brand.encode()).digest()
    share = [byte / 255 for byte in digest]
    low = 0.30 + 0.25 * share[0]
    high = min(low + 0.20 + 0.35 * share[1], 0.80)
    top, belly, foot = 0.25 + 0.25 * share[2], 0.28 + 0.24 * share[3], 0.22 + 0.26 * share[4]
    middle = low + (high - low) * (0.3 + 0.4 * share[5])
    bars = ("horizontal", "vertical", "mesh", "blades")
    frames = ("chrome", "black", "paint")
    grille = Grille(
        ((0.0, high), (top, high), (belly, middle), (foot, low), (0.0, low)),
        0.02 + 0.12 * share[6],
        (bars[digest[7] % 4], bars[digest[8] % 4]),
        (frames[digest[9] % 3], frames[digest[10] % 3]),
    )
    lamps = (BLADE_LAMP, SQUARE_LAMP, WING_LAMP, ROUND_LAMP)
    bodies = (SALOON, OFFROADER, COUPE)
    intakes = (SIDE_INTAKE, SLIM_INTAKE)
    first = digest[11] % 3
    face = Face(
        (grille,),
        (lamps[digest[12] % 4],),
        (WIDE_INTAKE, intakes[digest[13] % 2]) if low > 0.36 else (intakes[digest[13] % 2],),
        0.5 * low,
        # On the bonnet's edge or in the grille.
        ((high + 0.12, 0.24) if share[14] < 0.6 else ((low + high) / 2, 0.30)),
    )
    return Style(
        bodies=(bodies[first], bodies[(first + 1) % 3]),
        faces=(face,),
        badge="disc",
        metal=("chrome", "colour")[digest[15] % 2],
    )
