"""Pictures as a viewer shows them: upright, in the range that the eye expects, on white; and what is said of them."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from tests.images.pictures import encoded, png
from yolo9000_jax import logs
from yolo9000_jax.errors import UserError
from yolo9000_jax.images.reading import Header, decode, inspect, inspect_bytes, read
from yolo9000_jax.predict.pictures import to_pixels

PIXELS = np.random.default_rng(1).integers(0, 256, (5, 8, 3)).astype(np.uint8)
GREY = PIXELS[..., 0]

# What EXIF's numbers mean: where the first row and column of what is stored belong (CIPA DC-008, "Orientation").
SHOWN = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],  # row 0 is the top, column 0 the right side
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),  # row 0 is the left side, column 0 the top
    6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],  # row 0 is the right side, column 0 the top
    7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],
    8: lambda stored: stored.swapaxes(0, 1)[::-1],
}


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(logs, "_said", set())


def turned(orientation: int, kind: str, image: Image.Image | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"TIFF": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    return encoded(image or Image.fromarray(PIXELS), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", SHOWN)
def test_pictures_are_upright(kind, orientation):
    data = turned(orientation, kind)
    with Image.open(io.BytesIO(data)) as plain:
        plain.getexif().clear()
        stored = PIXELS if kind != "JPEG" else np.asarray(plain)
    expected = SHOWN[orientation](stored)
    np.testing.assert_array_equal(decode(data, "x"), expected)
    np.testing.assert_array_equal(to_pixels(data), expected)
    with Image.open(io.BytesIO(data)) as given:
        np.testing.assert_array_equal(to_pixels(given), expected)
    height, width = expected.shape[:2]
    assert inspect_bytes(data, "x") == Header(
        width, height, orientation, plain=orientation == 1 and kind in ("PNG", "JPEG")
    )


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_orientations_that_do_not_exist(orientation):
    data = turned(orientation, "PNG")
    np.testing.assert_array_equal(decode(data, "x"), PIXELS)
    assert inspect_bytes(data, "x") == Header(8, 5, 1, plain=True)


def test_16_bits_and_floats_are_turned_too():
    for values in (GREY.astype(np.uint16) * 256, GREY / np.float32(255)):
        data = turned(6, "TIFF", Image.fromarray(values))
        np.testing.assert_array_equal(decode(data, "x")[..., 1], SHOWN[6](GREY))


def tiff(values: np.ndarray) -> bytes:
    return encoded(Image.fromarray(values), "TIFF")


def raw_tiff(values: np.ndarray) -> bytes:
    """A TIFF of numbers [H, W] or [H, W, C] of any type, most of which Pillow does not write."""
    height, width, channels = *values.shape[:2], values[0, 0].size
    bits, kind = 8 * values.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    one = [(256, width), (257, height), (259, 1), (262, 2 if channels > 1 else 1), (273, 0), (277, channels)]
    many = [(258, [bits] * channels), (339, [kind] * channels)]
    count, lists = len(one) + len(many) + 1, b""
    start = 8 + 2 + 12 * count + 4
    entries = []
    for tag, numbers in many:
        packed = struct.pack(f"<{channels}H", *numbers)
        if len(packed) <= 4:
            entries.append(struct.pack("<HHI4s", tag, 3, channels, packed.ljust(4, b"\0")))
        else:
            entries.append(struct.pack("<HHII", tag, 3, channels, start + len(lists)))
            lists += packed
    values_at = {273: start + len(lists)}
    entries += [struct.pack("<HHII", tag, 4, 1, values_at.get(tag, number)) for tag, number in [*one, (279, len(data))]]
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    return b"II*\0" + struct.pack("<IH", 8, count) + b"".join(entries) + bytes(4) + lists + data


RAMP = np.linspace(0, 1, 256).reshape(16, 16)


@pytest.mark.parametrize(
    "values, expected, remark",
    [
        (RAMP, 255 * RAMP, None),
        (255 * RAMP, 255 * RAMP, None),
        (1.02 * RAMP - 0.01, 255 * (1.02 * RAMP - 0.01), None),
        (5 * RAMP, 255 * RAMP, "values from 0 to 5"),
        (3000 * RAMP, 255 * RAMP, "values from 0 to 3000"),
        (2 * RAMP - 1, 255 * RAMP, "values from -1 to 1"),
        (1e-3 * RAMP - 0.5, 255 * RAMP, "values from -0.5 to -0.499"),
        (3e38 * (2 * RAMP - 1), 255 * RAMP, "values from -3e+38 to 3e+38"),
        (np.where(RAMP > 0.5, RAMP, np.nan), 255 * np.where(RAMP > 0.5, RAMP, 128 / 255), "no finite numbers"),
        (np.full((16, 16), 7.0), np.full((16, 16), 127.5), "values from 7 to 7"),
        (np.full((16, 16), np.inf), np.zeros((16, 16)), "no finite numbers"),
    ],
)
def test_floats(values, expected, remark, said):
    found = decode(tiff(values.astype(np.float32)), "a.tif")
    assert np.abs(found.astype(float) - np.clip(expected, 0, 255)[..., None]).max() <= 1
    assert len(said) == (remark is not None) and all(remark in line and "a.tif" in line for line in said)
    assert inspect_bytes(tiff(values.astype(np.float32)), "a.tif").remark.startswith("32-bit floats")
    decode(tiff(values.astype(np.float32)), "b.tif")
    assert len(said) == (remark is not None), "once for all files of a kind"


@pytest.mark.parametrize(
    "kind, largest, expected, remark",
    [
        (np.uint16, 65535, 255 * RAMP, None),
        (np.uint16, 4095, 255 * RAMP, "12 bits"),
        (np.uint16, 255, 255 * RAMP, "8 bits"),
        (np.int16, 32767, 255 * RAMP, None),
        (np.int16, 4095, 255 * RAMP, "12 bits"),
        (np.int8, 127, 255 * RAMP, None),
        (np.int32, 65535, 255 * RAMP, None),
        (np.int32, 4095, 255 * RAMP, "12 bits"),
        (np.int32, 1_000_000, 255 * RAMP, "values from 0 to 1e+06"),
    ],
)
@pytest.mark.parametrize("file", ["TIFF", "PNG", "none"])
def test_integers_of_more_than_8_bits(kind, largest, expected, remark, file, said):
    values = np.rint(largest * RAMP).astype(kind)
    if file == "PNG" and kind != np.uint16:
        pytest.skip("a PNG's numbers have no sign")
    if file == "none":
        given = values if kind in (np.int8, np.int16) else Image.fromarray(values)
    else:
        given = raw_tiff(values) if file == "TIFF" else encoded(Image.fromarray(values), file)
    found = to_pixels(given)
    assert np.abs(found.astype(float) - expected[..., None]).max() <= 1
    remarks = [remark] if remark and given is not values else []  # of an array its owner knows what it holds
    assert len(said) == len(remarks) and all(remark in line for line in said)


def test_negative_numbers_are_stretched_and_said(said):
    for kind in (np.int8, np.int16):
        logs._said.clear()
        values = np.rint(100 * RAMP - 50).astype(kind)
        found = decode(raw_tiff(values), "a.tif")
        assert (
            np.abs(found.astype(float) - (255 * RAMP)[..., None]).max() <= 2 and "values from -50 to 50" in said.pop()
        )


@pytest.mark.parametrize(
    "kind, channels, what",
    [
        (np.float32, 3, "a TIFF of 3 values a pixel, 32-bit floats"),
        (np.float64, 1, "a TIFF of 1 values a pixel, 64-bit floats"),
        (np.int16, 3, "a TIFF of 3 values a pixel, 16-bit whole numbers with a sign"),
        (np.uint16, 13, "a TIFF of 13 values a pixel, 16-bit whole numbers"),
    ],
)
def test_kinds_of_tiff_that_are_not_read_are_said(kind, channels, what):
    data = raw_tiff(np.ones((5, 8, channels), kind))
    with pytest.raises(UserError) as caught:
        decode(data, "a.tif")
    assert what in str(caught.value) and "save it with 8 bits" in str(caught.value) and "\n" not in str(caught.value)


def test_ppm_of_12_bits(tmp_path):
    """Its header says what is white."""
    values = np.rint(2000 * RAMP).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 16 16 4095\n" + values.tobytes())
    found = read(tmp_path / "a.pgm")
    assert np.abs(found[..., 0] - 255 * 2000 / 4095 * RAMP).max() <= 1


def test_colours_of_16_bits_of_which_12_are_used(said):
    assert decode(png(2, 16), "a.png").max() > 100 and not said
    rows = b"".join(b"\0" + struct.pack(">27H", *[100 * n for n in range(27)]) for _ in range(7))
    data = png(2, 16)
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    body = b"IDAT" + zlib.compress(rows)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert decode(data[:start] + chunk + data[end:], "a.png").max() < 16
    assert "a.png is nearly black" in said[0]


def with_alpha(alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.concatenate([PIXELS, alpha.astype(np.uint8)[..., None]], -1))


def test_transparency_is_seen_on_white(said):
    alpha = np.random.default_rng(2).integers(0, 256, GREY.shape)
    share = alpha[..., None] / 255
    expected = PIXELS * share + 255 * (1 - share)
    rgba = with_alpha(alpha)
    for data in (encoded(rgba, "PNG"), encoded(rgba, "TIFF"), encoded(rgba, "WEBP", lossless=True, exact=True)):
        assert np.abs(decode(data, "x") - expected).max() <= 1.5
        assert "alpha" in inspect_bytes(data, "x").remark
    assert np.abs(to_pixels(np.asarray(rgba)) - expected).max() <= 1.5
    assert np.abs(to_pixels(rgba.convert("RGBa")) - expected).max() <= 3
    grey = rgba.convert("LA")
    lightness = np.asarray(grey)[..., :1] * share + 255 * (1 - share)
    assert np.abs(decode(encoded(grey, "PNG"), "x") - lightness).max() <= 1.5
    assert not said


def test_a_clear_colour_is_seen_as_white():
    image = Image.fromarray(np.where(PIXELS[..., :1] > 127, PIXELS, [1, 2, 3]).astype(np.uint8))
    data = encoded(image, "PNG", transparency=(1, 2, 3))
    np.testing.assert_array_equal(decode(data, "x"), np.where(PIXELS[..., :1] > 127, PIXELS, 255))
    palette = Image.new("P", (8, 5), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((0, 0), 0)
    for kind in ("PNG", "GIF"):
        found = decode(encoded(palette, kind, transparency=0), "x")
        assert found[0, 0].tolist() == [255] * 3 and found[1, 1].tolist() == [255, 0, 0]


def test_what_is_wholly_transparent_is_not_lost(said):
    np.testing.assert_array_equal(decode(encoded(with_alpha(np.zeros(GREY.shape)), "PNG"), "a.png"), PIXELS)
    assert said[0].startswith("a.png is wholly transparent")
    np.testing.assert_array_equal(decode(encoded(with_alpha(np.full(GREY.shape, 255)), "PNG"), "x"), PIXELS)


def test_of_several_frames_the_first_and_a_remark(said):
    first, second = Image.new("RGB", (8, 5), "red"), Image.new("RGB", (8, 5), "blue")
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        logs._said.clear()
        data = encoded(first, kind, save_all=True, append_images=[second])
        assert decode(data, "a.gif")[2, 2, 0] > 200 and "several frames" in said.pop()
        assert "several frames" in inspect_bytes(data, "x").remark
    decode(encoded(first, "MPO", save_all=True, append_images=[second]), "a.jpg")  # a photograph and its preview
    assert not said


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_other_colours(mode):
    """A red picture stays red in files of other colour spaces."""
    red = Image.new("RGB", (8, 8), (200, 30, 30))
    data = encoded(red.convert(mode), "TIFF")
    assert np.abs(decode(data, "x").astype(int) - [200, 30, 30]).max() <= 6


def test_raw_and_heic_are_named(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.dng", "TIFF")  # as the preview in a raw picture
    with pytest.raises(UserError, match=r"a\.dng is a camera's raw picture.*save it as JPEG"):
        read(tmp_path / "a.dng")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(UserError, match=r"a\.heic is not read: .*pillow-heif"):
        inspect(tmp_path / "a.heic")


def test_names_that_are_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b"\xdd.jpg")
    with pytest.raises(UserError, match=r"\\xdd\.jpg: there is no such picture"):
        read(path)


def test_a_tga_is_tried_only_where_the_name_says_so(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.tga")
    np.testing.assert_array_equal(read(tmp_path / "a.tga"), PIXELS)
    (tmp_path / "a.tga").rename(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="not a picture"):
        read(tmp_path / "a.jpg")


def test_compressed_tiffs_are_turned():
    """They go through another library, which must not turn them twice."""
    exif = TiffImagePlugin.ImageFileDirectory_v2()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(PIXELS), "TIFF", compression="tiff_lzw", tiffinfo=exif)
    np.testing.assert_array_equal(decode(data, "x"), SHOWN[6](PIXELS))
    assert inspect_bytes(data, "x") == Header(5, 8, 6)


def test_32_bits_without_a_sign():
    """Pillow gives them with one: the brightest would be black, or all white."""
    values = np.linspace(0, 2**32 - 1, 40, dtype=np.uint32).reshape(5, 8)
    file = io.BytesIO()
    Image.fromarray(values.view(np.int32)).save(file, "TIFF")
    signed, unsigned = (b"\x53\x01\x03\x00\x01\x00\x00\x00" + bytes([kind, 0]) for kind in (2, 1))  # tag 339
    assert file.getvalue().count(signed) == 1
    seen = decode(file.getvalue().replace(signed, unsigned), "x")[..., 0]
    assert (np.abs(seen - values / (2**32 - 1) * 255) <= 1).all()
