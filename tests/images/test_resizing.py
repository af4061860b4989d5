"""Resizing against Darknet's own pictures (golden image/), training's, and plain loops; and the way back for boxes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.boxes.geometry import xyxy_to_cxcywh
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


@settings(max_examples=40)
@given(width=st.integers(1, 60), height=st.integers(1, 60), size=st.integers(1, 40), seed=st.integers(0, 99))
def test_center_crop_is_a_part_of_the_whole(width, height, size, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    wide, high = (side * size // min(width, height) for side in (width, height))
    left, top = (wide - size) // 2, (high - size) // 2
    expected = images.resize(image, wide, high)[top : top + size, left : left + size]
    np.testing.assert_array_equal(images.center_crop(image, size), expected)


@pytest.mark.parametrize("shape", [(1, 200_000, 3), (200_000, 1, 3)])
def test_center_crop_of_a_line(shape):
    """Brought to the input's height the whole of it would take 120 GB."""
    assert (images.center_crop(np.full(shape, 255, np.uint8), 224) == 1).all()


@pytest.mark.parametrize(("width", "height"), [(30, 20), (20, 30), (31, 31)])
def test_center_crop_keeps_the_middle(width, height):
    ramp = np.stack(np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height)), -1) * min(width, height)
    crop = images.center_crop((ramp / [height, width]).astype(np.float32), 11)
    assert crop.shape == (11, 11, 2)
    assert np.abs(crop[5, 5]).max() < 0.12, "the middle of the crop is the middle of the picture"
    half = np.abs(crop[[0, 5, 10, 5], [5, 0, 5, 10]]).max(-1)
    assert half.max() - half.min() < 0.2, "it reaches equally far to all four sides"


def plain_sample(image, window, width, height):
    """Training's sampling of a window (x0, y0, x1, y1 in pixels of the picture), pixel by pixel, unrounded."""
    x0, y0, x1, y1 = window
    result = np.empty((height, width, image.shape[2]))

    def pixel(row, column):
        inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
        return image[row, column].astype(float) if inside else np.full(image.shape[2], 127.0)

    for row, column in np.ndindex(height, width):
        y, x = y0 + (row + 0.5) * (y1 - y0) / height - 0.5, x0 + (column + 0.5) * (x1 - x0) / width - 0.5
        top, left = math.floor(y), math.floor(x)
        upper = pixel(top, left) * (1 - (x - left)) + pixel(top, left + 1) * (x - left)
        lower = pixel(top + 1, left) * (1 - (x - left)) + pixel(top + 1, left + 1) * (x - left)
        result[row, column] = upper * (1 - (y - top)) + lower * (y - top)
    return result


def whole_window(way, width, height, net_width, net_height):
    """The part of the picture, in its pixels, that fills the network's input."""
    if way == "stretch":
        return 0, 0, width, height
    scale = (max if way == "crop" else min)(net_width / width, net_height / height)
    rest_x, rest_y = net_width / scale - width, net_height / scale - height
    return -rest_x / 2, -rest_y / 2, width + rest_x / 2, height + rest_y / 2


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 14), st.integers(1, 14), st.integers(1, 14), st.integers(1, 14), st.sampled_from(images.WAYS))
def test_half_pixel_sampling_is_the_plain_loop(width, height, net_width, net_height, way):
    if way == "crop":
        net_height = net_width
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    result = images.Resize(way, "half_pixel").apply(pixels, net_width, net_height)
    assert result.dtype == np.float32 and result.shape == (net_height, net_width, 3)
    levels = result * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)  # whole levels
    expected = plain_sample(pixels, whole_window(way, width, height, net_width, net_height), net_width, net_height)
    assert np.abs(levels - expected).max() < 0.5 + 1e-3


@pytest.mark.parametrize("seed", range(40))
def test_half_pixel_sampling_makes_the_pixels_of_training(seed):
    """Those of an unaugmented picture, and of one that is laid on grey with its proportions kept: every byte."""
    tf = pytest.importorskip("tensorflow")
    from yolo9000_jax.data.augment import resample

    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 700, 2))
    size = int(rng.choice([32, 96, 320, 416, 544, 608]))
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    trained = resample(tf.constant(pixels), tf.constant([0.0, 0.0, 1.0, 1.0]), size).numpy()
    ours = images.Resize("stretch", "half_pixel").apply(pixels, size, size)
    np.testing.assert_array_equal(ours, trained.astype(np.float32) / np.float32(255))

    window = whole_window("letterbox", width, height, size, size) / np.tile([width, height], 2)
    trained = resample(tf.constant(pixels), tf.constant(window, tf.float32), size).numpy()
    ours = images.Resize("letterbox", "half_pixel").apply(pixels, size, size)
    np.testing.assert_allclose(ours * 255, trained, atol=1.01)  # the window is rounded to float32 in another place
    assert (np.rint(ours * 255) != trained).mean() < 0.001


def test_darknets_sampling_is_that_of_its_operations():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    for way, expected in (
        ("stretch", images.resize(pixels, 32, 64)),
        ("letterbox", images.letterbox(pixels, 32, 64)),
    ):
        np.testing.assert_array_equal(images.Resize(way).apply(pixels, 32, 64), expected)
    np.testing.assert_array_equal(images.Resize("crop").apply(pixels, 32, 32), images.center_crop(pixels, 32))


sizes = st.tuples(st.integers(1, 2000), st.integers(1, 2000))


@settings(deadline=None)
@given(sizes, sizes)
def test_a_box_around_the_letterboxed_picture_is_the_whole_picture(image_wh, net_wh):
    ratio = image_wh[0] / image_wh[1] * net_wh[1] / net_wh[0]
    inner = np.array([1, 1 / ratio] if ratio > 1 else [ratio, 1])  # size of the picture on the canvas, before rounding
    box = np.array([0.5, 0.5, *inner], np.float32)
    whole = images.Resize("letterbox").to_picture(box, image_wh, net_wh, clip=False)
    assert whole.dtype == np.float32
    pixel_of_net = np.tile(np.array(image_wh) / np.maximum(1, np.floor(inner * net_wh)), 2)
    assert (np.abs(whole - [0, 0, *image_wh]) <= 0.51 * pixel_of_net + 1e-3).all()
    whole = images.Resize("letterbox", "half_pixel").to_picture(box.astype(float), image_wh, net_wh, clip=False)
    np.testing.assert_allclose(whole, [0, 0, *image_wh], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("sampling", images.SAMPLINGS)
@pytest.mark.parametrize("way", images.WAYS)
@pytest.mark.parametrize("image_wh", [(500, 300), (300, 500), (301, 97)])
def test_a_rectangle_is_found_again(way, sampling, image_wh):
    width, height = image_wh
    x0, y0, x1, y1 = width * 2 // 5, height * 2 // 5, width * 3 // 5, height * 3 // 5
    image = np.zeros((height, width, 3), np.uint8)
    image[y0:y1, x0:x1] = 255
    resize = images.Resize(way, sampling)
    canvas = resize.apply(image, 416, 416)
    rows, columns = np.nonzero((canvas[..., 0] > 0.51).any(1))[0], np.nonzero((canvas[..., 0] > 0.51).any(0))[0]
    seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / 416
    found = resize.to_picture(xyxy_to_cxcywh(seen), image_wh, (416, 416))
    pixel = max(image_wh) / 416
    tolerance = 0.51 * max(pixel, 1) if sampling == "half_pixel" else 2 * max(pixel, 1)
    np.testing.assert_allclose(found, [x0, y0, x1, y1], atol=tolerance)


def test_boxes_are_clipped_unless_asked_otherwise():
    boxes = np.array([[0.5, 0.5, 0.5, 0.25], [0.0, 1.0, 0.5, 0.5]])
    stretch = images.Resize("stretch")
    found = stretch.to_picture(boxes, (200, 100), (32, 32), clip=False)
    np.testing.assert_allclose(found, [[50, 37.5, 150, 62.5], [-50, 75, 50, 125]])
    found = stretch.to_picture(boxes, (200, 100), (32, 32))
    np.testing.assert_allclose(found, [[50, 37.5, 150, 62.5], [0, 75, 50, 100]])
    found = images.Resize("letterbox").to_picture(boxes, (100, 100), (32, 32))
    np.testing.assert_allclose(found[1], [0, 75, 25, 100])


def test_a_resize_is_a_value():
    assert images.Resize("crop") == images.Resize("crop", "darknet") != images.Resize("crop", "half_pixel")
    assert len({images.Resize(), images.Resize("letterbox", "darknet")}) == 1
    for arguments, message in (
        (("squash",), "resize 'squash': choose letterbox, stretch or crop"),
        (("crop", "nearest"), "sampling 'nearest': choose darknet or half_pixel"),
    ):
        with pytest.raises(UserError, match=message):
            images.Resize(*arguments)
    with pytest.raises(UserError, match="makes squares, the network takes 64x32"):
        images.Resize("crop").apply(np.zeros((4, 4, 3), np.uint8), 64, 32)
    with pytest.raises(UserError, match="makes squares, the network takes 64x32"):
        images.Resize("crop").to_picture(np.zeros((0, 4)), (4, 4), (64, 32))
