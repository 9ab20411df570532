"""Photos bent at random, and a process that looks at them as `validate` does and is watched.

`python -m tests.promises.photo_mutations FOLDER FIRST COUNT` looks at mutations FIRST, FIRST + 1, …
and prints what came of them as JSON. A process that hangs is ended by its own alarm.
"""

from __future__ import annotations

import json
import random
import re
import signal
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from carbrand.checks.inspection import Inspection, PhotoLimits, inspect_file
from carbrand.photos.decode.damage import find_damage, is_cut_off
from carbrand.photos.decode.icc_file import DISPLAY_P3, SRGB_CURVE, rgb_profile
from carbrand.photos.folders.files import FoundFile
from carbrand.photos.photo import PROBLEMS, UnreadablePhoto, open_photo, read_file
from carbrand.photos.photo_limits import MAX_PIXELS
from tests.support.hostile_photos import _chunk, _segment, _variants, quarters, save
from tests.support.profiles import cmyk_profile, grey_profile

# Where C code does not come back, the process ends; a slow one is told by its time.
HANGS_AFTER_S = 60
# Up to here a photo is also hashed, measured and compared as `validate` does it.
INSPECTED_PIXELS = 4_000_000
# What a decoder of photos has no business with.
FORBIDDEN = re.compile(
    r"socket\.|subprocess\.|os\.(exec|fork|posix_spawn|spawn|system|remove|rename)"
)

_NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    9_999,
    32_767,
    65_535,
    2**24,
    2**31 - 1,
    2**32 - 1,
)
_SIZES = (
    *((9_999, 9_999), (7_000, 7_000), (30_000, 3_300), (65_535, 1_500), (1, 65_535), (65_535, 1)),
    *((10_001, 10_001), (0, 9), (2**31 - 1, 1), (1, 2**31 - 1), (2**32 - 1, 2**32 - 1)),
)
_PNG_NAMES = (b"tRNS", b"PLTE", b"gAMA", b"cHRM", b"cICP", b"eXIf", b"acTL", b"fcTL", b"fdAT")
Edit = Callable[[bytearray, random.Random], object]


def seeds() -> dict[str, bytes]:
    """Whole photos of every format, small, with all that can be packed into them."""
    turned = Image.Exif()
    turned[0x0112] = 6
    photo = quarters()
    frames = [quarters().rotate(90 * n, expand=False) for n in range(3)]
    animated = {"save_all": True, "append_images": frames[1:], "duration": 50}
    profile = rgb_profile(DISPLAY_P3, SRGB_CURVE)
    return _variants() | {
        "exif.jpg": save(photo, "JPEG", exif=turned, icc_profile=profile, comment=b"seen"),
        "print.jpg": save(photo.convert("CMYK"), "JPEG", progressive=True),
        "grey.jpg": save(photo.convert("L"), "JPEG", icc_profile=grey_profile(1.8)),
        "inks.jpg": save(photo.convert("CMYK"), "JPEG", icc_profile=cmyk_profile(3)),
        "exif.png": save(photo, "PNG", exif=turned, icc_profile=profile),
        "alpha.png": save(photo.convert("RGBA"), "PNG"),
        "deep.png": save(Image.new("I;16", (24, 16), 40_000), "PNG"),
        "apng.png": save(photo, "PNG", **animated),
        "exif.webp": save(photo, "WEBP", exif=turned, icc_profile=profile),
        "alpha.webp": save(photo.convert("RGBA"), "WEBP"),
        "animated.webp": save(photo, "WEBP", **animated),
        "palette.bmp": save(photo.quantize(16), "BMP"),
        "bits.bmp": save(photo.convert("1"), "BMP"),
        "animated.gif": save(photo, "GIF", **animated),
        "exif.tif": save(photo, "TIFF", exif=turned),
        "pages.tif": save(photo, "TIFF", save_all=True, append_images=frames[1:]),
        "tiles.tif": save(photo, "TIFF", compression="packbits"),
        "deep.tif": save(Image.new("I;16", (24, 16), 40_000), "TIFF"),
        "float.tif": save(Image.new("F", (24, 16), 0.5), "TIFF"),
        "profile.tif": save(photo, "TIFF", icc_profile=profile),
        "fax.tif": save(photo.convert("1"), "TIFF", compression="group4"),
        "cmyk.tif": save(photo.convert("CMYK"), "TIFF"),
    }


def _place(data: bytearray, rng: random.Random) -> int:
    """Anywhere, but mostly where headers are: at both ends."""
    where = rng.random()
    if where < 0.6:
        return rng.randrange(min(len(data), 200))
    return (
        len(data) - 1 - rng.randrange(min(len(data), 400))
        if where < 0.8
        else rng.randrange(len(data))
    )


def _change_byte(data: bytearray, rng: random.Random) -> None:
    data[_place(data, rng)] = rng.randrange(256)


def _flip_bit(data: bytearray, rng: random.Random) -> None:
    data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _write_number(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    order, code = rng.choice("<>"), rng.choice("HI")
    number = rng.choice(_NUMBERS) & (0xFFFF if code == "H" else 0xFFFFFFFF)
    data[at : at + struct.calcsize(code)] = struct.pack(order + code, number)


def _remove(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 4, 12, 60))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at, size = _place(data, rng), rng.choice((1, 2, 4, 12, 60, 300))
    data[at:at] = data[at : at + size] * rng.choice((1, 1, 2, 50))


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _swap_in(data: bytearray, rng: random.Random) -> None:
    """A piece of another photo."""
    other = _SEEDS[rng.choice(_NAMES)]
    start, at = rng.randrange(len(other)), _place(data, rng)
    piece = other[start : start + rng.choice((4, 40, 400))]
    data[at : at + rng.choice((0, len(piece)))] = piece


def _bend_png(data: bytearray, rng: random.Random) -> None:
    """A chunk of a PNG changed, repeated, left out or packed full, with its checksum right."""
    chunks = _png_chunks(bytes(data))
    if not chunks:
        return _write_number(data, rng)
    number = rng.randrange(len(chunks))
    name, body = chunks[number]
    bent = bytearray(body or b"\0")
    rng.choice((_change_byte, _write_number, _remove, _repeat))(bent, rng)
    chosen = [
        [(name, bytes(bent))],
        [(name, body)] * rng.choice((2, 200)),
        [],
        [(name, body), (rng.choice((b"zTXt", b"iCCP", b"iTXt")), _packed(rng))],
        [(rng.choice(_PNG_NAMES), bytes(bent)), (name, body)],
    ][rng.choice((0, 0, 0, 0, 1, 2, 3, 4))]
    chunks[number : number + 1] = chosen
    data[:] = data[:8] + b"".join(_chunk(name, body) for name, body in chunks)
    return None


def _packed(rng: random.Random) -> bytes:
    return rng.choice((b"a\0\0", b"a\0\x01\0\0\0")) + _BOMB


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def _bend_jpeg(data: bytearray, rng: random.Random) -> None:
    """Segments of any kind behind the start of a JPEG, whole, with lengths that lie, or many."""
    if not data.startswith(b"\xff\xd8"):
        return _write_number(data, rng)
    marker = rng.choice((0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0xC0, 0xC2, 0xC4, 0xDB, 0xDD, 0xDA))
    body = rng.choice(
        (b"Exif\0\0II*\0", b"ICC_PROFILE\0\1\1", b"MPF\0II*\0", b"Adobe\0", b"JFIF\0")
    )
    body += rng.randbytes(rng.choice((0, 2, 10, 60, 2000)))
    segment = bytearray(_segment(marker, body) * rng.choice((1, 1, 1, 300)))
    if rng.random() < 0.3:
        segment[2:4] = struct.pack(">H", rng.choice(_NUMBERS) & 0xFFFF)
    data[2:2] = segment
    return None


def _bend_tiff(data: bytearray, rng: random.Random) -> None:
    """A tag of the first directory of a TIFF changed, or the directory led to itself."""
    if not data.startswith((b"II", b"MM")) or len(data) < 16:
        return _write_number(data, rng)
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return _change_byte(data, rng)
    (count,) = struct.unpack_from(order + "H", data, at)
    entry = at + 2 + 12 * rng.randrange(max(1, min(count, 60)))
    change = rng.randrange(4)
    if change == 0:
        entry, written = at + 2 + 12 * count, struct.pack(order + "I", at)
    elif change == 1:
        written = struct.pack(
            order + "H", rng.choice((258, 259, 262, 273, 277, 278, 279, 284, 317, 322))
        )
    elif change == 2:
        written = struct.pack(order + "I", rng.choice(_NUMBERS))
        entry += rng.choice((4, 8))
    else:
        written = struct.pack(order + "H", rng.randrange(20))
        entry += 2
    data[entry : entry + len(written)] = written
    return None


def _claim(data: bytearray, rng: random.Random) -> None:
    """Another size in the header, often just below what is allowed."""
    width, height = rng.choice(_SIZES)
    if data.startswith(b"\x89PNG"):
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif data.startswith(b"GIF"):
        data[6:10] = struct.pack("<HH", min(width, 65_535), min(height, 65_535))
    elif data.startswith(b"BM"):
        data[18:26] = struct.pack("<II", width, height)
    elif data.startswith(b"\xff\xd8"):
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5
        data[at : at + 4] = struct.pack(">HH", min(height, 65_535), min(width, 65_535))
    elif data[8:12] == b"WEBP":
        at = rng.choice((24, 26, 27))  # where VP8X, VP8 and VP8L say it
        data[at : at + 4] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    elif data[:4] == b"II*\0":
        for tag, side in ((256, width), (257, height)):
            at = data.find(struct.pack("<HHI", tag, 4, 1))
            at = at if at >= 0 else data.find(struct.pack("<HHI", tag, 3, 1))
            data[at + 8 : at + 10] = struct.pack("<H", min(side, 65_535))


_ANYWHERE: tuple[Edit, ...] = (
    _change_byte,
    _flip_bit,
    _write_number,
    _remove,
    _repeat,
    _swap_in,
    _cut,
    _claim,
)
_BY_FORMAT: tuple[tuple[bytes, Edit], ...] = (
    *((b"\x89PNG", _bend_png), (b"\xff\xd8", _bend_jpeg), (b"II", _bend_tiff), (b"MM", _bend_tiff)),
)
_SEEDS = seeds()
_NAMES = sorted(_SEEDS)
_BOMB = zlib.compress(bytes(80_000_000), 9)


# As large as is allowed, of the kinds that take most memory for each pixel.
_LARGEST = (
    *(("baseline.jpg", 9_999), ("exif.jpg", 7_071), ("progressive.jpg", 7_745)),
    *(("cmyk.jpg", 7_745), ("print.jpg", 6_000), ("animated.gif", 9_999)),
    *(("inks.jpg", 5_477), ("grey.jpg", 7_071)),
)


def claiming(name: str, side: int) -> bytes:
    """A whole photo of a few pixels that says that it is a square of `side`."""
    data = bytearray(_SEEDS[name])
    if name.endswith("jpg"):
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5
        struct.pack_into(">HH", data, at, side, side)
    else:  # a GIF
        struct.pack_into("<HH", data, 6, side, side)
    return bytes(data)


def mutation(number: int) -> tuple[str, bytes]:
    """A name and the bytes of mutation `number`, always the same."""
    rng = random.Random(number)
    name = _NAMES[number % len(_NAMES)]
    data = bytearray(_SEEDS[name])
    own = [edit for start, edit in _BY_FORMAT if data.startswith(start)]
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        edit = own[0] if own and rng.random() < 0.5 else rng.choice(_ANYWHERE)
        edit(data, rng)
        if not data:
            break
    return name, bytes(data)


def outcome(found: Inspection) -> str:
    """What was said of a file; raises AssertionError where it says nothing that one can act on."""
    row = found.row
    codes = [code for code in row.issues if code in PROBLEMS]
    if codes:
        assert len(codes) == 1, row
        assert row.reason, row
        assert row.reason.isprintable(), row
        assert len(row.reason) < 300, row
        assert not row.pixel_sha256, row
        return codes[0]
    assert len(row.pixel_sha256) == 64, row
    assert 0 < row.width * row.height <= INSPECTED_PIXELS, row
    return "damaged" if "damaged" in row.issues else "read"


def peak_megabytes() -> float:
    """The most memory this process held since `forget_peak`."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # proc(5)


def decode(path: Path) -> int:
    """The pixels of a photo, 0 where it is none: what every stage does before anything else."""
    try:
        data = read_file(path)
        photo = open_photo(path, data)
    except UnreadablePhoto:
        return 0
    if find_damage(data) and is_cut_off(data):
        return 0
    return photo.width * photo.height


class Watch:
    """What this process opens and starts while `on`, but for the file `allowed`."""

    def __init__(self) -> None:
        self.on, self.allowed, self.seen = False, "", Counter[str]()
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open" and str(arguments[0]) != self.allowed:
            self.seen[f"open {arguments[0]}"] += 1
        elif FORBIDDEN.match(event):
            self.seen[event] += 1


def look_at(folder: Path, first: int, count: int) -> dict[str, Any]:
    """Of `count` mutations: outcomes, the slowest (processor time) and largest, what was opened."""
    limits, watch = PhotoLimits((folder,), MAX_PIXELS, 32, 4.0), Watch()
    outcomes, slowest, largest = Counter[str](), (0.0, 0), (0.0, 0)
    progress = folder / f"{first}.number"
    # First the seeds, so that whatever decoders import late is there; then the largest.
    large = [(name, claiming(name, side)) for name, side in _LARGEST if first == 0]
    before = [*((name, _SEEDS[name]) for name in _NAMES), *large]
    for number in range(-len(before), count):
        if number < 0:
            name, data = before[number]
        else:
            progress.write_text(str(first + number))
            name, data = mutation(first + number)
        is_seed = number < -len(large)
        path = folder / f"{first}{Path(name).suffix}"
        path.write_bytes(data)
        forget_peak()
        watch.allowed, watch.on = str(path), not is_seed
        signal.alarm(HANGS_AFTER_S)
        start = time.process_time()
        pixels = decode(path)
        seconds = time.process_time() - start
        watch.on = False
        megabytes = peak_megabytes()
        watch.on = not is_seed
        said = "large"
        if pixels <= INSPECTED_PIXELS:
            said = outcome(
                inspect_file(FoundFile(str(path), "train", "b", ("b", path.name)), limits)
            )
            assert (said in ("read", "damaged")) == bool(pixels), (first + number, said)
        watch.on = False
        signal.alarm(0)
        if is_seed:
            assert said == "read", (name, said)
            continue
        if number >= 0:
            outcomes[said] += 1
        slowest = max(slowest, (seconds, first + number))
        largest = max(largest, (megabytes, first + number))
    return {
        "outcomes": dict(outcomes),
        "slowest": slowest,
        "largest": largest,
        "opened": dict(watch.seen),
    }


if __name__ == "__main__":
    print(json.dumps(look_at(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
