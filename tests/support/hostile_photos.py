"""Draws the files that ruin a run: each must be read to the right pixels, or named with a reason.

Whoever needs a photo finds the same drawing in most of them: four coloured quarters, which show
orientation, channel order and clipping.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

from carbrand.photos.decode.heif_file import IS_READ as HEIC_IS_READ

Colour = tuple[int, int, int]
# Upper left, upper right, lower left, lower right.
QUARTERS: tuple[Colour, ...] = ((208, 48, 48), (32, 160, 64), (48, 64, 208), (224, 208, 64))
SIZE = (48, 32)
# Of lossy formats; a wrong channel order or a clipped one is off by more than 100.
LOSSY = 14
# How each format is saved at its best.
FINE: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
}


@dataclass(frozen=True)
class HostileFile:
    """A file of the corpus. `kind` is its class and the name of its folder.

    `codes` are the issue codes of which a file that cannot be used must have one (`damaged` among
    them: it may also be read and be called that); empty for a photo that must be read. Such a photo
    has `colours` in its quarters, within `tolerance`, exactly these `oddities`, and `size`.
    """

    path: Path
    kind: str
    codes: tuple[str, ...] = ()
    colours: tuple[Colour, ...] = QUARTERS
    tolerance: int = 0
    oddities: tuple[str, ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Draft:
    """A file to be written, or a function that makes it at a path."""

    kind: str
    name: str
    content: bytes | Callable[[Path], None]
    codes: tuple[str, ...] = ()
    colours: tuple[Colour, ...] = QUARTERS
    tolerance: int = 0
    oddities: tuple[str, ...] = ()
    size: tuple[int, int] | None = SIZE


def build_corpus(folder: Path) -> list[HostileFile]:
    """Write the corpus to `folder`/<kind>/<name>; the same bytes on each run."""
    corpus = []
    for draft in _drafts():
        path = folder / draft.kind / draft.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(draft.content, bytes):
            path.write_bytes(draft.content)
        else:
            draft.content(path)
        size = None if draft.codes else draft.size
        corpus.append(
            HostileFile(
                *(path, draft.kind, draft.codes, draft.colours, draft.tolerance, draft.oddities),
                size,
            )
        )
    return corpus


def _drafts() -> Iterator[_Draft]:
    for drafts in (
        *(_jpegs, _odd_jpegs, _pngs, _deep_pngs, _odd_pngs, _webps, _bmps, _gifs, _tiffs),
        *(_plain_tiffs, _turned, _odd_exif, _odd_profiles, _animated, _cut, _flipped, _extensions),
        *(_empty, _no_pictures, _unsupported, _raws, _claims, _bombs, _polyglots, _names),
        *(_special_files, _tiny, _no_area, _left_behind),
    ):
        yield from drafts()


def quarters(size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """The drawing, in that mode."""
    width, height = size
    photo = Image.new("RGB", size)
    for number, colour in enumerate(QUARTERS):
        left, top = (number % 2) * (width // 2), (number // 2) * (height // 2)
        photo.paste(colour, (left, top, left + (width + 1) // 2, top + (height + 1) // 2))
    return photo.convert(mode)


def greys(photo: Image.Image) -> tuple[Colour, ...]:
    """The colours of the quarters of a grey drawing."""
    pixels, (width, height) = np.asarray(photo.convert("L")), photo.size
    values = [int(pixels[y * height // 4, x * width // 4]) for y in (1, 3) for x in (1, 3)]
    return tuple((value, value, value) for value in values)


GREYS = greys(quarters())
BLACK_AND_WHITE = greys(quarters().convert("1", dither=Image.Dither.NONE))


def save(photo: Image.Image, format: str, **options: Any) -> bytes:
    """The bytes of a file of that format."""
    buffer = io.BytesIO()
    photo.save(buffer, format, **options)
    return buffer.getvalue()


def _with_hole() -> Image.Image:
    """The drawing with a transparent last quarter: that comes out white."""
    photo = quarters(mode="RGBA")
    photo.paste((0, 0, 0, 0), (SIZE[0] // 2, SIZE[1] // 2, *SIZE))
    return photo


HOLE = (*QUARTERS[:3], (255, 255, 255))


def _jpegs() -> Iterator[_Draft]:
    coding: dict[str, dict[str, Any]] = {
        "baseline": {},
        "progressive": {"progressive": True},
        "restarts": {"restart_marker_blocks": 2},
    }
    for mode, colours in (("RGB", QUARTERS), ("L", GREYS), ("CMYK", QUARTERS)):
        for quality in (40, 75, 95):
            for name, options in coding.items():
                data = save(quarters(mode=mode), "JPEG", quality=quality, **options)
                odd = ("cmyk",) if mode == "CMYK" else ()
                name = f"{mode}_{quality}_{name}.jpg"
                yield _Draft(f"jpeg_{mode}", name, data, (), colours, LOSSY + 6, odd)
    for subsampling in (0, 1, 2):
        data = save(quarters(), "JPEG", quality=90, subsampling=subsampling)
        yield _Draft("jpeg_RGB", f"subsampling_{subsampling}.jpg", data, tolerance=LOSSY)
    kept = save(quarters(), "JPEG", quality=95, keep_rgb=True)
    yield _Draft("jpeg_RGB", "without_ycc.jpg", kept, tolerance=LOSSY)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def _behind_start(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def _odd_jpegs() -> Iterator[_Draft]:
    kind, plain = "odd_jpeg", save(quarters(), "JPEG", quality=90)
    grey = ((128, 128, 128),) * 4
    thumbnail = save(quarters((8, 8)), "JPEG")
    header = plain.index(b"\xff\xc0")
    for name, data in {
        "comment": _behind_start(plain, _segment(0xFE, b"<script>alert(1)</script>\n\0")),
        "many_comments": _behind_start(plain, *[_segment(0xFE, b"x" * 60_000)] * 40),
        "no_jfif": plain[:2] + plain[20:],
        "fill_bytes": plain[:2] + b"\xff" * 9 + plain[2:],
        "trailing_zeros": plain + b"\0" * 5000,
        "trailing_text": plain + b"\n-- sent from a phone\n",
        "thumbnail_inside": _behind_start(plain, _segment(0xE5, thumbnail)),
        "odd_jfif_version": plain[:11] + b"\x09\x63" + plain[13:],
        "zero_density": plain[:14] + b"\0\0\0\0" + plain[18:],
        "broken_photoshop": _behind_start(
            plain, _segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0")
        ),
        "broken_mpf": _behind_start(plain, _segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff")),
        "empty_mpf": _behind_start(plain, _segment(0xE2, b"MPF\0")),
        "xmp": _behind_start(plain, _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta")),
    }.items():
        yield _Draft(kind, f"{name}.jpg", data, tolerance=LOSSY)
    negative = [
        ImageChops.invert(c) for c in ImageChops.invert(quarters()).convert("YCbCr").split()
    ]
    ycck = save(Image.merge("CMYK", [*negative, Image.new("L", SIZE)]), "JPEG", quality=95)
    adobe = ycck.index(b"Adobe") + 11
    ycck = ycck[:adobe] + b"\x02" + ycck[adobe + 1 :]
    yield _Draft(kind, "ycck.jpg", ycck, (), QUARTERS, LOSSY + 6, ("cmyk",))
    # Nothing but DC coefficients, all of them 0: an empty scan says that in arithmetic coding.
    frame = struct.pack(">BHHB", 8, SIZE[1], SIZE[0], 1) + b"\x01\x11\0"
    arithmetic = b"\xff\xd8" + _segment(0xDB, b"\0" + b"\x01" * 64) + _segment(0xCA, frame)
    arithmetic += _segment(0xDA, b"\x01\x01\0\0\0\0") + b"\xff\xd9"
    yield _Draft(kind, "arithmetic.jpg", arithmetic, (), grey, 8)
    deep = plain[: header + 4] + b"\x0c" + plain[header + 5 :]
    yield _Draft(kind, "twelve_bits.jpg", deep, ("unsupported_format", "unreadable"))
    no_tables = b"\xff\xd8" + plain[header:]
    yield _Draft(kind, "no_tables.jpg", no_tables, ("unreadable",))
    no_scan = plain[: plain.index(b"\xff\xda")] + b"\xff\xd9"
    yield _Draft(kind, "no_scan.jpg", no_scan, ("unreadable", "truncated"))
    yield _Draft(kind, "garbage_before.jpg", b"\r\n" + plain, ("unreadable",))
    yield _Draft(kind, "three_bytes.jpg", plain[:3], ("truncated",))
    yield _Draft(kind, "two_bytes.jpg", plain[:2], ("truncated",))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    pixels: np.ndarray, depth: int, colour: int, before: bytes = b"", interlaced: bool = False
) -> bytes:
    """A PNG of (h, w[, channels]) samples, of 8 or 16 bits (PNG, third edition)."""
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
    passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b""
    for top, left, down, right in passes if interlaced else [(0, 0, 1, 1)]:
        part = pixels[top::down, left::right].astype(">u2" if depth == 16 else np.uint8)
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    body = before + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + body


def _pngs() -> Iterator[_Draft]:
    drawing = {
        "RGB": (quarters(), QUARTERS, ()),
        "L": (quarters(mode="L"), GREYS, ()),
        "1": (quarters().convert("1", dither=Image.Dither.NONE), BLACK_AND_WHITE, ()),
        "P": (quarters().quantize(4), QUARTERS, ("palette",)),
        "RGBA": (_with_hole(), HOLE, ("alpha",)),
        "opaque": (quarters(mode="RGBA"), QUARTERS, ()),
        "LA": (quarters(mode="LA"), GREYS, ()),
        "transparent_palette": (_with_hole().quantize(5), HOLE, ("palette", "alpha")),
    }
    for name, (photo, colours, odd) in drawing.items():
        for level in (0, 9):
            data = save(photo, "PNG", compress_level=level)
            yield _Draft("png", f"{name}_{level}.png", data, (), colours, 0, odd)
    for key, hole in ((QUARTERS[3], 3), (QUARTERS[0], 0)):
        data = save(quarters(), "PNG", transparency=key)
        colours = tuple((255, 255, 255) if n == hole else c for n, c in enumerate(QUARTERS))
        yield _Draft(
            "transparent_colour", f"transparent_colour_{hole}.png", data, (), colours, 0, ("alpha",)
        )
    rgb = np.asarray(quarters())
    for size in (SIZE, (5, 3), (2, 2), (9, 17)):
        data = png(np.asarray(quarters(size)), 8, 2, interlaced=True)
        name = f"rgb_{size[0]}x{size[1]}.png"
        yield _Draft("interlaced_png", name, data, tolerance=0, size=size)
    alpha = np.asarray(_with_hole())
    data = png(alpha, 8, 6, interlaced=True)
    yield _Draft("interlaced_png", "rgba.png", data, (), HOLE, 0, ("alpha",))
    grey = np.asarray(quarters(mode="L"))
    yield _Draft("interlaced_png", "grey.png", png(grey, 8, 0, interlaced=True), (), GREYS)
    deep = rgb.astype(np.uint16) * 257
    data = png(deep, 16, 2, interlaced=True)
    yield _Draft("interlaced_png", "deep.png", data, (), QUARTERS, 0, ("sixteen_bit",))


def _deep_pngs() -> Iterator[_Draft]:
    rgb, grey = np.asarray(quarters()), np.asarray(quarters(mode="L"))
    deep, deep_grey = rgb.astype(np.uint16) * 257, grey.astype(np.uint16) * 257
    alpha = np.where(np.asarray(_with_hole())[..., 3:] > 0, 65535, 0).astype(np.uint16)
    kind, odd = "sixteen_bit_png", ("sixteen_bit",)
    both = ("sixteen_bit", "alpha")
    yield _Draft(kind, "rgb.png", png(deep, 16, 2), (), QUARTERS, 0, odd)
    yield _Draft(kind, "grey.png", png(deep_grey, 16, 0), (), GREYS, 0, odd)
    yield _Draft(kind, "rgba.png", png(np.dstack([deep, alpha]), 16, 6), (), HOLE, 0, both)
    hole = (*GREYS[:3], (255, 255, 255))
    data = png(np.dstack([deep_grey, alpha]), 16, 4)
    yield _Draft(kind, "grey_alpha.png", data, (), hole, 0, both)
    for number, colour in enumerate(QUARTERS):
        # The key of one quarter: it becomes white and the other three keep their colours.
        key = _chunk(b"tRNS", struct.pack(">3H", *(257 * value for value in colour)))
        colours = tuple((255, 255, 255) if n == number else c for n, c in enumerate(QUARTERS))
        yield _Draft(kind, f"key_{number}.png", png(deep, 16, 2, key), (), colours, 0, both)
        key = _chunk(b"tRNS", struct.pack(">H", 257 * GREYS[number][0]))
        colours = tuple((255, 255, 255) if n == number else c for n, c in enumerate(GREYS))
        name = f"grey_key_{number}.png"
        yield _Draft(kind, name, png(deep_grey, 16, 0, key), (), colours, 0, both)
    dark = deep // 300  # so dark that a low byte would show as colour
    key = _chunk(b"tRNS", struct.pack(">3H", 60000, 60000, 60000))
    data, black = png(dark, 16, 2, key), ((0, 0, 0),) * 4
    yield _Draft(kind, "unused_key.png", data, (), black, 1, odd)


def _odd_pngs() -> Iterator[_Draft]:
    kind, rgb = "odd_png", np.asarray(quarters())
    plain = png(rgb, 8, 2)
    for name, chunk in {
        "gamma": _chunk(b"gAMA", struct.pack(">I", 45455)),
        "empty_text": _chunk(b"tEXt", b""),
        "long_text": _chunk(b"tEXt", b"Comment\0" + b"x" * 500_000),
        "compressed_text": _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 100_000)),
        "private": _chunk(b"prVt", b"\0" * 1000),
        "physical": _chunk(b"pHYs", struct.pack(">IIB", 0, 0, 1)),
        "time": _chunk(b"tIME", b"\xff" * 7),
        "many_chunks": _chunk(b"tEXt", b"a\0b") * 2000,
    }.items():
        yield _Draft(kind, f"{name}.png", png(rgb, 8, 2, chunk))
    yield _Draft(kind, "trailing.png", plain + b"more" * 1000)
    yield _Draft(kind, "several_idat.png", _split_idat(plain, 7))
    broken = bytearray(plain)
    broken[plain.index(b"IHDR") + 17] ^= 0xFF
    yield _Draft(kind, "header_checksum.png", bytes(broken), ("unreadable",))
    no_palette = png(np.asarray(quarters().quantize(4)), 8, 3)
    yield _Draft(kind, "no_palette.png", no_palette, (), ((0, 0, 0),) * 4, 255, ("palette",))
    for name, byte in (("depth", 8), ("colour", 9), ("filter", 11)):
        odd = bytearray(plain)
        odd[16 + byte] = 77
        odd[29:33] = struct.pack(">I", zlib.crc32(odd[12:29]))
        codes = ("unreadable", "unsupported_format", "truncated")
        yield _Draft(kind, f"odd_{name}.png", bytes(odd), codes)
    yield _Draft(
        kind, "no_data.png", plain[:33] + _chunk(b"IEND", b""), ("unreadable", "truncated")
    )


def _split_idat(data: bytes, size: int) -> bytes:
    start = data.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", data, start)
    body = data[start + 8 : start + 8 + length]
    pieces = [_chunk(b"IDAT", body[at : at + size]) for at in range(0, length, size)]
    return data[:start] + b"".join(pieces) + _chunk(b"IEND", b"")


def _webps() -> Iterator[_Draft]:
    for method in (0, 6):
        data = save(quarters(), "WEBP", lossless=True, method=method)
        yield _Draft("webp", f"lossless_{method}.webp", data)
        data = save(quarters(), "WEBP", quality=80, method=method)
        yield _Draft("webp", f"lossy_{method}.webp", data, tolerance=LOSSY)
    data = save(_with_hole(), "WEBP", lossless=True)
    yield _Draft("webp", "alpha.webp", data, (), HOLE, 0, ("alpha",))
    data = save(_with_hole(), "WEBP", quality=80)
    yield _Draft("webp", "alpha_lossy.webp", data, (), HOLE, LOSSY, ("alpha",))
    yield _Draft("webp", "opaque.webp", save(quarters(mode="RGBA"), "WEBP", lossless=True))
    yield _Draft("webp", "trailing.webp", save(quarters(), "WEBP", lossless=True) + b"\0" * 99)


def _bmp(bits: int, data: bytes, height: int, compression: int = 0, before: bytes = b"") -> bytes:
    head = struct.pack(
        *("<IiiHHIIiiII", 40, SIZE[0], height, 1, bits, compression, len(data), 0, 0),
        *(256 if bits == 8 else 0, 0),
    )
    start = 14 + len(head) + len(before)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + before + data


def _bmps() -> Iterator[_Draft]:
    kind, rgb = "bmp", np.asarray(quarters())
    for mode, colours in (("RGB", QUARTERS), ("L", GREYS), ("RGBA", QUARTERS)):
        yield _Draft(kind, f"{mode}.bmp", save(quarters(mode=mode), "BMP"), (), colours)
    yield _Draft(kind, "P.bmp", save(quarters().quantize(4), "BMP"), (), QUARTERS, 0, ("palette",))
    one_bit = save(quarters().convert("1", dither=Image.Dither.NONE), "BMP")
    yield _Draft(kind, "1.bmp", one_bit, (), BLACK_AND_WHITE)
    yield _Draft(kind, "top_down.bmp", _bmp(24, rgb[..., ::-1].tobytes(), -SIZE[1]))
    red, green, blue = (rgb[::-1, :, n].astype(np.uint16) for n in range(3))
    five = (red >> 3) << 10 | (green >> 3) << 5 | blue >> 3
    yield _Draft(kind, "555.bmp", _bmp(16, five.astype("<u2").tobytes(), SIZE[1]), (), QUARTERS, 8)
    six = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    data = _bmp(16, six.astype("<u2").tobytes(), SIZE[1], 3, masks)
    yield _Draft(kind, "565.bmp", data, (), QUARTERS, 8)
    palette = b"".join(bytes((*colour[::-1], 0)) for colour in QUARTERS) + b"\0" * 4 * 252
    half = SIZE[0] // 2
    runs = b"".join(
        (bytes([half, left, half, left + 1]) + b"\0\0") * (SIZE[1] // 2) for left in (2, 0)
    )
    data = _bmp(8, runs + b"\0\x01", SIZE[1], 1, palette)
    yield _Draft(kind, "rle8.bmp", data, (), QUARTERS, 0, ("palette",))
    odd = _bmp(24, rgb.tobytes(), SIZE[1], 77)
    yield _Draft(kind, "odd_compression.bmp", odd, ("unsupported_format",))
    yield _Draft(kind, "odd_depth.bmp", _bmp(13, rgb.tobytes(), SIZE[1]), ("unsupported_format",))


def _gifs() -> Iterator[_Draft]:
    palette = quarters().quantize(4)
    odd = ("palette",)
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "interlaced": {"interlace": 1},
        "not_interlaced": {"interlace": 0},
        "comment": {"comment": b"x" * 10_000},
        "unused_transparency": {"transparency": 200},
    }
    for name, options in ways.items():
        data = save(palette, "GIF", **options)
        yield _Draft("gif", f"{name}.gif", data, (), QUARTERS, 0, odd)
    hole = save(_with_hole(), "GIF")
    yield _Draft("gif", "transparent.gif", hole, (), HOLE, 0, ("palette", "alpha"))
    yield _Draft("gif", "grey.gif", save(quarters(mode="L"), "GIF"), (), GREYS, 0, odd)
    plain = save(palette, "GIF")
    yield _Draft("gif", "87a.gif", b"GIF87a" + plain[6:], (), QUARTERS, 0, odd)
    yield _Draft("gif", "no_trailer.gif", plain[:-1], (), QUARTERS, 0, odd)
    yield _Draft("gif", "trailing.gif", plain + b"\0" * 500, (), QUARTERS, 0, odd)


def tiff(tags: dict[int, tuple[int, ...]], data: bytes, order: str = "<", pieces: int = 1) -> bytes:
    """A TIFF of one page; `data` is cut into equal strips, or tiles where a tag is of those."""
    tiles = 322 in tags
    offsets, counts = (324, 325) if tiles else (273, 279)
    share = len(data) // pieces
    tags = {**tags, offsets: (0,) * pieces, counts: (share,) * pieces}
    longs = {256, 257, 273, 278, 279, 322, 323, 324, 325}
    table_end = 8 + 2 + 12 * len(tags) + 4
    extra = {
        tag: struct.pack(f"{order}{len(values)}{'I' if tag in longs else 'H'}", *values)
        for tag, values in tags.items()
    }
    start = table_end + sum(len(raw) for raw in extra.values() if len(raw) > 4)
    places = tuple(start + number * share for number in range(pieces))
    extra[offsets] = struct.pack(f"{order}{pieces}I", *places)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    beyond = b""
    for tag in sorted(tags):
        raw = extra[tag]
        if len(raw) > 4:
            place = struct.pack(order + "I", table_end + len(beyond))
            beyond += raw
        else:
            place = raw.ljust(4, b"\0")
        kind = 4 if tag in longs else 3
        head += struct.pack(order + "HHI", tag, kind, len(tags[tag])) + place
    return head + b"\0" * 4 + beyond + data


def _tags(bits: tuple[int, ...], photometric: int, **more: int) -> dict[int, tuple[int, ...]]:
    tags = {256: (SIZE[0],), 257: (SIZE[1],), 258: bits, 259: (1,), 262: (photometric,)}
    tags |= {277: (len(bits),), 278: (SIZE[1],)}
    return tags | {int(name[1:]): (value,) for name, value in more.items()}


def _tiffs() -> Iterator[_Draft]:
    bilevel = quarters().convert("1", dither=Image.Dither.NONE)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        tolerance = LOSSY if compression == "jpeg" else 0
        for mode, colours in (("RGB", QUARTERS), ("L", GREYS)):
            data = save(quarters(mode=mode), "TIFF", compression=compression)
            name = f"{mode}_{compression}.tif"
            yield _Draft("tiff", name, data, (), colours, tolerance)
    for compression in ("tiff_lzw", "raw"):
        data = save(quarters(mode="CMYK"), "TIFF", compression=compression)
        yield _Draft("tiff", f"CMYK_{compression}.tif", data, (), QUARTERS, 0, ("cmyk",))
        data = save(_with_hole(), "TIFF", compression=compression)
        yield _Draft("tiff", f"RGBA_{compression}.tif", data, (), HOLE, 0, ("alpha",))
        data = save(quarters().quantize(4), "TIFF", compression=compression)
        yield _Draft("tiff", f"P_{compression}.tif", data, (), QUARTERS, 0, ("palette",))
    for compression in ("group3", "group4", "raw"):
        data = save(bilevel, "TIFF", compression=compression)
        yield _Draft("tiff", f"1_{compression}.tif", data, (), BLACK_AND_WHITE)
    data = save(quarters(), "TIFF", big_tiff=True)
    yield _Draft("tiff", "big.tif", data)
    pages = [quarters().rotate(180) for _ in range(3)]
    data = save(quarters(), "TIFF", save_all=True, append_images=pages)
    yield _Draft("tiff", "pages.tif", data, (), QUARTERS, 0, ("animated",))


def _plain_tiffs() -> Iterator[_Draft]:
    kind = "hand_made_tiff"
    rgb, grey = np.asarray(quarters()), np.asarray(quarters(mode="L"))
    three, odd = (8, 8, 8), ("sixteen_bit",)
    for order in "<>":
        deep = (rgb.astype(np.uint16) * 257).astype(order + "u2").tobytes()
        deep_grey = (grey.astype(np.uint16) * 257).astype(order + "u2")
        letter = "II" if order == "<" else "MM"
        data = tiff(_tags((16,) * 3, 2), deep, order)
        yield _Draft(kind, f"rgb16_{letter}.tif", data, (), QUARTERS, 0, odd)
        data = tiff(_tags((16,), 1), deep_grey.tobytes(), order)
        yield _Draft(kind, f"grey16_{letter}.tif", data, (), GREYS, 0, odd)
        data = tiff(_tags((16,), 0), (~deep_grey).tobytes(), order)
        # Pillow does not read big-endian ones.
        codes = ("unsupported_format",) if order == ">" else ()
        yield _Draft(kind, f"white_is_zero16_{letter}.tif", data, codes, GREYS, 0, odd)
        yield _Draft(kind, f"rgb_{letter}.tif", tiff(_tags(three, 2), rgb.tobytes(), order))
        planes = np.ascontiguousarray(rgb.transpose(2, 0, 1)).tobytes()
        data = tiff(_tags(three, 2, t284=2), planes, order, pieces=3)
        yield _Draft(kind, f"planes_{letter}.tif", data)
        data = tiff(_tags((8,), 0), (255 - grey).tobytes(), order)
        yield _Draft(kind, f"white_is_zero_{letter}.tif", data, (), GREYS)
    strips = tiff(_tags(three, 2) | {278: (4,)}, rgb.tobytes(), pieces=SIZE[1] // 4)
    yield _Draft(kind, "strips.tif", strips)
    tiles = b"".join(
        rgb[y : y + 16, x : x + 16].tobytes() for y in range(0, 32, 16) for x in range(0, 48, 16)
    )
    tags = _tags(three, 2, t322=16, t323=16)
    tags.pop(278)
    yield _Draft(kind, "tiles.tif", tiff(tags, tiles, pieces=6))
    twelve = grey.astype(np.uint32) * 4095 // 255
    first, second = twelve.reshape(-1, 2).T
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1)
    data = tiff(_tags((12,), 1), packed.astype(np.uint8).tobytes())
    yield _Draft(kind, "grey12.tif", data, (), GREYS, 1, odd)
    wide = (grey.astype(np.uint32) * 0x01010101).astype("<u4").tobytes()
    yield _Draft(kind, "grey32.tif", tiff(_tags((32,), 1), wide), (), GREYS, 1, odd)
    for top in (1, 255):
        values = (grey.astype("<f4") / 255 * top).tobytes()
        data = tiff(_tags((32,), 1, t339=3), values)
        yield _Draft(kind, f"float_{top}.tif", data, (), GREYS, 0, odd)
    values = np.full(grey.shape, np.nan, "<f4").tobytes()
    data, black = tiff(_tags((32,), 1, t339=3), values), ((0, 0, 0),) * 4
    yield _Draft(kind, "float_nan.tif", data, (), black, 0, odd)
    lab = ImageCms.profileToProfile(
        quarters(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.info.clear()  # the profile holds the time
    yield _Draft(kind, "lab.tif", save(lab, "TIFF"), (), QUARTERS, 12)
    data = tiff(_tags(three, 6), quarters(mode="YCbCr").tobytes())
    yield _Draft(kind, "ycbcr.tif", data, (), QUARTERS, 3)
    for name, bits, sample in (("rgb_float", (32,) * 3, 3), ("half_float", (16,), 3)):
        data = tiff(_tags(bits, 2 if len(bits) == 3 else 1, t339=sample), b"\0" * 4 * 48 * 32 * 3)
        yield _Draft(kind, f"{name}.tif", data, ("unsupported_format",))
    odd_compression = tiff(_tags(three, 2) | {259: (777,)}, rgb.tobytes())
    yield _Draft(kind, "odd_compression.tif", odd_compression, ("unsupported_format", "unreadable"))
    loop = bytearray(tiff(_tags(three, 2), rgb.tobytes()))
    end = 10 + 12 * struct.unpack_from("<H", loop, 8)[0]
    loop[end : end + 4] = struct.pack("<I", 8)
    yield _Draft(kind, "directory_loop.tif", bytes(loop))
    bad_offset = tiff(_tags(three, 2), rgb.tobytes())
    bad_offset = bad_offset[:4] + struct.pack("<I", 2**31) + bad_offset[8:]
    yield _Draft(kind, "directory_beyond.tif", bad_offset, ("truncated",))
    for offset in (2**63, 2**64 - 1):
        big = b"II+\0\x08\0\0\0" + struct.pack("<Q", offset) + bytes(100)
        yield _Draft(kind, f"big_beyond_{offset}.tif", big, ("truncated",))
    nothing = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    yield _Draft(kind, "no_tags.tif", nothing, ("unreadable", "truncated", "unsupported_format"))


UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _turned() -> Iterator[_Draft]:
    for orientation in range(9):
        stored = quarters()
        if orientation in UNDO:
            stored = stored.transpose(UNDO[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        odd = ("exif_rotated",) if orientation in UNDO else ()
        for format, options in FINE.items():
            data = save(stored, format, exif=exif, **options)
            name = f"{orientation}.{format.lower()}"
            tolerance = LOSSY if format == "JPEG" else 0
            yield _Draft("orientation", name, data, (), QUARTERS, tolerance, odd)


def _odd_exif() -> Iterator[_Draft]:
    def block(*entries: tuple[int, int, int, int], order: str = ">") -> bytes:
        head = b"Exif\0\0" + (b"MM\0*" if order == ">" else b"II*\0")
        head += struct.pack(order + "IH", 8, len(entries))
        return head + b"".join(struct.pack(order + "HHII", *e) for e in entries) + b"\0" * 4

    up, down = (0x0112, 3, 1, 1 << 16), (0x0112, 3, 1, 99 << 16)
    for name, exif in {
        "empty": b"Exif\0\0",
        "header_only": b"Exif\0\0MM\0*",
        "garbage": b"Exif\0\0" + bytes(range(200)),
        "offset_beyond": b"Exif\0\0MM\0*\xff\xff\xff\xff",
        "many_entries": b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        "orientation_99": block(down),
        "orientation_of_text": block((0x0112, 2, 4, 0x41424300)),
        "orientation_of_fractions": block((0x0112, 5, 1, 0xFFFFFF)),
        "orientation_without_value": block((0x0112, 3, 0, 0)),
        "huge_count": block(up, (0x010F, 2, 0xFFFFFFFF, 8)),
        "unknown_type": block(up, (0x010F, 99, 1, 8)),
        "subdirectory_loop": block(up, (0x8769, 4, 1, 8)),
        "gps_beyond": block(up, (0x8825, 4, 1, 0xFFFFFF)),
        "little_endian": block((0x0112, 3, 1, 1), order="<"),
        "no_order": b"Exif\0\0XX\0*\0\0\0\x08",
    }.items():
        data = _behind_start(save(quarters(), "JPEG", quality=90), _segment(0xE1, exif))
        yield _Draft("odd_exif", f"{name}.jpg", data, tolerance=LOSSY)


def _odd_profiles() -> Iterator[_Draft]:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    srgb = srgb[:24] + bytes(12) + srgb[36:]  # when it was made
    told = ("unusable_profile",)
    for name, profile in {
        "srgb": srgb,
        "cut": srgb[:100],
        "garbage": bytes(range(256)) * 4,
        "one_byte": b"\0",
        "large": b"\0" * 300_000,
    }.items():
        for format, options in FINE.items():
            data = save(quarters(), format, icc_profile=profile, **options)
            tolerance = LOSSY if format == "JPEG" else 0
            odd = () if name == "srgb" else told
            name_of_file = f"{name}.{format.lower()}"
            yield _Draft("odd_profile", name_of_file, data, (), QUARTERS, tolerance, odd)
    marker = _segment(0xE2, b"ICC_PROFILE\0\x02\x01" + srgb[:50])  # the second of one part
    data = _behind_start(save(quarters(), "JPEG", quality=90), marker)
    yield _Draft("odd_profile", "parts.jpg", data, (), QUARTERS, LOSSY, told)
    packed = zlib.compress(srgb)
    for name, chunk in {
        "no_zlib": _chunk(b"iCCP", b"name\0\0" + b"no zlib at all"),
        "cut_zlib": _chunk(b"iCCP", b"name\0\0" + packed[:90]),
        "odd_method": _chunk(b"iCCP", b"name\0\x07" + packed),
        "no_name": _chunk(b"iCCP", b"\0\0" + packed),
        "empty": _chunk(b"iCCP", b""),
        "checksum": _chunk(b"gAMA", b"\0\1\x86\xa0")[:-1] + b"?",
        "no_gamma": _chunk(b"gAMA", bytes(4)),
        "cut_gamma": _chunk(b"gAMA", b"\0"),
        "no_primaries": _chunk(b"cHRM", bytes(32)),
        "cut_primaries": _chunk(b"cHRM", bytes(5)),
        "odd_code_points": _chunk(b"cICP", b"\xff\xff\xff\xff"),
        "bomb": _chunk(b"iCCP", b"a\0\0" + _zeros(200_000_000)),
    }.items():
        data = png(np.asarray(quarters()), 8, 2, chunk)
        codes = ("damaged",) if name == "checksum" else ()
        yield _Draft("odd_profile", f"{name}.png", data, codes, QUARTERS, 0, told)


def _animated() -> Iterator[_Draft]:
    kind, odd = "animated", ("animated",)
    for count in (1, 2):
        # New ones each time: Pillow leaves a mark on what it saved in another format.
        others = [quarters().rotate(180), Image.new("RGB", SIZE)]
        frames: dict[str, Any] = {
            "save_all": True,
            "append_images": others[:count],
            "duration": 100,
        }
        data = save(quarters(), "WEBP", lossless=True, **frames)
        yield _Draft(kind, f"{count}.webp", data, (), QUARTERS, 0, odd)
        yield _Draft(kind, f"{count}.png", save(quarters(), "PNG", **frames), (), QUARTERS, 0, odd)
        data = save(quarters().quantize(4), "GIF", **frames)
        yield _Draft(kind, f"{count}.gif", data, (), QUARTERS, 8, ("palette", "animated"))
        data = save(quarters(), "TIFF", save_all=True, append_images=others[:count])
        yield _Draft(kind, f"{count}.tif", data, (), QUARTERS, 0, odd)
        # A phone's second view or depth map is no animation.
        data = save(quarters(), "MPO", save_all=True, append_images=others[:count], quality=90)
        yield _Draft("mpo", f"{count}.jpg", data, (), QUARTERS, LOSSY)
        yield _Draft("mpo", f"{count}.mpo", data, (), QUARTERS, LOSSY)
    second = quarters().rotate(180)
    gif = save(quarters().quantize(4), "GIF", save_all=True, append_images=[second])
    yield _Draft(kind, "cut_in_second_frame.gif", gif[:-9], (), QUARTERS, 8, ("palette",))


def _noisy() -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 12, (64, 96, 3))
    pixels = np.clip(np.asarray(quarters((96, 64))) + noise, 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def _variants() -> dict[str, bytes]:
    """A noisy photo in every format: of each there is enough to cut off and to damage."""
    photo = _noisy()
    return {
        "baseline.jpg": save(photo, "JPEG"),
        "progressive.jpg": save(photo, "JPEG", progressive=True),
        "restarts.jpg": save(photo, "JPEG", restart_marker_blocks=1),
        "cmyk.jpg": save(photo.convert("CMYK"), "JPEG"),
        "plain.png": save(photo, "PNG"),
        "palette.png": save(photo.quantize(64), "PNG"),
        "lossy.webp": save(photo, "WEBP"),
        "lossless.webp": save(photo, "WEBP", lossless=True),
        "plain.bmp": save(photo, "BMP"),
        "plain.gif": save(photo.quantize(64), "GIF"),
        "raw.tif": save(photo, "TIFF"),
        "lzw.tif": save(photo, "TIFF", compression="tiff_lzw"),
        "deflate.tif": save(photo, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": save(photo, "TIFF", compression="jpeg"),
    }


def _cut() -> Iterator[_Draft]:
    for name, data in _variants().items():
        stem, suffix = name.split(".")
        for percent in (1, 3, 10, 25, 50, 75, 90, 97):
            cut = data[: max(9, len(data) * percent // 100)]
            yield _Draft(f"cut_{suffix}", f"{stem}_{percent}.{suffix}", cut, ("truncated",))
    plain = _variants()["baseline.jpg"]
    yield _Draft("cut_jpg", "no_end_marker.jpg", plain[:-2], ("truncated",))
    whole = _variants()["plain.png"]
    yield _Draft("cut_png", "no_iend.png", whole[:-12], (), QUARTERS, 60, (), (96, 64))
    broken = ("unreadable", "damaged")
    for share in (2, 4):  # a download that reserved the space for what never came
        zeros = plain[: len(plain) // share].ljust(len(plain), b"\0")
        yield _Draft("zero_filled", f"{share}.jpg", zeros, (*broken, "truncated"))
        zeros = whole[: len(whole) // share].ljust(len(whole), b"\0")
        yield _Draft("zero_filled", f"{share}.png", zeros, (*broken, "truncated"))


def _flipped() -> Iterator[_Draft]:
    rng = np.random.default_rng(0)
    variants = _variants()
    unusable = ("unreadable", "truncated", "damaged")
    for name in ("restarts.jpg", "progressive.jpg", "plain.png", "palette.png"):
        data = variants[name]
        stem, suffix = name.split(".")
        start = max(data.rfind(b"\xff\xda"), data.find(b"IDAT")) + 20
        for number in range(10):
            # 24 bytes: with 8, one JPEG in six stays as valid as it was.
            flipped = bytearray(data)
            for place in rng.integers(start, len(data) - 20, 24):
                flipped[place] ^= int(rng.integers(1, 256))
            yield _Draft(f"flipped_{suffix}", f"{stem}_{number}.{suffix}", bytes(flipped), unusable)
    flipped = bytearray(variants["plain.bmp"])
    flipped[60:68] = b"\xaa" * 8  # nothing in the file could tell; the rest is as it was
    yield _Draft("flipped_bmp", "plain.bmp", bytes(flipped), (), QUARTERS, 60, (), (96, 64))


def _extensions() -> Iterator[_Draft]:
    files = {
        "jpg": (save(quarters(), "JPEG", quality=90), LOSSY, ()),
        "png": (save(quarters(), "PNG"), 0, ()),
        "webp": (save(quarters(), "WEBP", lossless=True), 0, ()),
        "bmp": (save(quarters(), "BMP"), 0, ()),
        "gif": (save(quarters().quantize(4), "GIF"), 0, ("palette",)),
        "tif": (save(quarters(), "TIFF"), 0, ()),
    }
    for right, (data, tolerance, odd) in files.items():
        for wrong in files:
            if wrong != right:
                name = f"{right}.{wrong}"
                yield _Draft("wrong_extension", name, data, (), QUARTERS, tolerance, odd)
    for suffix in ("heic", "avif", "psd", "tga"):
        data = files["jpg"][0]
        yield _Draft("wrong_extension", f"jpg.{suffix}", data, (), QUARTERS, LOSSY)


def _empty() -> Iterator[_Draft]:
    for suffix in ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"):
        yield _Draft("empty", f"nothing.{suffix}", b"", ("unreadable",))


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt"), "no photo")
    return buffer.getvalue()


def _no_pictures() -> Iterator[_Draft]:
    for name, data in {
        "text": b"I am a text.\n",
        "html": b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>",
        "upper_html": b"\n <HTML><HEAD><TITLE>Forbidden</TITLE>",
        "json": b'{"error": "access denied"}',
        "xml": b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
        "script": b"#!/bin/sh\necho hello\n",
        "zip": _zip(),
        "gzip": gzip.compress(b"no photo", mtime=0),
        "video": b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"\0" * 100,
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "zeros": b"\0" * 4096,
        "ones": b"\xff" * 4096,
        "random": np.random.default_rng(5).bytes(4096),
        "riff": b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 40,
        "utf16": "a text".encode("utf-16"),
        "pickle": b"\x80\x04N.",
        "elf": b"\x7fELF" + b"\0" * 60,
    }.items():
        for suffix in ("jpg", "png"):
            codes = ("unsupported_format",) if name == "video" else ("unreadable",)
            yield _Draft("no_picture", f"{name}.{suffix}", data, codes)


def _unsupported() -> Iterator[_Draft]:
    def media(brand: bytes, *others: bytes) -> bytes:
        body = b"ftyp" + brand + b"\0\0\0\0" + b"".join(others)
        return struct.pack(">I", len(body) + 4) + body + b"\0" * 64

    tga = save(quarters(), "TGA")
    icon = io.BytesIO()
    quarters((16, 16)).save(icon, "ICO")
    for suffix, data in {
        "heic": media(b"heic", b"mif1"),
        "heif": media(b"mif1", b"heic"),
        "avif": save(quarters(), "AVIF"),
        "jxl": b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 50,
        "jp2": save(quarters(), "JPEG2000"),
        "j2k": save(quarters(), "JPEG2000", no_jp2=True),
        "psd": b"8BPS\0\x01" + b"\0" * 40,
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
        "ps": b"\xc5\xd0\xd3\xc6" + b"\0" * 30,
        "pdf": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n",
        "svg": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
        "ico": icon.getvalue(),
        "ppm": save(quarters(), "PPM"),
        "dds": save(quarters(), "DDS"),
        "exr": b"v/1\x01" + b"\0" * 30,
        "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n\0\0\0\0",
        "qoi": b"qoif" + struct.pack(">IIBB", 1, 1, 3, 0) + b"\xc0" + b"\0" * 7 + b"\x01",
        "xcf": b"gimp xcf file\0" + b"\0" * 20,
    }.items():
        # The extra `heic` reads the format, but not a file that is its first bytes alone.
        is_read = HEIC_IS_READ and suffix in ("heic", "heif")
        codes = ("unreadable",) if is_read else ("unsupported_format",)
        if suffix != "pdf":  # which nobody takes for a photo by its name
            yield _Draft("unsupported", f"right.{suffix}", data, codes)
        yield _Draft("unsupported", f"{suffix}.jpg", data, codes)
        yield _Draft("unsupported", f"{suffix}.png", data, codes)
    yield _Draft("unsupported", "right.tga", tga, ("unsupported_format",))
    yield _Draft("unsupported", "codestream.jxl", b"\xff\x0a\0\0\0", ("unsupported_format",))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/hostname"/></svg>'
    yield _Draft("unsupported", "plain.svg", svg, ("unsupported_format",))


def _raws() -> Iterator[_Draft]:
    rgb = np.asarray(quarters()).tobytes()
    preview = tiff(_tags((8, 8, 8), 2, t254=1, t330=8), rgb)
    dng = tiff(_tags((8, 8, 8), 2, t50706=1), rgb)
    plain = tiff(_tags((8, 8, 8), 2), rgb)
    cr2 = bytearray(plain)
    cr2[8:10] = b"CR"
    for name, data in {
        "preview.nef": preview,
        "preview.tif": preview,
        "preview.jpg": preview,
        "digital_negative.dng": dng,
        "digital_negative.tif": dng,
        "canon.cr2": bytes(cr2),
        "canon.jpg": bytes(cr2),
        "sony.arw": plain,
        "pentax.pef": plain,
        "olympus.orf": b"IIRO\x08\0\0\0" + b"\0" * 50,
        "panasonic.rw2": b"IIU\0\x08\0\0\0" + b"\0" * 50,
        "fuji.raf": b"FUJIFILMCCD-RAW 0201" + b"\0" * 50,
        "canon.cr3": b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + b"\0" * 50,
        "sigma.x3f": b"FOVb" + b"\0" * 50,
    }.items():
        yield _Draft("camera_raw", name, data, ("unsupported_format",))


def _claims() -> Iterator[_Draft]:
    """Headers that claim more pixels than anybody has."""
    small = png(np.zeros((1, 1), np.uint8), 8, 0)
    jpeg, gif = save(quarters(), "JPEG"), save(quarters().quantize(4), "GIF")
    frame = jpeg.index(b"\xff\xc0") + 5
    for width, height in ((11_000, 11_000), (50_000, 50_000), (65_000, 2_000)):
        head = bytearray(small)
        head[16:24] = struct.pack(">II", width, height)
        head[29:33] = struct.pack(">I", zlib.crc32(head[12:29]))
        name = f"{width}x{height}"
        yield _Draft("claim", f"{name}.png", bytes(head), ("too_large",))
        data = jpeg[:frame] + struct.pack(">HH", height, width) + jpeg[frame + 4 :]
        yield _Draft("claim", f"{name}.jpg", data, ("too_large",))
        data = gif[:6] + struct.pack("<HH", width, height) + gif[10:]
        yield _Draft("claim", f"{name}.gif", data, ("too_large",))
        for sign in (1, -1):
            bmp = bytearray(_bmp(24, b"\0" * 300, 10))
            bmp[18:26] = struct.pack("<ii", width, sign * height)
            yield _Draft("claim", f"{name}_{sign}.bmp", bytes(bmp), ("too_large",))
        tags = _tags((8,), 1) | {256: (width,), 257: (height,), 278: (height,)}
        yield _Draft("claim", f"{name}.tif", tiff(tags, b"\0" * 100), ("too_large",))
    tags = _tags((8,), 1, t322=60_000, t323=60_000)
    tags.pop(278)
    yield _Draft("claim", "tile.tif", tiff(tags, b"\0" * 100), ("too_large",))
    webp = bytearray(save(quarters(), "WEBP", lossless=True))
    bits = 16382 | 16382 << 14
    webp[21:25] = struct.pack("<I", bits | struct.unpack_from("<I", webp, 21)[0] & 0xF0000000)
    yield _Draft("claim", "16383x16383.webp", bytes(webp), ("too_large",))
    head = bytearray(small)
    head[16:24] = b"\x7f\xff\xff\xff" * 2
    head[29:33] = struct.pack(">I", zlib.crc32(head[12:29]))
    yield _Draft("claim", "all_of_them.png", bytes(head), ("too_large",))


def _zeros(count: int) -> bytes:
    """`count` zeros, compressed, without ever being held."""
    squeeze, piece = zlib.compressobj(9), bytes(1_000_000)
    parts = [
        squeeze.compress(piece[: min(len(piece), count - at)]) for at in range(0, count, 10**6)
    ]
    return b"".join(parts) + squeeze.flush()


def _bombs() -> Iterator[_Draft]:
    """Small files that unpack to much."""
    kind, rgb = "bomb", np.asarray(quarters())
    text = _zeros(200_000_000)
    for name, chunk in {
        "ztxt": _chunk(b"zTXt", b"a\0\0" + text),
        "itxt": _chunk(b"iTXt", b"a\0\x01\0\0\0" + text),
    }.items():
        yield _Draft(kind, f"{name}.png", png(rgb, 8, 2, chunk), ("too_large",))
    width, height = 7056, 7056  # just below the limit, in a bit per pixel
    rows = _zeros((width // 8 + 1) * height)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows)
    data += _chunk(b"IEND", b"")
    black = ((0, 0, 0),) * 4
    yield _Draft(kind, "below_the_limit.png", data, (), black, size=(width, height))
    trailing = _chunk(b"IDAT", zlib.compress(rgb.tobytes()) + _zeros(50_000_000))
    more = png(rgb, 8, 2).replace(_chunk(b"IEND", b""), trailing + _chunk(b"IEND", b""))
    yield _Draft(kind, "more_rows_than_said.png", more)
    scan = save(quarters((8000, 4000)), "JPEG", quality=1, progressive=True)
    last = scan.rfind(b"\xff\xda")
    scan = scan[:-2] + scan[last:-2] * 300 + b"\xff\xd9"
    yield _Draft(kind, "scans.jpg", scan, ("too_large",))
    yield _Draft(kind, "sparse.jpg", lambda path: _sparse(path, 10**9), ("too_large",))
    photo = Image.new("P", SIZE)
    gif = save(photo, "GIF")
    frame = gif[gif.index(b"\x2c\0\0\0\0") : -1]
    yield _Draft(
        kind, "frames.gif", gif[:-1] + frame * 20_000 + b";", (), black, 0, ("palette", "animated")
    )
    page = tiff(_tags((8, 8, 8), 2), rgb.tobytes())
    pages = bytearray(page)
    at = 10 + 12 * struct.unpack_from("<H", page, 8)[0]
    directory = page[8:at]
    for _ in range(5000):
        pages[at : at + 4] = struct.pack("<I", len(pages))
        at = len(pages) + len(directory)
        pages += directory + b"\0" * 4
    yield _Draft(kind, "pages.tif", bytes(pages), (), QUARTERS, 0, ("animated",))


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _polyglots() -> Iterator[_Draft]:
    kind, jpeg, plain = "polyglot", save(quarters(), "JPEG", quality=90), save(quarters(), "PNG")
    gif = save(quarters().quantize(4), "GIF")
    yield _Draft(kind, "jpeg_and_zip.jpg", jpeg + _zip(), tolerance=LOSSY)
    yield _Draft(kind, "png_and_zip.png", plain + _zip())
    yield _Draft(kind, "gif_and_zip.gif", gif + _zip(), (), QUARTERS, 0, ("palette",))
    yield _Draft(
        kind, "two_jpegs.jpg", jpeg + save(Image.new("RGB", SIZE), "JPEG"), tolerance=LOSSY
    )
    yield _Draft(kind, "jpeg_and_pdf.jpg", jpeg + b"%PDF-1.4\n%%EOF", tolerance=LOSSY)
    yield _Draft(kind, "jpeg_and_video.jpg", jpeg + b"\0\0\0\x18ftypmp42", tolerance=LOSSY)
    html = _behind_start(jpeg, _segment(0xFE, b"<html><script>alert(1)</script></html>"))
    yield _Draft(kind, "jpeg_as_html.jpg", html, tolerance=LOSSY)
    script = _behind_start(jpeg, _segment(0xFE, b"*/=1;alert(1);/*"))
    yield _Draft(kind, "jpeg_as_script.jpg", script, tolerance=LOSSY)
    yield _Draft(kind, "png_in_zip.png", _zip() + plain, ("unreadable",))
    yield _Draft(kind, "eps_before_jpeg.jpg", b"%!PS-Adobe-3.0\n" + jpeg, ("unsupported_format",))


def _names() -> Iterator[_Draft]:
    data = save(quarters(), "PNG")
    for name in (
        *("new\nline.png", "tab\there.png", "carriage\rreturn.png", "a space.png", " leading.png"),
        *('quote".png', "apostrophe'.png", "comma,comma.png", "semi;colon.png", "back\\slash.png"),
        *("-rf.png", "--help.png", "=1+1.png", "@at.png", "+plus.png", "%41.png", "#hash.png"),
        *("$(echo).png", "`echo`.png", "a&b.png", "<b>.png", "question?.png", "star*.png"),
        *("{brace}.png", "[bracket].png", "~tilde.png", "colon:.png", "pipe|.png", "!bang.png"),
        *("\u202egnp.png", "zero\u200bwidth.png", "\U0001f697.png", "日本語.png", "кириллица.png"),
        *("UPPER.PNG", "two.dots.png", "a.jpg.png", "trailing .png", "x" * 200 + ".png"),
        unicodedata.normalize("NFC", "café.png"),
        unicodedata.normalize("NFD", "naïve.png"),
    ):
        yield _Draft("name", name, data)


def _special_files() -> Iterator[_Draft]:
    """What cannot be made here: a file without rights, since root reads it all the same."""
    kind, data, codes = "special", save(quarters(), "PNG"), ("unreadable",)

    def link_to(target: str) -> Callable[[Path], None]:
        return lambda path: path.symlink_to(target)

    def outside(path: Path) -> None:
        target = path.parent.parent.parent / f"{path.parent.parent.name}_elsewhere.png"
        target.write_bytes(data)
        path.symlink_to(target)

    yield _Draft(kind, "photo.png", data)
    yield _Draft(kind, "link.png", link_to("photo.png"))
    yield _Draft(kind, "hard_link.png", lambda path: path.hardlink_to(path.parent / "photo.png"))
    yield _Draft(kind, "pipe.jpg", lambda path: os.mkfifo(path), codes)
    yield _Draft(kind, "dangling.jpg", link_to("none.jpg"), codes)
    yield _Draft(kind, "itself.jpg", link_to("itself.jpg"), codes)
    yield _Draft(kind, "loop_1.jpg", link_to("loop_2.jpg"), codes)
    yield _Draft(kind, "loop_2.jpg", link_to("loop_1.jpg"), codes)
    yield _Draft(kind, "folder_link.jpg", link_to("../special"), codes)
    yield _Draft(kind, "device.jpg", link_to("/dev/zero"), codes)
    yield _Draft("link_outside", "elsewhere.png", outside, codes)


def _tiny() -> Iterator[_Draft]:
    colour = QUARTERS[0]
    for size in ((1, 1), (2, 1), (1, 2), (3, 3), (1, 500), (500, 1), (1, 5000), (5000, 1)):
        photo = Image.new("RGB", size, colour)
        for suffix, format in {"jpg": "JPEG", "png": "PNG", "tif": "TIFF"}.items():
            tolerance = 3 if format == "JPEG" else 0
            name = f"{size[0]}x{size[1]}.{suffix}"
            yield _Draft("tiny", name, save(photo, format), (), (colour,) * 4, tolerance, (), size)
    photo = Image.new("RGB", (1, 1), colour)
    for suffix in ("webp", "bmp"):
        data = save(photo, suffix.upper(), lossless=True)
        yield _Draft("tiny", f"1x1.{suffix}", data, (), (colour,) * 4, 0, (), (1, 1))
    data = save(photo.quantize(1), "GIF")
    yield _Draft("tiny", "1x1.gif", data, (), (colour,) * 4, 0, ("palette",), (1, 1))


def _no_area() -> Iterator[_Draft]:
    small = png(np.zeros((1, 1), np.uint8), 8, 0)
    jpeg, gif = save(quarters(), "JPEG"), save(quarters().quantize(4), "GIF")
    frame, image = jpeg.index(b"\xff\xc0") + 5, gif.index(b"\x2c\0\0\0\0")
    codes = ("unreadable", "truncated")
    for width, height in ((0, 0), (0, 5), (5, 0)):
        name = f"{width}x{height}"
        head = bytearray(small)
        head[16:24] = struct.pack(">II", width, height)
        head[29:33] = struct.pack(">I", zlib.crc32(head[12:29]))
        yield _Draft("no_area", f"{name}.png", bytes(head), codes)
        data = jpeg[:frame] + struct.pack(">HH", height, width) + jpeg[frame + 4 :]
        yield _Draft("no_area", f"{name}.jpg", data, codes)
        nothing = bytearray(gif)
        nothing[6:10] = nothing[image + 5 : image + 9] = struct.pack("<HH", width, height)
        yield _Draft("no_area", f"{name}.gif", bytes(nothing), codes)
        bmp = bytearray(_bmp(24, b"\0" * 300, 10))
        bmp[18:26] = struct.pack("<ii", width, height)
        yield _Draft("no_area", f"{name}.bmp", bytes(bmp), codes)
        tags = _tags((8,), 1) | {256: (width,), 257: (height,)}
        yield _Draft("no_area", f"{name}.tif", tiff(tags, b"\0" * 100), codes)


def _left_behind() -> Iterator[_Draft]:
    apple = b"\0\x05\x16\x07\0\x02\0\0Mac OS X" + b"\0" * 80
    for name in (".DS_Store", "._photo.jpg", "Thumbs.db", "desktop.ini", ".hidden.png"):
        yield _Draft("left_behind", name, apple, ("hidden",))
    for name in ("labels.txt", "notes", "photo.jpg.part", "clip.mov", "boxes.xml"):
        yield _Draft("no_photo_at_all", name, b"no photo", ("not_a_photo",))


# Those that `validate` never opens.
BY_NAME = ("hidden", "not_a_photo")


def opened(corpus: list[HostileFile]) -> list[HostileFile]:
    """Those that `validate` reads."""
    return [file for file in corpus if not set(file.codes) & set(BY_NAME)]
