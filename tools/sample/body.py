"""The car without its face: wheels, flanks, cabin, mirrors, bonnet and bumper, back to front."""

from __future__ import annotations

import numpy as np

from tools.sample import outlines
from tools.sample.canvas import Camera, Canvas, Colour, Light
from tools.sample.car import BLACK, METALS, TYRE, Car, Sketch, smooth


def draw_body(canvas: Canvas, camera: Camera, light: Light, car: Car) -> None:
    """Paint the body on the canvas."""
    body = _Body(canvas, camera, light, car)
    body.underbody()
    body.cabin()
    body.sides()
    body.mirrors()
    body.front()


class _Body(Sketch):
    def underbody(self) -> None:
        sill = self.car.body.sill
        for z in (4.4, 0.6):
            corners = np.array(
                [[-0.9, 0.10, z], [0.9, 0.10, z], [0.9, sill + 0.2, z], [-0.9, sill + 0.2, z]]
            )
            self.canvas.fill(self.camera.project(corners), BLACK)
        for z in (4.0, 0.95):
            for side in (-1, 1):
                self._tread(side, z)

    def _tread(self, side: int, z: float) -> None:
        """The half of a tyre's running surface that looks forward."""
        turn, across = np.linspace(0, np.pi, 16)[:, None], np.linspace(0.68, 0.96, 5)[None, :]
        radius = self._wheel_radius() * (1 - 0.6 * (np.abs(across - 0.82) / 0.3) ** 4)
        y, depth = self._wheel_radius() + radius * np.cos(turn), z - radius * np.sin(turn)
        grid = np.stack([side * across + 0 * turn, y, depth], axis=-1)
        self.mesh(grid, (0, 0, -1), TYRE, 0.25)

    def _wheel_radius(self) -> float:
        return 0.30 + 0.28 * self.car.body.sill

    def _disc(self, x: float, z: float, radius: float, colour: Colour | tuple[Colour, ...]) -> None:
        turn = np.linspace(0, 2 * np.pi, 33)[:-1]
        y = self._wheel_radius() + radius * np.sin(turn)
        points = np.stack([np.full_like(turn, x), y, z + radius * np.cos(turn)], axis=1)
        self.canvas.fill(self.camera.project(points), colour)

    def sides(self) -> None:
        body = self.car.body
        t = np.linspace(0, 1, 16)[:, None]
        z = np.linspace(0.35, 4.9, 24)[None, :]
        top = np.interp(
            z,
            [0.35, 1.0, body.cowl_z, 4.0, 4.9],
            [body.nose, body.nose + 0.06, body.cowl, body.cowl + 0.04, body.cowl - 0.05],
        )
        y = body.sill + 0.02 + t * (top - body.sill - 0.02)
        x = np.interp(t, [0, 0.25, 0.6, 0.75, 1], [0.90, 0.97, 0.985, 1.0, 0.91]) + 0 * z
        for side in (-1, 1):
            self.mesh(
                np.stack([side * x, y, z + 0 * t], axis=-1),
                (side, 0, 0),
                self.car.paint,
                self.car.gloss,
            )
            if self._side_in_view(side):
                self._doors(side)
                self._outer_wheels(side)

    def _side_in_view(self, side: int) -> bool:
        """Whether the outside of that side's front wheel faces the camera."""
        hub = self.camera.turn(np.array([[side * 0.98, 0.4, 0.95], [side * 1.08, 0.4, 0.95]]))
        return bool(((hub[1] - hub[0]) * hub[0]).sum() < 0)

    def _doors(self, side: int) -> None:
        """Shut lines, handles and the dark sill."""
        body = self.car.body
        low, high = body.sill + 0.14, body.cowl + 0.01
        sill = np.array([(1.3, body.sill), (1.3, low), (3.6, low), (3.6, body.sill)])
        self.canvas.fill(self._on_side(side, sill), BLACK, opacity=0.8)
        front, middle, rear = body.cowl_z + 0.3, 0.5 * (body.cowl_z + 4.2), 3.75
        for z in (front, middle, rear):
            line = np.array([(z, low), (z + 0.015, low), (z + 0.055, high), (z + 0.04, high)])
            self.canvas.fill(self._on_side(side, line), BLACK, opacity=0.6)
        for z in (middle - 0.22, rear - 0.22):
            handle = np.array(
                [
                    (z, high - 0.13),
                    (z, high - 0.10),
                    (z + 0.16, high - 0.10),
                    (z + 0.16, high - 0.13),
                ]
            )
            self.canvas.fill(self._on_side(side, handle), METALS["chrome"], opacity=0.8)

    def _on_side(self, side: int, points: np.ndarray) -> np.ndarray:
        """Points (n, 2), z and y, on the car's flank, to pixels."""
        x = np.interp(
            points[:, 1], [self.car.body.sill, 0.6, self.car.body.cowl], [0.93, 1.0, 0.93]
        )
        return self.camera.project(np.stack([side * x, points[:, 1], points[:, 0]], axis=1))

    def _outer_wheels(self, side: int) -> None:
        radius = self._wheel_radius()
        for z in (4.0, 0.95):
            self._disc(side * 0.985, z, radius * 1.16, BLACK)
            self._disc(side * 0.985, z, radius, TYRE)
            self._disc(side * 0.985, z, radius * 0.74, (0.12, 0.12, 0.13))
            for turn in np.linspace(0, 2 * np.pi, 6)[:-1] + 0.3:
                angles = turn + np.array([-0.10, 0.10, 0.26, -0.26])
                reach = np.array([0.12, 0.12, 0.70, 0.70]) * radius
                spoke = np.stack(
                    [
                        np.full(4, side * 0.985),
                        radius + reach * np.sin(angles),
                        z + reach * np.cos(angles),
                    ],
                    axis=1,
                )
                self.canvas.fill(self.camera.project(spoke), self.car.rim)

    def cabin(self) -> None:
        body, paint, gloss = self.car.body, self.car.paint, self.car.gloss
        glass: Colour = (0.035, 0.045, 0.05)
        u = np.linspace(-1, 1, 25)[None, :]
        z = np.linspace(body.roof_z, body.roof_z + 1.4, 8)[:, None]
        edge = body.roof_half + 0.06
        roof = np.stack(
            [u * edge + 0 * z, body.roof + 0.05 - 0.10 * u**2 + 0 * z, z + 0 * u], axis=-1
        )
        self.mesh(roof, (0, 1, 0), paint, gloss)
        for side in (-1, 1):
            self.mesh(self._cabin_side(side, 0.0, 1.0, 0.0, 1.0), (side, 0.3, 0), paint, gloss)
            for start, end in ((0.09, 0.50), (0.54, 0.92)):
                window = self._cabin_side(side, start, end, 0.06, 0.88)
                self.mesh(window * (1.003, 1, 1), (side, 0.3, 0), glass, 1.0)
        self.mesh(self._screen(0.07, 0.06), (0, 0.5, -1), paint, gloss)
        self.mesh(self._screen(0.0, 0.0), (0, 0.5, -1), glass, 1.1, blur=0.03)
        self._interior()
        self._glare()

    def _screen(self, wider: float, higher: float) -> np.ndarray:
        """The windscreen as a mesh, or with margins the frame behind it."""
        body = self.car.body
        u, t = np.linspace(-1, 1, 25)[None, :], np.linspace(0, 1, 16)[:, None]
        half = 0.86 + (body.roof_half - 0.86) * t + wider
        top = body.roof + higher - 0.07
        # The glass ends above the wings; its frame goes down behind them.
        low = body.cowl - 3 * wider + 0.05 * u**4
        y = low + (top - low) * t + 0.07 * t * (1 - u**2)
        z = body.cowl_z + (body.roof_z - body.cowl_z) * t + 0.22 * u**2 + 0.4 * wider
        return np.stack([u * half, y, z], axis=-1)

    def _cabin_side(
        self, side: int, start: float, end: float, low: float, high: float
    ) -> np.ndarray:
        """Part of the cabin's side: shares of its length and height."""
        body = self.car.body
        along, up = np.linspace(start, end, 12)[None, :], np.linspace(low, high, 8)[:, None]
        first = body.cowl_z + (0.25 if low else 0.05) + (body.roof_z - body.cowl_z - 0.10) * up
        last = 4.5 - 0.9 * up
        z = first + (last - first) * along
        x = 0.93 + (body.roof_half + 0.06 - 0.93) * up
        foot = body.cowl - (0.02 if low else 0.20)
        y = foot + (body.roof - 0.05 - foot) * up
        return np.stack([side * x + 0 * z, y + 0 * z, z], axis=-1)

    def _on_screen(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2), across −1…1 and up 0…1, on the windscreen, to pixels."""
        body = self.car.body
        u, t = points[:, 0], points[:, 1]
        half = 0.86 + (body.roof_half - 0.86) * t
        y = body.cowl - 0.06 + (body.roof - 0.01 - body.cowl) * t - 0.07 * t * u**2
        z = body.cowl_z + (body.roof_z - body.cowl_z) * t + 0.22 * u**2
        return self.camera.project(np.stack([u * half, y, z], axis=1))

    def _interior(self) -> None:
        """Seats, a mirror and a steering wheel, dim behind the glass."""
        dark: Colour = (0.015, 0.018, 0.02)
        for x in (-0.42, 0.42):
            seat = np.array([(x - 0.24, 0.12), (x - 0.2, 0.48), (x + 0.2, 0.48), (x + 0.24, 0.12)])
            head = np.array([(x - 0.11, 0.5), (x - 0.11, 0.68), (x + 0.11, 0.68), (x + 0.11, 0.5)])
            for part, radius in ((seat, 0.12), (head, 0.07)):
                self._on_glass(outlines.rounded(part, radius), dark, 0.55)
        turn = np.linspace(0, 2 * np.pi, 40)
        wheel = np.stack([0.42 + 0.19 * np.cos(turn), 0.16 + 0.16 * np.sin(turn)], axis=1)
        self._on_glass(outlines.ribbon(wheel, 0.035), dark, 0.6)
        mirror = np.array([(-0.12, 0.84), (-0.13, 0.94), (0.13, 0.94), (0.12, 0.84)])
        self._on_glass(outlines.rounded(mirror, 0.05), dark, 0.9)

    def _glare(self) -> None:
        """Two slanting bands of sky in the glass, and wipers at its foot."""
        sky = self.light.horizon
        for left, right, opacity in ((-0.62, -0.30, 0.22), (-0.22, -0.12, 0.16)):
            band = np.array(
                [
                    (left - 0.22, 0.03),
                    (left + 0.22, 0.98),
                    (right + 0.22, 0.98),
                    (right - 0.22, 0.03),
                ]
            )
            self._on_glass(outlines.dense(band, 0.2), sky, opacity)
        for start, end in (((0.02, 0.02), (0.62, 0.10)), ((-0.68, 0.03), (-0.06, 0.09))):
            wiper = np.linspace(start, end, 8)
            self._on_glass(outlines.ribbon(wiper, 0.022), BLACK, 0.9)

    def _on_glass(self, contour: np.ndarray, colour: Colour, opacity: float) -> None:
        pixels = self._on_screen(contour)
        self.canvas.fill(pixels, colour, opacity=opacity, blur=0.008 * self.unit)

    def mirrors(self) -> None:
        body = self.car.body
        y, z = body.cowl + 0.06, body.cowl_z + 0.45
        for side in (-1, 1):
            arm = np.array([(0.88, y - 0.05), (0.88, y), (1.02, y + 0.03), (1.02, y - 0.03)])
            shell = np.array(
                [(0.97, y - 0.05), (0.96, y + 0.10), (1.16, y + 0.11), (1.20, y - 0.01)]
            )
            for part, radius, stops in (
                (arm, 0.01, BLACK),
                (shell, 0.07, self.body_stops()),
            ):
                flat = outlines.rounded(part, radius)
                points = np.stack([side * flat[:, 0], flat[:, 1], np.full(len(flat), z)], axis=1)
                self.canvas.fill(self.camera.project(points), stops)

    def front(self) -> None:
        """Bumper, wings and bonnet: one surface from the sill to the windscreen."""
        y, z, half, bow, drop, haunch = (self.profile[:, c, None] for c in range(6))
        u = np.linspace(-1, 1, 49)[None, :]
        wing = np.exp(-(((np.abs(u) - 0.80) / 0.16) ** 2))
        grid = np.stack(
            [
                u * half,
                y - drop * np.abs(u) ** 5 + haunch * wing,
                z + bow * np.abs(u) ** 2.4,
            ],
            axis=-1,
        )
        self.mesh(grid, (0, 0.4, -1), self.car.paint, self.car.gloss)
        self._creases()
        self._shut_line()
        self._bumper_shadow()

    def _shut_line(self) -> None:
        """The gap between bonnet and bumper."""
        x = np.linspace(-0.90, 0.90, 40)
        line = outlines.ribbon(np.stack([x, 1.0 - 0.04 * np.abs(x)], axis=1), 0.012)
        self.canvas.fill(self.camera.project(self.on_front(line)), BLACK, opacity=0.55)

    def _creases(self) -> None:
        """A pressed edge along each half of the bonnet: a bright line and its shade."""
        for offset, colour, opacity in ((0.0, self.light.horizon, 0.55), (0.03, BLACK, 0.30)):
            line = smooth(np.array([(0.44, 0.60), (0.50, 0.72), (0.62, 0.86), (0.70, 0.97)]), 14)
            strip = outlines.ribbon(line + np.array([offset, 0]), 0.022)
            for side in (1, -1):
                pixels = self.camera.project(self._on_bonnet(strip * (side, 1)))
                self.canvas.fill(pixels, colour, opacity=opacity, blur=0.006 * self.unit)

    def _on_bonnet(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2), across −1…1 and along the front's rows 0…1, to car coordinates."""
        rows = np.linspace(0, 1, len(self.profile))
        y, z, half, bow, drop = (
            np.interp(points[:, 1], rows, self.profile[:, c]) for c in range(5)
        )
        u = points[:, 0]
        return np.stack(
            [u * half, y - drop * np.abs(u) ** 5 + 0.01, z + bow * np.abs(u) ** 2.4], axis=1
        )

    def _bumper_shadow(self) -> None:
        """The lower lip, black, and the shade above it."""
        lip = np.array([(-0.90, 0.0), (-0.92, 0.07), (0.92, 0.07), (0.90, 0.0)])
        pixels = self.camera.project(self.on_front(outlines.dense(lip, 0.06)))
        self.canvas.fill(pixels, BLACK, opacity=0.9)
        shade = np.array([(-0.96, 0.0), (-0.96, 0.22), (0.96, 0.22), (0.96, 0.0)])
        pixels = self.camera.project(self.on_front(outlines.dense(shade, 0.06)))
        self.canvas.fill(pixels, BLACK, opacity=0.28, blur=0.05 * self.unit, solid=False)
