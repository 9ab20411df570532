"""Limits on the size of photos, which bound memory and time."""

from __future__ import annotations

from PIL import ImageFile

from carbrand.photos.decode.formats import tiff_directory
from carbrand.photos.decode.heif_file import largest_picture
from carbrand.photos.decode.jpeg_file import JpegFile

# Checked before decoding. At most 8 bytes of memory per pixel.
MAX_PIXELS = 100_000_000
# libwebp holds four copies while decoding: 16 bytes per pixel. libheif takes 2 to 3 s for the 48
# megapixels of a phone.
MAX_PIXELS_WEBP = MAX_PIXELS_HEIF = 50_000_000
# libjpeg holds all coefficients of a JPEG of several scans, and the damage check decodes CMYK at
# full size: 11 bytes per pixel, 17 for both.
MAX_PIXELS_IN_SCANS = MAX_PIXELS_FOR_PRINT = 60_000_000
MAX_PIXELS_FOR_PRINT_IN_SCANS = 36_000_000
# At most 2 s on a processor of 2020: zlib is slow, and transparency is composited on white. Halved
# if colours are converted.
MAX_PIXELS_PNG = MAX_PIXELS_WITH_ALPHA = MAX_PIXELS_DEEP = 50_000_000
MAX_PIXELS_DEEP_WITH_ALPHA = 30_000_000
# The largest file of MAX_PIXELS with 8 bits per channel.
MAX_BYTES = 320_000_000
# Pixels times scans of a progressive JPEG. Cameras and editors write 10 scans.
MAX_SCANNED_PIXELS = 20 * MAX_PIXELS
# TIFF tags (TIFF 6.0, section 8).
_BITS, _TILE = 258, (322, 323)


def too_large_reason(
    photo: ImageFile.ImageFile, data: bytes, jpeg: JpegFile | None, converted: bool, max_pixels: int
) -> str:
    """Why a photo is too large to decode; empty if it is not.

    photo: not decoded yet. data: the bytes of the file. converted: whether its colours will be
    converted to sRGB. max_pixels: a limit besides those of this module.
    """
    width, height = photo.size
    size = f"{width}x{height} pixels"
    most, kind = _max_pixels(data, photo, jpeg)
    if converted:
        most, kind = most // 2, f"{kind} with a colour profile"
    most = min(max_pixels, most)
    if width * height > most:
        return f"{size}{kind}, at most {most:,}"
    if jpeg and len(jpeg.scans) * width * height > MAX_SCANNED_PIXELS:
        return f"{size} in {len(jpeg.scans):,} scans"
    if photo.format == "TIFF":
        across, down = (tiff_directory(data).first(tag) for tag in _TILE)
        if across * down > MAX_PIXELS:
            return f"tiles of {across}x{down} pixels"
    if photo.format == "HEIF":
        across, down = largest_picture(data)
        if across * down > MAX_PIXELS_HEIF:
            return f"a part of {across}x{down} pixels"
    return ""


def _max_pixels(data: bytes, photo: ImageFile.ImageFile, jpeg: JpegFile | None) -> tuple[int, str]:
    """The maximum number of pixels for this kind of photo, and its kind in words."""
    if photo.format in ("WEBP", "HEIF"):
        return MAX_PIXELS_WEBP, ""
    if jpeg is None:
        return _max_pixels_unpacked(data, photo)
    in_scans, for_print = jpeg.needs_all_scans, photo.mode == "CMYK"
    if in_scans and for_print:
        return MAX_PIXELS_FOR_PRINT_IN_SCANS, " in CMYK and several scans"
    if for_print:
        return MAX_PIXELS_FOR_PRINT, " in CMYK"
    return (MAX_PIXELS_IN_SCANS, " in several scans") if in_scans else (MAX_PIXELS, "")


def _max_pixels_unpacked(data: bytes, photo: ImageFile.ImageFile) -> tuple[int, str]:
    """The same for formats other than JPEG and WebP."""
    alpha = photo.mode in ("RGBA", "LA", "PA") or "transparency" in photo.info
    deep = bits_per_channel(photo, data) > 8
    if alpha and deep:
        return MAX_PIXELS_DEEP_WITH_ALPHA, " of 16 bits with transparency"
    if alpha:
        return MAX_PIXELS_WITH_ALPHA, " with transparency"
    if deep:
        return MAX_PIXELS_DEEP, " of 16 bits"
    return (MAX_PIXELS_PNG, " in a PNG") if photo.format == "PNG" else (MAX_PIXELS, "")


def bits_per_channel(photo: ImageFile.ImageFile, data: bytes) -> int:
    """Bits per channel in the file."""
    if photo.format == "PNG":
        return data[24]
    if photo.format == "TIFF":
        return max(tiff_directory(data).tags.get(_BITS, (1,)))
    return 16 if photo.mode.startswith("I") else 8
