"""Darknet's crop for classifiers: its own numbers, a plain reading of darknet.md 11 for the ranges."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.data import augment


def _ops():
    path = golden_root() / "misc.json"
    entries = json.loads(path.read_text()) if path.is_file() else {}
    return {k: v for k, v in entries.get("image/ops_64x48", {}).get("ops", {}).items() if k.startswith("rotate_crop")}


@pytest.mark.parametrize("name", list(_ops()) or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))])
def test_golden_rotate_crop(name):
    arrays, arguments = np.load(golden_dir() / "image/ops_64x48.npz"), _ops()[name]
    image, expected = (arrays[key].transpose(1, 2, 0) for key in ("u8", name))
    height, width, _ = image.shape
    assert expected.shape == (arguments["h"], arguments["w"], 3) and arguments["w"] == arguments["h"]
    options = [arguments[key] for key in ("rad", "scale", "aspect", "dx", "dy")]
    transform = augment.rotate_crop_transform(width, height, arguments["w"], *np.float32(options))
    found = augment.warp(image, transform, arguments["w"], fill=0.0).numpy()
    np.testing.assert_allclose(found / 255, expected, atol=0.501 / 255)


WIDTH, HEIGHT, SIZE = 60, 40, 32
OPTIONS = {"angle": 7.0, "aspect": 0.75, "min_crop": 32, "max_crop": 96, "flip": 0.5}


def _sample(uniform):
    options = OPTIONS | {"crop": "darknet"}
    return augment.sample_rotate_crop(np.float32(uniform), WIDTH, HEIGHT, tf.constant(SIZE), **options).numpy()


def test_sampled_crops_lie_in_darknets_ranges():
    random = np.random.default_rng(0)
    angles, aspects, sides, mirrored = [], [], [], []
    for _ in range(300):
        a, b, c, d, e, f = _sample(random.random(7)).astype(np.float64)
        sign = np.sign(a)
        angle, scale, aspect = np.arctan2(-b, e), 1 / np.hypot(b, e), np.hypot(a, d) / np.hypot(b, e)
        np.testing.assert_allclose(np.arctan2(sign * d, sign * a), angle, atol=1e-5)  # a rotation, nothing skewed
        side = scale * (HEIGHT if HEIGHT < WIDTH * aspect else np.floor(WIDTH * aspect))
        # The crop's centre, from the picture's: in the picture turned back and stretched the crop lies within.
        centre = SIZE / 2 - 1 if sign < 0 else SIZE / 2
        x, y = a * centre + b * SIZE / 2 + c - WIDTH / 2, d * centre + e * SIZE / 2 + f - HEIGHT / 2
        dx = (np.cos(angle) * x + np.sin(angle) * y) * scale / aspect
        dy = (np.cos(angle) * y - np.sin(angle) * x) * scale
        assert abs(dx) <= abs(WIDTH * scale / aspect - SIZE) / 2 + 0.01
        assert abs(dy) <= abs(HEIGHT * scale - SIZE) / 2 + 0.01
        angles.append(np.degrees(angle))
        aspects.append(aspect)
        sides.append(side)
        mirrored.append(sign < 0)
    for values, low, high in [(angles, -7, 7), (aspects, 0.75, 1 / 0.75), (sides, 32, 96)]:
        slack = (high - low) * 0.05
        assert low - 1e-3 < min(values) < low + slack and high - slack < max(values) < high + 1e-3
    np.testing.assert_allclose(sides, np.round(sides), atol=1e-3)
    assert 0.4 < np.mean(mirrored) < 0.6


def test_the_mirrored_crop_is_the_crop_mirrored():
    image = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    uniform = np.array([0.3, 0.7, 0.5, 0.9, 0.2, 0.6, 0.9])
    plain = augment.warp(image, _sample(uniform), SIZE).numpy().astype(int)
    uniform[6] = 0.1
    mirrored = augment.warp(image, _sample(uniform), SIZE).numpy().astype(int)
    assert np.abs(mirrored[:, ::-1] - plain).max() <= 1 and len(np.unique(plain)) > 100


IMAGENET = {"angle": 7.0, "aspect": 0.75, "min_crop": 128, "max_crop": 448, "flip": 0.5}  # the recipe's
PHOTOGRAPH = 500, 375  # pixels, as most of ImageNet's


def _seen(size, crop, angle=0.0, aspect=1.0, photograph=PHOTOGRAPH):
    """Of 2000 crops: the share of the photograph that each shows, and the share of the crop that is black."""
    uniform = np.float32(np.random.default_rng(0).random((7, 2000)))
    options = IMAGENET | {"crop": crop, "angle": angle, "aspect": aspect}
    transform = augment.sample_rotate_crop(uniform, *photograph, tf.constant(size), **options).numpy()
    a, b, c, d, e, f = transform.astype(np.float64)[:, :, None]
    x, y = (np.indices((20, 20)).reshape(2, -1) + 0.5) * size / 20  # of 400 places in the crop
    there = [
        (position >= 0) & (position < side)
        for position, side in zip((a * x + b * y + c, d * x + e * y + f), photograph, strict=True)
    ]
    inside = np.mean(there[0] & there[1], axis=1)
    area = np.abs(a * e - b * d)[:, 0] * size**2 / (photograph[0] * photograph[1])
    return inside * area, 1 - inside, uniform[2]


@pytest.mark.parametrize("size", [64, 224, 448])
def test_relative_crops_show_the_same_share_at_every_input(size):
    shown, black, uniform = _seen(size, "relative")
    side = np.minimum(1, 224 / (128 + 320 * uniform))  # of the square, in the photograph's shorter sides
    np.testing.assert_allclose(shown, side**2 * 375 / 500, rtol=1e-3)
    assert not black.any()


def test_relative_crops_show_what_darknets_show_at_224():
    """The same quantiles of the share; where Darknet shows it all, with black around, a square of all that fits."""
    for photograph in ((375, 375), PHOTOGRAPH):
        ours, theirs = (np.sort(_seen(224, crop, photograph=photograph)[0]) for crop in ("relative", "darknet"))
        partly = theirs < min(photograph) / max(photograph)
        assert 0.6 < partly.mean() < 0.75
        np.testing.assert_allclose(ours[partly], theirs[partly], rtol=0.02)


def test_black_and_blind_spots_of_darknets_crops():
    """At an input of 64 hardly anything is seen; at 224 a quarter of the crops is more than a tenth black."""
    assert 0.03 < np.median(_seen(64, "darknet", 7.0, 0.75)[0]) < 0.05
    assert 0.2 < np.mean(_seen(224, "darknet", 7.0, 0.75)[1] > 0.1) < 0.35
    for size in (64, 224, 448):
        assert np.mean(_seen(size, "relative", 7.0, 0.75)[1] > 0.1) < 0.02
        assert 0.3 < np.median(_seen(size, "relative", 7.0, 0.75)[0]) < 0.6
