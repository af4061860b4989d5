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
    return augment.sample_rotate_crop(np.float32(uniform), WIDTH, HEIGHT, tf.constant(SIZE), **OPTIONS).numpy()


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
