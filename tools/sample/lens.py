"""What lies between the car and the photo: shadows, glows, weather, things in the way, the lens."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from tools.sample import outlines
from tools.sample.canvas import Camera, Canvas, Colour, Light, mix, rgb, to_bytes
from tools.sample.dice import Rng, pick
from tools.sample.face import Lamps
from tools.sample.landscape import lit


def car_shadow(image: Image.Image, camera: Camera, light: Light, depth: float) -> None:
    """Darken the ground under the car, more at the tyres, and to the side away from the sun."""
    canvas = Canvas(image)
    unit = camera.focal / camera.distance

    def on_ground(corners: list[tuple[float, float]]) -> np.ndarray:
        contour = outlines.rounded(np.array(corners), 0.3)
        return camera.project(np.insert(contour, 1, 0.0, axis=1))

    away = -0.9 * light.sun[0]
    spread = [
        (-1.0 + min(away, 0), 0.0),
        (1.0 + max(away, 0), 0.0),
        (1.0 + max(away, 0), 4.8),
        (-1.0 + min(away, 0), 4.8),
    ]
    black: Colour = (0.01, 0.01, 0.02)
    canvas.fill(on_ground(spread), black, opacity=0.45 * depth, blur=0.10 * unit)
    body = [(-0.95, 0.05), (0.95, 0.05), (0.95, 4.8), (-0.95, 4.8)]
    canvas.fill(on_ground(body), black, opacity=0.75 * depth, blur=0.05 * unit)


def mirrored_in_ground(
    image: Image.Image, car: Image.Image, mask: Image.Image, camera: Camera, strength: float
) -> None:
    """The car upside down in a wet or polished floor, fading downwards."""
    contact = round(float(camera.project(np.array([0.0, 0.0, 0.3]))[1]))
    flipped, cut = (
        ImageChops.offset(
            layer.transpose(Image.Transpose.FLIP_TOP_BOTTOM), 0, 2 * contact - image.height
        )
        for layer in (car, mask)
    )
    rows = np.arange(image.height)
    reach = camera.focal / camera.distance * 1.1
    fade = np.clip(1 - (rows - contact) / reach, 0, 1) * (rows >= contact)
    veil = Image.fromarray(to_bytes(fade * strength)[:, None]).resize(image.size)
    cut = ImageChops.multiply(cut, veil).filter(ImageFilter.BoxBlur(3))
    image.paste(flipped.filter(ImageFilter.BoxBlur(4)), (0, 0), cut)


def glow(image: Image.Image, lamps: Lamps, unit: float, strength: float) -> Image.Image:
    """Add the light that lamps spill into the lens; `unit` is half a car's width in pixels."""
    layer = Canvas(Image.new("RGB", image.size))
    for contour in lamps.lenses:
        layer.fill(contour, (1.0, 0.96, 0.82))
    for contour in lamps.signatures:
        layer.fill(contour, (0.75, 0.82, 1.0))
    small = layer.image.reduce(4)
    for radius, gain in ((0.03, 0.9), (0.10, 2.0), (0.35, 3.5)):
        halo = small.filter(ImageFilter.GaussianBlur(radius * unit / 4))
        halo = halo.point(lambda value, gain=gain: min(255, round(value * gain * strength)))
        image = ImageChops.screen(image, halo.resize(image.size, Image.Resampling.BILINEAR))
    return image


def fog(image: Image.Image, colour: Colour, share: float) -> Image.Image:
    """Blend towards the fog's colour."""
    return Image.blend(image, Image.new("RGB", image.size, rgb(colour)), share)


def rain(image: Image.Image, rng: Rng) -> None:
    """Slanting streaks."""
    canvas = Canvas(image)
    slant = float(rng.random() - 0.5) * 24
    for x, y, length in rng.random((130, 3)) * (image.width, image.height, 46) + (0, 0, 16):
        streak = np.array(
            [(x, y), (x + 2, y), (x + 2 + slant, y + length), (x + slant, y + length)]
        )
        canvas.fill(streak, (0.85, 0.88, 0.92), opacity=0.28)


def snowfall(image: Image.Image, rng: Rng) -> None:
    """Flakes, the near ones large and out of focus."""
    canvas = Canvas(image)
    turn = np.linspace(0, 2 * np.pi, 11)[:-1]
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for x, y, size in rng.random((110, 3)) * (image.width, image.height, 1):
        near = size > 0.93
        radius = 9.0 if near else 2.0 + 2.6 * size
        canvas.fill(
            circle * radius + (x, y),
            (0.97, 0.98, 1.0),
            opacity=0.55 if near else 0.85,
            blur=3.0 if near else 0.8,
        )


def lamp_post(image: Image.Image, light: Light, x: float) -> None:
    """A post at pixel column x, a little out of focus, from edge to edge."""
    canvas, half = Canvas(image), 0.020 * image.width
    post = np.array(
        [(x - half, 0), (x + half, 0), (x + half, image.height), (x - half, image.height)]
    )
    canvas.fill(post, lit((0.36, 0.38, 0.38), light), blur=2.5)
    shine = post * (0.3, 1) + (0.7 * x - 0.35 * half, 0)
    canvas.fill(shine, lit((0.72, 0.74, 0.74), light), opacity=0.6, blur=2.5)


def leaves(image: Image.Image, light: Light, rng: Rng, corner: int) -> None:
    """Twigs with leaves hanging into a corner (0…3), close to the lens."""
    canvas = Canvas(image)
    middle = np.array([(corner % 2) * image.width, (corner // 2) * image.height], float)
    green = pick(rng, ((0.20, 0.42, 0.14), (0.62, 0.36, 0.10)))
    for dx, dy, turn, size in rng.random((60, 4)):
        # Dense in the corner, thinner away from it.
        reach, way = 0.50 * dx**0.8, np.pi * 2 * dy
        spot = middle + reach * np.array([np.cos(way) * image.width, np.sin(way) * image.height])
        t = np.linspace(0, np.pi, 9)
        leaf = np.concatenate(
            [
                np.stack([np.cos(t), 0.36 * np.sin(t)], axis=1),
                np.stack([np.cos(t), -0.36 * np.sin(t)], axis=1)[::-1],
            ]
        )
        cos, sin = np.cos(6.28 * turn), np.sin(6.28 * turn)
        leaf = leaf @ np.array([[cos, sin], [-sin, cos]]) * (32 + 30 * size) + spot
        canvas.fill(leaf, lit(mix(green, (0, 0, 0), 0.45 * size), light), blur=4)


def bollards(image: Image.Image, camera: Camera, light: Light, x: float) -> None:
    """Red and white posts standing before the car, from x in half car widths."""
    canvas = Canvas(image)
    unit = camera.focal / (camera.distance - 1.2)
    for place in (x, x + 0.85):
        foot = camera.ground(place, -1.2)
        for part in range(4):
            low, high = foot[1] - 0.17 * unit * part, foot[1] - 0.17 * unit * (part + 1)
            half = 0.055 * unit
            block = np.array(
                [
                    (foot[0] - half, low),
                    (foot[0] + half, low),
                    (foot[0] + half, high),
                    (foot[0] - half, high),
                ]
            )
            colour = (0.85, 0.13, 0.10) if part % 2 else (0.95, 0.95, 0.93)
            canvas.fill(block, lit(colour, light, 0.8), blur=1.0)


def cat(image: Image.Image, camera: Camera, light: Light, x: float, fur: Colour) -> None:
    """A cat that sits before the car and looks at whoever takes the photo."""
    canvas = Canvas(image)
    foot, unit = camera.ground(x, -1.0), camera.focal / (camera.distance - 1.0)
    turn = np.linspace(0, 2 * np.pi, 33)[:-1]
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    t = np.linspace(0, 1, 12)
    tail = np.stack([0.13 + 0.13 * np.sin(2.6 * t), 0.03 + 0.22 * t], axis=1)
    parts = [
        circle * (0.13, 0.17) + (0, 0.16),
        circle * (0.10, 0.09) + (0, 0.36),
        outlines.ribbon(tail, 0.045),
    ]
    for side in (-1, 1):
        parts.append(np.array([(0.03, 0.42), (0.095, 0.39), (0.085, 0.51)]) * (side, 1))
        parts.append(circle * (0.045, 0.03) + (0.05 * side, 0.02))
    shade = circle * (0.20, 0.04)

    def place(contour: np.ndarray) -> np.ndarray:
        return foot + contour * (unit, -unit)

    canvas.fill(place(shade), (0.01, 0.01, 0.02), opacity=0.5, blur=0.03 * unit)
    for part in parts:
        canvas.fill(place(part), lit(fur, light), blur=0.6)
    canvas.fill(
        place(circle * (0.06, 0.09) + (0, 0.14)),
        lit(mix(fur, (1, 1, 1), 0.45), light),
        blur=0.02 * unit,
    )
    for side in (-1, 1):
        canvas.fill(place(circle * (0.020, 0.024) + (0.04 * side, 0.37)), (0.85, 0.90, 0.35))
        canvas.fill(place(circle * (0.008, 0.020) + (0.04 * side, 0.37)), (0.02, 0.02, 0.02))
    canvas.fill(place(circle * (0.014, 0.010) + (0, 0.335)), (0.75, 0.42, 0.42))


def roll(image: Image.Image, degrees: float) -> Image.Image:
    """Hold the camera aslant; zoomed in so that no corner stays empty."""
    turned = image.rotate(degrees, Image.Resampling.BICUBIC)
    margin = np.sin(np.radians(abs(degrees))) / 2
    cut_x, cut_y = round(margin * image.height), round(margin * image.width)
    # The same shape as before: both cuts in proportion.
    share = max(cut_x / image.width, cut_y / image.height)
    box = (
        share * image.width,
        share * image.height,
        (1 - share) * image.width,
        (1 - share) * image.height,
    )
    return turned.resize(image.size, Image.Resampling.BICUBIC, box=box)


def expose(
    image: Image.Image, rng: Rng, exposure: float, warmth: float, saturation: float, grain: float
) -> Image.Image:
    """The sensor: exposure and white balance, a dark rim, grain. At the photo's final size."""
    picture = np.asarray(ImageEnhance.Color(image).enhance(saturation)).astype(float) / 255
    picture = 1 - (1 - np.clip(picture, 0, 1)) ** exposure if exposure > 1 else picture * exposure
    picture *= (1 + 0.10 * warmth, 1.0, 1 - 0.10 * warmth)
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    picture *= (1.06 - 0.12 * (x**2 + y**2))[..., None]
    picture = np.clip(picture, 0, 1)
    picture += 0.30 * (picture**2 * (3 - 2 * picture) - picture)  # contrast, as film has it
    # The sum of three uniform numbers is close enough to normal, and the same for every numpy.
    picture += ((rng.random((3, height, width, 1)).sum(axis=0) - 1.5) * 2) * grain
    picture += (rng.random((height, width, 3)) - 0.5) * grain
    return Image.fromarray(to_bytes(picture))
