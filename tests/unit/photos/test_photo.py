"""Whatever a file holds comes out as the same upright 8-bit RGB, or as one line."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from carbrand.photos import photo_limits, resizing
from carbrand.photos.decode.formats import UNSUPPORTED_SUFFIXES, extension_fits, identify
from carbrand.photos.photo import (
    SUFFIXES,
    UnreadablePhoto,
    links_outside,
    open_photo,
    read_file,
    read_photo,
)
from carbrand.photos.resizing import resize

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(path):
    """The left upper and the right lower pixel."""
    photo = open_photo(path)
    return [photo.getpixel((0, 0)), photo.getpixel((photo.width - 1, photo.height - 1))]


def two_halves(mode: str = "RGB") -> Image.Image:
    """20x10: red on the left, blue on the right."""
    photo = Image.new("RGB", (20, 10), RED)
    photo.paste(BLUE, (10, 0, 20, 10))
    return photo.convert(mode)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tiff", "webp"])
def test_every_format_gives_the_same_pixels(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    two_halves().save(path, lossless=True)
    assert corners(path) == [RED, BLUE]


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif"])
def test_a_palette_is_looked_up(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    two_halves("P").save(path)
    assert corners(path) == [RED, BLUE]


def test_a_16_bit_photo_is_scaled_not_clipped(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 16384], [32768, 65535]], np.uint16)).save(path)
    assert np.asarray(open_photo(path))[..., 0].tolist() == [[0, 64], [128, 255]]


def test_exif_rotation_is_applied(tmp_path):
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    two_halves().save(path, exif=exif)
    photo = open_photo(path)
    assert photo.size == (10, 20)
    assert (photo.getpixel((5, 0)), photo.getpixel((5, 19))) == (RED, BLUE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone_as_pillow_does(tmp_path, orientation):
    noise = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(noise).save(path, exif=exif)
    assert open_photo(path).tobytes() == ImageOps.exif_transpose(Image.open(path)).tobytes()


@pytest.mark.parametrize(("tag", "kind"), [(0x0128, 1), (0x010F, 5), (0x011A, 1), (0x9003, 12)])
def test_an_odd_exif_tag_costs_neither_photo_nor_orientation(tmp_path, tag, kind):
    entries = sorted([(0x0112, 3, 1, 6 << 16), (tag, kind, 1, 0)])
    block = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(entries))
    block += b"".join(struct.pack(">HHII", *entry) for entry in entries) + b"\0" * 4
    path = tmp_path / "a.jpg"
    Image.new("RGB", (20, 10), RED).save(path, exif=block)
    assert open_photo(path).size == (10, 20)


@pytest.mark.parametrize("mode", ["I;16B", "I"])
def test_other_deep_greys_are_scaled_too(tmp_path, mode):
    path = tmp_path / "a.tiff"
    values = np.array([[0, 16384], [32768, 65535]], ">u2" if mode == "I;16B" else np.int32)
    Image.frombytes(mode, (2, 2), values.tobytes()).save(path)
    assert np.asarray(open_photo(path))[..., 0].tolist() == [[0, 64], [128, 255]]


def test_a_floating_point_photo_is_scaled_by_its_range(tmp_path):
    path = tmp_path / "a.tiff"
    for top in (1.0, 255.0):
        values = np.array([[0.0, 0.5], [np.nan, 1.0]], np.float32) * top
        Image.fromarray(values).save(path)
        assert np.asarray(open_photo(path))[..., 0].tolist() == [[0, 128], [0, 255]]


def test_cmyk_becomes_rgb(tmp_path):
    path = tmp_path / "a.tiff"
    two_halves("CMYK").save(path)
    assert corners(path) == [RED, BLUE]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path, mode):
    path = tmp_path / "a.png"
    layer = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    layer.paste((0, 0, 0, 255), (2, 2, 4, 4))
    layer.convert(mode).save(path)
    assert corners(path) == [WHITE, (0, 0, 0)]


PNG_COLOURS = {"grey": 0, "rgb": 2, "palette": 3}


def png_of_rows(size, depth, colour, rows: list[bytes], *chunks: bytes) -> bytes:
    """A PNG of packed rows (PNG, third edition)."""
    head = struct.pack(">IIBBBBB", *size, depth, PNG_COLOURS[colour], 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    made = [png_chunk(b"IHDR", head), *chunks, png_chunk(b"IDAT", packed), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize(
    ("depth", "high_bits"),  # which are not to be looked at
    [(1, 0), (2, 0), (4, 0), (8, 0), (2, 0xFF00), (4, 0xFF00), (8, 0xFF00)],
)
def test_of_grey_of_few_bits_only_the_key_is_transparent(depth, high_bits):
    count = 1 << min(depth, 4)
    levels = [n * ((1 << depth) - 1) // (count - 1) for n in range(count)] * 8
    bits = "".join(f"{level:0{depth}b}" for level in levels)
    row = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    for key in levels[:count]:
        chunk = png_chunk(b"tRNS", struct.pack(">H", key | high_bits))
        photo = open_photo("a.png", png_of_rows((len(levels), 3), depth, "grey", [row] * 3, chunk))
        expected = [255 if level == key else level * 255 // ((1 << depth) - 1) for level in levels]
        assert np.asarray(photo)[1, :, 0].tolist() == expected
        assert photo.info["oddities"] == ("alpha",)


@pytest.mark.parametrize("turned", [1, 6])
def test_of_16_bits_only_pixels_that_equal_the_key_in_all_of_them_are_transparent(turned):
    key, near, far = (0x1234, 0x5678, 0x9ABC), (0x12FF, 0x5678, 0x9ABC), (0, 0, 0)
    row = b"".join(struct.pack(">3H", *pixel) for pixel in (key, near, far, key))
    exif = Image.Exif()
    exif[0x0112] = turned
    chunks = [png_chunk(b"tRNS", struct.pack(">3H", *key)), png_chunk(b"eXIf", exif.tobytes()[6:])]
    photo = open_photo("a.png", png_of_rows((4, 2), 16, "rgb", [row] * 2, *chunks))
    pixels = np.asarray(photo.transpose(Image.Transpose.ROTATE_90) if turned == 6 else photo)
    assert pixels[0].tolist() == [list(WHITE), [0x12, 0x56, 0x9A], [0, 0, 0], list(WHITE)]


def test_an_unused_key_leaves_a_photo_opaque():
    row = struct.pack(">3H", 0x1234, 0x5678, 0x9ABD) * 4
    chunk = png_chunk(b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))
    photo = open_photo("a.png", png_of_rows((4, 2), 16, "rgb", [row] * 2, chunk))
    assert photo.info["oddities"] == ("sixteen_bit",)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_entries_of_a_palette_are_transparent_by_their_number(depth):
    row = bytes(int(format(1, f"0{depth}b") * (8 // depth), 2) for _ in range(4))
    palette = png_chunk(b"PLTE", bytes((*RED, *BLUE)))
    size = (4 * 8 // depth, 2)
    for alpha, colour in ((b"\xff\0", WHITE), (b"\0", BLUE), (b"\0\xff", BLUE)):
        chunks = (palette, png_chunk(b"tRNS", alpha))
        photo = open_photo("a.png", png_of_rows(size, depth, "palette", [row] * 2, *chunks))
        assert photo.getpixel((0, 0)) == colour


def bmp_with_alpha(alpha: np.ndarray, header: int) -> bytes:
    """Red pixels of 32 bits with a mask for alpha, of BMP version 3 (56), 4 (108) or 5 (124)."""
    height, width = alpha.shape
    body = np.dstack([np.full((height, width, 3), (0, 0, 255), np.uint8), alpha])[::-1].tobytes()
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, 32, 3, len(body), 0, 0, 0, 0)
    info += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = info.ljust(header, b"\0")
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + body


@pytest.mark.parametrize("header", [56, 108, 124])
def test_a_bmp_whose_alpha_is_0_everywhere_is_opaque(header):
    alpha = np.zeros((3, 5), np.uint8)
    photo = open_photo("a.bmp", bmp_with_alpha(alpha, header))
    assert photo.info["oddities"] == ()
    assert photo.getpixel((4, 2)) == RED
    alpha[0, 0] = 255  # so it means something
    photo = open_photo("a.bmp", bmp_with_alpha(alpha, header))
    assert photo.info["oddities"] == ("alpha",)
    assert [photo.getpixel((0, 0)), photo.getpixel((4, 2))] == [RED, WHITE]


def test_a_grey_photo_becomes_rgb(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (4, 4), 77).save(path)
    assert corners(path) == [(77, 77, 77)] * 2


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    path = tmp_path / "a.gif"
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), GREEN)
    first.save(path, save_all=True, append_images=[second])
    assert corners(path) == [RED, RED]


def test_what_the_file_held_is_kept(tmp_path):
    path = tmp_path / "a.jpg"
    two_halves("P").save(path, format="PNG")
    info = open_photo(path).info
    assert (info["source_format"], info["source_mode"]) == ("PNG", "P")


def jpeg() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (b"I am a text\n", "none of JPEG, PNG"),
        (jpeg()[:-600], "truncated"),
        (jpeg()[:30], ""),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
            "PostScript, which is not supported",
        ),
        (png_header(11_000, 11_000), "11000x11000 pixels in a PNG, at most 50,000,000"),
        (png_header(2**31 - 1, 2**31 - 1), "pixels"),
    ],
    ids=["empty", "text", "truncated", "header only", "eps", "bomb", "huge bomb"],
)
def test_what_is_no_photo_is_one_line_with_a_reason(tmp_path, data, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(UnreadablePhoto) as caught:
        open_photo(path)
    assert reason in caught.value.reason
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UnreadablePhoto, match="No such file"):
        open_photo(tmp_path / "none.jpg")


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadablePhoto, match="not a regular file"):
        open_photo(tmp_path / "pipe.jpg")


def test_the_pixel_limit_is_checked_before_decoding(tmp_path, monkeypatch):
    path = tmp_path / "a.bmp"
    two_halves().save(path)
    monkeypatch.setattr(photo_limits, "MAX_PIXELS", 199)
    with pytest.raises(UnreadablePhoto, match="20x10 pixels"):
        open_photo(path)


@pytest.mark.parametrize(
    ("mode", "suffix", "name"),
    [
        ("RGB", ".png", "MAX_PIXELS_PNG"),
        ("RGBA", ".tif", "MAX_PIXELS_WITH_ALPHA"),
        ("LA", ".png", "MAX_PIXELS_WITH_ALPHA"),
        ("I;16", ".tif", "MAX_PIXELS_DEEP"),
    ],
)
def test_what_takes_long_to_decode_may_have_fewer_pixels(mode, suffix, name, tmp_path, monkeypatch):
    path = tmp_path / f"a{suffix}"
    Image.new(mode, (20, 10)).save(path)
    assert open_photo(path).size == (20, 10)
    monkeypatch.setattr(photo_limits, name, 199)
    with pytest.raises(UnreadablePhoto, match=r"20x10 pixels .*, at most 199"):
        open_photo(path)


def problem(path, data=None, **options) -> UnreadablePhoto:
    with pytest.raises(UnreadablePhoto) as caught:
        open_photo(path, data, **options)
    return caught.value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "unreadable"),
        (b"<html>404</html>", "unreadable"),
        (jpeg()[:-600], "truncated"),
        (jpeg()[:-2], "truncated"),
        (b"8BPS\0\1" + bytes(20), "unsupported_format"),
        (png_header(11_000, 11_000), "too_large"),
    ],
    ids=["empty", "web page", "cut", "no end marker", "Photoshop", "bomb"],
)
def test_the_kind_of_trouble_has_a_code(data, code):
    assert problem("a.jpg", data).code == code


def test_of_a_cut_file_it_is_told_how_much_there_is():
    assert problem("a.jpg", jpeg()[:2112]).reason == "truncated after 2,112 bytes"


@pytest.mark.parametrize("name", ["IMG_1.avif", "IMG_1.jpg"])
def test_a_format_that_is_not_read_is_named_whatever_the_suffix(name):
    avif = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(100)
    assert problem(name, avif).reason == "AVIF, which is not supported: convert it to JPEG"


def test_what_is_called_unreadable_is_said_alike_each_time():
    broken = png_header(5, 5)
    assert problem("a.png", broken).reason == problem("a.png", broken).reason
    assert " at 0x" not in problem("a.png", broken).reason


def test_a_lower_limit_can_be_asked_for_and_a_higher_one_not():
    data = png_header(20, 10)
    assert problem("a.png", data, max_pixels=199).code == "too_large"
    assert problem("a.png", png_header(11_000, 11_000), max_pixels=10**9).code == "too_large"


def test_a_huge_file_is_not_even_read(tmp_path):
    path = tmp_path / "a.tif"
    with path.open("wb") as file:
        file.truncate(6 * 10**9)
    with pytest.raises(UnreadablePhoto, match="6,000 MB, at most 320 MB") as caught:
        read_file(path)
    assert caught.value.code == "too_large"


SCAN = b"\xff\xda"


@pytest.mark.parametrize("coding", [{}, {"progressive": True}])
def test_only_the_scans_of_the_picture_count(coding, monkeypatch):
    monkeypatch.setattr(photo_limits, "MAX_SCANNED_PIXELS", 12 * 20 * 10)
    buffer = io.BytesIO()
    two_halves().save(buffer, "JPEG", **coding)
    plain, segment = buffer.getvalue(), struct.pack(">H", 602) + SCAN * 300
    for marker in (0xE1, 0xEB, 0xFE):  # EXIF, for applications, a comment
        inside = plain[:2] + bytes([0xFF, marker]) + segment + plain[2:]
        assert open_photo("a.jpg", inside).size == (20, 10)
    scans = (SCAN + b"\0\x08\x01\x01\0\0\x3f\0") * 99
    for behind in (b"\0\0\0\x18ftypmp42" + scans, plain * 20):  # a video, more pictures
        assert open_photo("a.jpg", plain + behind).size == (20, 10)


def test_a_jpeg_of_many_scans_is_refused_whatever_is_between_them(monkeypatch):
    monkeypatch.setattr(photo_limits, "MAX_SCANNED_PIXELS", 12 * 20 * 10)
    buffer = io.BytesIO()
    two_halves().save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data[data.rfind(SCAN) : -2]
    for between in (b"", b"\xff\xfe\0\x06seen", b"\xff" * 5, b"\xff\xd0"):
        with pytest.raises(UnreadablePhoto, match=r"in \d+ scans"):
            open_photo("a.jpg", data[:-2] + (between + last) * 20 + data[-2:])


def oddities(path, **options) -> tuple[str, ...]:
    photo = options.pop("photo", two_halves())
    photo.save(path, **options)
    return open_photo(path).info["oddities"]


def test_what_is_odd_about_a_file_is_told_in_a_fixed_order(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 3
    plain, path = two_halves(), tmp_path / "a"
    layer = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert oddities(path, format="PNG") == ()
    assert oddities(path, format="PNG", photo=layer) == ("alpha",)
    assert oddities(path, format="PNG", photo=plain.convert("RGBA")) == ()  # opaque everywhere
    assert oddities(path, format="JPEG", photo=plain.convert("CMYK")) == ("cmyk",)
    assert oddities(path, format="PNG", photo=Image.new("I;16", (4, 4))) == ("sixteen_bit",)
    assert oddities(path, format="TIFF", exif=turned) == ("exif_rotated",)
    frames = {"save_all": True, "append_images": [plain.rotate(180)], "exif": turned}
    assert oddities(path, format="WEBP", **frames) == ("exif_rotated", "animated")
    assert oddities(path, format="PNG", photo=layer.quantize(4)) == ("palette", "alpha")


def test_the_second_picture_of_a_phone_is_no_animation(tmp_path):
    path = tmp_path / "a.jpg"
    two_halves().save(path, format="MPO", save_all=True, append_images=[two_halves().rotate(180)])
    photo = open_photo(path)
    assert (photo.info["source_format"], photo.info["oddities"]) == ("JPEG", ())


@pytest.mark.parametrize(
    ("name", "format", "fits"),
    [
        ("a.jpg", "JPEG", True),
        ("a.JPEG", "JPEG", True),
        ("a.jfif", "JPEG", True),
        ("a.jpg", "PNG", False),
        ("a.avif", "JPEG", False),
        ("a.tif", "TIFF", True),
    ],
)
def test_a_suffix_fits_the_bytes_or_not(name, format, fits):
    assert extension_fits(name, format) is fits


def test_no_suffix_is_both_read_and_not_read():
    assert not SUFFIXES & UNSUPPORTED_SUFFIXES
    assert {".avif", ".nef", ".psd"} <= UNSUPPORTED_SUFFIXES


def test_a_format_is_told_by_the_bytes(tmp_path):
    for format in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"):
        two_halves().save(tmp_path / "a", format=format)
        assert identify((tmp_path / "a").read_bytes()) == format


def test_a_link_out_of_the_folder_is_told_from_one_that_stays(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"")
    (tmp_path / "photos_elsewhere.jpg").write_bytes(b"")
    cached = tmp_path / "cache" / "files" / "md5" / "0a" / ("1b" * 15)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"")
    targets = {"stays": "a.jpg", "leaves": "../photos_elsewhere.jpg", "dvc": cached, "self": "self"}
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    leaving = [name for name in (*targets, "a.jpg") if links_outside(folder / name, folder)]
    assert leaving == ["leaves"]


def test_the_narrowest_photos_become_squares_too():
    for size in ((1, 1), (1, 5000), (5000, 1)):
        for policy in resizing.RESIZE_POLICIES:
            assert resize(Image.new("RGB", size, RED), 32, policy).size == (32, 32)


def test_stretch_keeps_everything():
    square = resize(two_halves(), 10, "stretch")
    assert (square.getpixel((0, 5)), square.getpixel((9, 5))) == (RED, BLUE)


def test_crop_takes_the_centre():
    photo = Image.new("RGB", (30, 10), GREEN)
    photo.paste(RED, (10, 0, 20, 10))
    assert resize(photo, 10, "crop").getcolors() == [(100, RED)]


def test_pad_keeps_the_aspect():
    square = resize(Image.new("RGB", (20, 10), RED), 20, "pad")
    assert square.getpixel((10, 10)) == RED
    assert square.getpixel((10, 1)) == resizing.PAD_COLOUR


def test_the_model_sees_a_uint8_square(tmp_path):
    path = tmp_path / "a.png"
    two_halves().save(path)
    pixels = read_photo(path, 32, "stretch")
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
