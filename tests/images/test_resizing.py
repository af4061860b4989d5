"""Pictures against Darknet's own (golden image/) and against plain loops; reading of good and broken files."""

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.errors import UserError
from yolo9000_jax.images import resizing as images

OPERATIONS = {
    "letterbox": lambda image, arguments: images.letterbox(image, arguments["w"], arguments["h"]),
    "resize": lambda image, arguments: images.resize(image, arguments["w"], arguments["h"]),
    "center_crop": lambda image, arguments: images.center_square(image, arguments["w"], arguments["h"]),
}


def golden_cases():
    """(file, operation's name, arguments) of the operations above in the golden folder."""
    path = golden_root() / "misc.json"
    listed = json.loads(path.read_text()) if path.is_file() else {}
    found = [
        (file, name, arguments)
        for file, entry in listed.items()
        if file.startswith("image/")
        for name, arguments in entry.get("ops", {}).items()
        if name.rsplit("_", 1)[0] in OPERATIONS
    ]
    return found or [pytest.param("", "", {}, marks=pytest.mark.skip(reason="no golden files"))]


@pytest.mark.parametrize(("file", "name", "arguments"), golden_cases())
def test_golden_operations(file, name, arguments):
    arrays = np.load(golden_dir() / f"{file}.npz")
    image = arrays["u8"].transpose(1, 2, 0)
    result = OPERATIONS[name.rsplit("_", 1)[0]](image, arguments)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, arrays[name].transpose(1, 2, 0), atol=1e-6)


def plain_resize(image, width, height):
    """Corner-aligned bilinear resize, pixel by pixel, for results of at least 2x2."""
    source_height, source_width = image.shape[:2]
    result = np.empty((height, width, image.shape[2]))
    for row, column in np.ndindex(height, width):
        y, x = row * (source_height - 1) / (height - 1), column * (source_width - 1) / (width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, source_height - 1), min(left + 1, source_width - 1)
        upper = image[top, left] * (1 - (x - left)) + image[top, right] * (x - left)
        lower = image[bottom, left] * (1 - (x - left)) + image[bottom, right] * (x - left)
        result[row, column] = upper * (1 - (y - top)) + lower * (y - top)
    return result


small = st.integers(2, 12)


@settings(deadline=None)
@given(small, small, small, small)
def test_resize_is_the_plain_loop_and_reads_bytes_as_fractions(width, height, new_width, new_height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    result = images.resize(pixels, new_width, new_height)
    np.testing.assert_allclose(result, plain_resize(pixels / 255, new_width, new_height), atol=1e-6)
    np.testing.assert_array_equal(result, images.resize(pixels.astype(np.float32) / 255, new_width, new_height))
    np.testing.assert_array_equal(result, images.stretch(pixels, new_width, new_height))


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_letterbox_keeps_proportions_and_centres(width, height, net_width, net_height):
    image = np.ones((height, width, 3), np.float32)
    inner_width, inner_height = images.letterboxed_size(width, height, net_width, net_height)
    assert inner_width == net_width or inner_height == net_height
    scale = min(net_width / width, net_height / height)
    assert abs(inner_width - width * scale) <= 1 and abs(inner_height - height * scale) <= 1

    canvas = images.letterbox(image, net_width, net_height)
    assert canvas.shape == (net_height, net_width, 3) and np.isin(canvas, [0.5, 1]).all()
    covered = canvas[..., 0] == 1
    assert covered.sum() == inner_width * inner_height
    left, right = covered.any(0).argmax(), covered.any(0)[::-1].argmax()
    top, bottom = covered.any(1).argmax(), covered.any(1)[::-1].argmax()
    assert right - left in (0, 1) and bottom - top in (0, 1)


def test_one_pixel_pictures_and_results():
    pixel = np.full((1, 1, 3), 51, np.uint8)
    np.testing.assert_allclose(images.resize(pixel, 5, 4), np.full((4, 5, 3), 0.2), rtol=1e-6)
    column = np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 8, 1)
    np.testing.assert_array_equal(images.resize(column, 1, 1), [[[0]]])


def test_the_picture_given_is_left_alone():
    image = np.random.default_rng(0).random((6, 7, 3), np.float32)
    before = image.copy()
    for result in (images.resize(image, 7, 6), images.letterbox(image, 7, 6), images.center_crop(image, 6)):
        result *= 0
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("width", "height"), [(30, 20), (20, 30), (31, 31)])
def test_center_crop_keeps_the_middle(width, height):
    ramp = np.stack(np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height)), -1) * min(width, height)
    crop = images.center_crop((ramp / [height, width]).astype(np.float32), 11)
    assert crop.shape == (11, 11, 2)
    assert np.abs(crop[5, 5]).max() < 0.12, "the middle of the crop is the middle of the picture"
    half = np.abs(crop[[0, 5, 10, 5], [5, 0, 5, 10]]).max(-1)
    assert half.max() - half.min() < 0.2, "it reaches equally far to all four sides"


def test_read_image_gives_rgb_bytes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), pixels)
    np.testing.assert_array_equal(images.read_image(str(tmp_path / "a.png")), pixels)

    transparent = np.concatenate([pixels, np.zeros((5, 7, 1), np.uint8)], -1)
    Image.fromarray(transparent).save(tmp_path / "b.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "b.png"), pixels)

    Image.fromarray(pixels[..., 0]).save(tmp_path / "c.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "c.png"), np.repeat(pixels[..., :1], 3, -1))

    Image.fromarray(pixels[..., 0].astype(np.uint16) * 256 + 99).save(tmp_path / "d.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "d.png"), np.repeat(pixels[..., :1], 3, -1))

    for mode, name in (("P", "e.gif"), ("1", "f.png"), ("CMYK", "g.jpg")):
        Image.fromarray(pixels).convert(mode).save(tmp_path / name)
        result = images.read_image(tmp_path / name)
        assert result.shape == (5, 7, 3) and result.dtype == np.uint8


def test_read_image_ignores_the_orientation_tag(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert images.read_image(tmp_path / "turned.jpg").shape == (4, 8, 3)


def one_line_about(path):
    with pytest.raises(UserError) as caught:
        images.read_image(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_files_that_are_no_pictures(tmp_path):
    assert "no such" in one_line_about(tmp_path / "missing.jpg")
    assert "no such" in one_line_about(tmp_path)
    for name, content in (("empty.jpg", b""), ("text.png", b"<html>404</html>")):
        (tmp_path / name).write_bytes(content)
        assert "cannot be read" in one_line_about(tmp_path / name)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_small_file_with_a_huge_picture(tmp_path, side):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(file)
    assert "too large" in one_line_about(tmp_path / "bomb.png")


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), format=st.sampled_from(["png", "jpeg", "gif", "bmp", "webp", "tiff"]))
def test_damaged_files_are_read_or_reported(tmp_path, data, format):
    path = tmp_path / f"picture.{format}"
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        result = images.read_image(path)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert result.ndim == 3 and result.shape[2] == 3 and result.dtype == np.uint8
