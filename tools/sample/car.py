"""What a car is made of, and where the points of its surfaces come to lie on the canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.sample import outlines
from tools.sample.canvas import Camera, Canvas, Colour, Light, mix, shade
from tools.sample.styles import Body, Face, Grille, Lamp, Points

BLACK: Colour = (0.03, 0.03, 0.035)
TYRE: Colour = (0.06, 0.06, 0.065)
METALS: dict[str, tuple[Colour, ...]] = {
    # Bright sky, a dark horizon, light from the ground: what chrome looks like anywhere.
    "chrome": (
        (1, 1, 1),
        (0.93, 0.94, 0.96),
        (0.55, 0.58, 0.62),
        (0.80, 0.82, 0.85),
        (0.97, 0.97, 0.98),
    ),
    "gold": ((1.0, 0.93, 0.62), (0.98, 0.82, 0.36), (0.72, 0.52, 0.14), (0.93, 0.74, 0.28)),
    "black": ((0.16, 0.16, 0.17), (0.05, 0.05, 0.055), (0.10, 0.10, 0.11)),
}


@dataclass(frozen=True)
class Car:
    """One car: shape, face, paint and what is written on its plate."""

    brand: str
    body: Body
    face: Face
    grille: Grille
    bars: str
    frame: str
    lamp: Lamp
    badge: str
    metal: str
    emblem_scale: float
    paint: Colour
    gloss: float
    rim: Colour
    plate: str  # "" for a covered plate
    plate_colour: Colour


class Sketch:
    """A car before a camera: where its parts lie on the canvas, and how its paint shines there."""

    def __init__(self, canvas: Canvas, camera: Camera, light: Light, car: Car) -> None:
        self.canvas, self.camera, self.light, self.car = canvas, camera, light, car
        self.profile = _front_profile(car.body)
        # One half car width at the nose, in pixels: the scale of soft edges.
        self.unit = camera.focal / camera.distance

    def on_front(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) of the face, (x, v), to car coordinates (n, 3) on the front's surface."""
        body = self.car.body
        x, y = points[:, 0], body.sill + points[:, 1] * (body.nose - body.sill)
        rows = self.profile
        # Up to the bonnet's edge the height rises with every row, so it finds the row.
        z, half, bow = (np.interp(y, rows[:, 0], rows[:, c]) for c in (1, 2, 3))
        return np.stack([x, y, z + bow * np.minimum(np.abs(x / half), 1) ** 2.4], axis=1)

    def face_contours(self, half: np.ndarray, *, step: float = 0.06) -> list[np.ndarray]:
        """A contour (n, 2) of the face and its mirror image, in pixels."""
        return [
            self.camera.project(self.on_front(outlines.dense(half * (side, 1), step)))
            for side in (1, -1)
        ]

    def whole(self, half: Points, radius: float, grow: float = 0.0) -> np.ndarray:
        """A closed contour (n, 2) of the face from its right half, both halves joined, grown."""
        right = np.array(half)
        left = right[::-1] * (-1, 1)
        both = np.concatenate([right[right[:, 0] > 0], left[left[:, 0] < 0]])
        middle = both.mean(axis=0)
        both = both + np.sign(both - middle) * grow * (1, 1.4)
        return outlines.rounded(both, radius)

    def mesh(
        self,
        grid: np.ndarray,
        outward: tuple[float, float, float],
        paint: Colour,
        gloss: float,
        blur: float = 0.02,
    ) -> None:
        """Paint a surface (rows, columns, 3) given in car coordinates."""
        turned = self.camera.turn(grid)
        sin, cos = np.sin(self.camera.yaw), np.cos(self.camera.yaw)
        x, y, z = outward
        colours = shade(turned, (x * cos + z * sin, y, z * cos - x * sin), paint, gloss, self.light)
        seen = np.concatenate([self.camera.see(turned), turned[..., 2:]], axis=-1)
        self.canvas.surface(seen, colours, blur=max(0.6, blur * self.unit))

    def body_stops(self) -> tuple[Colour, ...]:
        """The paint on a small rounded part: bright above, dark below."""
        paint, light = self.car.paint, self.light
        level = tuple(
            min(1.0, a + 0.6 * s) for a, s in zip(light.ambient, light.sun_colour, strict=True)
        )
        lit: Colour = tuple(p * q for p, q in zip(paint, level, strict=True))  # type: ignore[assignment]
        return mix(lit, light.horizon, 0.30), lit, mix(lit, (0, 0, 0), 0.55)

    def level(self) -> float:
        """How bright a white board looks in this light."""
        return min(1.0, float(np.mean(self.light.ambient) + 0.5 * np.mean(self.light.sun_colour)))

    def project_whole(self, contour: np.ndarray) -> np.ndarray:
        return self.camera.project(self.on_front(outlines.dense(contour, 0.06)))


def _front_profile(body: Body) -> np.ndarray:
    """The front from the sill to the windscreen: rows of y, z, half width, bow, drop, haunch."""
    rise = body.cowl - body.nose
    rows = np.array(
        [
            (body.sill, 0.10, 0.88, body.bow, 0.0, 0.0),
            (body.sill + 0.10, 0.01, 0.96, body.bow, 0.0, 0.0),
            ((body.sill + body.nose) / 2, 0.0, 1.00, body.bow, 0.0, 0.0),
            (body.nose - 0.12, 0.50 * body.lean, 0.99, 0.95 * body.bow, 0.0, 0.0),
            (body.nose, body.lean, 0.96, 0.85 * body.bow, 0.02, 0.3 * body.haunch),
            (body.nose + 0.28 * rise, body.lean + 0.16, 0.94, 0.6 * body.bow, 0.03, body.haunch),
            (
                body.nose + 0.70 * rise,
                0.5 * (body.lean + body.cowl_z),
                0.93,
                0.3 * body.bow,
                0.03,
                body.haunch,
            ),
            (body.cowl, body.cowl_z + 0.1, 0.92, 0.1, 0.0, 0.5 * body.haunch),
        ]
    )
    return smooth(rows, 48)


def smooth(points: np.ndarray, count: int) -> np.ndarray:
    """`count` points on a Catmull–Rom curve through the points (n, d)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    position = np.linspace(0, len(points) - 1, count)
    start = np.minimum(position.astype(int), len(points) - 2)
    t = (position - start)[:, None]
    p0, p1, p2, p3 = (padded[start + i] for i in range(4))
    return 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
