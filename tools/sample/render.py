"""From a shot to a photo: place, shadow, car, weather, things in the way, lens."""

from __future__ import annotations

from PIL import Image, ImageFilter

from tools.sample import lens
from tools.sample.body import draw_body
from tools.sample.canvas import SUPERSAMPLING, Canvas, Colour, mix
from tools.sample.dice import Rng, pick
from tools.sample.face import draw_face
from tools.sample.places import draw_place
from tools.sample.recipe import Shot

# How much of the car a floor mirrors.
WET, POLISHED = 0.45, {"studio": 0.30, "garage": 0.22}
FURS: tuple[Colour, ...] = ((0.86, 0.52, 0.20), (0.14, 0.14, 0.15), (0.62, 0.60, 0.58))


def render(shot: Shot, rng: Rng) -> Image.Image:
    """The photo of a shot, RGB."""
    camera, light = shot.camera, shot.light
    width, unit = camera.width, camera.focal / camera.distance
    snow = shot.weather == "snow"
    image = draw_place(shot.place, camera, light, rng, snow)
    image = image.filter(ImageFilter.GaussianBlur(shot.background_blur * width))
    haze = mix(light.horizon, light.ambient, 0.3)
    if shot.fog:
        image = lens.fog(image, haze, min(0.92, 1.5 * shot.fog + 0.15))
    soft = light.lamps_on or shot.weather != "clear"
    lens.car_shadow(image, camera, light, depth=0.75 if soft else 1.0)

    canvas = Canvas(image.copy())
    draw_body(canvas, camera, light, shot.car)
    lamps = draw_face(canvas, camera, light, shot.car)
    shine = WET if shot.weather == "rain" else POLISHED.get(shot.place, 0.0)
    if shine:
        lens.mirrored_in_ground(image, canvas.image, canvas.painted, camera, shine)
    car = canvas.image
    if shot.fog:
        car = lens.fog(car, haze, shot.fog)
    if shot.motion_blur:
        # The camera follows the car, so that the world is what smears.
        image = image.filter(ImageFilter.BoxBlur((shot.motion_blur * width, 0)))
    image.paste(car, (0, 0), canvas.painted)
    image = lens.glow(image, lamps, unit, 0.9 if light.lamps_on else 0.18)
    _weather_and_obstacles(image, shot, rng)
    if shot.tilt:
        image = lens.roll(image, shot.tilt)
    image = image.reduce(SUPERSAMPLING)
    return lens.expose(image, rng, shot.exposure, shot.warmth, shot.saturation, shot.grain)


def _weather_and_obstacles(image: Image.Image, shot: Shot, rng: Rng) -> None:
    if shot.weather == "rain":
        lens.rain(image, rng)
    elif shot.weather == "snow":
        lens.snowfall(image, rng)
    if shot.obstacle == "post":
        lens.lamp_post(image, shot.light, shot.obstacle_at * image.width)
    elif shot.obstacle == "leaves":
        lens.leaves(image, shot.light, rng, corner=int(shot.obstacle_at * 4))
    elif shot.obstacle == "bollards":
        lens.bollards(image, shot.camera, shot.light, 3 * (shot.obstacle_at - 0.5) - 0.4)
    elif shot.obstacle == "cat":
        x = 2 * (shot.obstacle_at - 0.5)
        lens.cat(image, shot.camera, shot.light, x, pick(rng, FURS))
