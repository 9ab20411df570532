"""What people, sites and cameras do to a photo: planted where copies have to be found."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps


def jpeg(photo: Image.Image, quality: int) -> Image.Image:
    """The photo after it was saved with losses."""
    data = io.BytesIO()
    photo.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def half(photo: Image.Image) -> Image.Image:
    """The photo, half as wide and high."""
    return photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.BICUBIC)


def with_border(photo: Image.Image, colour: str) -> Image.Image:
    """The photo in a plain frame."""
    return ImageOps.expand(photo, max(photo.size) // 15, colour)


def crop(photo: Image.Image, right: float = 0.3, down: float = 0.7) -> Image.Image:
    """80 % of width and height; `right` and `down` say where, 0…1."""
    width, height = round(photo.width * 0.8), round(photo.height * 0.8)
    left, top = round((photo.width - width) * right), round((photo.height - height) * down)
    return photo.crop((left, top, left + width, top + height))


Edit = Callable[[Image.Image], Image.Image]
# Those that a hash finds.
EDITS: dict[str, Edit] = {
    "saved anew": lambda photo: jpeg(photo, 40),
    "half as large": half,
    "mirrored": ImageOps.mirror,
    "brighter": lambda photo: ImageEnhance.Brightness(photo).enhance(1.3),
    "darker": lambda photo: ImageEnhance.Brightness(photo).enhance(0.6),
    "flatter": lambda photo: ImageEnhance.Contrast(photo).enhance(0.6),
    "grey": lambda photo: photo.convert("L").convert("RGB"),
    "black border": lambda photo: with_border(photo, "black"),
    "white border": lambda photo: with_border(photo, "white"),
    "red border": lambda photo: with_border(photo, "red"),
    "mirrored, border": lambda photo: with_border(ImageOps.mirror(photo), "black"),
    "stretched": lambda photo: photo.resize((round(photo.width * 1.15), photo.height)),
}
# Those that only vectors find.
CROPS: dict[str, Edit] = {
    "crop": crop,
    "crop at a corner": lambda photo: crop(photo, 1.0, 0.0),
    "central crop": lambda photo: crop(photo, 0.5, 0.5),
    "mirrored crop": lambda photo: crop(ImageOps.mirror(photo)),
    "crop, saved anew": lambda photo: jpeg(crop(photo), 40),
}


def with_bar(
    photo: Image.Image, box: tuple[float, float, float, float], colour: str
) -> Image.Image:
    """The photo with a bar laid over a part of it; `box`: left, top, right, bottom in shares."""
    covered = photo.copy()
    left, top, right, bottom = box
    width, height = photo.size
    place = (int(left * width), int(top * height), int(right * width), int(bottom * height))
    draw = ImageDraw.Draw(covered)
    draw.rectangle(place, fill=colour)
    ink = "black" if colour == "white" else "white"
    draw.text((place[0] + 6, place[1] + 4), "2019 - first owner", fill=ink)
    return covered


def watermark(photo: Image.Image) -> Image.Image:
    """The photo with letters across the middle that one can see through."""
    layer = Image.new("RGBA", photo.size)
    font = ImageFont.load_default(max(10, photo.width // 13))
    place = (photo.width // 20, photo.height * 9 // 20)
    ImageDraw.Draw(layer).text(place, "www.dealer.example", fill=(255, 255, 255, 120), font=font)
    return Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB")


def sticker(photo: Image.Image) -> Image.Image:
    """The photo with a small round thing on it."""
    covered = photo.copy()
    x, y, radius = 0.4 * photo.width, 0.6 * photo.height, 0.1 * min(photo.size)
    place = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(covered).ellipse(place, fill="yellow", outline="red", width=3)
    return covered


def screenshot(
    photo: Image.Image, height: float = 1.6, top: float = 0.25, colour: str = "white"
) -> Image.Image:
    """The photo on a phone's screen, `height` times as high, with a clock above it."""
    screen = Image.new("RGB", (photo.width, int(photo.height * height)), colour)
    screen.paste(photo, (0, int(photo.height * top)))
    ink = "black" if colour == "white" else "white"
    ImageDraw.Draw(screen).text((8, 4), "09:41          5G", fill=ink)
    return screen


def tilted(photo: Image.Image, degrees: float, colour: str | None = None) -> Image.Image:
    """The photo turned by some degrees, its size kept."""
    return photo.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=colour)


LOWEST, HIGHEST, LEFTMOST = (0, 0.88, 1, 1), (0, 0, 1, 0.12), (0, 0, 0.15, 1)
CORNER, OTHER_CORNER, MIDDLE = (
    (0.76, 0.02, 0.98, 0.14),
    (0.02, 0.85, 0.26, 0.98),
    (0, 0.45, 1, 0.54),
)
# What dealers, sites and phones leave of a photo: only a look at its parts finds those.
OVERLAYS: dict[str, Edit] = {
    "caption": lambda photo: with_bar(photo, LOWEST, "black"),
    "caption above": lambda photo: with_bar(photo, HIGHEST, "white"),
    "caption at the side": lambda photo: with_bar(photo, LEFTMOST, "navy"),
    "logo": lambda photo: with_bar(photo, CORNER, "white"),
    "logo below": lambda photo: with_bar(photo, OTHER_CORNER, "red"),
    "band across": lambda photo: with_bar(photo, MIDDLE, "white"),
    "watermark": watermark,
    "sticker": sticker,
    "screenshot": screenshot,
    "dark screenshot": lambda photo: screenshot(photo, 2.1, 0.5, "black"),
    "small screenshot": lambda photo: jpeg(half(screenshot(photo)), 70),
    "tilted": lambda photo: tilted(photo, 3),
    "tilted, white corners": lambda photo: tilted(photo, -4.5, "white"),
    "turned 90": lambda photo: photo.transpose(Image.Transpose.ROTATE_90),
    "turned 180": lambda photo: photo.transpose(Image.Transpose.ROTATE_180),
    "turned 270": lambda photo: photo.transpose(Image.Transpose.ROTATE_270),
    "transposed": lambda photo: photo.transpose(Image.Transpose.TRANSPOSE),
    "negative": ImageOps.invert,
    "negative, turned": lambda photo: ImageOps.invert(photo.transpose(Image.Transpose.ROTATE_90)),
    "caption, saved anew": lambda photo: jpeg(half(with_bar(photo, LOWEST, "black")), 50),
    "logo, mirrored": lambda photo: with_bar(ImageOps.mirror(photo), CORNER, "white"),
    "caption, framed": lambda photo: with_border(with_bar(photo, LOWEST, "black"), "white"),
}
