"""Augmentation: boxes follow their picture, a loop for the resample, darknet.md 9 for the ranges, Darknet's numbers."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import golden_dir, golden_path, golden_root
from yolo9000_jax import config as configs
from yolo9000_jax.data import augment

ONE_LEVEL = 1 + 1e-3  # the output is truncated to bytes


def options(**values):
    return configs.complete({"augment": values}).augment


def uniforms(draw):
    return np.float32([draw(st.floats(0, 1, exclude_max=True, width=32)) for _ in range(augment.DRAWS)])


def window_of(uniform, chosen, width, height):
    window = augment.sample_window(tf.constant(uniform), chosen, tf.constant(float(width)), tf.constant(float(height)))
    return window.numpy()


def image_ops():
    """Arrays and arguments of Darknet's image operations on one small picture."""
    arguments = json.loads((golden_dir() / "misc.json").read_text())["image/ops_64x48"]["ops"]
    return np.load(golden_dir() / "image/ops_64x48.npz"), arguments


def golden_ops(prefix):
    path = golden_root() / "misc.json"
    entries = json.loads(path.read_text()) if path.is_file() else {}
    names = [name for name in entries.get("image/ops_64x48", {}).get("ops", {}) if name.startswith(prefix)]
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


@st.composite
def scenes(draw):
    """A picture size, a rectangle of at least 8 pixels in it, a window from `sample_window` and an output size."""
    width, height = draw(st.integers(16, 64)), draw(st.integers(16, 64))
    x0, y0 = draw(st.integers(0, width - 8)), draw(st.integers(0, height - 8))
    x1, y1 = draw(st.integers(x0 + 8, width)), draw(st.integers(y0 + 8, height))
    chosen = options(
        geometry=draw(st.sampled_from(["crop", "place", "none"])),
        jitter=draw(st.sampled_from([0.0, 0.2, 0.4])),
        flip=float(draw(st.booleans())),
        flip_vertical=float(draw(st.booleans())),
    )
    return (
        (width, height),
        (x0, y0, x1, y1),
        window_of(uniforms(draw), chosen, width, height),
        draw(st.integers(32, 96)),
    )


@settings(max_examples=200)
@given(scenes())
def test_boxes_follow_the_picture(scene):
    (width, height), (x0, y0, x1, y1), window, size = scene
    black = np.zeros((height, width, 3), np.uint8)
    picture = black.copy()
    picture[y0:y1, x0:x1] = 255
    # The grey around the picture cancels in the difference, so half is half everywhere.
    found = augment.resample(picture, window, size).numpy().astype(int) - augment.resample(black, window, size).numpy()
    found = found[..., 0] > 127.5
    fractions = np.float32([[x0 / width, y0 / height, x1 / width, y1 / height]])
    boxes, keep = (array.numpy() for array in augment.move_boxes(fractions, window))
    expected = boxes[0] * size
    source_pixels = np.abs(size / ((window[2:] - window[:2]) * [width, height]))  # output pixels a source pixel
    solid = (expected[2:] - expected[:2] >= 1 + source_pixels).all()  # some output pixel is full white
    if not found.any():
        assert not solid
        return
    assert keep[0]
    columns, rows = np.flatnonzero(found.any(0)), np.flatnonzero(found.any(1))
    seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    if solid:
        np.testing.assert_allclose(seen, expected, atol=0.6)
    else:
        assert (seen[:2] >= expected[:2] - 0.6).all() and (seen[2:] <= expected[2:] + 0.6).all()


def bilinear(image, window, size):
    """The centred bilinear resample, pixel by pixel; outside the picture is grey."""
    height, width, _ = image.shape
    x0, y0, x1, y1 = np.float64(window)
    output = np.zeros((size, size, 3))

    def at(row, column):
        return image[row, column] if 0 <= row < height and 0 <= column < width else np.full(3, augment.GREY)

    for row in range(size):
        for column in range(size):
            x = (x0 + (column + 0.5) / size * (x1 - x0)) * width - 0.5
            y = (y0 + (row + 0.5) / size * (y1 - y0)) * height - 0.5
            i, j = math.floor(x), math.floor(y)
            above = (1 - x + i) * at(j, i) + (x - i) * at(j, i + 1)
            below = (1 - x + i) * at(j + 1, i) + (x - i) * at(j + 1, i + 1)
            output[row, column] = (1 - y + j) * above + (y - j) * below
    return output


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["crop", "place"]), st.integers(2, 20), st.integers(2, 20))
def test_resample_is_a_bilinear_interpolation(seed, geometry, width, height):
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    chosen = options(geometry=geometry, jitter=0.3, flip_vertical=0.5)
    window = window_of(random.random(augment.DRAWS, np.float32), chosen, width, height)
    result = augment.resample(image, window, 16)
    assert result.dtype == tf.uint8 and result.shape == (16, 16, 3)
    np.testing.assert_allclose(result.numpy().astype(float), bilinear(image, window, 16), atol=ONE_LEVEL)


def test_the_whole_picture_at_its_own_size_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (37, 37, 3), dtype=np.uint8)
    np.testing.assert_array_equal(augment.resample(image, np.float32([0, 0, 1, 1]), 37), image)
    np.testing.assert_array_equal(augment.resample(image, np.float32([1, 0, 0, 1]), 37), image[:, ::-1])
    np.testing.assert_array_equal(augment.resample(image, np.float32([0, 1, 1, 0]), 37), image[::-1])


@settings(max_examples=100)
@given(st.data(), st.floats(0, 0.45), st.integers(1, 4000), st.integers(1, 4000))
def test_place_keeps_the_whole_picture(data, jitter, width, height):
    uniform = uniforms(data.draw)
    x0, y0, x1, y1 = np.float64(window_of(uniform, options(geometry="place", jitter=jitter, flip=0.0), width, height))
    assert max(x0, y0) <= 1e-5 and min(x1, y1) >= 1 - 1e-5
    assert min(x1 - x0, y1 - y0) == pytest.approx(1, rel=1e-5)  # it touches two opposite sides of the input
    change = (y1 - y0) / (x1 - x0) * height / width  # aspect of the placed picture over its own
    assert (1 - jitter) / (1 + jitter) * (1 - 1e-4) <= change <= (1 + jitter) / (1 - jitter) * (1 + 1e-4)
    # darknet.md 9 in its own terms: an input of 500 pixels, the patch nw x nh at dx, dy, and a box of the picture.
    aspect = width * (1 + (2 * uniform[0] - 1) * jitter) / (height * (1 + (2 * uniform[1] - 1) * jitter))
    nw, nh = (500 * aspect, 500) if aspect < 1 else (500, 500 / aspect)
    dx, dy = uniform[2] * (500 - nw), uniform[3] * (500 - nh)
    box = np.float32([[0.1, 0.2, 0.7, 0.9]])
    expected = (box * [nw, nh, nw, nh] + [dx, dy, dx, dy]) / 500
    moved, _ = augment.move_boxes(box, np.float32([x0, y0, x1, y1]))
    np.testing.assert_allclose(moved, expected, atol=1e-4)


@settings(max_examples=100)
@given(st.data(), st.floats(0, 0.45))
def test_crop_moves_each_edge_within_jitter(data, jitter):
    uniform = uniforms(data.draw)
    window = window_of(uniform, options(geometry="crop", jitter=jitter, flip=0.0), 30, 20)
    assert (np.abs(window - [0, 0, 1, 1]) <= jitter + 1e-6).all()
    moves = (2 * np.float64(uniform[:4]) - 1) * jitter * [1, 1, -1, -1]
    np.testing.assert_allclose(window, [0, 0, 1, 1] + moves, atol=1e-6)


def test_crop_reaches_both_ends_of_its_range():
    random = np.random.default_rng(3)
    chosen = options(geometry="crop", jitter=0.2, flip=0.0)
    windows = np.stack([window_of(random.random(augment.DRAWS, np.float32), chosen, 30, 20) for _ in range(200)])
    moves = windows - [0, 0, 1, 1]
    assert (moves.min(0) < -0.19).all() and (moves.max(0) > 0.19).all()
    assert np.abs(moves.mean(0)).max() < 0.04
    correlations = np.corrcoef(moves.T) - np.eye(4)
    assert np.abs(correlations).max() < 0.3  # four independent edges


@pytest.mark.parametrize(("flip", "flip_vertical"), [(0.5, 0.0), (0.0, 0.5), (0.5, 0.5)])
def test_flips_happen_with_their_probability(flip, flip_vertical):
    random = np.random.default_rng(4)
    chosen = options(geometry="none", flip=flip, flip_vertical=flip_vertical)
    windows = np.stack([window_of(random.random(augment.DRAWS, np.float32), chosen, 30, 20) for _ in range(300)])
    mirrored, upside_down = windows[:, 0] > windows[:, 2], windows[:, 1] > windows[:, 3]
    assert abs(mirrored.mean() - flip) < 0.1 and abs(upside_down.mean() - flip_vertical) < 0.1
    assert abs((mirrored & upside_down).mean() - flip * flip_vertical) < 0.1
    assert set(windows.ravel()) <= {0.0, 1.0}


@pytest.mark.parametrize("limit", [1.5, 0.75])  # darknet.md 9: a limit below 1 swaps the ends
def test_colour_factors(limit):
    uniform = np.random.default_rng(5).random((augment.DRAWS, 20000), np.float32)
    chosen = options(hue=0.1, saturation=limit, exposure=limit)
    hue, saturation, exposure = augment.sample_colour(tf.constant(uniform), chosen).numpy()
    assert np.abs(hue).max() <= 0.1 and hue.min() < -0.099 and hue.max() > 0.099 and abs(hue.mean()) < 0.002
    low, high = min(1, limit), max(1, limit)
    for factor in (saturation, exposure):
        inside = (factor >= low) & (factor <= high)
        assert abs(inside.mean() - 0.5) < 0.02
        assert ((factor[~inside] >= 1 / high - 1e-6) & (factor[~inside] <= 1 / low + 1e-6)).all()
        for drawn in (factor[inside], 1 / factor[~inside]):  # uniform between the ends, not log-uniform
            quarters = np.quantile(drawn, [0.25, 0.5, 0.75])
            np.testing.assert_allclose(quarters, low + (high - low) * np.array([0.25, 0.5, 0.75]), atol=0.01)
    assert np.abs(np.corrcoef([hue, saturation, exposure]) - np.eye(3)).max() < 0.03


def test_boxes_outside_and_slivers_are_dropped():
    window = np.float32([0.5, 0.0, 1.0, 1.0])
    boxes = np.float32([[0, 0, 0.4, 1], [0, 0, 0.5004, 1], [0, 0, 0.5006, 1], [0.6, 0.2, 0.8, 0.2005], [0.5, 0, 1, 1]])
    moved, keep = augment.move_boxes(boxes, window)
    assert keep.numpy().tolist() == [False, False, True, False, True]
    np.testing.assert_allclose(moved.numpy()[keep], [[0, 0, 0.0012, 1], [0, 0, 1, 1]], atol=1e-6)
    none, keep = augment.move_boxes(np.zeros((0, 4), np.float32), window)
    assert none.shape == (0, 4) and keep.shape == (0,)


def test_golden_truths_follow_the_window():
    """Darknet's boxes after load_data_detection's move: left * sx - dx, then the mirror, then the clip."""
    arrays = np.load(golden_path("image/correct_boxes.npz"))
    cases = json.loads((golden_dir() / "misc.json").read_text())["image/correct_boxes"]["cases"]
    boxed = arrays["boxes"][:, 1:3].any(1)  # a row with x == y == 0 is a class-only label
    x, y, w, h = arrays["boxes"][boxed, 1:5].T
    boxes_xyxy = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    for number, case in enumerate(cases):
        dx, dy, sx, sy = (case[key] for key in ("dx", "dy", "sx", "sy"))
        window = np.float32([dx / sx, dy / sy, (1 + dx) / sx, (1 + dy) / sy])
        moved, _ = augment.move_boxes(boxes_xyxy, window[[2, 1, 0, 3]] if case["flip"] else window)
        left, right, top, bottom = arrays[f"out{number}"][boxed, 5:].T
        np.testing.assert_allclose(moved, np.stack([left, top, right, bottom], 1), atol=2e-6, err_msg=str(case))


@pytest.mark.parametrize("name", golden_ops("place"))
def test_golden_place(name):
    """Darknet's patch samples source x / nw * W; ours is centred, so its window lies half a pixel of each aside."""
    arrays, arguments = image_ops()
    placed = arguments[name]
    size = max(placed["w"], placed["h"])  # ours is square: Darknet's input is its upper left part
    image = arrays["u8"].transpose(1, 2, 0)
    corners, insides, outsides = [], [], []
    for length, side, offset in zip(image.shape[1::-1], ("nw", "nh"), ("dx", "dy"), strict=True):
        step = length / int(placed[side])
        low = (0.5 - (int(placed[offset]) + 0.5) * step) / length
        corners.append((low, low + size * step / length))
        position = (np.arange(size) - int(placed[offset])) * step
        insides.append((position >= 0) & (position <= length - 1))
        outsides.append((position <= -1) | (position >= length))
    window = np.float32(np.transpose(corners).ravel())
    ours = augment.resample(image, window, size).numpy()[: placed["h"], : placed["w"]]
    difference = np.abs(ours / 255 - arrays[name].transpose(1, 2, 0))
    inside = insides[1][: placed["h"], None] & insides[0][: placed["w"]]
    outside = outsides[1][: placed["h"], None] | outsides[0][: placed["w"]]
    assert inside.any() and difference[inside].max() < ONE_LEVEL / 255
    assert not outside.any() or difference[outside].max() < ONE_LEVEL / 255


@pytest.mark.parametrize("name", golden_ops("flip"))
def test_golden_flip(name):
    arrays, _ = image_ops()
    image = arrays["u8"].transpose(1, 2, 0)
    height, width, _ = image.shape
    for first in (0, width - height):  # square halves of the mirrored picture
        window = np.float32([(width - first) / width, 0, (width - first - height) / width, 1])
        flipped = arrays[name].transpose(1, 2, 0)[:, first : first + height]
        difference = np.abs(augment.resample(image, window, height).numpy() / 255 - flipped)
        assert difference.max() < ONE_LEVEL / 255
