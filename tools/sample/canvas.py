"""A camera and brushes: 3D points to pixels, polygons with gradients, curved glossy surfaces.

Lengths are in half car widths (about 0.9 m). x points to the viewer's right, y up from the ground,
z away from the viewer; the car's front is at z = 0. Colours are RGB triples, 0…1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[float, float, float]
# Everything is drawn so many times larger and scaled down at the end: smooth edges.
SUPERSAMPLING = 3
# The car turns about this depth, a little behind its front axle.
PIVOT_Z = 1.3


@dataclass(frozen=True)
class Light:
    """The light of a scene: the sun and what a glossy surface mirrors."""

    sun: tuple[float, float, float]  # direction towards it
    sun_colour: Colour
    ambient: Colour
    zenith: Colour
    horizon: Colour
    skyline: Colour  # the dark band that hills or houses leave in a reflection
    ground: Colour
    lamps_on: bool = False


@dataclass(frozen=True)
class Camera:
    """Where the photo is taken from. Sizes in supersampled pixels."""

    width: int
    height: int
    focal: float
    eye: float
    distance: float
    yaw: float  # radians; positive shows the car's side on the viewer's left
    centre: float
    horizon: float

    def turn(self, points: np.ndarray) -> np.ndarray:
        """Car coordinates (…, 3) to the camera's, where the eye is the origin."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2] - PIVOT_Z
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return np.stack(
            [x * cos + z * sin, y - self.eye, z * cos - x * sin + PIVOT_Z + self.distance], axis=-1
        )

    def see(self, turned: np.ndarray) -> np.ndarray:
        """Camera coordinates (…, 3) to pixels (…, 2)."""
        depth = np.maximum(turned[..., 2], 0.3)
        x = self.centre + self.focal * turned[..., 0] / depth
        y = self.horizon - self.focal * turned[..., 1] / depth
        # Processors differ in the last bit of a sine; rounded, the drawings do not.
        return np.round(np.stack([x, y], axis=-1), 3)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Car coordinates (…, 3) to pixels (…, 2)."""
        return self.see(self.turn(points))

    def ground(self, x: float | np.ndarray, z: float | np.ndarray) -> np.ndarray:
        """Points of the ground, which does not turn with the car, to pixels (…, 2)."""
        x, z = np.broadcast_arrays(np.asarray(x, float), np.asarray(z, float))
        return self.see(np.stack([x, np.full_like(x, -self.eye), z + self.distance], axis=-1))


def to_bytes(colour: Colour | np.ndarray) -> np.ndarray:
    """Colours 0…1 to uint8."""
    return np.clip(np.rint(np.asarray(colour) * 255), 0, 255).astype(np.uint8)


def rgb(colour: Colour | np.ndarray) -> tuple[int, int, int]:
    """One colour 0…1 as Pillow wants it."""
    red, green, blue = to_bytes(colour).tolist()
    return red, green, blue


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with a `share` of `other`."""
    a, b, c = (p + (q - p) * share for p, q in zip(one, other, strict=True))
    return a, b, c


def gradient(size: tuple[int, int], stops: Sequence[Colour]) -> Image.Image:
    """An image that runs from the first stop at its top to the last at its bottom."""
    rows = np.linspace(0, len(stops) - 1, max(size[1], 1))
    table = np.asarray(stops, float)
    column = np.stack([np.interp(rows, range(len(stops)), table[:, c]) for c in range(3)], axis=1)
    return Image.fromarray(to_bytes(column)[:, None, :]).resize(size, Image.Resampling.NEAREST)


class Canvas:
    """An RGB image, and a mask of where it was painted on."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.painted = Image.new("L", image.size)

    def fill(
        self,
        contours: np.ndarray | Sequence[np.ndarray],
        stops: Colour | Sequence[Colour],
        *,
        opacity: float = 1.0,
        blur: float = 0.0,
        solid: bool = True,
    ) -> None:
        """Fill the contours (pixels, nonzero rule) with one colour or a gradient downwards.

        `solid=False` leaves the mask alone: for glows and shadows.
        """
        outline = [contours] if isinstance(contours, np.ndarray) else list(contours)
        box = self._box(outline, margin=3 * blur + 1)
        if box is None:
            return
        mask = nonzero_mask([c - box[:2] for c in outline], (box[2] - box[0], box[3] - box[1]))
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur))
        if opacity < 1:
            mask = mask.point(lambda value: round(value * opacity))
        colours = [stops] if isinstance(stops[0], (int, float)) else stops
        self.image.paste(gradient(mask.size, colours), box[:2], mask)  # type: ignore[arg-type]
        if solid:
            self._mark(mask, box)

    def surface(self, turned: np.ndarray, colours: np.ndarray, blur: float = 4.0) -> None:
        """Paint a mesh that was seen by a camera, hidden faces left out, colours running smoothly.

        `turned` (rows, columns, 3): pixels x and y, and depth. `colours` (rows, columns, 4): RGB
        and whether that corner faces the camera (> 0).
        """
        box = self._box([turned[..., :2].reshape(-1, 2)], margin=3 * blur + 1)
        if box is None:
            return
        corners = np.stack(
            [turned[:-1, :-1], turned[:-1, 1:], turned[1:, 1:], turned[1:, :-1]], axis=2
        )
        colour = (colours[:-1, :-1] + colours[:-1, 1:] + colours[1:, 1:] + colours[1:, :-1]) / 4
        corners, colour = corners.reshape(-1, 4, 3), colour.reshape(-1, 4)
        order = np.argsort(-corners[..., 2].mean(axis=1), kind="stable")
        order = order[colour[order, 3] > 0]
        layer = Image.new("RGBA", (box[2] - box[0], box[3] - box[1]))
        draw = ImageDraw.Draw(layer)
        for quad, shade in zip(
            (corners[order, :, :2] - box[:2]).reshape(-1, 8).tolist(),
            to_bytes(colour[order, :3]).tolist(),
            strict=True,
        ):
            draw.polygon(quad, fill=(*shade, 255), outline=(*shade, 255))
        mask = layer.getchannel("A")
        # Blurred with weights, so that the edges keep the surface's own colour.
        smooth = layer.convert("RGBa").filter(ImageFilter.GaussianBlur(blur)).convert("RGBA")
        self.image.paste(smooth.convert("RGB"), box[:2], mask)
        self._mark(mask, box)

    def _box(self, contours: list[np.ndarray], margin: float) -> tuple[int, int, int, int] | None:
        """The pixels the contours cover, cut to the canvas; None when they lie outside."""
        points = np.concatenate(contours)
        low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0) + margin), self.image.size).astype(int)
        if (high <= low).any():
            return None
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def _mark(self, mask: Image.Image, box: tuple[int, int, int, int]) -> None:
        self.painted.paste(ImageChops.lighter(self.painted.crop(box), mask), box[:2])


def nonzero_mask(contours: Sequence[np.ndarray], size: tuple[int, int]) -> Image.Image:
    """White where the contours wind around a pixel, as SVG and fonts are filled."""
    if len(contours) == 1:
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).polygon(contours[0].ravel().tolist(), fill=255)
        return mask
    winding = np.zeros((size[1], size[0]), np.int16)
    for contour in contours:
        mask = Image.new("1", size)
        ImageDraw.Draw(mask).polygon(contour.ravel().tolist(), fill=1)
        x, y = contour[:, 0], contour[:, 1]
        clockwise = float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) > 0
        winding += np.asarray(mask).astype(np.int16) * (1 if clockwise else -1)
    return Image.fromarray(np.where(winding != 0, 255, 0).astype(np.uint8))


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors (…, 3) at length one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def shade(
    turned: np.ndarray, outward: Sequence[float], paint: Colour, gloss: float, light: Light
) -> np.ndarray:
    """Colours (rows, columns, 4) of a glossy mesh in camera coordinates, for Canvas.surface.

    Lambert's law for the paint, and over it a clear coat that mirrors sky, skyline and ground with
    Schlick's approximation of Fresnel's law.
    """
    normal = unit(np.cross(np.gradient(turned, axis=0), np.gradient(turned, axis=1)))
    if (normal * np.asarray(outward)).sum() < 0:
        normal = -normal
    view = unit(-turned)
    facing = (normal * view).sum(axis=-1)
    sun = unit(np.asarray(light.sun))
    lit = np.maximum(normal @ sun, 0)[..., None]
    sky = 0.55 + 0.45 * normal[..., 1:2]
    colour = np.asarray(paint) * (
        np.asarray(light.ambient) * sky + np.asarray(light.sun_colour) * lit
    )
    mirrored = 2 * facing[..., None] * normal - view
    fresnel = 0.15 + 0.85 * (1 - np.clip(facing, 0, 1)) ** 5
    colour += surroundings(mirrored[..., 1], light) * (fresnel * gloss)[..., None]
    glint = np.clip(mirrored @ sun, 0, 1) ** 40
    colour += np.asarray(light.sun_colour) * (glint * 0.5 * gloss)[..., None]
    return np.concatenate([colour, facing[..., None]], axis=-1)


def surroundings(elevation: np.ndarray, light: Light) -> np.ndarray:
    """What a mirror shows at each elevation −1…1 (…): ground, skyline, sky; colours (…, 3)."""
    heights = (-1.0, -0.12, 0.0, 0.10, 0.22, 1.0)
    dark = mix(light.ground, (0, 0, 0), 0.4)
    table = np.array(
        [dark, light.ground, light.skyline, light.skyline, light.horizon, light.zenith]
    )
    return np.stack([np.interp(elevation, heights, table[:, c]) for c in range(3)], axis=-1)
