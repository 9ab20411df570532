"""Identification of file formats by content, without decoding and without Pillow."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from carbrand.photos.decode import heif_file
from carbrand.photos.decode.heif_file import HEIC_SUFFIXES
from carbrand.photos.decode.jpeg_file import read_jpeg

# Supported formats, by Pillow's names, and their suffixes.
SUFFIXES_OF: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),  # an MPO is a JPEG followed by more
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
} | ({"HEIF": HEIC_SUFFIXES} if heif_file.IS_READ else {})
RAW_SUFFIXES = frozenset(
    {
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef"),
        *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2"),
        *(".srf", ".srw", ".x3f"),
    }
)
# Suffixes of image formats that are not supported.
UNSUPPORTED_SUFFIXES = RAW_SUFFIXES | frozenset(
    {
        *(() if heif_file.IS_READ else HEIC_SUFFIXES),
        *(".avif", ".dds", ".djvu", ".eps", ".exr", ".hdr", ".icns", ".ico", ".j2k"),
        *(".jp2", ".jpf", ".jpx", ".jxl", ".jxr", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".ps"),
        *(".psb", ".psd", ".qoi", ".svg", ".tga", ".xcf"),
    }
)

_STARTS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0"),
    "BMP": (b"BM",),
}
_OTHER_PICTURES = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS", "Photoshop"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "PDF"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"\0\0\x02\0", "a cursor (CUR)"),
    (b"icns", "an icon (ICNS)"),
    (b"DDS ", "DDS"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"gimp xcf", "GIMP"),
    (b"AT&TFORM", "DjVu"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"IIRO", "a camera raw"),
    (b"IIRS", "a camera raw"),
    (b"MMOR", "a camera raw"),
    (b"IIU\0", "a camera raw"),
    (b"II\x1a\0\0\0HEAPCCDR", "a camera raw"),
    (b"FUJIFILMCCD-RAW", "a camera raw"),
    (b"FOVb", "a camera raw"),
    (b"\0MRM", "a camera raw"),
)
_NO_PICTURES = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1aE\xdf\xa3", "a video (Matroska)"),
    (b"version https://git-lfs", "a Git LFS pointer: run `git lfs pull`"),
)
# Brands of ISO base media files (ISO/IEC 14496-12).
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
# What phones call the format that Pillow calls HEIF.
HEIC = "HEIC"


def identify(data: bytes) -> str:
    """The format of a file (a key of SUFFIXES_OF), or an empty string."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if heif_file.IS_READ and data[4:8] == b"ftyp" and _name_iso_media(data) == HEIC:
        return "HEIF"
    return next((name for name, starts in _STARTS.items() if data.startswith(starts)), "")


def extension_fits(path: Path | str, format: str) -> bool:
    """Whether the suffix is right for the format; always true for an unsupported format."""
    return format not in SUFFIXES_OF or Path(path).suffix.lower() in SUFFIXES_OF[format]


def name_unsupported_format(path: Path | str, data: bytes) -> str:
    """The name of an unsupported image format, or an empty string.

    Camera raw files based on TIFF count too: Pillow would read only their tiny preview.
    """
    suffix = Path(path).suffix.lower()
    if identify(data):
        return "a camera raw" if identify(data) == "TIFF" and _is_raw(data, suffix) else ""
    for start, name in _OTHER_PICTURES:
        if data.startswith(start):
            return name
    if data[4:8] == b"ftyp":
        return _name_iso_media(data)
    if data[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6") and data[2:3].isspace():
        return "PNM"
    text = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<svg") or (
        text.startswith((b"<?xml", b"<!--", b"<!d")) and b"<svg" in text
    ):
        return "SVG"
    # TGA has no magic number: check the footer of version 2, or the suffix and a plausible header.
    if data[-18:-2] == b"TRUEVISION-XFILE" or (suffix == ".tga" and _is_tga_header(data)):
        return "TGA"
    return ""


def describe_other_file(data: bytes) -> str:
    """What kind of file this is, if it is a known kind other than an image; or an empty string."""
    for start, name in _NO_PICTURES:
        if data.startswith(start):
            return name
    text = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "a web page (HTML)"
    return "only zeros" if not data.strip(b"\0") else ""


def is_truncated(data: bytes, format: str = "") -> bool:
    """Whether a file is truncated; without a format, whether it is a part of a signature."""
    if format == "JPEG":
        return read_jpeg(data).is_truncated
    if format == "PNG":
        return _png_is_truncated(data)
    if format == "WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if format == "BMP":
        return len(data) < max(26, int.from_bytes(data[2:6], "little"))
    if format == "GIF":
        return not _walk_gif(data)[1]
    if format == "TIFF":
        return _tiff_is_truncated(data)
    starts = [start for group in _STARTS.values() for start in group] + [b"RIFF"]
    return any(0 < len(data) < len(start) and start.startswith(data) for start in starts)


def has_more_frames(data: bytes, format: str) -> bool:
    """Whether a GIF has several frames, or a TIFF several pages other than thumbnails."""
    if format == "GIF":
        return _walk_gif(data)[0] > 1
    if format == "TIFF":
        first = tiff_directory(data)
        second = tiff_directory(data, first.next_at) if first.next_at else TiffDirectory()
        is_page = bool(second.tags) and not second.first(_SUBFILE_TYPE) & 1
        return is_page and second.at != first.at  # some directories point to themselves
    return False


def _name_iso_media(data: bytes) -> str:
    size = min(max(16, int.from_bytes(data[:4], "big")), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, size, 4))}
    if data[8:12] == b"crx ":
        return "a camera raw"
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return HEIC if brands & _HEIF_BRANDS else "a video (MP4 or MOV)"


def _is_tga_header(data: bytes) -> bool:
    return len(data) > 18 and data[1] in (0, 1) and data[2] in (1, 2, 3, 9, 10, 11)


def _png_is_truncated(data: bytes) -> bool:
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return True


def _walk_gif(data: bytes) -> tuple[int, bool]:
    """The number of frames, counted up to 2, and whether the last one is complete."""

    def skip_blocks(at: int) -> int:
        while at < len(data) and data[at]:
            at += 1 + data[at]
        return at + 1

    if len(data) < 13:
        return 0, False
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    frames = 0
    while at < len(data) and frames < 2:
        kind = data[at]
        if kind == 0x21:
            at = skip_blocks(at + 2)
        elif kind == 0x2C:
            flags = data[at + 9] if at + 9 < len(data) else 0
            at = skip_blocks(at + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
            frames += at <= len(data)
        else:
            return frames, True
    return frames, frames > 0 and at <= len(data)


_SUBFILE_TYPE, _SUBDIRECTORIES, _DNG_VERSION = 254, 330, 50706
# Offsets and byte counts of strips, and of tiles.
_PIECES = ((273, 279), (324, 325))
# TIFF types → struct codes: integers (BYTE, SHORT, LONG, IFD, LONG8, IFD8), and ASCII, UNDEFINED.
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_BYTES = {2: "B", 7: "B"}
# Enough for the strips of any photo; tags with more values are ignored.
_MOST_VALUES = 200_000


@dataclass(frozen=True)
class TiffDirectory:
    """The integer tags of one TIFF page; empty if invalid. is_cut: values lie beyond the file."""

    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)
    at: int = 0
    next_at: int = 0
    is_cut: bool = False

    def first(self, tag: int) -> int:
        """The first value of the tag, or 0."""
        return self.tags.get(tag, (0,))[0]


def tiff_directory(data: bytes, at: int | None = None) -> TiffDirectory:
    """Read the directory at an offset, by default the first one (TIFF 6.0, section 2; BigTIFF)."""
    order = "<" if data[:2] == b"II" else ">"
    big = b"+" in data[2:4]
    number, offset, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    try:
        if at is None:
            (at,) = struct.unpack_from(order + offset, data, 8 if big else 4)
        (count,) = struct.unpack_from(order + number, data, at)
        body = at + struct.calcsize(order + number)
        (next_at,) = struct.unpack_from(order + offset, data, body + entry * count)
        tags: dict[int, tuple[int, ...]] = {}
        is_cut = False
        for position in range(body, body + entry * count, entry):
            tag, kind, values = struct.unpack_from(f"{order}HH{offset}", data, position)
            if kind not in _INTEGERS | _BYTES or not 0 < values <= _MOST_VALUES:
                continue
            place = position + 4 + struct.calcsize(order + offset)
            layout = f"{order}{values}{(_INTEGERS | _BYTES)[kind]}"
            if struct.calcsize(layout) > struct.calcsize(order + offset):
                (place,) = struct.unpack_from(order + offset, data, place)
            if place + struct.calcsize(layout) > len(data):
                is_cut = True
            elif kind in _INTEGERS:
                tags[tag] = struct.unpack_from(layout, data, place)
    except (struct.error, OverflowError):  # offsets beyond the end of the file
        return TiffDirectory()
    return TiffDirectory(tags, at, next_at, is_cut)


def _is_raw(data: bytes, suffix: str) -> bool:
    tags = tiff_directory(data)
    return (
        suffix in RAW_SUFFIXES
        or data[8:10] == b"CR"
        or _DNG_VERSION in tags.tags
        # NEF, ARW and others: the first page is a preview, the photo is in a subdirectory.
        or (tags.first(_SUBFILE_TYPE) & 1 == 1 and _SUBDIRECTORIES in tags.tags)
    )


def _tiff_is_truncated(data: bytes) -> bool:
    directory = tiff_directory(data)
    if not directory.tags or directory.is_cut:
        return True
    return any(
        offset + count > len(data)
        for offsets, counts in _PIECES
        for offset, count in zip(
            directory.tags.get(offsets, ()), directory.tags.get(counts, ()), strict=False
        )
    )
