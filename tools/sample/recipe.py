"""What is on one photo: dice thrown for the car, the place, the light, the camera and the mishaps.

The constants below set how hard the sample is to classify.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from tools.sample.canvas import SUPERSAMPLING, Camera, Colour, Light
from tools.sample.car import Car
from tools.sample.dice import Rng, between, pick
from tools.sample.places import LIGHTS, PLACES
from tools.sample.styles import STYLES, Body, Face, Grille, Points, style_of

WIDTH_PX, HEIGHT_PX = 320, 240

# Share of photos with one or two of HARDSHIPS; each makes a photo clearly harder.
HARD_SHARE = 0.16
HARDSHIPS = ("far", "dark", "fog", "cropped", "hidden", "borrowed")
# Shares of all photos with rain, snow or thin fog, and with something standing in the way.
WEATHER_SHARE = 0.25
OBSTACLE_SHARE = 0.12
OBSTACLES = ("post", "leaves", "bollards", "cat")
# Emblems are drawn larger than life, or nobody would see them at this size; smaller is harder.
EMBLEM_SCALE = (0.85, 1.15)
# The car's width as a share of the photo's: usually, far away, and too close.
CAR_WIDTH = (0.60, 0.92)
FAR_WIDTH = (0.20, 0.30)
CROPPED_WIDTH = (1.15, 1.60)
# No car but a cropped one is higher than this share of the photo.
CAR_HEIGHT = 0.84
# How far the car may be turned, and the camera tilted, in degrees.
TURN_DEGREES = 26.0
TILT_DEGREES = 5.0
# How far a body's measures and a grille's corners stray from their brand's own, as shares.
BODY_JITTER = 0.05
FACE_JITTER = 0.06
# Noise of the sensor, 0…1; and the exposure, in stops off the light's own.
GRAIN = (0.003, 0.013)
EXPOSURE_STOPS = (-0.35, 0.55)

PAINTS: tuple[Colour, ...] = (
    (0.92, 0.93, 0.94), (0.66, 0.68, 0.71), (0.34, 0.36, 0.39), (0.05, 0.05, 0.06),
    (0.62, 0.04, 0.05), (0.05, 0.14, 0.42), (0.10, 0.32, 0.62), (0.93, 0.72, 0.06),
    (0.90, 0.38, 0.05), (0.20, 0.55, 0.14), (0.06, 0.26, 0.18), (0.48, 0.40, 0.30),
    (0.38, 0.10, 0.36), (0.42, 0.62, 0.66),
)  # fmt: skip
RIMS: tuple[Colour, ...] = ((0.70, 0.72, 0.74), (0.45, 0.46, 0.48), (0.22, 0.22, 0.23))
PLATES: tuple[Colour, ...] = ((0.97, 0.97, 0.95), (0.97, 0.97, 0.95), (0.96, 0.84, 0.30))
GREETINGS = ("VROOM", "BEEP BEEP", "HELLO", "TUUT", "ZOOM", "HONK", "WROOM", "MY CAR", "CHEESE")
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@dataclasses.dataclass(frozen=True)
class Shot:
    """All that decides one photo but the grain of its ground and its noise."""

    car: Car
    camera: Camera
    light: Light
    place: str
    weather: str  # clear, rain, snow or fog
    fog: float  # share of the fog's colour over the car; more of it over what lies behind
    obstacle: str  # "" or one of OBSTACLES
    obstacle_at: float  # 0…1
    background_blur: float  # shares of the photo's width
    motion_blur: float
    tilt: float  # degrees
    exposure: float  # a factor
    warmth: float  # −1 cold … 1 warm
    saturation: float
    grain: float


def choose(brand: str, rng: Rng) -> Shot:
    """Throw the dice for a photo of the brand."""
    hardships = _hardships(rng)
    place = pick(rng, tuple(PLACES))
    lights = PLACES[place][1]
    if "dark" in hardships and "night" in lights:
        lights = ("night",)
    light = _light(rng, pick(rng, lights))
    indoors = place in ("studio", "garage")
    weather = "clear"
    if not indoors and "fog" in hardships:
        weather = "fog"
    elif not indoors and rng.random() < WEATHER_SHARE:
        weather = pick(rng, ("rain", "snow", "fog"))
    obstacle = ""
    if "hidden" in hardships or rng.random() < OBSTACLE_SHARE:
        obstacle = pick(rng, ("post", "leaves", "cat") if indoors else OBSTACLES)
    exposure = 2.0 ** between(rng, *EXPOSURE_STOPS)
    if "dark" in hardships:
        exposure = between(rng, 0.50, 0.70)
    dense = between(rng, 0.45, 0.62) if "fog" in hardships else between(rng, 0.10, 0.25)
    return Shot(
        car=_car(brand, rng, "borrowed" in hardships),
        camera=_camera(rng, hardships),
        light=light,
        place=place,
        weather=weather,
        fog=dense if weather == "fog" else 0.0,
        obstacle=obstacle,
        # A hidden car is hidden in its middle; else things stand at the edges.
        obstacle_at=between(rng, 0.35, 0.65)
        if "hidden" in hardships
        else pick(rng, (between(rng, 0.02, 0.2), between(rng, 0.8, 0.98))),
        background_blur=pick(rng, (0.0, 0.003, 0.006, 0.012)),
        motion_blur=between(rng, 0.006, 0.014) if rng.random() < 0.10 else 0.0,
        tilt=between(rng, -TILT_DEGREES, TILT_DEGREES) if rng.random() < 0.5 else 0.0,
        exposure=exposure,
        warmth=between(rng, -0.6, 0.6),
        saturation=between(rng, 0.90, 1.25),
        grain=between(rng, *GRAIN),
    )


def _hardships(rng: Rng) -> frozenset[str]:
    if rng.random() >= HARD_SHARE:
        return frozenset()
    return frozenset(pick(rng, HARDSHIPS) for _ in range(1 + int(rng.random() < 0.3)))


def _light(rng: Rng, name: str) -> Light:
    """The named light, its sun on either side and a little stronger or weaker."""
    light = LIGHTS[name]
    x, y, z = light.sun
    side, strength = pick(rng, (-1, 1)), between(rng, 0.85, 1.15)
    red, green, blue = (c * strength for c in light.sun_colour)
    return dataclasses.replace(light, sun=(side * x, y, z), sun_colour=(red, green, blue))


def _camera(rng: Rng, hardships: frozenset[str]) -> Camera:
    width, height = WIDTH_PX * SUPERSAMPLING, HEIGHT_PX * SUPERSAMPLING
    share = between(rng, *CAR_WIDTH)
    if "far" in hardships:
        share = between(rng, *FAR_WIDTH)
    elif "cropped" in hardships:
        share = between(rng, *CROPPED_WIDTH)
    distance, eye = between(rng, 6.5, 13.0), between(rng, 0.55, 1.9)
    yaw = float(np.radians(TURN_DEGREES)) * between(rng, -1, 1)
    # Where the corners of a box as large as a car would lie for a focal length of one pixel.
    box = np.array(list(itertools.product((-1.0, 1.0), (0.0, 1.55), (0.2, 4.8))))
    seen = Camera(width, height, 1.0, eye, distance, yaw, 0.0, 0.0).project(box)
    low, high = seen.min(axis=0), seen.max(axis=0)
    focal = share * width / float(high[0] - low[0])
    middle = (low + high) / 2 * focal
    if "cropped" in hardships:
        centre = width * between(rng, 0.25, 0.75)  # of the car's face, wherever its tail is
    else:
        focal = min(focal, CAR_HEIGHT * height / float(high[1] - low[1]))
        middle = (low + high) / 2 * focal
        room = max(0.0, 0.96 * width - focal * float(high[0] - low[0])) / 2
        centre = width / 2 - float(middle[0]) + room * between(rng, -1, 1)
    # The middle of the car stands a little below the photo's.
    horizon = height * between(rng, 0.50, 0.60) - float(middle[1])
    return Camera(width, height, focal, eye, distance, yaw, centre, horizon)


def _car(brand: str, rng: Rng, borrowed: bool) -> Car:
    """A car of the brand; a borrowed one has nothing of the brand but its emblem."""
    style = style_of(brand)
    shape = style
    others = [other for name, other in sorted(STYLES.items()) if name != brand]
    if borrowed:
        shape = pick(rng, others)
    # The emblem keeps its own size, wherever the face has its place for one.
    size = style.faces[0].emblem[1]
    face = pick(rng, shape.faces)
    face = dataclasses.replace(face, emblem=(face.emblem[0], size))
    grille = pick(rng, face.grilles)
    return Car(
        brand=brand,
        body=_jitter_body(rng, pick(rng, shape.bodies)),
        face=_jitter_face(rng, face),
        grille=_jitter_grille(rng, grille),
        bars=pick(rng, grille.bars),
        frame=pick(rng, grille.frames),
        lamp=pick(rng, face.lamps),
        badge=style.badge,
        metal=style.metal,
        emblem_scale=between(rng, *EMBLEM_SCALE),
        paint=tuple(np.clip(c * between(rng, 0.85, 1.12), 0.03, 0.95) for c in pick(rng, PAINTS)),
        gloss=between(rng, 0.7, 1.25),
        rim=pick(rng, RIMS),
        plate=_plate(rng),
        plate_colour=pick(rng, PLATES),
    )


def _plate(rng: Rng) -> str:
    """What the number plate says; sometimes it is covered."""
    dice = rng.random()
    if dice < 0.12:
        return ""
    if dice < 0.35:
        return pick(rng, GREETINGS)
    letters = "".join(pick(rng, LETTERS) for _ in range(3))
    return f"{letters[:2]} {letters[2]}{int(rng.random() * 900) + 100}"


def _jitter_body(rng: Rng, body: Body) -> Body:
    measures = dataclasses.asdict(body)
    stray = {name: value * _stray(rng, BODY_JITTER) for name, value in measures.items()}
    # Heights stray together, or a roof could end up below its windscreen.
    tall = _stray(rng, BODY_JITTER)
    stray |= {name: measures[name] * tall for name in ("nose", "cowl", "roof")}
    return Body(**stray)


def _jitter_grille(rng: Rng, grille: Grille) -> Grille:
    wide, high = _stray(rng, FACE_JITTER), _stray(rng, FACE_JITTER)
    middle = sum(v for _, v in grille.half) / len(grille.half)
    half: Points = tuple(
        (x * wide, min(0.95, middle + (v - middle) * high)) for x, v in grille.half
    )
    return dataclasses.replace(grille, half=half, radius=grille.radius * _stray(rng, 0.4))


def _jitter_face(rng: Rng, face: Face) -> Face:
    v, size = face.emblem
    return dataclasses.replace(
        face,
        plate=face.plate + between(rng, -0.04, 0.04),
        emblem=(v + between(rng, -0.015, 0.015), size),
    )


def _stray(rng: Rng, share: float) -> float:
    return between(rng, 1 - share, 1 + share)
