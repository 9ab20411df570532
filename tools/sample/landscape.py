"""What landscapes are made of: skies, hills, roads, trees and houses, each in the scene's light."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tools.sample import outlines
from tools.sample.canvas import Camera, Canvas, Colour, Light, gradient, mix, to_bytes
from tools.sample.dice import Rng

ASPHALT: Colour = (0.40, 0.40, 0.42)


def lit(colour: Colour, light: Light, share_of_sun: float = 0.6) -> Colour:
    """A matt thing's colour in that light."""
    red, green, blue = (
        min(1.0, c * (a + share_of_sun * s))
        for c, a, s in zip(colour, light.ambient, light.sun_colour, strict=True)
    )
    return red, green, blue


class Place:
    """A picture in the making: canvas, camera, light and dice."""

    def __init__(self, camera: Camera, light: Light, rng: Rng, snow: bool) -> None:
        self.camera, self.light, self.rng, self.snow = camera, light, rng, snow
        self.width, self.height = camera.width, camera.height
        self.horizon = float(np.clip(camera.horizon, 0.08 * self.height, 0.9 * self.height))
        self.canvas = Canvas(Image.new("RGB", (self.width, self.height)))

    def lit(self, colour: Colour, share_of_sun: float = 0.6) -> Colour:
        return lit(
            mix(colour, (0.93, 0.94, 0.97), 0.65) if self.snow else colour, self.light, share_of_sun
        )

    def sky(self, clouds: float) -> None:
        light = self.light
        stops = (light.zenith, mix(light.zenith, light.horizon, 0.55), light.horizon)
        self.canvas.image.paste(gradient((self.width, int(self.horizon) + 2), stops), (0, 0))
        if light.lamps_on:
            self._stars()
        for _ in range(round(clouds * 9)):
            self._cloud()

    def _stars(self) -> None:
        for x, y in self.rng.random((60, 2)) * (self.width, 0.7 * self.horizon):
            dot = np.array([(x, y), (x + 2, y), (x + 2, y + 2), (x, y + 2)])
            self.canvas.fill(dot, (0.9, 0.9, 1.0), opacity=0.25 + 0.5 * float(self.rng.random()))

    def _cloud(self) -> None:
        x, y = self.rng.random(2) * (self.width, 0.8 * self.horizon)
        white = mix(self.light.horizon, (1, 1, 1), 0.2 if self.light.lamps_on else 0.65)
        for _ in range(6):
            dx, dy, size = (self.rng.random(3) - (0.5, 0.5, -0.4)) * (170, 26, 40)
            self.canvas.fill(
                self.blob(x + dx, y + dy, size * 2.0, size * 0.6), white, opacity=0.32, blur=9
            )

    def blob(self, x: float, y: float, half_width: float, half_height: float) -> np.ndarray:
        turn = np.linspace(0, 2 * np.pi, 25)[:-1]
        uneven = 1 + 0.18 * np.sin(3 * turn + self.rng.random() * 6)
        return np.stack(
            [x + half_width * uneven * np.cos(turn), y + half_height * uneven * np.sin(turn)],
            axis=1,
        )

    def ridge(self, height: float, colour: Colour, jagged: float, waves: int = 5) -> np.ndarray:
        """Hills from edge to edge, up to a share `height` of the photo; returns their line."""
        x = np.linspace(0, self.width, 130)
        line = np.zeros_like(x)
        for wave in range(1, waves + 1):
            phase, size = self.rng.random(2) * (6.28, 1)
            line += (0.4 + size) / wave * np.sin(x / self.width * 5 * wave + phase)
        line = (line - line.min()) / max(np.ptp(line), 1e-9)
        line += jagged * (self.rng.random(len(x)) - 0.5)
        y = self.horizon - height * self.height * (0.25 + 0.75 * line)
        self.canvas.fill(
            np.concatenate(
                [np.stack([x, y], axis=1), [[self.width, self.horizon + 3], [0, self.horizon + 3]]]
            ),
            (colour, mix(colour, self.light.horizon, 0.25)),
        )
        return np.stack([x, y], axis=1)

    def ground(self, colour: Colour, grain: float = 0.10) -> None:
        """The ground with a grain that gets finer into the distance."""
        top = int(self.horizon)
        rows = np.arange(top, self.height) + 0.5
        depth = self.camera.focal * self.camera.eye / np.maximum(rows - self.camera.horizon, 1.0)
        across = (np.arange(self.width) - self.camera.centre) / self.camera.focal
        table = self.rng.random((64, 64))
        table = (
            np.asarray(
                Image.fromarray(to_bytes(table)).resize((512, 512), Image.Resampling.BICUBIC)
            )
            / 255
            - 0.5
        )
        x = (across[None, :] * depth[:, None] * 90).astype(int) % 512
        z = (depth * 45).astype(int)[:, None] % 512
        fade = np.clip(12 / depth, 0, 1)[:, None]
        near = np.linspace(0.92, 1.06, len(rows))[:, None]
        base = np.asarray(self.lit(colour))
        picture = base * (near + grain * fade * table[z, x] * 1.4)[..., None]
        haze = np.clip((depth - 14) / 160, 0, 0.35)[:, None, None]
        picture = picture * (1 - haze) + np.asarray(self.light.horizon) * haze
        self.canvas.image.paste(Image.fromarray(to_bytes(picture)), (0, top))

    def strip(
        self, left: float, right: float, colour: Colour, near: float = -7.0, far: float = 300.0
    ) -> None:
        """A strip of ground running away from the viewer, between two x."""
        corners = self.camera.ground(
            np.array([left, right, right, left]), np.array([near, near, far, far])
        )
        self.canvas.fill(corners, self.lit(colour))

    def road(self, colour: Colour = ASPHALT, half: float = 3.4) -> None:
        """A road below the car: edge lines and dashes."""
        shift = float(self.rng.random() - 0.5) * 2
        self.strip(shift - half, shift + half, colour)
        for x in (shift - half + 0.2, shift + half - 0.3):
            self.strip(x, x + 0.12, (0.85, 0.85, 0.82))
        middle = shift + (1.4 if self.rng.random() < 0.5 else -1.5)
        for z in np.arange(-8, 90, 4.0):
            self.strip(middle, middle + 0.13, (0.88, 0.88, 0.84), near=z, far=z + 1.9)

    def tree(self, x: float, size: float, leaves: Colour) -> None:
        foot = self.horizon + 0.015 * self.height
        trunk = np.array(
            [
                (x - 0.05 * size, foot),
                (x + 0.05 * size, foot),
                (x + 0.03 * size, foot - size),
                (x - 0.03 * size, foot - size),
            ]
        )
        self.canvas.fill(trunk, self.lit((0.30, 0.22, 0.16)))
        for _ in range(5):
            dx, dy = (self.rng.random(2) - 0.5) * size * (0.7, 0.5)
            shade = mix(self.lit(leaves), (0, 0, 0), 0.35 * float(self.rng.random()))
            self.canvas.fill(
                self.blob(x + dx, foot - 1.1 * size + dy, 0.34 * size, 0.30 * size),
                (mix(shade, (1, 1, 0.8), 0.12), shade),
            )

    def pine(self, x: float, size: float) -> None:
        foot = self.horizon + 0.02 * self.height
        for step in range(3):
            y, half = foot - size * (0.12 + 0.27 * step), size * (0.26 - 0.06 * step)
            cone = np.array([(x - half, y), (x + half, y), (x, y - 0.45 * size)])
            self.canvas.fill(cone, self.lit((0.13, 0.27, 0.18)))

    def palm(self, x: float, size: float) -> None:
        foot, bend = self.horizon + 0.03 * self.height, size * float(self.rng.random() - 0.5) * 0.4
        t = np.linspace(0, 1, 10)
        trunk = np.stack([x + bend * t**2, foot - size * t], axis=1)
        self.canvas.fill(outlines.ribbon(trunk, 0.05 * size), self.lit((0.42, 0.33, 0.24)))
        for turn in np.linspace(0.1, 3.04, 7):
            leaf = np.stack(
                [
                    x + bend + 0.45 * size * t * np.cos(turn),
                    foot - size - 0.35 * size * (t * np.sin(turn) - 0.9 * t**2),
                ],
                axis=1,
            )
            self.canvas.fill(outlines.ribbon(leaf, 0.06 * size), self.lit((0.16, 0.38, 0.20)))

    def house(self, left: float, right: float, top: float, colour: Colour) -> None:
        """A block of flats in pixels; at dusk and night many windows are lit."""
        foot = self.horizon + 0.02 * self.height
        corners = np.array([(left, foot), (right, foot), (right, top), (left, top)])
        self.canvas.fill(corners, (self.lit(colour), mix(self.lit(colour), (0, 0, 0), 0.15)))
        dark = mix(self.lit((0.35, 0.42, 0.50)), self.light.horizon, 0.2)
        glow_share = 0.45 if self.light.lamps_on else 0.0
        for x in np.arange(left + 10, right - 18, 26):
            for y in np.arange(top + 14, foot - 30, 34):
                pane = np.array([(x, y), (x + 13, y), (x + 13, y + 19), (x, y + 19)])
                glows = self.rng.random() < glow_share
                self.canvas.fill(pane, (1.0, 0.83, 0.48) if glows else dark)
