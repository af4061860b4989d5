"""Colour changes: against colorsys, against Darknet, and there and back."""

import colorsys
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import golden_dir, golden_root
from yolo9000_jax.images import colour

rgb_to_hsv, hsv_to_rgb, distort = jax.jit(colour.rgb_to_hsv), jax.jit(colour.hsv_to_rgb), jax.jit(colour.distort)
NAMED = [(0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1)]


def pictures(seed):
    """A picture of random bytes, some of them grey or with two equal channels, as float32 [1, 8, 8, 3]."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (64, 3))
    pixels[:8] = pixels[:8, :1]
    pixels[8:16, 1], pixels[16:24, 2] = pixels[8:16, 0], pixels[16:24, 1]
    pixels[24:33] = np.array(NAMED) * 255
    return (pixels / 255).astype(np.float32).reshape(1, 8, 8, 3)


def turn_distance(a, b):
    """Distance of two hues, which are the same at 0 and 1."""
    return np.abs((a - b + 0.5) % 1 - 0.5)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_hsv_agrees_with_colorsys_and_back(seed):
    images = pictures(seed)
    hsv = np.asarray(rgb_to_hsv(images))
    assert hsv.min() >= 0 and hsv.max() <= 1
    expected = np.array([colorsys.rgb_to_hsv(*map(float, pixel)) for pixel in images.reshape(-1, 3)]).reshape(hsv.shape)
    assert turn_distance(hsv[..., 0], expected[..., 0]).max() < 1e-5
    np.testing.assert_allclose(hsv[..., 1:], expected[..., 1:], atol=1e-6)
    np.testing.assert_allclose(hsv_to_rgb(hsv), images, atol=2e-6)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_rgb_agrees_with_colorsys(seed):
    hsv = np.random.default_rng(seed).random((1, 8, 8, 3), np.float32)
    hsv[0, 0] = [(k / 6, 1, 1) for k in range(7)] + [(0, 0, 0)]  # borders of the sectors
    expected = [colorsys.hsv_to_rgb(*map(float, pixel)) for pixel in hsv.reshape(-1, 3)]
    np.testing.assert_allclose(hsv_to_rgb(hsv), np.reshape(expected, hsv.shape), atol=5e-6)


@settings(max_examples=20)
@given(
    st.integers(0, 2**32 - 1),
    # Libraries that another test of the process has loaded may take subnormal numbers for 0.
    st.floats(-0.5, 0.5, width=32, allow_subnormal=False),
    st.floats(0.5, 1.5, width=32),
    st.floats(0.5, 1.5, width=32),
)
def test_distort_agrees_with_colorsys(seed, hue, saturation, exposure):
    images = pictures(seed)
    # Two images of one batch with different amounts: the second stays as it is.
    amounts = (np.float32([a, b]) for a, b in ((hue, 0), (saturation, 1), (exposure, 1)))
    changed = np.asarray(distort(np.concatenate([images, images]), *amounts))
    expected = []
    for pixel in images.reshape(-1, 3):
        h, s, v = colorsys.rgb_to_hsv(*map(float, pixel))
        expected.append(colorsys.hsv_to_rgb((h + hue) % 1, s * saturation, v * exposure))
    np.testing.assert_allclose(changed[0], np.clip(expected, 0, 1).reshape(images[0].shape), atol=2e-5)
    np.testing.assert_allclose(changed[1], images[0], atol=2e-6)


def test_a_hue_just_below_zero_wraps():
    """darknet.md 9: Darknet paints such pixels magenta, we do not."""
    red = np.float32([[[[0.8, 0.3, 0.3]]]])
    for hue in (-1e-9, -1e-8, -1e-7, 1e-8):
        changed = distort(red, np.float32([hue]), np.float32([1]), np.float32([1]))
        np.testing.assert_allclose(changed, red, atol=1e-5)


def golden_distortions():
    path = golden_root() / "misc.json"
    entries = json.loads(path.read_text()) if path.is_file() else {}
    names = [name for name in entries.get("image/ops_64x48", {}).get("ops", {}) if name.startswith("distort")]
    return names or [pytest.param(None, marks=pytest.mark.skip(reason="no golden files"))]


@pytest.mark.parametrize("name", golden_distortions())
def test_golden_distort(name):
    arrays = np.load(golden_dir() / "image/ops_64x48.npz")
    amounts = json.loads((golden_dir() / "misc.json").read_text())["image/ops_64x48"]["ops"][name]
    planes = arrays["u8"]
    if "red plane" in amounts.get("note", ""):
        planes = np.repeat(planes[:1], 3, axis=0)
    images = jnp.asarray(planes.transpose(1, 2, 0)[None], jnp.float32) / 255
    changed = distort(images, *(np.float32([amounts[key]]) for key in ("hue", "saturation", "exposure")))
    np.testing.assert_allclose(changed[0], arrays[name].transpose(1, 2, 0), atol=1e-5)
