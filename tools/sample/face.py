"""The car's face: intakes, grille, headlamps, number plate and emblem."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tools.sample import outlines
from tools.sample.canvas import Camera, Canvas, Colour, Light, mix
from tools.sample.car import BLACK, METALS, Car, Sketch, smooth
from tools.sample.styles import Grille


@dataclass
class Lamps:
    """Where light comes from, in pixels: for glows that are added at the end."""

    lenses: list[np.ndarray] = field(default_factory=list)
    signatures: list[np.ndarray] = field(default_factory=list)


def draw_face(canvas: Canvas, camera: Camera, light: Light, car: Car) -> Lamps:
    """Paint the face over the body, and say where its lamps are."""
    face = _Face(canvas, camera, light, car)
    face.intakes()
    face.grille()
    lamps = face.lamps()
    face.plate()
    face.emblem()
    return lamps


class _Face(Sketch):
    def intakes(self) -> None:
        for half in self.car.face.intakes:
            if half[0][0] == 0:
                contours = [self.project_whole(self.whole(half, 0.04))]
            else:
                contours = self.face_contours(outlines.rounded(np.array(half), 0.03))
            for contour in contours:
                self.canvas.fill(contour, METALS["black"])
        self._slats()

    def _slats(self) -> None:
        """A dim bar across each side intake."""
        for half in self.car.face.intakes:
            points = np.array(half)
            if points[0, 0] == 0:
                continue
            v = points[:, 1].mean()
            inner, outer = points[:, 0].min() + 0.06, points[:, 0].max() - 0.03
            line = np.linspace((inner, v - 0.02), (outer, v + 0.03), 8)
            for contour in self.face_contours(outlines.ribbon(line, 0.025)):
                self.canvas.fill(contour, (0.16, 0.16, 0.17))

    def grille(self) -> None:
        grille = self.car.grille
        frame = {"paint": self.body_stops()}.get(self.car.frame) or METALS[self.car.frame]
        self.canvas.fill(self.project_whole(self.whole(grille.half, grille.radius, 0.028)), frame)
        inside = self.whole(grille.half, grille.radius)
        self.canvas.fill(
            self.project_whole(inside),
            ((0.015, 0.015, 0.02), (0.05, 0.05, 0.055), (0.02, 0.02, 0.02)),
        )
        self._bars(grille)

    def _bars(self, grille: Grille) -> None:
        """Fill the opening: each bar is cut to the outline's width or height where it lies."""
        half = np.array(grille.half)
        low, high, wide = half[:, 1].min(), half[:, 1].max(), half[:, 0].max()
        chrome = (
            METALS["chrome"]
            if self.car.frame != "black"
            else ((0.30, 0.30, 0.32), (0.12, 0.12, 0.13))
        )
        grey = ((0.34, 0.35, 0.37), (0.13, 0.13, 0.14))

        def half_width(v: np.ndarray) -> np.ndarray:
            rising = half[1:-1][::-1]
            return np.interp(v, rising[:, 1], rising[:, 0]) - 0.02

        def across(v: float, width: float, stops: tuple[Colour, ...]) -> None:
            reach = float(half_width(np.array(v)))
            line = np.stack([np.linspace(-reach, reach, 24), np.full(24, v)], axis=1)
            self.canvas.fill(
                self.camera.project(self.on_front(outlines.ribbon(line, width))), stops
            )

        def upright(x: float, width: float, stops: tuple[Colour, ...], slant: float = 0.0) -> None:
            v = np.linspace(low + 0.02, high - 0.02, 40)
            line = np.stack([x * (1 + slant * (high - v)), v], axis=1)
            line = line[np.abs(line[:, 0]) < half_width(v)]
            if len(line) > 2:
                self.canvas.fill(
                    self.camera.project(self.on_front(outlines.ribbon(line, width))), stops
                )

        if self.car.bars == "horizontal":
            for v in np.linspace(low, high, 2 + round((high - low) / 0.095))[1:-1]:
                across(float(v), 0.026, grey)
        elif self.car.bars == "blades":
            for v in np.linspace(low, high, 5)[1:-1]:
                across(float(v), 0.05, chrome)
        elif self.car.bars == "vertical":
            for x in np.linspace(-wide, wide, 17)[1:-1]:
                upright(float(x), 0.020, chrome, slant=0.5)
        else:
            for v in np.linspace(low, high, 2 + round((high - low) / 0.065))[1:-1]:
                across(float(v), 0.010, grey)
            for x in np.linspace(-wide, wide, 2 + round(2 * wide / 0.065))[1:-1]:
                upright(float(x), 0.010, grey)

    def lamps(self) -> Lamps:
        """The headlamps; returns what of them shines."""
        shining = Lamps()
        lamp, on = self.car.lamp, self.light.lamps_on
        housing = outlines.rounded(np.array(lamp.outline), lamp.radius)
        rim = housing.mean(axis=0) + (housing - housing.mean(axis=0)) * 1.06
        glass = ((0.30, 0.33, 0.37), (0.11, 0.12, 0.14), (0.20, 0.22, 0.25))
        for outer, inner in zip(self.face_contours(rim), self.face_contours(housing), strict=True):
            self.canvas.fill(outer, BLACK)
            self.canvas.fill(inner, glass)
        turn = np.linspace(0, 2 * np.pi, 25)[:-1]
        circle = np.stack([np.cos(turn), np.sin(turn) * 1.45], axis=1)
        beam: Colour = (1.0, 0.98, 0.90)
        for x, v in lamp.lenses:
            for ring, colour in (
                (0.062, (0.72, 0.75, 0.78)),
                (0.050, (0.13, 0.14, 0.16)),
                (0.040, beam if on else (0.62, 0.66, 0.70)),
                (0.022, beam if on else (0.90, 0.93, 0.96)),
            ):
                contours = self.face_contours(circle * ring + (x, v))
                self.canvas.fill(contours, colour)
            if on:
                shining.lenses += self.face_contours(circle * 0.05 + (x, v))
        for line in lamp.signature:
            contours = self.face_contours(outlines.ribbon(smooth(np.array(line), 16), 0.030))
            self.canvas.fill(contours, (0.97, 0.98, 1.0))
            shining.signatures += contours
        return shining

    def plate(self) -> None:
        v = self.car.face.plate
        half, height = 0.27, 0.055 / (self.car.body.nose - self.car.body.sill)
        corners = np.array(
            [(-half, v - height), (-half, v + height), (half, v + height), (half, v - height)]
        )
        level = self.level()
        board = mix((0, 0, 0), self.car.plate_colour, level)
        self._flat(outlines.rounded(corners * (1.05, 1) + (0, 0), 0.02), BLACK)
        self._flat(outlines.rounded(corners, 0.015), board)
        if self.car.plate:
            letters = outlines.text(self.car.plate)
            width = max(np.ptp(np.concatenate(letters)[:, 0]), 1e-9)
            size = min(1.25 * height, 1.75 * half / width * 1.6)
            scale = np.array([min(1.25 * height * 0.66, 1.75 * half / width), size])
            self.canvas.fill(
                [
                    self.camera.project(self._upright(contour * scale + (0, v)))
                    for contour in letters
                ],
                (0.08, 0.08, 0.12),
            )

    def _upright(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) of the face on a flat upright board just before the front's middle."""
        body = self.car.body
        y = body.sill + points[:, 1] * (body.nose - body.sill)
        return np.stack([points[:, 0], y, np.full(len(points), -0.02)], axis=1)

    def _flat(self, contour: np.ndarray, stops: Colour) -> None:
        self.canvas.fill(self.camera.project(self._upright(contour)), stops)

    def emblem(self) -> None:
        contours, colour = outlines.emblem(self.car.brand)
        v, size = self.car.face.emblem
        size *= self.car.emblem_scale
        stretch = size * np.array([1, 1 / (self.car.body.nose - self.car.body.sill)])

        def place(contour: np.ndarray, scale: float = 1.0) -> np.ndarray:
            # Emblems on the bonnet's edge would be seen too flat: they stand upright instead.
            points = contour * stretch * scale + (0, v)
            lifted = self.on_front(np.minimum(points, (9, 1.0)))
            z = float(lifted[:, 2].min()) - 0.01
            y = self.car.body.sill + points[:, 1] * (self.car.body.nose - self.car.body.sill)
            return self.camera.project(np.stack([points[:, 0], y, np.full(len(points), z)], axis=1))

        turn = np.linspace(0, 2 * np.pi, 48)[:-1]
        disc = np.stack([np.cos(turn), np.sin(turn)], axis=1) * 0.5
        biggest = max(contours, key=lambda c: float(np.prod(np.ptp(c, axis=0))))
        backing = {"disc": disc, "shape": biggest}.get(self.car.badge)
        if backing is not None:
            self.canvas.fill(
                place(backing, 1.14),
                METALS[self.car.metal if self.car.metal in METALS else "chrome"],
            )
            self.canvas.fill(place(backing, 1.0), ((0.07, 0.075, 0.085), BLACK))
        else:
            self.canvas.fill(
                [place(c) + np.array([0, 0.015 * self.unit]) for c in contours],
                BLACK,
                opacity=0.8,
                blur=0.012 * self.unit,
            )
        level = 0.35 + 0.65 * self.level()
        stops = METALS.get(self.car.metal) or (
            mix(colour, (1, 1, 1), 0.6),
            mix(colour, (1, 1, 1), 0.25),
        )
        shades = [mix((0, 0, 0), stop, level) for stop in stops]
        self.canvas.fill([place(contour) for contour in contours], shades)
