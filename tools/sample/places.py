"""Where the car stands: sky, backdrop and ground, drawn behind it, and the light they give."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from PIL import Image

from tools.sample.canvas import Camera, Light, gradient, mix
from tools.sample.dice import Rng, pick
from tools.sample.landscape import Place

LIGHTS: dict[str, Light] = {
    "noon": Light(
        (-0.5, 0.8, -0.6),
        (0.78, 0.74, 0.66),
        (0.52, 0.56, 0.62),
        (0.26, 0.50, 0.84),
        (0.83, 0.90, 0.96),
        (0.22, 0.27, 0.24),
        (0.44, 0.43, 0.41),
    ),
    "overcast": Light(
        (0.0, 1.0, -0.3),
        (0.20, 0.20, 0.20),
        (0.68, 0.70, 0.73),
        (0.62, 0.67, 0.72),
        (0.86, 0.88, 0.90),
        (0.30, 0.32, 0.32),
        (0.38, 0.38, 0.38),
    ),
    "golden": Light(
        (-0.9, 0.35, -0.5),
        (0.95, 0.66, 0.38),
        (0.42, 0.42, 0.48),
        (0.36, 0.50, 0.74),
        (1.0, 0.84, 0.60),
        (0.24, 0.20, 0.20),
        (0.42, 0.36, 0.31),
    ),
    "dusk": Light(
        (0.8, 0.25, -0.4),
        (0.45, 0.24, 0.18),
        (0.30, 0.28, 0.38),
        (0.13, 0.15, 0.36),
        (0.95, 0.52, 0.34),
        (0.09, 0.08, 0.13),
        (0.17, 0.15, 0.18),
        True,
    ),
    "night": Light(
        (0.3, 0.9, -0.5),
        (0.34, 0.31, 0.25),
        (0.17, 0.19, 0.27),
        (0.02, 0.03, 0.09),
        (0.13, 0.16, 0.28),
        (0.03, 0.03, 0.05),
        (0.10, 0.10, 0.12),
        True,
    ),
    "studio": Light(
        (-0.4, 0.9, -0.7),
        (0.60, 0.60, 0.60),
        (0.48, 0.48, 0.50),
        (0.97, 0.97, 0.98),
        (0.62, 0.63, 0.66),
        (0.13, 0.13, 0.15),
        (0.36, 0.36, 0.38),
    ),
    "neon": Light(
        (0.2, 1.0, -0.4),
        (0.38, 0.40, 0.40),
        (0.36, 0.39, 0.41),
        (0.85, 0.95, 0.97),
        (0.34, 0.37, 0.38),
        (0.12, 0.13, 0.13),
        (0.26, 0.26, 0.26),
    ),
}
OUTDOORS = ("noon", "noon", "overcast", "golden", "dusk", "night")


def _country(place: Place) -> None:
    place.sky(clouds=0.7)
    place.ridge(0.20, mix(place.lit((0.36, 0.50, 0.52)), place.light.horizon, 0.45), 0.0)
    place.ridge(0.11, place.lit((0.30, 0.44, 0.24)), 0.02)
    autumn = place.rng.random() < 0.35
    for x in place.rng.random(9) * place.width:
        leaves = (0.75, 0.42, 0.13) if autumn else (0.23, 0.42, 0.16)
        place.tree(float(x), place.height * (0.10 + 0.16 * float(place.rng.random())), leaves)
    place.ground((0.62, 0.52, 0.28) if autumn else (0.36, 0.48, 0.22), grain=0.35)
    place.road()


def _mountains(place: Place) -> None:
    place.sky(clouds=0.4)
    far = place.ridge(
        0.42, mix(place.lit((0.42, 0.46, 0.56)), place.light.horizon, 0.35), 0.10, waves=7
    )
    for (x0, y0), (x1, y1) in itertools.pairwise(far):
        if y0 < place.horizon - 0.24 * place.height:
            depth = (place.horizon - 0.22 * place.height - y0) * 0.55
            cap = np.array([(x0, y0), (x1, y1), (x1, y1 + depth * 0.8), (x0, y0 + depth)])
            place.canvas.fill(cap, mix(place.lit((0.97, 0.97, 1.0)), place.light.horizon, 0.15))
    place.ridge(0.16, place.lit((0.22, 0.33, 0.26)), 0.06)
    for x in place.rng.random(16) * place.width:
        place.pine(float(x), place.height * (0.10 + 0.14 * float(place.rng.random())))
    place.ground((0.42, 0.46, 0.34), grain=0.35)
    place.road()


def _city(place: Place) -> None:
    place.sky(clouds=0.4)
    x = -20.0
    while x < place.width:
        wide, high = place.rng.random(2) * (90, 0.45) + (60, 0.12)
        grey = 0.35 + 0.4 * float(place.rng.random())
        tint = (grey * 1.05, grey, grey * (0.85 + 0.2 * float(place.rng.random())))
        place.house(x, x + wide, place.horizon - high * place.height, tint)
        x += wide + 3
    place.ground((0.46, 0.45, 0.45), grain=0.10)
    place.road(half=4.2)
    if place.rng.random() < 0.4:
        for stripe in np.arange(-5, 5, 1.0):  # a zebra crossing before the car
            place.strip(stripe, stripe + 0.5, (0.9, 0.9, 0.88), near=-2.6, far=-0.7)


def _sea(place: Place) -> None:
    place.sky(clouds=0.6)
    light, top = place.light, place.horizon - 0.10 * place.height
    sea = np.array(
        [(0, top), (place.width, top), (place.width, place.horizon + 4), (0, place.horizon + 4)]
    )
    place.canvas.fill(
        sea, (mix(place.lit((0.12, 0.38, 0.58)), light.horizon, 0.3), place.lit((0.10, 0.45, 0.58)))
    )
    for x, y, length in place.rng.random((70, 3)) * (place.width, place.horizon - top, 26):
        glint = np.array(
            [(x, top + y), (x + length, top + y), (x + length, top + y + 2), (x, top + y + 2)]
        )
        place.canvas.fill(glint, light.horizon, opacity=0.45)
    x, size = float(place.rng.random()) * place.width, 0.05 * place.height
    for sail in ((-0.1, 0.9), (0.1, -0.7)):
        place.canvas.fill(
            np.array(
                [
                    (x + sail[0] * size, top),
                    (x + sail[1] * size, top),
                    (x + sail[0] * size, top - 1.6 * size),
                ]
            ),
            place.lit((0.95, 0.95, 0.93)),
        )
    place.ground((0.80, 0.71, 0.52), grain=0.18)
    for x in place.rng.random(4) * place.width:
        place.palm(float(x), place.height * (0.22 + 0.2 * float(place.rng.random())))
    place.road((0.48, 0.47, 0.46))


def _desert(place: Place) -> None:
    place.sky(clouds=0.15)
    place.ridge(0.20, mix(place.lit((0.70, 0.42, 0.30)), place.light.horizon, 0.35), 0.0, waves=3)
    place.ridge(0.08, place.lit((0.78, 0.56, 0.36)), 0.0)
    place.ground((0.80, 0.60, 0.40), grain=0.22)
    place.road((0.46, 0.43, 0.42))


def _wall(place: Place) -> None:
    """A brick or plaster wall behind the car, its foot on the ground 5 half widths away."""
    place.horizon = min(place.horizon, place.height * 0.6)
    place.ground((0.52, 0.50, 0.49), grain=0.14)
    foot = float(place.camera.ground(0.0, 5.2)[1])
    brick = pick(place.rng, ((0.58, 0.30, 0.24), (0.80, 0.77, 0.70), (0.45, 0.52, 0.56)))
    wall = np.array([(0, 0), (place.width, 0), (place.width, foot), (0, foot)])
    place.canvas.fill(wall, (place.lit(brick), mix(place.lit(brick), (0, 0, 0), 0.25)))
    for row, y in enumerate(np.arange(foot, -20, -19)):
        for x in np.arange(-50 + 25 * (row % 2), place.width, 50):
            shade = mix(place.lit(brick), (0, 0, 0), 0.22 * float(place.rng.random()))
            block = np.array([(x, y), (x + 47, y), (x + 47, y - 16), (x, y - 16)])
            place.canvas.fill(block, shade, opacity=0.75)


def _studio(place: Place) -> None:
    """A cove of one colour: a soft light behind the car, a floor that runs into the wall."""
    tints = [(0.86, 0.87, 0.89), (0.28, 0.30, 0.34), (0.60, 0.66, 0.72), (0.80, 0.70, 0.62)]
    tint = pick(place.rng, tints)
    dark = mix(tint, (0, 0, 0), 0.28)
    place.canvas.image.paste(
        gradient(
            (place.width, place.height),
            (
                dark,
                tint,
                mix(tint, (1, 1, 1), 0.3),
                mix(tint, (0, 0, 0), 0.12),
                mix(tint, (0, 0, 0), 0.35),
            ),
        )
    )
    x = place.width * (0.3 + 0.4 * float(place.rng.random()))
    glow = place.blob(x, 0.42 * place.height, 0.36 * place.width, 0.26 * place.height)
    place.canvas.fill(glow, mix(tint, (1, 1, 1), 0.55), opacity=0.6, blur=70)


def _garage(place: Place) -> None:
    place.horizon = min(place.horizon, place.height * 0.6)
    place.ground((0.60, 0.60, 0.58), grain=0.08)
    foot = float(place.camera.ground(0.0, 7.0)[1])
    place.canvas.image.paste(
        gradient(
            (place.width, int(foot)), (place.lit((0.30, 0.31, 0.32)), place.lit((0.62, 0.63, 0.62)))
        ),
        (0, 0),
    )
    stripe = np.array(
        [(0, foot - 64), (place.width, foot - 64), (place.width, foot - 42), (0, foot - 42)]
    )
    place.canvas.fill(stripe, place.lit((0.90, 0.66, 0.12)))
    for x in np.arange(float(place.rng.random()) * 200 - 60, place.width, 300):
        pillar = np.array([(x, 0), (x + 64, 0), (x + 64, foot + 16), (x, foot + 16)])
        place.canvas.fill(pillar, (place.lit((0.55, 0.55, 0.54)), place.lit((0.74, 0.74, 0.72))))
    for y, half in ((30, 330), (92, 230), (134, 160)):
        tube = np.array(
            [
                (place.width / 2 - half, y),
                (place.width / 2 + half, y),
                (place.width / 2 + half, y + 9),
                (place.width / 2 - half, y + 9),
            ]
        )
        place.canvas.fill(tube, (0.95, 1.0, 1.0), opacity=0.45, blur=14)
        place.canvas.fill(tube, (0.96, 1.0, 1.0))


# Each place, and the lights it may be seen in.
PLACES: dict[str, tuple[Callable[[Place], None], tuple[str, ...]]] = {
    "country": (_country, OUTDOORS),
    "mountains": (_mountains, OUTDOORS),
    "city": (_city, OUTDOORS),
    "sea": (_sea, OUTDOORS),
    "desert": (_desert, ("noon", "golden", "dusk", "night")),
    "wall": (_wall, OUTDOORS),
    "studio": (_studio, ("studio",)),
    "garage": (_garage, ("neon",)),
}


def draw_place(name: str, camera: Camera, light: Light, rng: Rng, snow: bool) -> Image.Image:
    """The photo without the car."""
    place = Place(camera, light, rng, snow)
    PLACES[name][0](place)
    return place.canvas.image
